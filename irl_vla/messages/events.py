"""Stored records, one by one -> values of types.py, or a notice that says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from irl_vla.camera.camera import Camera
from irl_vla.frames import inverse, yaw_of
from irl_vla.messages.calibration import (
    Calibration,
    camera_of,
    info_content,
    pose_matrix,
    put_transforms,
    world_frame,
)
from irl_vla.messages.geometry_messages import UNKNOWN_TWIST
from irl_vla.messages.images import pixels_of
from irl_vla.messages.messages import DECODE_DAMAGE, Decoder, stamp_ns
from irl_vla.messages.plan_messages import intent_from_message
from irl_vla.messages.records import Record, StoredTopic
from irl_vla.messages.tf_tree import frame_name
from irl_vla.messages.topics import COMPRESSED_IMAGE, INTENT, ChosenTopics, is_rectified
from irl_vla.types import (
    F64,
    Boxes3D,
    CameraImage,
    EgoMotion,
    InputError,
    Intent,
    IntentDirection,
)

JPEG_MAGIC, PNG_MAGIC = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


class NoticeKind(str, Enum):
    """Why a message did not become a value."""

    BAD_IMAGE = "bad_image"
    CALIBRATION_CHANGED = "calibration_changed"
    UNREADABLE = "unreadable"
    UNSTAMPED = "unstamped"
    NO_TRANSFORM = "no_transform"
    MOTION_UNPLACED = "motion_unplaced"


@dataclass(frozen=True)
class Notice:
    """Something that the one who replays should know. Every bad image has its own; of the other
    kinds each topic gives one, or as many as there are (`EventReader.every`).

    now: the camera's new calibration, for CALIBRATION_CHANGED
    """

    stamp_ns: int
    kind: NoticeKind
    topic: str
    text: str
    camera: str | None = None
    now: Camera | None = None


@dataclass(frozen=True)
class StampedBoxes:
    """Known things in the ego frame at `stamp_ns`."""

    stamp_ns: int
    boxes: Boxes3D


Event = CameraImage | EgoMotion | Intent | StampedBoxes | Notice


class EventReader:
    """Knows each topic's part and keeps the little state that reading needs: the moving frames,
    the last CameraInfo of each camera, what has already been said."""

    def __init__(
        self,
        there: dict[str, StoredTopic],
        chosen: ChosenTopics,
        calibration: Calibration,
        ego_from_tf: bool,
        *,
        every: bool = False,
    ) -> None:
        """every: each message that is of no use gives a notice, for who counts them; else a topic
        gives one of each kind"""
        self._every = every
        self._there = there
        self._base = calibration.base_frame
        self._tree = calibration.tree.copy()
        self._world = world_frame(self._tree, self._base)
        self._decoders: dict[str, Decoder] = {}
        self._said: set[tuple[str, NoticeKind]] = set()
        self._infos: dict[str, tuple[Any, ...]] = {}
        self._twist_filled = False
        self._moving: set[str] = set()  # child frames that /tf has moved
        self._pose: tuple[str, F64, int] | None = None  # world frame, world_from_ego, stamp [ns]
        self._parts: dict[str, Callable[[Any, Record], Iterator[Event]]] = {}
        self._cameras: dict[str, list[str]] = {}
        self._rectified: set[str] = set()
        self._assign(chosen, ego_from_tf)

    def _assign(self, chosen: ChosenTopics, ego_from_tf: bool) -> None:
        for name, topics in chosen.cameras.items():
            self._parts[topics.image] = self._image
            self._cameras.setdefault(topics.image, []).append(name)
            if is_rectified(topics.image):
                self._rectified.add(name)
            if topics.camera_info:
                self._parts[topics.camera_info] = self._camera_info
                self._cameras.setdefault(topics.camera_info, []).append(name)
        self._ego_from_tf = ego_from_tf
        for topic in (*chosen.tf, *chosen.tf_static):
            self._parts[topic] = self._tf
        if chosen.odometry and not ego_from_tf:
            self._parts[chosen.odometry] = self._odometry
        if chosen.intent:
            self._parts[chosen.intent] = self._intent
        if chosen.boxes:
            self._parts[chosen.boxes] = self._boxes

    @property
    def topics(self) -> frozenset[str]:
        """What has to be read."""
        return frozenset(self._parts)

    def read(self, record: Record) -> Iterator[Event]:
        """The values of one message; damage becomes a notice."""
        topic = record.topic
        try:
            if topic not in self._decoders:
                self._decoders[topic] = Decoder(self._there[topic])
            events = list(self._parts[topic](self._decoders[topic](record.data), record))
        except (*DECODE_DAMAGE, InputError) as error:
            camera = self._cameras.get(topic, [None])[0]
            if self._parts[topic] == self._image:
                text = f"camera '{camera}': {error}"
                yield Notice(record.log_ns, NoticeKind.BAD_IMAGE, topic, text, camera)
            else:
                kind = NoticeKind.UNREADABLE
                yield from self._once(record, kind, f"topic {topic}: a broken message: {error}")
            return
        yield from events

    def _once(self, record: Record, kind: NoticeKind, text: str) -> Iterator[Notice]:
        if self._every or (record.topic, kind) not in self._said:
            self._said.add((record.topic, kind))
            yield Notice(record.log_ns, kind, record.topic, text)

    def _stamp(self, header: Any, record: Record) -> int:
        """Header stamp; a zero stamp means "not set" in ROS, then the time of recording."""
        return stamp_ns(header.stamp) or record.log_ns

    def _image(self, message: Any, record: Record) -> Iterator[Event]:
        if stamp_ns(message.header.stamp) == 0:
            text = f"topic {record.topic}: header stamps are zero, the time of recording is used"
            yield from self._once(record, NoticeKind.UNSTAMPED, text)
        stamp = self._stamp(message.header, record)
        for camera in self._cameras[record.topic]:
            if self._there[record.topic].msgtype != COMPRESSED_IMAGE:
                yield CameraImage(camera, stamp, pixels=pixels_of(message))
                continue
            data = bytes(message.data)
            if not data.startswith((JPEG_MAGIC, PNG_MAGIC)):
                raise InputError(
                    f"neither JPEG nor PNG: format '{message.format}', {len(data)} bytes that "
                    f"start with {data[:8]!r}"
                )
            yield CameraImage(camera, stamp, encoded=data)

    def _camera_info(self, message: Any, record: Record) -> Iterator[Event]:
        content = info_content(message)
        before = self._infos.setdefault(record.topic, content)
        if content == before:
            return
        self._infos[record.topic] = content
        for name in self._cameras[record.topic]:
            text = f"camera '{name}': CameraInfo changed"
            now = None
            try:
                rectified = name in self._rectified
                now = camera_of(name, message, self._tree, self._base, rectified)
            except InputError as error:
                text += f" to something that cannot be used: {error}"
            stamp = self._stamp(message.header, record)
            kind = NoticeKind.CALIBRATION_CHANGED
            yield Notice(stamp, kind, record.topic, text, name, now)

    def _odometry(self, message: Any, record: Record) -> Iterator[Event]:
        child = frame_name(message.child_frame_id) or self._base
        child_from_base = self._tree.find(child, self._base)
        if child_from_base is None:
            text = (
                f"topic {record.topic}: the odometry moves frame '{child}', and tf does not say "
                f"where that is from '{self._base}'; it is not used"
            )
            for notice in self._once(record, NoticeKind.MOTION_UNPLACED, text):
                yield replace(notice, stamp_ns=self._stamp(message.header, record))
            return
        try:
            world_from_ego = pose_matrix(message.pose.pose) @ child_from_base
        except InputError:  # NaN or no quaternion: passed on, the guard names it
            world_from_ego = np.full((4, 4), np.nan)
        stamp = self._stamp(message.header, record)
        self._pose = (frame_name(message.header.frame_id), world_from_ego, stamp)
        twist = self._twist(message.twist, child_from_base)
        yield EgoMotion(stamp, world_from_ego, twist, record.topic)

    def _twist(self, twist: Any, child_from_base: F64) -> F64 | None:
        """vx, vy, yaw rate of the base frame out of the child frame's twist (rigid body:
        v_base = v_child + omega x r). Exact zeros that never change are a field nobody filled."""
        if twist.covariance[0] == UNKNOWN_TWIST:
            return None
        v, w = twist.twist.linear, twist.twist.angular
        linear, angular = np.array([v.x, v.y, v.z]), np.array([w.x, w.y, w.z])
        self._twist_filled = self._twist_filled or bool(np.any(linear) or np.any(angular))
        if not self._twist_filled:
            return None
        if not (np.isfinite(linear).all() and np.isfinite(angular).all()):
            return np.full(3, np.nan)  # passed on, the guard names it
        base_from_child = child_from_base[:3, :3].T
        linear = base_from_child @ (linear + np.cross(angular, child_from_base[:3, 3]))
        return np.array([linear[0], linear[1], (base_from_child @ angular)[2]])

    def _tf(self, message: Any, record: Record) -> Iterator[Event]:
        moved = put_transforms(self._tree, message)
        if not self._ego_from_tf or not moved:
            return
        chain = self._tree.chain(self._base)
        if self._world not in chain:
            self._world = world_frame(self._tree, self._base)
        if self._world is None:
            return
        below = chain[: chain.index(self._world)]
        # The lowest moving edge is the fastest one: a pose is complete when that one comes.
        headers = dict(moved)
        nearest = next((name for name in below if name in headers), None)
        world_from_ego = self._tree.find(self._world, self._base)
        if nearest is None or world_from_ego is None or nearest != self._lowest(below, headers):
            return
        stamp = self._stamp(headers[nearest], record)
        self._pose = (self._world, world_from_ego, stamp)
        source = f"{record.topic} {self._world} -> {self._base}"
        yield EgoMotion(stamp, world_from_ego, None, source)

    def _lowest(self, below: tuple[str, ...], headers: dict[str, Any]) -> str | None:
        """The moving edge nearest to the base frame, of all that have been seen to move."""
        self._moving |= headers.keys()
        return next((name for name in below if name in self._moving), None)

    def _intent(self, message: Any, record: Record) -> Iterator[Event]:
        if self._there[record.topic].msgtype == INTENT:
            intent = intent_from_message(message)
            yield from self._placed(intent, frame_name(message.header.frame_id), record)
            return
        word = str(message.data).strip().lower()
        if word not in {direction.value for direction in IntentDirection}:
            raise InputError(f"intent '{message.data}', expected left, straight, right or unknown")
        yield Intent(IntentDirection(word), None, record.log_ns)

    def _placed(self, intent: Intent, frame: str, record: Record) -> Iterator[Event]:
        """The intent with its route in the ego frame. A route in the world frame is seen from the
        newest known pose, and has the stamp of that."""
        if intent.route is None or frame in ("", self._base):
            yield intent
            return
        ego_from_frame = self._ego_from(frame)
        if ego_from_frame is None:
            yield from self._once(
                record, NoticeKind.NO_TRANSFORM,
                f"topic {record.topic}: the route is in frame '{frame}', which neither tf nor the "
                f"odometry connects to '{self._base}'; it is not used",
            )  # fmt: skip
            return
        if self._pose is not None and frame == self._pose[0]:
            intent = replace(intent, stamp_ns=self._pose[2])
        assert intent.route is not None
        route = intent.route @ ego_from_frame[:2, :2].T + ego_from_frame[:2, 3]
        yield replace(intent, route=route)

    def _ego_from(self, frame: str) -> F64 | None:
        """ego_from_frame now, or None where it is not known."""
        ego_from_frame = self._tree.find(self._base, frame)
        if self._pose is not None and frame == self._pose[0]:
            ego_from_frame = inverse(self._pose[1])
        known = ego_from_frame is not None and bool(np.all(np.isfinite(ego_from_frame)))
        return ego_from_frame if known else None

    def _boxes(self, message: Any, record: Record) -> Iterator[Event]:
        frame = frame_name(message.header.frame_id) or self._base
        ego_from_frame = self._ego_from(frame)
        if ego_from_frame is None:
            yield from self._once(
                record, NoticeKind.NO_TRANSFORM,
                f"topic {record.topic}: boxes are in frame '{frame}', which tf does not connect "
                f"to '{self._base}'",
            )  # fmt: skip
            return
        boxes = boxes_from_message(message, ego_from_frame)
        yield StampedBoxes(self._stamp(message.header, record), boxes)


def boxes_from_message(message: Any, ego_from_frame: F64) -> Boxes3D:
    """vision_msgs/Detection3DArray -> boxes in the ego frame. Those without finite numbers are
    left out."""
    rows, yaws, labels, ids = [], [], [], []
    for detection in message.detections:
        size = detection.bbox.size
        try:
            ego_from_box = ego_from_frame @ pose_matrix(detection.bbox.center)
        except InputError:
            continue
        rows.append([*ego_from_box[:3, 3], size.x, size.y, size.z])
        yaws.append(yaw_of(ego_from_box))
        best = max(detection.results, key=lambda r: float(r.hypothesis.score), default=None)
        labels.append(str(best.hypothesis.class_id) if best is not None else "unknown")
        ids.append(str(detection.id))
    numbers = np.array(rows, np.float64).reshape(-1, 6)
    unknown = np.full((len(rows), 2), np.nan)
    named = tuple(ids) if any(ids) else ()
    return Boxes3D(
        numbers[:, :3], numbers[:, 3:], np.array(yaws, np.float64), unknown, tuple(labels), named
    )
