"""A rosbag -> pictures, ego motion, intent and boxes in log-time order, its rig, and what it lacks.

Stamps of values are those of the message headers; their order is that in which they were recorded.
Nothing is read ahead: memory does not depend on the length of the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from irl_vla.bag.bag_files import Closing, StoredBag, open_files
from irl_vla.bag.bag_info import BagInfo, topic_rows
from irl_vla.bag.file_sections import merge
from irl_vla.camera.rig import Rig
from irl_vla.config import load_yaml
from irl_vla.messages.calibration import Calibration, calibrate, put_transforms, world_frame
from irl_vla.messages.events import Event, EventReader, StampedBoxes
from irl_vla.messages.messages import DECODE_DAMAGE, Decoder
from irl_vla.messages.plan_messages import plan_from_message
from irl_vla.messages.tf_tree import TransformTree, frame_name
from irl_vla.messages.topics import Topics, choose_topics
from irl_vla.types import SECOND_NS, Boxes3D, InputError, Plan

T = TypeVar("T")

PLAN_TYPE = "irl_vla_msgs/msg/Plan"
MAX_STATIC = 10_000  # messages of /tf_static that are read for the calibration
BOXES_WITHIN_NS = 60_000_000  # boxes belong to a picture that is at most so far away
BOXES_AHEAD_NS = 200_000_000  # how far boxes are read past the stamp that is asked for
BOXES_KEPT = 100  # sets of boxes that are remembered
TF_PREVIEW = 500  # messages of /tf that are read to learn which frames move


def open_bag(path: Path | str, topics: Topics | Path | str | None = None) -> Bag:
    """Open a rosbag2 (mcap or sqlite3; a file, or a directory with or without metadata.yaml) or a
    ROS 1 bag. topics: names, or a YAML file with them. Raises InputError."""
    stored = open_files(Path(path))
    try:
        given = load_yaml(Path(topics), Topics) if isinstance(topics, (str, Path)) else topics
        return Bag(stored, given or Topics())
    except InputError:
        stored.close()
        raise


class Bag(Closing):
    """An open recording; a context manager. Made by `open_bag`."""

    def __init__(self, stored: StoredBag, given: Topics) -> None:
        self._stored = stored
        self.path = stored.path
        resolved = stored.path.resolve()
        self.name = resolved.name if resolved.is_dir() else resolved.stem
        self.chosen = choose_topics(stored.topics, stored.stats, given, str(stored.path))
        self._notes: list[str] = []
        self._boxes = _BoxesAt(self._box_events)

    def close(self) -> None:
        """Free what was unpacked."""
        self._stored.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is damaged or left out, as far as has been read."""
        return tuple(dict.fromkeys([*self._stored.warnings, *self._notes]))

    def info(self) -> BagInfo:
        """The topic table, and what replay would lack. Counts come from indexes where there are
        any; pictures are not read."""
        stats = [s for s in self._stored.stats.values() if s.count]
        first = min((s.first_ns for s in stats), default=0)
        last = max((s.last_ns for s in stats), default=0)
        return BagInfo(
            path=str(self.path),
            storage=self._stored.storage,
            duration_s=(last - first) / SECOND_NS,
            messages=sum(s.count for s in stats),
            topics=topic_rows(self._stored.topics, self._stored.stats, self.chosen),
            cameras=tuple(self.chosen.cameras),
            calibrated=tuple(self.calibration.cameras),
            motion=self._motion,
            base_frame=self.calibration.base_frame,
            warnings=self.warnings,
            missing=tuple(self._missing()),
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
        if not self._motion:
            yield (
                "no ego motion: expected nav_msgs/Odometry, or a tf chain from map or odom to "
                f"'{self.calibration.base_frame}'"
            )

    def rig(self) -> Rig:
        """The calibrated cameras. Raises InputError that says what is missing where there are
        none; cameras without calibration are named in info().missing."""
        cameras = tuple(self.calibration.cameras.values())
        if not cameras:
            reasons = [*self.calibration.missing] or ["no camera topics"]
            raise InputError(f"{self.path}: no rig in this bag: " + "\n".join(reasons))
        return Rig(self.name, cameras)

    def events(self) -> Iterator[Event]:
        """CameraImage, EgoMotion, Intent, StampedBoxes and Notice, in the order of recording."""
        reader = self._reader()
        for record in merge(self._stored.sections, reader.topics):
            yield from reader.read(record)

    def boxes_at(self, stamp_ns: int) -> Boxes3D | None:
        """Known things nearest to a stamp, within 60 ms; quick when stamps go forward."""
        return self._boxes.at(stamp_ns) if self.chosen.boxes else None

    def _box_events(self) -> Iterator[StampedBoxes]:
        reader, chosen = self._reader(), self.chosen
        needed = {chosen.boxes, chosen.odometry, *chosen.tf, *chosen.tf_static} - {None}
        for record in merge(self._stored.sections, reader.topics & needed):
            yield from (e for e in reader.read(record) if isinstance(e, StampedBoxes))

    def _reader(self) -> EventReader:
        from_tf = self._motion != self.chosen.odometry
        return EventReader(self._stored.topics, self.chosen, self.calibration, from_tf)

    @cached_property
    def calibration(self) -> Calibration:
        """Read once from the first CameraInfo of each camera and from tf."""
        tree = TransformTree()
        for topic, limit in [
            *((topic, MAX_STATIC) for topic in self.chosen.tf_static),
            *((topic, TF_PREVIEW) for topic in self.chosen.tf),
        ]:
            for message in self._first(topic, limit):
                put_transforms(tree, message)
        infos = {
            name: message
            for name, topics in self.chosen.cameras.items()
            for message in self._first(topics.camera_info, 1)
        }
        return calibrate(tree, infos, self._odometry_child, self.chosen)

    @cached_property
    def _odometry_child(self) -> str:
        """The frame that the odometry moves, "" where it does not say."""
        children = [m.child_frame_id for m in self._first(self.chosen.odometry, 1)]
        return frame_name(children[0]) if children else ""

    @cached_property
    def _motion(self) -> str:
        """Where ego motion comes from: the odometry's topic, a description of the tf chain, or
        nothing."""
        calibration, base = self.calibration, self.calibration.base_frame
        child = self._odometry_child or base
        if self.chosen.odometry and calibration.tree.find(child, base) is not None:
            return self.chosen.odometry
        if self.chosen.odometry:
            self._notes.append(
                f"topic {self.chosen.odometry}: moves frame '{child}', and tf does not say where "
                f"that is from '{base}'; it is not used"
            )
        world = world_frame(calibration.tree, base)
        if world is None or not self.chosen.tf or not self._moves(base, world):
            return ""
        return f"{self.chosen.tf[0]} {world} -> {base}"

    def _moves(self, base: str, world: str) -> bool:
        """Whether any edge between them comes from /tf rather than from /tf_static."""
        moving = TransformTree()
        for topic in self.chosen.tf:
            for message in self._first(topic, TF_PREVIEW):
                put_transforms(moving, message)
        chain = self.calibration.tree.chain(base)
        return any(len(moving.chain(name)) > 1 for name in chain[: chain.index(world)])

    def _first(self, topic: str | None, limit: int) -> Iterator[Any]:
        """The first readable messages of a topic, at most `limit`."""
        if topic is None or topic not in self._stored.topics:
            return
        try:
            decode: Callable[[bytes | memoryview], Any] = Decoder(self._stored.topics[topic])
        except InputError as error:
            self._notes.append(str(error))
            return
        for record in islice(merge(self._stored.sections, frozenset([topic])), limit):
            with suppress(*DECODE_DAMAGE):
                yield decode(record.data)


@dataclass
class _BoxesAt:
    """A second reader over the same bag that follows the stamps it is asked for."""

    restart: Callable[[], Iterator[StampedBoxes]]
    events: Iterator[StampedBoxes] | None = None
    recent: list[StampedBoxes] | None = None

    def at(self, stamp_ns: int) -> Boxes3D | None:
        recent = self.recent
        if self.events is None or recent is None or (recent and stamp_ns < recent[0].stamp_ns):
            self.events, recent = self.restart(), []
        while not recent or recent[-1].stamp_ns < stamp_ns + BOXES_AHEAD_NS:
            following = next(self.events, None)
            if following is None:
                break
            recent = [*recent[-BOXES_KEPT:], following]
        self.recent = recent
        near = min(recent, key=lambda b: abs(b.stamp_ns - stamp_ns), default=None)
        if near is None or abs(near.stamp_ns - stamp_ns) > BOXES_WITHIN_NS:
            return None
        return near.boxes


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
