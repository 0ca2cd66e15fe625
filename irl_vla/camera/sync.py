"""One image per camera around one moment, or a named reason why not.

Every image of the *anchor* camera opens a set; each other camera gives it the image whose stamp
is nearest, within a tolerance. Work per image: O(cameras).

What a camera gives to a set depends on its own stamps and the anchor's alone, so a camera that
fails takes nothing from the others. A set leaves as soon as every living camera has given its
image, or when the deadline has passed. Time is the newest stamp seen (or given to `advance`), less
each camera's offset, and no clock: the same images in the same order give the same sets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from irl_vla.camera.rig import Rig
from irl_vla.types import CameraImage, FrameSet, InputError

MAX_WAITING = 8  # images a camera may hold that no set has asked for: 0.27 s at 30 Hz
MAX_OPEN = 16  # sets that may wait; more means that time stands still
MAX_EVENTS = 1000  # remembered until somebody takes them
SILENT_PERIODS = 3  # a camera is gone after so many of its own periods without an image
JUMP_PERIODS = 5  # so many periods ahead or back is no longer the same recording
NS_PER_MS = 1_000_000


class Missing(str, Enum):
    """Why a camera gives nothing to a set; `FrameSet.missing` reads "<name>: <details>"."""

    NEVER_SEEN = "never_seen"
    STOPPED = "stopped"
    LATE = "late"
    OUTSIDE_TOLERANCE = "outside_tolerance"
    DUPLICATE_STAMP = "duplicate_stamp"
    STAMP_BACKWARDS = "stamp_backwards"
    CLOCK_APART = "clock_apart"
    BAD_IMAGE = "bad_image"


@dataclass(frozen=True)
class SyncSpec:
    """All in nanoseconds of stamp time.
    tolerance: an image may be so far from the anchor's; deadline: a set waits so long for it
    silence: without an image for so long (or 3 of its periods, whichever is longer) a camera is
    gone: it is not waited for, and if it is the anchor another one takes over
    jump: stamps that leap farther (or 5 periods) mean another time: the synchroniser starts again
    """

    tolerance_ns: int = 60 * NS_PER_MS
    deadline_ns: int = 100 * NS_PER_MS
    silence_ns: int = 1000 * NS_PER_MS
    jump_ns: int = 3000 * NS_PER_MS

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance_ns <= self.deadline_ns <= self.silence_ns < self.jump_ns:
            raise ValueError(
                "sync: expected 0 <= tolerance <= deadline <= silence < jump [ns], got"
                f" {self.tolerance_ns}, {self.deadline_ns}, {self.silence_ns}, {self.jump_ns}"
            )


@dataclass(frozen=True)
class SyncEvent:
    """Something that a person may want to know: a duplicate, a takeover, a time jump."""

    stamp_ns: int
    camera: str
    text: str


@dataclass(frozen=True, eq=False)
class _Shot:
    """An image and when it was taken on the anchor's clock."""

    time_ns: int
    image: CameraImage


@dataclass
class _CameraStream:
    """What is known of one camera since the last reset."""

    waiting: deque[_Shot] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    recent_ns: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    period_ns: int = 0  # smoothed; 0 until two images came
    lag_ns: int = 0  # how far behind the newest stamp its last image arrived
    trouble: tuple[Missing, str] | None = None  # why its last message was not used,
    trouble_ns: int = 0  # and when that was; 0: before time began
    spoilt: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))

    @property
    def last_ns(self) -> int | None:
        return self.recent_ns[-1] if self.recent_ns else None


@dataclass
class _OpenSet:
    """A set that still waits. reach_ns: how far from the anchor an image may be; given: camera ->
    image."""

    time_ns: int
    stamp_ns: int
    reach_ns: int
    given: dict[str, _Shot]


class AnchorSynchroniser:
    """Images in, one by one, in the order in which they arrive; frame sets out."""

    def __init__(
        self,
        cameras: Sequence[str],
        spec: SyncSpec | None = None,
        *,
        anchor: str | None = None,
        offsets_ns: Mapping[str, int] | None = None,
    ) -> None:
        """cameras: all that belong to a set, usually `rig.names`
        anchor: by default the first; if rates differ, the slowest gives whole sets
        offsets_ns: by how much a camera's stamps come after the anchor's (`Camera.offset_ns`)
        """
        for name in (anchor, *(offsets_ns or {})):
            if name is not None and name not in cameras:
                raise InputError(f"sync: no camera '{name}', there are {', '.join(cameras)}")
        if len(set(cameras)) != len(cameras) or not cameras:
            raise InputError(f"sync: expected different camera names, got {list(cameras)}")
        self.cameras = tuple(cameras)
        self.spec = spec or SyncSpec()
        self.chosen_anchor = anchor or cameras[0]
        self._offsets = {name: (offsets_ns or {}).get(name, 0) for name in cameras}
        self._events: deque[SyncEvent] = deque(maxlen=MAX_EVENTS)
        self._open: deque[_OpenSet] = deque()
        self._suspects: deque[_Shot] = deque(maxlen=2 * len(self.cameras))
        self._now_ns: int | None = None
        self._last_anchor_ns: int | None = None
        self.resets = 0  # time jumps so far; what was remembered before one is void
        self._begin()

    @staticmethod
    def of_rig(
        rig: Rig, spec: SyncSpec | None = None, *, anchor: str | None = None
    ) -> AnchorSynchroniser:
        """For all cameras of a rig, with their offsets."""
        offsets = {camera.name: camera.offset_ns for camera in rig.cameras}
        return AnchorSynchroniser(rig.names, spec, anchor=anchor, offsets_ns=offsets)

    def push(self, image: CameraImage) -> tuple[FrameSet, ...]:
        """Takes one image; gives the sets that are ready now, oldest anchor first. Images of
        cameras that do not belong to the sets are not looked at."""
        if image.camera not in self._streams:
            return ()
        shot = _Shot(image.stamp_ns - self._offsets[image.camera], image)
        if self._is_elsewhere(shot):
            return self._suspect(shot)
        return self._accept(shot)

    def spoil(self, camera: str, why: str) -> None:
        """A camera sent something that is no image: the sets that lack it name this reason. Of a
        camera that does not belong to the sets it is not looked at."""
        if camera in self._streams:
            stream = self._streams[camera]
            stream.trouble, stream.trouble_ns = (Missing.BAD_IMAGE, why), self._now_ns or 0
            stream.spoilt.append((stream.trouble_ns, why))

    def advance(self, now_ns: int) -> tuple[FrameSet, ...]:
        """Lets time pass without an image (a timer in the car); gives the sets whose deadline has
        passed. `now_ns` is on the clock of the stamps."""
        if self._now_ns is None:
            return ()
        self._now_ns = max(self._now_ns, now_ns)
        return self._ready()

    @property
    def is_open(self) -> bool:
        """Whether a set waits."""
        return bool(self._open)

    def flush(self) -> tuple[FrameSet, ...]:
        """The sets that still wait, when nothing more will come."""
        if not self._open and self._last_anchor_ns is None and self._now_ns is not None:
            self._take_over()
        ready = [self._close(waiting) for waiting in self._open]
        self._open.clear()
        return tuple(ready)

    def take_events(self) -> tuple[SyncEvent, ...]:
        """What happened since this was last asked, oldest first."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def _begin(self) -> None:
        self._streams = {name: _CameraStream() for name in self.cameras}
        self._open.clear()
        self._suspects.clear()
        self._now_ns = None
        self._first_ns = 0
        self._last_anchor_ns = None
        self.anchor = self.chosen_anchor

    def _accept(self, shot: _Shot) -> tuple[FrameSet, ...]:
        stream = self._streams[shot.image.camera]
        self._suspects.clear()
        if self._now_ns is None:
            self._now_ns = self._first_ns = shot.time_ns
        if not self._follows(stream, shot):
            return ()
        stream.lag_ns = max(0, self._now_ns - shot.time_ns)
        self._now_ns = max(self._now_ns, shot.time_ns)
        self._place(shot)
        return self._ready()

    def _follows(self, stream: _CameraStream, shot: _Shot) -> bool:
        """True if the stamp comes after the camera's last one; learns its rhythm."""
        if stream.last_ns is not None:
            step = shot.time_ns - stream.last_ns
            if step <= 0:
                kind = Missing.STAMP_BACKWARDS if step else Missing.DUPLICATE_STAMP
                text = f"its stamp ran back by {_ms(-step)}" if step else "its stamp came twice"
                stream.trouble, stream.trouble_ns = (kind, text), self._now()
                what = "its stamp ran back" if step else text  # the same words each time: counted
                self._note(shot.time_ns, shot.image.camera, f"{what}; the image is not used")
                return False
            old = stream.period_ns or step
            if step <= SILENT_PERIODS * old:  # a longer step is a gap, not a rhythm
                stream.period_ns = (4 * old + step) // 5
        stream.recent_ns.append(shot.time_ns)
        stream.trouble = None
        return True

    def _place(self, shot: _Shot) -> None:
        """Gives the image to the open set that asks for it, else opens one or waits."""
        name = shot.image.camera
        waiting = self._streams[name].waiting
        waiting.append(shot)
        for wanted in self._open:
            self._offer(wanted, name)
        if name == self.chosen_anchor != self.anchor:
            self._note(shot.time_ns, name, f"is back, and the anchor again for '{self.anchor}'")
            self.anchor = name
            if self._has_set(shot):
                return
        if name == self.anchor and shot in waiting:
            waiting.clear()
            self._open_set(shot)

    def _open_set(self, shot: _Shot) -> None:
        name, time_ns = shot.image.camera, shot.time_ns
        self._last_anchor_ns = time_ns
        for earlier in self._open:  # an image nearer to this anchor is not theirs
            earlier.reach_ns = min(earlier.reach_ns, (time_ns - earlier.time_ns) // 2)
        opened = _OpenSet(time_ns, shot.image.stamp_ns, self._reach_ns(), {name: shot})
        self._open.append(opened)
        for other in self.cameras:
            self._offer(opened, other)

    def _has_set(self, shot: _Shot) -> bool:
        """A new anchor's first images may fall on moments that the old one has opened sets for."""
        last = self._last_anchor_ns
        return last is not None and shot.time_ns - last <= self._reach_ns()

    def _reach_ns(self) -> int:
        """The tolerance, but at most half the anchor's period: an image belongs to one anchor, and
        a camera that loses one does not lag behind from then on."""
        period = self._streams[self.anchor].period_ns
        return min(self.spec.tolerance_ns, period // 2) if period else self.spec.tolerance_ns

    def _offer(self, wanted: _OpenSet, name: str, *, last_call: bool = False) -> None:
        """Settles what camera `name` gives to the set, if that can be said already: its nearest
        image, unless its next one will be nearer still."""
        stream = self._streams[name]
        if name in wanted.given or not stream.waiting:
            return
        near = min(stream.waiting, key=lambda shot: abs(shot.time_ns - wanted.time_ns))
        early = wanted.time_ns - near.time_ns
        if abs(early) > wanted.reach_ns:
            return
        if near is stream.waiting[-1] and 0 < stream.period_ns < 2 * early and not last_call:
            return
        wanted.given[name] = near
        while stream.waiting and stream.waiting[0].time_ns <= near.time_ns:
            stream.waiting.popleft()  # older than an image in use: of no use to later sets

    def _ready(self) -> tuple[FrameSet, ...]:
        if self._is_gone(self.anchor):
            self._take_over()
        ready = []
        while self._open and (self._is_complete(self._open[0]) or len(self._open) > MAX_OPEN):
            ready.append(self._close(self._open.popleft()))
        return tuple(ready)

    def _is_complete(self, wanted: _OpenSet) -> bool:
        if self._now() - wanted.time_ns > self.spec.deadline_ns:
            return True
        return all(name in wanted.given or self._is_gone(name) for name in self.cameras)

    def _close(self, done: _OpenSet) -> FrameSet:
        """The set as it stands; an image that was held for a nearer one is taken now."""
        for name in self.cameras:
            self._offer(done, name, last_call=True)
        images = {name: done.given[name].image for name in self.cameras if name in done.given}
        missing = {name: self._reason(name, done) for name in self.cameras if name not in images}
        return FrameSet(done.stamp_ns, images, missing)

    def _now(self) -> int:
        """Only asked once time has begun with the first image."""
        return self._now_ns or 0

    def _silence_ns(self, name: str) -> int:
        last = self._streams[name].last_ns
        return self._now() - (self._first_ns if last is None else last)

    def _is_gone(self, name: str) -> bool:
        """Silent for longer than its rhythm (or, if it has none yet, the others') explains."""
        period = self._streams[name].period_ns
        period = period or max(stream.period_ns for stream in self._streams.values())
        return self._silence_ns(name) > max(self.spec.silence_ns, SILENT_PERIODS * period)

    def _take_over(self) -> None:
        """The first camera that lives becomes the anchor; what it holds opens sets."""
        gone = self.anchor
        alive = [n for n in self.cameras if self._streams[n].recent_ns and not self._is_gone(n)]
        if not alive or alive[0] == gone:
            return
        self.anchor = alive[0]
        text = f"{_s(self._silence_ns(gone))} without an image; '{self.anchor}' is the anchor now"
        self._note(self._now(), gone, text)
        held = list(self._streams[self.anchor].waiting)
        self._streams[self.anchor].waiting.clear()
        for shot in held:
            if not self._has_set(shot):
                self._open_set(shot)

    def _is_elsewhere(self, shot: _Shot) -> bool:
        if self._now_ns is None:
            return False
        period = self._streams[self.anchor].period_ns
        return abs(shot.time_ns - self._now_ns) > max(self.spec.jump_ns, JUMP_PERIODS * period)

    def _suspect(self, shot: _Shot) -> tuple[FrameSet, ...]:
        """A stamp far from now: one camera's clock, or another time? It is another time when as
        many images in a row agree on it as cameras had agreed on the old one."""
        name, leap_ns = shot.image.camera, shot.time_ns - self._now()
        text = f"its stamp is {_s(leap_ns)} away from the other cameras'"
        stream = self._streams[name]
        stream.trouble, stream.trouble_ns = (Missing.CLOCK_APART, text), self._now()
        self._suspects.append(shot)
        agree = [s for s in self._suspects if abs(s.time_ns - shot.time_ns) <= self.spec.jump_ns]
        heard = {n for n in self.cameras if self._streams[n].recent_ns}
        if len(agree) < len(heard | {name}):
            return ()
        ready = list(self.flush())
        self.resets += 1
        self._begin()
        self._note(shot.time_ns, name, f"time jump of {_s(leap_ns)}: the synchroniser starts again")
        for image in agree:
            ready += self._accept(image)
        return tuple(ready)

    def _reason(self, name: str, done: _OpenSet) -> str:
        kind, text = self._why(name, done)
        return f"{kind.value}: {text}"

    def _why(self, name: str, done: _OpenSet) -> tuple[Missing, str]:
        stream = self._streams[name]
        recently = self._now() - stream.trouble_ns <= self.spec.silence_ns
        if stream.trouble is not None and (recently or not stream.trouble_ns):
            return stream.trouble
        for when_ns, why in stream.spoilt:
            if abs(when_ns - done.time_ns) <= self.spec.deadline_ns:
                return Missing.BAD_IMAGE, why
        if stream.last_ns is None:
            return Missing.NEVER_SEEN, "no image yet" + " since the time jump" * bool(self.resets)
        if self._is_gone(name):
            instead = f"; '{self.anchor}' is the anchor instead" * (name == self.chosen_anchor)
            return Missing.STOPPED, f"its last image is {_s(self._silence_ns(name))} old{instead}"
        deadline = _ms(self.spec.deadline_ns)
        if stream.lag_ns > self.spec.deadline_ns:
            text = f"its images come {_ms(stream.lag_ns)} after the others', deadline {deadline}"
            return Missing.LATE, text
        if stream.last_ns < done.time_ns - done.reach_ns:
            gap = _ms(done.time_ns - stream.last_ns)
            return Missing.LATE, f"nothing by the deadline ({deadline}); its last is {gap} before"
        gap_ns = min((t - done.time_ns for t in stream.recent_ns), key=abs)
        text = f"its nearest image is {_ms(gap_ns)} away, tolerance {_ms(done.reach_ns)}"
        return Missing.OUTSIDE_TOLERANCE, text

    def _note(self, time_ns: int, camera: str, text: str) -> None:
        self._events.append(SyncEvent(time_ns, camera, text))


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.1f} ms"


def _s(duration_ns: int) -> str:
    return f"{duration_ns / 1e9:.1f} s"
