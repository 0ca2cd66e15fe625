"""The desk: a recording's events through synchroniser and driving core, as in the car.

Time is the recording's own. A frame set is planned at the stamp at which the car would have had
it: when its last picture came, or when its deadline passed. Where the ego motion at its anchor is
not known yet, it waits for it, at most a tenth of a second of the recording.
Pictures are decoded in a thread while the networks run; the order of everything stays the same.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from irl_vla.camera.preprocess import prepared
from irl_vla.camera.rig import Rig
from irl_vla.camera.sync import AnchorSynchroniser, SyncSpec
from irl_vla.cli.ahead import ahead
from irl_vla.data.bag_events import Event, Notice, NoticeKind
from irl_vla.drive.core import DrivingCore, Step
from irl_vla.drive.history import LATE_NS
from irl_vla.types import CameraImage, EgoMotion, FrameSet, Intent, IntentDirection, Schedule


@dataclass
class Desk:
    """One replay. fixed_intent: in place of the recording's own.

    rig_is_given: a rig file was given, so a recording that changes its calibration is only noted
    follow: schedules to repeat, by anchor stamp; other anchors choose for themselves
    notices: what the recording had to say, with counts
    """

    core: DrivingCore
    fixed_intent: IntentDirection | None = None
    rig_is_given: bool = False
    follow: Mapping[int, Schedule] = field(default_factory=dict)
    sync_spec: SyncSpec = field(default_factory=SyncSpec)
    notices: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._sync = AnchorSynchroniser.of_rig(self.core.rig, self.sync_spec)
        self._newest_ns = 0
        self._waiting: deque[FrameSet] = deque()
        if self.fixed_intent is not None:
            self.core.add_intent(Intent(self.fixed_intent))

    def steps(self, events: Iterator[Event]) -> Iterator[tuple[Event | None, Step | None]]:
        """Every event, with the step it led to; further steps come with None."""
        for event in ahead(events, self._developed):
            self._take(event)
            done = [self._step(frames) for frames in self._ready(event.stamp_ns)]
            yield event, done[0] if done else None
            yield from ((None, step) for step in done[1:])
        self._waiting.extend(self._sync.flush())
        yield from ((None, self._step(frames)) for frames in self._waiting)
        self._note_sync()

    def _ready(self, now_ns: int) -> Iterator[FrameSet]:
        """Sets whose ego motion is known, or will not come any more."""
        while self._waiting:
            anchor = self._waiting[0].anchor_stamp_ns
            too_late = not 0 <= now_ns - anchor <= LATE_NS
            if self._is_waiting(anchor) and not too_late:
                return
            yield self._waiting.popleft()

    def _is_waiting(self, anchor_ns: int) -> bool:
        """Whether ego motion may still come that this anchor needs, or used when it was driven."""
        history, schedule = self.core.history, self.follow.get(anchor_ns)
        if schedule is None:
            return history.is_waiting(anchor_ns)
        return not history.has(schedule.motion_stamp_ns)

    def _developed(self, event: Event) -> Event:
        """In the reading thread: a picture with its decoding done."""
        if not isinstance(event, CameraImage):
            return event
        return prepared(event, self.core.rig, self.core.mind.eyes.image)

    def _take(self, event: Event) -> None:
        if isinstance(event, CameraImage):
            self._waiting.extend(self._image(event))
        elif isinstance(event, EgoMotion):
            self.core.add_motion(event)
        elif isinstance(event, Intent):
            if self.fixed_intent is None:
                self.core.add_intent(event)
        elif isinstance(event, Notice):
            self._notice(event)

    def _image(self, image: CameraImage) -> tuple[FrameSet, ...]:
        resets = self._sync.resets
        ready = self._sync.push(image)
        jumped = self._sync.resets != resets
        self._newest_ns = image.stamp_ns if jumped else max(self._newest_ns, image.stamp_ns)
        return ready

    def _step(self, frames: FrameSet) -> Step:
        """now: when the car had this set, at the latest when its deadline passed."""
        latest = frames.anchor_stamp_ns + self.sync_spec.deadline_ns
        now_ns = max(frames.anchor_stamp_ns, min(self._newest_ns, latest))
        return self.core.step(frames, now_ns, self.follow.get(frames.anchor_stamp_ns))

    def _notice(self, notice: Notice) -> None:
        self.notices[f"{notice.kind.value}: {notice.text}"] += 1
        now = notice.now
        if notice.kind is NoticeKind.CALIBRATION_CHANGED and now and not self.rig_is_given:
            cameras = tuple(
                replace(now, offset_ns=camera.offset_ns) if camera.name == now.name else camera
                for camera in self.core.rig.cameras
            )
            self.core.recalibrate(Rig(self.core.rig.name, cameras))

    def _note_sync(self) -> None:
        for event in self._sync.take_events():
            self.notices[f"synchroniser: camera '{event.camera}': {event.text}"] += 1
