"""The replay loop: a recording's events through synchroniser and driving core, as in the car.

Time is the recording's own. A frame set is planned at the stamp at which the car would have had
it: when its last picture came, or when its deadline passed. Where the ego motion at its anchor is
not known yet, it waits for it, at most a tenth of a second of the recording.
Pictures are decoded in a thread while the networks run; the order of everything stays the same.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from irl_vla.bag.recorded_inputs import RecordedInputs
from irl_vla.camera.frozen import FrozenPictures
from irl_vla.camera.preprocess import prepared
from irl_vla.camera.sync import AnchorSynchroniser, SyncSpec
from irl_vla.drive.core import DrivingCore
from irl_vla.drive.history import LATE_NS
from irl_vla.drive.step import Step
from irl_vla.evaluation.read_ahead import read_ahead
from irl_vla.messages.events import Event, Notice, NoticeKind
from irl_vla.messages.notices import LOST
from irl_vla.types import (
    SECOND_NS,
    CameraImage,
    EgoMotion,
    FrameSet,
    Intent,
    IntentDirection,
    Plan,
    Schedule,
)

RECORDED_NS = SECOND_NS  # after its anchor a measurement that was driven by is recorded
MAX_NOTICES = 200  # different texts that are kept; a long recording may have one per picture
NOT_IN_TIME = "not_driven: the car did not use its picture"  # reason of a followed drive
FURTHER = "further notices, each of them different"


@dataclass(frozen=True)
class _Arrived:
    """A set, and when the car would have had it."""

    frames: FrameSet
    now_ns: int


@dataclass
class ReplayLoop:
    """One replay. fixed_intent: in place of the recording's own.

    rig_is_given: a rig file was given, so a recording that changes its calibration is only noted
    anchor: camera that every set is built around, by default the first of the rig
    follow: schedules to repeat, by anchor stamp; other anchors choose for themselves
    driven: what else the followed car's recording says, by anchor stamp
    notices: what the recording had to say, with counts; at most MAX_NOTICES different texts
    """

    core: DrivingCore
    fixed_intent: IntentDirection | None = None
    rig_is_given: bool = False
    anchor: str | None = None
    follow: Mapping[int, Schedule] = field(default_factory=dict)
    driven: Mapping[int, RecordedInputs] = field(default_factory=dict)
    sync_spec: SyncSpec = field(default_factory=SyncSpec)
    notices: Counter[str] = field(default_factory=Counter)
    lost: int = 0  # pictures and messages that could not be used

    def __post_init__(self) -> None:
        self._sync = AnchorSynchroniser.of_rig(self.core.rig, self.sync_spec, anchor=self.anchor)
        self._frozen = FrozenPictures()
        self._newest_ns = 0
        self._latest_motion_ns = 0
        self._waiting: deque[_Arrived] = deque()
        self._commanded = {schedule.command_stamp_ns for schedule in self.follow.values()}
        if self.fixed_intent is not None:
            self.core.add_intent(Intent(self.fixed_intent))

    def steps(self, events: Iterator[Event]) -> Iterator[tuple[Event | None, Step | None]]:
        """Every event, with the step it led to; further steps come with None."""
        for event in read_ahead(events, self._developed):
            self._take(event)
            self._note_sync()
            done = [self._step(arrived) for arrived in self._ready(event.stamp_ns)]
            yield event, done[0] if done else None
            yield from ((None, step) for step in done[1:])
        self._arrive(self._sync.flush(), self._newest_ns)
        yield from ((None, self._step(arrived)) for arrived in self._waiting)
        self._note_sync()
        self._note_silence()

    def _ready(self, now_ns: int) -> Iterator[_Arrived]:
        """Sets whose ego motion is known, or will not come any more."""
        while self._waiting:
            anchor = self._waiting[0].frames.anchor_stamp_ns
            # What the followed car had comes, though recorders may write it down late.
            patience = LATE_NS if self._schedule(anchor) is None else RECORDED_NS
            # A measurement that was recorded late is of a time before its anchor.
            too_late = not -RECORDED_NS <= now_ns - anchor <= patience
            if self._is_waiting(anchor) and not too_late:
                return
            yield self._waiting.popleft()

    def _is_waiting(self, anchor_ns: int) -> bool:
        """Whether ego motion may still come that this anchor needs, or used when it was driven."""
        history, schedule = self.core.history, self._schedule(anchor_ns)
        if schedule is None:
            return history.is_waiting(anchor_ns)
        return not history.has(schedule.motion_stamp_ns)

    def _developed(self, event: Event) -> Event:
        """In the reading thread: a picture with its decoding done."""
        if not isinstance(event, CameraImage):
            return event
        return prepared(event, self.core.rig, self.core.stack.perception.image)

    def _take(self, event: Event) -> None:
        if isinstance(event, CameraImage):
            self._image(event)
        elif isinstance(event, EgoMotion):
            self._latest_motion_ns = event.stamp_ns
            self._frozen.moved(event.world_from_ego)
            self.core.add_motion(event)
        elif isinstance(event, Intent):
            if self.fixed_intent is None:
                self.core.add_intent(event)
        elif isinstance(event, Notice):
            self._notice(event)

    def _image(self, image: CameraImage) -> None:
        """A frozen camera is missing, as in the car; one that drove with it is followed."""
        times = 0 if self.follow else self._frozen.times(image)
        if times:
            text = f"frozen: the same picture {times} times in a row"
            self._sync.spoil(image.camera, text)
            self._note(f"camera '{image.camera}': {text}")
            self.lost += 1
            return
        resets, before_ns = self._sync.resets, self._newest_ns
        ready = self._sync.push(image)
        jumped = self._sync.resets != resets
        self._newest_ns = image.stamp_ns if jumped else max(self._newest_ns, image.stamp_ns)
        self._arrive(ready, before_ns)

    def _arrive(self, ready: tuple[FrameSet, ...], before_ns: int) -> None:
        """When the car would have had these sets: when the last picture came or the deadline
        passed; for a set that a new anchor opened after its deadline, at that moment.

        before_ns: the newest stamp before the picture that set them free
        """
        for frames in ready:
            anchor = frames.anchor_stamp_ns
            latest = max(anchor + self.sync_spec.deadline_ns, before_ns)
            jumped = self._newest_ns < anchor  # sets of the time before a jump back
            now = latest if jumped else min(self._newest_ns, latest)
            self._waiting.append(_Arrived(frames, max(anchor, now)))

    def _step(self, arrived: _Arrived) -> Step:
        frames, now = self._as_driven(arrived.frames), arrived.now_ns
        anchor = frames.anchor_stamp_ns
        schedule, driven = self._schedule(anchor), self.driven.get(anchor, RecordedInputs())
        think = anchor in self._commanded if self.follow else None
        if self.follow and anchor not in self.follow:
            return self.core.shadow_step(frames, now, schedule, driven.intent, think)
        step = self.core.step(frames, now, schedule, driven.intent, think)
        self._note_command(step, schedule)
        return step

    def _note_command(self, step: Step, followed: Schedule | None) -> None:
        """A followed plan without the command that it was made with is another plan."""
        if followed is None or not isinstance(step.outcome, Plan):
            return
        if step.outcome.schedule.command_stamp_ns != followed.command_stamp_ns:
            self._note("language model: the car had a command that this replay has not")

    def _schedule(self, anchor_ns: int) -> Schedule | None:
        """What the followed car planned by; where it did not plan, what it perceived by."""
        return self.follow.get(anchor_ns) or self.driven.get(anchor_ns, RecordedInputs()).schedule

    def _as_driven(self, frames: FrameSet) -> FrameSet:
        """The set without the pictures that the followed car did not have."""
        had = self.driven.get(frames.anchor_stamp_ns, RecordedInputs()).cameras
        if had is None:
            return frames
        for name in set(had) - set(frames.images):
            self._note(f"camera '{name}': the car had pictures that this replay has not")
        images = {name: image for name, image in frames.images.items() if name in had}
        late = {name: NOT_IN_TIME for name in frames.images if name not in had}
        return replace(frames, images=images, missing={**frames.missing, **late})

    def _notice(self, notice: Notice) -> None:
        self._note(f"{notice.kind.value}: {notice.text}")
        self.lost += notice.kind in LOST
        if notice.kind is NoticeKind.BAD_IMAGE and notice.camera is not None:
            self._sync.spoil(notice.camera, notice.text)
        if notice.kind is NoticeKind.MOTION_UNPLACED:
            self.core.history.spoil(notice.stamp_ns, notice.text)
        now = notice.now
        if notice.kind is NoticeKind.CALIBRATION_CHANGED and now and not self.rig_is_given:
            cameras = tuple(
                replace(now, offset_ns=camera.offset_ns) if camera.name == now.name else camera
                for camera in self.core.rig.cameras
            )
            self.core.recalibrate(replace(self.core.rig, cameras=cameras))

    def _note_sync(self) -> None:
        for event in self._sync.take_events():
            self._note(f"synchroniser: camera '{event.camera}': {event.text}")

    def _note_silence(self) -> None:
        """Where all cameras fall silent, no set is left that could name the reason."""
        silence_ns = self._latest_motion_ns - self._newest_ns
        if self._newest_ns and silence_ns > self.sync_spec.silence_ns:
            self._note(f"all cameras stopped {silence_ns / SECOND_NS:.1f} s before the ego motion")

    def _note(self, text: str) -> None:
        known = text in self.notices or len(self.notices) < MAX_NOTICES
        self.notices[text if known else FURTHER] += 1
