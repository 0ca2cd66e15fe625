"""A rosbag -> pictures, ego motion, intent and boxes in log-time order, its rig, and what it lacks.

Stamps of values are those of the message headers; their order is that in which they were recorded.
Nothing is read ahead: memory does not depend on the length of the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from irl_vla.bag.bag_files import Closing, StoredBag, open_files
from irl_vla.bag.bag_info import BagInfo, odd_times, time_span, too_many_cameras, topic_rows
from irl_vla.bag.boxes_at import BoxesAt
from irl_vla.bag.comparisons import (
    Comparison,
    StampSpan,
    clock_comparison,
    matrix_comparison,
    odometry_comparison,
    receipt_comparison,
    size_comparison,
    twist_comparison,
)
from irl_vla.bag.file_sections import merge
from irl_vla.bag.frame_watch import FrameWatch, namespace_of, other_robots
from irl_vla.bag.preview import (
    MOST_MOTION,
    HeadReader,
    MotionSample,
    PictureSample,
    motion_sample,
    span_of,
)
from irl_vla.camera.rig import MAX_CAMERAS, DrawnRig, Rig
from irl_vla.config import load_yaml
from irl_vla.messages.calibration import (
    Calibration,
    calibrate,
    contradictions,
    put_transforms,
    world_frame,
)
from irl_vla.messages.events import Event, EventReader, StampedBoxes
from irl_vla.messages.messages import DECODE_DAMAGE, Decoder
from irl_vla.messages.motion_source import MotionKind, MotionSource, Trust
from irl_vla.messages.plan_messages import plan_from_message
from irl_vla.messages.tf_tree import TransformTree, frame_name
from irl_vla.messages.topic_roles import FIX, ODOMETRY, TF_TYPES, TWIST_TYPES
from irl_vla.messages.topics import Topics, choose_topics
from irl_vla.types import SECOND_NS, Boxes3D, CameraImage, InputError, Plan

T = TypeVar("T")

PLAN_TYPE = "irl_vla_msgs/msg/Plan"
MAX_STATIC = 10_000  # messages of /tf_static that are read for the calibration
TF_NAMES = 100  # messages of a tf topic that are read for the names of its frames
MOST_ODOMETRIES = 4  # that are compared
TF_PREVIEW = 500  # messages of /tf that are read to learn which frames move


def open_bag(
    path: Path | str, topics: Topics | Path | str | None = None, *, odometry: str | None = None,
    camera_delay_ns: int = 0,
) -> Bag:  # fmt: skip
    """Open a rosbag2 (mcap or sqlite3; a file, or a directory with or without metadata.yaml) or a
    ROS 1 bag. topics: names, or a YAML file with them; odometry: goes before theirs;
    camera_delay_ns: is taken from the stamps of all pictures. Raises InputError."""
    stored = open_files(Path(path))
    try:
        given = load_yaml(Path(topics), Topics) if isinstance(topics, (str, Path)) else topics
        given = given or Topics()
        if odometry is not None:
            given = replace(given, odometry=odometry)
        return Bag(stored, given, camera_delay_ns)
    except InputError:
        stored.close()
        raise


class Bag(Closing):
    """An open recording; a context manager. Made by `open_bag`."""

    def __init__(self, stored: StoredBag, given: Topics, camera_delay_ns: int = 0) -> None:
        self._stored = stored
        self._camera_delay_ns = camera_delay_ns
        self.path = stored.path
        resolved = stored.path.resolve()
        self.name = resolved.name if resolved.is_dir() else resolved.stem
        self._head = HeadReader(stored)
        self._pictures = self._head.pictures()
        stated = {name: samples[0].stated for name, samples in self._pictures.items() if samples}
        self._apart: dict[str, str] = {}  # namespace of another car -> why it is left out
        apart = {} if given.tf else self._other_robots()
        self.chosen = choose_topics(
            stored.topics, stored.stats, given, str(stored.path), stated, apart
        )
        self._notes: list[str] = []
        self._boxes = BoxesAt(self._box_events)

    def close(self) -> None:
        """Free what was unpacked."""
        self._stored.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is damaged, left out or contradicts itself, as far as has been read."""
        contradictions = [c.why for c in self.comparisons if c.verdict == "no"]
        apart = sorted(set(self._apart.values()))
        said = [*self._stored.warnings, *self._notes, *self._head.complaints]
        odd = odd_times(self._stored.stats)
        return tuple(dict.fromkeys([*said, *apart, *odd, *contradictions, *self.calibration.notes]))

    def info(self) -> BagInfo:
        """The topic table, and what replay would lack. Counts come from indexes where there are
        any; of pictures the first few are looked at."""
        stats = [s for s in self._stored.stats.values() if s.count]
        first, last = time_span(self._stored.stats)
        return BagInfo(
            path=str(self.path),
            storage=self._stored.storage,
            duration_s=(last - first) / SECOND_NS,
            messages=sum(s.count for s in stats),
            topics=topic_rows(self._stored.topics, self._stored.stats, self.chosen),
            cameras=tuple(self.chosen.cameras),
            calibrated=tuple(self.calibration.cameras),
            motion=self.motion.says(),
            base_frame=self.calibration.base_frame,
            warnings=self.warnings,
            missing=tuple(self._missing()),
            comparisons=self.comparisons,
        )

    def _missing(self) -> Iterator[str]:
        if not self._stored.sections:
            yield "no messages at all"
            return
        if not self.chosen.cameras:
            yield (
                "no camera topics: expected sensor_msgs/Image or sensor_msgs/CompressedImage; "
                "without pictures only the ego motion can be shown"
            )
        yield from self.calibration.missing
        if len(self.chosen.cameras) > MAX_CAMERAS:
            yield too_many_cameras(tuple(self.chosen.cameras))
        if self.motion.kind is MotionKind.NONE:
            base, tree = self.calibration.base_frame, self.calibration.tree
            known = ", ".join(tree.frames[:12]) or "no frame"
            yield (
                "no ego motion: expected nav_msgs/Odometry, or a tf chain from map or odom to "
                f"'{base}' (tf knows {known})"
            )

    def rig(self) -> Rig:
        """The calibrated cameras; a `DrawnRig` where they are more than a policy reads. Raises
        InputError that says what is missing where there are none; cameras without calibration are
        named in info().missing."""
        cameras = tuple(self.calibration.cameras.values())
        if not cameras:
            reasons = [*self.calibration.missing] or ["no camera topics"]
            raise InputError(f"{self.path}: no rig in this bag: " + "\n".join(reasons))
        kind = Rig if len(cameras) <= MAX_CAMERAS else DrawnRig
        return kind(self.name, cameras)

    def events(self) -> Iterator[Event]:
        """CameraImage, EgoMotion, Intent, StampedBoxes and Notice, in the order of recording."""
        reader = self.event_reader()
        for record in merge(self._stored.sections, reader.topics):
            for event in reader.read(record):
                if self._camera_delay_ns and isinstance(event, CameraImage):
                    event = replace(event, stamp_ns=event.stamp_ns - self._camera_delay_ns)
                yield event

    def boxes_at(self, stamp_ns: int) -> Boxes3D | None:
        """Known things nearest to a stamp, within 60 ms; quick when stamps go forward."""
        return self._boxes.at(stamp_ns) if self.chosen.boxes else None

    def _box_events(self) -> Iterator[StampedBoxes]:
        reader, chosen = self.event_reader(), self.chosen
        needed = {chosen.boxes, self.motion.topic, *chosen.tf, *chosen.tf_static} - {None}
        for record in merge(self._stored.sections, reader.topics & needed):
            yield from (e for e in reader.read(record) if isinstance(e, StampedBoxes))

    def event_reader(self) -> EventReader:
        """A reader of this bag's messages, at the start of the recording."""
        return EventReader(self._stored.topics, self.chosen, self.calibration, self.motion)

    def _other_robots(self) -> dict[str, str]:
        """Topics of other cars in the same recording, with the reason."""
        frames: dict[str, frozenset[str]] = {}
        for name, topic in self._stored.topics.items():
            if topic.msgtype in TF_TYPES:
                space = namespace_of(name)
                seen = {
                    frame_name(stamped.child_frame_id)
                    for message in self._head.first(name, TF_NAMES)
                    for stamped in message.transforms
                }  # fmt: skip
                frames[space] = frames.get(space, frozenset()) | seen
        weight = {
            space: sum(
                self._stored.stats[name].count for name in self._pictures
                if name.startswith(f"/{space}/")
            )
            for space in frames
        }  # fmt: skip
        self._apart = other_robots(frames, weight)
        return {
            name: why for name in self._stored.topics for space, why in self._apart.items()
            if name.startswith(f"/{space}/")
        }  # fmt: skip

    @cached_property
    def calibration(self) -> Calibration:
        """Read once from the first CameraInfo of each camera and from tf."""
        infos = {
            name: message
            for name, topics in self.chosen.cameras.items()
            for message in self._head.first(topics.camera_info, 1)
        }
        frames = {
            name: frame_name(samples[0].frame)
            for name, topics in self.chosen.cameras.items()
            if (samples := self._pictures.get(topics.image))
        }
        self._infos = infos
        return calibrate(self._frames.tree, infos, self._odometry_child, self.chosen, frames)

    @cached_property
    def _frames(self) -> FrameWatch:
        watch = FrameWatch()
        for topics, limit in ((self.chosen.tf_static, MAX_STATIC), (self.chosen.tf, TF_PREVIEW)):
            for topic in topics:
                for message in self._head.first(topic, limit):
                    watch.put(message, static=limit == MAX_STATIC)
        return watch

    @cached_property
    def _odometry(self) -> dict[str, MotionSample]:
        """The head of every odometry, the chosen one first."""
        found = {}
        for topic in self.chosen.odometries[:MOST_ODOMETRIES]:
            sample = motion_sample(topic, self._head.stamped(topic, MOST_MOTION))
            if sample is not None:
                found[topic] = sample
        return found

    @cached_property
    def _odometry_child(self) -> str:
        """The frame that the odometry moves, "" where it does not say."""
        sample = self._odometry.get(self.chosen.odometry or "")
        return frame_name(sample.child) if sample else ""

    @cached_property
    def motion(self) -> MotionSource:
        """Where ego motion comes from: odometry, a tf chain, or what else there is."""
        calibration, base, chosen = self.calibration, self.calibration.base_frame, self.chosen
        topic = chosen.odometry
        if topic and self._stored.topics[topic].msgtype != ODOMETRY:
            return MotionSource(kind_of(self._stored.topics[topic].msgtype), topic)
        child = self._odometry_child or base
        if topic and calibration.tree.find(child, base) is not None:
            return self._trusted(topic)
        if topic:
            self._notes.append(
                f"topic {topic}: moves frame '{child}', and tf does not say "
                f"where that is from '{base}'; it is not used"
            )
        world = world_frame(calibration.tree, base)
        if world is not None and chosen.tf and self._moves(base, world):
            return MotionSource(MotionKind.TF, f"{chosen.tf[0]} {world} -> {base}")
        twist = chosen.twist or ""
        if chosen.pose:
            return MotionSource(MotionKind.POSE, chosen.pose, twist)
        if chosen.fix and chosen.heading:
            return MotionSource(MotionKind.FIX, chosen.fix, twist, chosen.heading)
        return MotionSource(MotionKind.TWIST, twist) if twist else MotionSource()

    def _trusted(self, topic: str) -> MotionSource:
        """An odometry, without the one of its two facts that the other contradicts."""
        sample = self._odometry.get(topic)
        if sample is None or not sample.agreement.contradicts:
            return MotionSource(MotionKind.ODOMETRY, topic)
        if sample.agreement.still:
            why = "its twist, summed up; its poses never change"
            return MotionSource(MotionKind.ODOMETRY, topic, trust=Trust.TWIST, why=why)
        why = "its poses; its twist contradicts them"
        return MotionSource(MotionKind.ODOMETRY, topic, trust=Trust.POSES, why=why)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Two sources of one fact, compared, wherever there are two."""
        calibration, motion = self.calibration, self.motion
        sample = self._odometry.get(motion.topic)
        pictures = {
            name: self._pictures.get(t.image, []) for name, t in self.chosen.cameras.items()
        }
        spans = [
            self._span(self.chosen.cameras[name].image, samples)
            for name, samples in pictures.items()
            if samples and all(one.stamp_ns for one in samples)
        ]
        found: list[Comparison | None] = []
        if sample is not None:
            found.append(twist_comparison(motion.topic, sample.agreement))
            ego = self._whole(sample.span)
            clocks = [clock_comparison(span, ego) for span in spans]
            found += sorted(clocks, key=lambda clock: clock.verdict)[:1]
            spans = [*spans, ego]
        found += [
            receipt_comparison(spans),
            odometry_comparison({t: (s.speed, s.windows) for t, s in self._odometry.items()}),
            self._frames.comparison(),
            size_comparison(
                {
                    name: (samples[0].size, size)
                    for name, samples in pictures.items()
                    if samples and samples[0].size and (size := self._calibrated_size(name))
                }
            ),
            matrix_comparison(contradictions(self._infos, self.chosen), len(calibration.cameras)),
        ]
        return tuple(one for one in found if one is not None)

    def _calibrated_size(self, camera: str) -> tuple[int, int] | None:
        known = self.calibration.cameras.get(camera)
        return None if known is None else (known.width, known.height)

    def _span(self, topic: str, samples: Sequence[PictureSample]) -> StampSpan:
        stamps = [s.stamp_ns - self._camera_delay_ns for s in samples]
        logs = [s.log_ns for s in samples]
        return self._whole(span_of(topic, stamps, logs))

    def _whole(self, span: StampSpan) -> StampSpan:
        """With the last stamp of the topic, by its last time of recording."""
        last = self._stored.stats[span.topic].last_ns + span.offset_ns
        return replace(span, last_ns=max(span.last_ns, last))

    def _moves(self, base: str, world: str) -> bool:
        """Whether any edge between them comes from /tf rather than from /tf_static."""
        moving = TransformTree()
        for topic in self.chosen.tf:
            for message in self._head.first(topic, TF_PREVIEW):
                put_transforms(moving, message)
        chain = self.calibration.tree.chain(base)
        return any(len(moving.chain(name)) > 1 for name in chain[: chain.index(world)])


def kind_of(msgtype: str) -> MotionKind:
    """How a topic of this type tells the ego's motion."""
    if msgtype in TWIST_TYPES:
        return MotionKind.TWIST
    return MotionKind.FIX if msgtype == FIX else MotionKind.POSE


def read_plans(path: Path | str) -> Iterator[Plan]:
    """Every irl_vla_msgs/Plan of a bag in the order of recording, for repeating their schedule.
    Raises InputError where there are none, or where one cannot be read."""
    none = f"{path}: no plans in this bag: expected a topic of {PLAN_TYPE}"
    return read_values(Path(path), PLAN_TYPE, plan_from_message, none)


def read_values(
    path: Path, msgtype: str, read: Callable[[Any], T], none: str | None = None
) -> Iterator[T]:
    """All messages of one type in the order of recording. none: what to say where there are no
    such messages, or None: then there are none."""
    stored = open_files(path)
    try:
        topics = frozenset(n for n, topic in stored.topics.items() if topic.msgtype == msgtype)
        if none is not None and not topics:
            raise InputError(none)
        decoders = {name: Decoder(stored.topics[name]) for name in topics}
        for record in merge(stored.sections, topics):
            try:
                yield read(decoders[record.topic](record.data))
            except (*DECODE_DAMAGE, InputError) as error:
                short = msgtype.split("/")[-1].lower()
                raise InputError(f"{path}: a broken {short} on {record.topic}: {error}") from None
    finally:
        stored.close()
