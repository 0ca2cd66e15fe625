"""The head of a recording: the first messages of every topic that plays a part, a few of each.

Nothing here decides anything; it samples what decisions and comparisons need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from irl_vla.bag.bag_files import StoredBag
from irl_vla.bag.comparisons import StampSpan
from irl_vla.bag.file_sections import merge
from irl_vla.camera.preprocess import BadImage, image_size
from irl_vla.frames import pose_of
from irl_vla.messages.calibration import frame_of, pose_matrix
from irl_vla.messages.geometry_messages import UNKNOWN_TWIST
from irl_vla.messages.messages import DECODE_DAMAGE, Decoder
from irl_vla.messages.motion_reader import header_stamp_ns, twist_of
from irl_vla.messages.topic_roles import is_image
from irl_vla.messages.twist_check import TwistAgainstPoses, TwistAgreement
from irl_vla.types import F64, SECOND_NS, CameraImage, InputError

PICTURES = 3  # of each image topic
MOST_LOOKED = 400  # records among which the first pictures of all topics are looked for
MOST_MOTION = 800  # messages of one odometry
PREVIEW_NS = 20 * SECOND_NS  # of ego motion


@dataclass(frozen=True)
class PictureSample:
    """One of the first pictures. stated: `format` or `encoding`; size: width, height [px], None
    where the header does not tell."""

    log_ns: int
    stamp_ns: int
    frame: str
    stated: str
    size: tuple[int, int] | None


class HeadReader:
    """Reads the first messages of topics. complaints: of topics that cannot be read."""

    def __init__(self, stored: StoredBag) -> None:
        self._stored = stored
        self.complaints: list[str] = []

    def first(self, topic: str | None, limit: int) -> Iterator[Any]:
        """The first readable messages of a topic, at most `limit`."""
        for _, message in self.stamped(topic, limit):
            yield message

    def stamped(self, topic: str | None, limit: int) -> Iterator[tuple[int, Any]]:
        """(time of recording, message)."""
        decode = None if topic is None else self._decoder(topic)
        if topic is None or decode is None:
            return
        for record in islice(merge(self._stored.sections, frozenset([topic])), limit):
            try:
                yield record.log_ns, decode(record.data)
            except DECODE_DAMAGE as error:
                self._complain(f"topic {topic}: a broken message: {error}")

    def pictures(self) -> dict[str, list[PictureSample]]:
        """Image topic -> its first pictures, of those that start within the first records."""
        wanted = {n for n, topic in self._stored.topics.items() if is_image(topic)}
        decoders = {name: decode for name in wanted if (decode := self._decoder(name))}
        found: dict[str, list[PictureSample]] = {name: [] for name in decoders}
        records = merge(self._stored.sections, frozenset(decoders))
        for record in islice(records, MOST_LOOKED):
            samples = found[record.topic]
            if len(samples) < PICTURES:
                with suppress(*DECODE_DAMAGE):
                    message = decoders[record.topic](record.data)
                    samples.append(_sample(record.log_ns, message))
            if all(len(samples) >= PICTURES for samples in found.values()):
                break
        return found

    def _decoder(self, topic: str) -> Callable[[bytes | memoryview], Any] | None:
        if topic not in self._stored.topics:
            return None
        try:
            return Decoder(self._stored.topics[topic])
        except InputError as error:
            self._complain(str(error))
            return None

    def _complain(self, text: str) -> None:
        if text not in self.complaints:
            self.complaints.append(text)


def _sample(log_ns: int, message: Any) -> PictureSample:
    stated = str(getattr(message, "format", getattr(message, "encoding", "")))
    size = None
    if hasattr(message, "width"):
        size = (int(message.width), int(message.height))
    else:
        with suppress(BadImage):
            size = image_size(CameraImage("", 0, encoded=bytes(message.data)))
    return PictureSample(log_ns, header_stamp_ns(message), frame_of(message), stated, size)


@dataclass(frozen=True)
class MotionSample:
    """The head of one odometry. child: the frame that it moves; agreement: of twist and poses;
    speed: median [m/s] that its poses move at, over `windows` steps"""

    child: str
    agreement: TwistAgreement
    span: StampSpan
    speed: float
    windows: int


def motion_sample(topic: str, messages: Iterable[tuple[int, Any]]) -> MotionSample | None:
    """messages: (time of recording, nav_msgs/Odometry); None where there are none."""
    check, stamps, logs, child = TwistAgainstPoses(), list[int](), list[int](), ""
    poses: list[F64] = []
    for log_ns, message in messages:
        if logs and log_ns - logs[0] > PREVIEW_NS:
            break
        child = child or str(message.child_frame_id)
        stamp = header_stamp_ns(message) or log_ns
        try:
            pose = pose_matrix(message.pose.pose)
        except InputError:
            continue
        stamps.append(stamp)
        logs.append(log_ns)
        poses.append(pose_of(pose))
        if message.twist.covariance[0] != UNKNOWN_TWIST:
            check.add(stamp, pose, twist_of(message.twist.twist, np.eye(4)))
    if not stamps:
        return None
    speed, windows = median_speed(np.array(stamps), np.array(poses))
    return MotionSample(child, check.result(), span_of(topic, stamps, logs), speed, windows)


def span_of(topic: str, stamps: list[int], logs: list[int]) -> StampSpan:
    """Of a topic's first header stamps and times of recording."""
    offset = int(np.median(np.array(stamps) - np.array(logs)))
    return StampSpan(topic, offset, min(stamps), max(stamps), len(stamps))


def median_speed(stamps: np.ndarray, poses: F64) -> tuple[float, int]:
    """(median speed [m/s] over steps of half a second, how many steps). poses: (n, 3) x y yaw."""
    speeds = []
    begin = 0
    for index in range(1, len(stamps)):
        seconds = (stamps[index] - stamps[begin]) / SECOND_NS
        if seconds >= 0.4:
            if seconds < 3.0:
                way = np.hypot(*(poses[index, :2] - poses[begin, :2]))
                speeds.append(float(way) / seconds)
            begin = index
    return (float(np.median(speeds)), len(speeds)) if speeds else (0.0, 0)
