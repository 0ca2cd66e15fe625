"""Stored records, one by one -> values of types.py, or a notice that says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from irl_vla.frames import inverse, yaw_of
from irl_vla.messages.calibration import Calibration, camera_of, info_content, pose_matrix
from irl_vla.messages.messages import DECODE_DAMAGE, Decoder
from irl_vla.messages.motion_reader import MotionReader, header_stamp_ns
from irl_vla.messages.motion_source import MotionSource
from irl_vla.messages.notices import Notice, NoticeKind
from irl_vla.messages.picture_reader import PictureReader
from irl_vla.messages.plan_messages import intent_from_message
from irl_vla.messages.records import Record, StoredTopic
from irl_vla.messages.tf_tree import frame_name
from irl_vla.messages.topic_roles import picture_form
from irl_vla.messages.topics import INTENT, ChosenTopics, is_rectified
from irl_vla.types import (
    F64,
    Boxes3D,
    CameraImage,
    EgoMotion,
    InputError,
    Intent,
    IntentDirection,
)

__all__ = ["Event", "EventReader", "Notice", "NoticeKind", "StampedBoxes", "boxes_from_message"]


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
        motion: MotionSource,
        *,
        every: bool = False,
    ) -> None:
        """motion: where the ego's motion comes from
        every: each message that is of no use gives a notice, for who counts them; else a topic
        gives one of each kind"""
        self._every = every
        self._there = there
        self._base = calibration.base_frame
        self._image_frames = calibration.image_frames
        self._tree = calibration.tree.copy()
        self._decoders: dict[str, Decoder] = {}
        self._said: set[tuple[str, NoticeKind]] = set()
        self._infos: dict[str, tuple[Any, ...]] = {}
        self._motion = MotionReader(self._tree, self._base, motion)
        self._parts: dict[str, Callable[[Any, Record], Iterator[Event]]] = {}
        self._cameras: dict[str, list[str]] = {}
        self._pictures: dict[str, PictureReader] = {}
        self._chosen = chosen
        self._rectified: set[str] = set()
        self._assign(chosen)

    def _assign(self, chosen: ChosenTopics) -> None:
        for name, topics in chosen.cameras.items():
            self._parts[topics.image] = self._image
            self._cameras.setdefault(topics.image, []).append(name)
            if is_rectified(topics.image):
                self._rectified.add(name)
            if topics.camera_info:
                self._parts[topics.camera_info] = self._camera_info
                self._cameras.setdefault(topics.camera_info, []).append(name)
        for topic in (*chosen.tf, *chosen.tf_static):
            self._parts[topic] = self._motion.take_tf
        self._parts.update(self._motion.parts())
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
        for event in events:
            if isinstance(event, Notice) and event.kind is not NoticeKind.CALIBRATION_CHANGED:
                for notice in self._once(record, event.kind, event.text):
                    yield replace(notice, stamp_ns=event.stamp_ns)
            else:
                yield event

    def _once(self, record: Record, kind: NoticeKind, text: str) -> Iterator[Notice]:
        if self._every or (record.topic, kind) not in self._said:
            self._said.add((record.topic, kind))
            yield Notice(record.log_ns, kind, record.topic, text)

    def _stamp(self, message: Any, record: Record) -> int:
        """Header stamp; a zero stamp means "not set" in ROS, then the time of recording."""
        return header_stamp_ns(message) or record.log_ns

    def _image(self, message: Any, record: Record) -> Iterator[Event]:
        topic = record.topic
        if topic not in self._pictures:
            stored = self._there[topic]
            form = self._chosen.forms.get(topic) or picture_form(stored)
            self._pictures[topic] = PictureReader(stored, form)
        reader = self._pictures[topic]
        for picture in reader.read(message):
            if picture.stamp_ns == 0:
                text = f"topic {topic}: header stamps are zero, the time of recording is used"
                yield Notice(record.log_ns, NoticeKind.UNSTAMPED, topic, text)
            for camera in self._cameras[topic]:
                stamp = picture.stamp_ns or record.log_ns
                yield CameraImage(camera, stamp, picture.encoded, picture.pixels)
        for text in reader.said:
            camera = self._cameras[topic][0]
            text = f"camera '{camera}': {text}"
            yield Notice(record.log_ns, NoticeKind.CONVERTED, topic, text, camera)

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
                frame = self._image_frames.get(name, "")
                now = camera_of(name, message, self._tree, self._base, rectified, frame)
            except InputError as error:
                text += f" to something that cannot be used: {error}"
            stamp = self._stamp(message, record)
            kind = NoticeKind.CALIBRATION_CHANGED
            yield Notice(stamp, kind, record.topic, text, name, now)

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
        pose = self._motion.pose
        if pose is not None and frame == pose.world:
            intent = replace(intent, stamp_ns=pose.stamp_ns)
        assert intent.route is not None
        route = intent.route @ ego_from_frame[:2, :2].T + ego_from_frame[:2, 3]
        yield replace(intent, route=route)

    def _ego_from(self, frame: str) -> F64 | None:
        """ego_from_frame now, or None where it is not known."""
        ego_from_frame = self._tree.find(self._base, frame)
        pose = self._motion.pose
        if pose is not None and frame == pose.world:
            ego_from_frame = inverse(pose.world_from_ego)
        known = ego_from_frame is not None and bool(np.all(np.isfinite(ego_from_frame)))
        return ego_from_frame if known else None

    def _boxes(self, message: Any, record: Record) -> Iterator[Event]:
        frame = frame_name(message.header.frame_id) or self._base
        ego_from_frame = self._ego_from(frame)
        if ego_from_frame is None:
            yield Notice(
                record.log_ns, NoticeKind.NO_TRANSFORM, record.topic,
                f"topic {record.topic}: boxes are in frame '{frame}', which tf does not connect "
                f"to '{self._base}'",
            )  # fmt: skip
            return
        boxes = boxes_from_message(message, ego_from_frame)
        yield StampedBoxes(self._stamp(message, record), boxes)


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
