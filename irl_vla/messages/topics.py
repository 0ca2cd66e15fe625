"""Which topic plays which part: found by type and name, or given in a small YAML.

cameras: {front: {image: /front/image_raw/compressed, camera_info: /front/camera_info}}
odometry: /odom        # all are optional; what is left out is found by type
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from irl_vla.messages.records import StoredTopic, TopicStats
from irl_vla.types import InputError

RAW_IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"
TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
INTENT = "irl_vla_msgs/msg/Intent"
STRING = "std_msgs/msg/String"
ENCODINGS = ("cdr", "ros1")
BOXES = "vision_msgs/msg/Detection3DArray"
NO_PICTURES = ("depth", "disparity", "mask", "segment", "semantic", "label", "theora", "ffmpeg")
IMAGE_WORDS = {
    "image", "images", "raw", "color", "colour", "rgb", "rect", "compressed", "rectified", "mono",
    "img", "jpeg", "png", "republished",
}  # fmt: skip
GENERIC = {"camera", "cameras", "sensing", "sensors", "sensor", "driver", "perception", "front_end"}


class Role(str, Enum):
    """What a topic is read as."""

    CAMERA = "camera"
    CAMERA_INFO = "camera_info"
    ODOMETRY = "odometry"
    TF = "tf"
    INTENT = "intent"
    BOXES = "boxes"
    IGNORED = "ignored"


@dataclass(frozen=True)
class CameraTopics:
    """Topics of one camera. camera_info: None = found beside the image topic."""

    image: str
    camera_info: str | None = None


@dataclass(frozen=True)
class Topics:
    """What the user gives by name. base_frame: the frame of the rear axle on the ground."""

    cameras: Mapping[str, CameraTopics] = field(default_factory=dict)
    odometry: str | None = None
    tf: tuple[str, ...] = ()
    intent: str | None = None
    boxes: str | None = None
    base_frame: str | None = None


@dataclass(frozen=True)
class ChosenTopics:
    """Every part, and the topic that plays it. why: reasons for topics that are passed over."""

    cameras: Mapping[str, CameraTopics]
    odometry: str | None
    tf: tuple[str, ...]
    tf_static: tuple[str, ...]
    intent: str | None
    boxes: str | None
    base_frame: str | None
    why: Mapping[str, str]

    def role(self, topic: str) -> Role:
        """What this topic is read as."""
        if any(topic == camera.image for camera in self.cameras.values()):
            return Role.CAMERA
        if any(topic == camera.camera_info for camera in self.cameras.values()):
            return Role.CAMERA_INFO
        for part, role in [
            (self.odometry, Role.ODOMETRY), (self.intent, Role.INTENT), (self.boxes, Role.BOXES),
        ]:  # fmt: skip
            if topic == part:
                return role
        return Role.TF if topic in (*self.tf, *self.tf_static) else Role.IGNORED


def choose_topics(
    there: Mapping[str, StoredTopic], stats: Mapping[str, TopicStats], given: Topics, where: str
) -> ChosenTopics:
    """Assign parts. Raises InputError for a given name that the bag does not have, or that is of
    another type."""
    why = {
        name: f"messages are encoded as '{topic.encoding}', expected {' or '.join(ENCODINGS)}"
        for name, topic in there.items()
        if topic.encoding not in ENCODINGS
    }
    there = {name: topic for name, topic in there.items() if name not in why}
    by_count = sorted(there, key=lambda name: (-stats[name].count, name))
    of_type = {kind: [n for n in by_count if there[n].msgtype == kind] for kind in _types(there)}

    def one(name: str | None, setting: str, kinds: tuple[str, ...], found: list[str]) -> str | None:
        if name is not None:
            return _checked(there, name, setting, kinds, where)
        for other in found[1:]:
            why[other] = f"a second topic of this type; {found[0]} is used"
        return found[0] if found else None

    tf = [name for kind in TF_TYPES for name in of_type.get(kind, [])]
    for name in given.tf:
        _checked(there, name, "tf", TF_TYPES, where)
    tf = list(given.tf) or tf
    spoken = [name for name in of_type.get(STRING, []) if "intent" in name.lower()]
    return ChosenTopics(
        cameras=_cameras(there, stats, given, where, why),
        odometry=one(given.odometry, "odometry", (ODOMETRY,), _odometry(of_type.get(ODOMETRY, []))),
        tf=tuple(name for name in tf if not name.endswith("tf_static")),
        tf_static=tuple(name for name in tf if name.endswith("tf_static")),
        intent=one(given.intent, "intent", (INTENT, STRING), [*of_type.get(INTENT, []), *spoken]),
        boxes=one(given.boxes, "boxes", (BOXES,), of_type.get(BOXES, [])),
        base_frame=given.base_frame,
        why=why,
    )


def _types(there: Mapping[str, StoredTopic]) -> set[str]:
    return {topic.msgtype for topic in there.values()}


def _odometry(found: list[str]) -> list[str]:
    """A localisation speaks for the ego rather than a wheel or visual odometry beside it."""
    return sorted(found, key=lambda name: "localization" not in name and "kinematic" not in name)


def _checked(
    there: Mapping[str, StoredTopic], name: str, setting: str, kinds: tuple[str, ...], where: str
) -> str:
    if name not in there:
        near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
        fitting = [topic for topic in there if there[topic].msgtype in kinds]
        hint = f"Did you mean '{near[0]}'? " if near else ""
        known = (
            f"of this type it has {', '.join(fitting)}" if fitting else "it has none of its type"
        )
        raise InputError(
            f"{where}: topic '{name}' (setting '{setting}') is not in the bag. {hint}"
            f"({known}: {' or '.join(kinds)})"
        )
    if there[name].msgtype not in kinds:
        raise InputError(
            f"{where}: topic '{name}' (setting '{setting}') is of type {there[name].msgtype}, "
            f"expected {' or '.join(kinds)}"
        )
    return name


def _cameras(
    there: Mapping[str, StoredTopic],
    stats: Mapping[str, TopicStats],
    given: Topics,
    where: str,
    why: dict[str, str],
) -> dict[str, CameraTopics]:
    images = (RAW_IMAGE, COMPRESSED_IMAGE)
    infos = sorted(name for name in there if there[name].msgtype == CAMERA_INFO)
    if given.cameras:
        chosen = {}
        for name, topics in given.cameras.items():
            setting = f"cameras.{name}"
            image = _checked(there, topics.image, f"{setting}.image", images, where)
            info = topics.camera_info
            if info is not None:
                _checked(there, info, f"{setting}.camera_info", (CAMERA_INFO,), where)
            chosen[name] = CameraTopics(image, info or _info_of(image, infos))
        return chosen
    families: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(there):
        if there[name].msgtype in images and stats[name].count:
            if any(word in name.lower() for word in NO_PICTURES):
                why[name] = "not a colour picture by its name"
            else:
                families.setdefault(_family(name), []).append(name)
    names = _names(list(families))
    cameras = {}
    for family, members in families.items():
        best = min(members, key=lambda name: _preference(name, there, stats))
        why.update({n: f"the same camera as {best}" for n in members if n != best})
        cameras[names[family]] = CameraTopics(best, _info_of(best, infos))
    return cameras


def _preference(
    name: str, there: Mapping[str, StoredTopic], stats: Mapping[str, TopicStats]
) -> tuple[bool, bool, int, str]:
    """As the lens made it before rectified; JPEG before raw (decoded at the size that is needed);
    many before few."""
    raw = there[name].msgtype == RAW_IMAGE
    return is_rectified(name), raw, -stats[name].count, name


def is_rectified(image_topic: str) -> bool:
    """Whether the driver has already undistorted these pictures (image_proc's naming)."""
    return "rect" in re.split(r"[/_]", image_topic.lower())


def _family(topic: str) -> tuple[str, ...]:
    """The camera's part of a topic: /front/image_raw/compressed -> (front,)."""
    parts = [part for part in topic.split("/") if part]
    while parts and all(word in IMAGE_WORDS for word in parts[-1].lower().split("_")):
        parts.pop()
    return tuple(parts)


def _names(families: list[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Short names that tell the cameras apart."""
    names = {}
    for family in families:
        telling = [part for part in family if part.lower() not in GENERIC] or list(family[-1:])
        own = [part for part in telling if sum(part in other for other in families) == 1]
        name = (own or telling or ["camera"])[-1]
        names[family] = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:64]
    for family, name in list(names.items()):
        if list(names.values()).count(name) > 1:
            names[family] = re.sub(r"[^A-Za-z0-9_.-]", "_", "_".join(family) or "camera")[-64:]
    return names


def _info_of(image_topic: str, infos: list[str]) -> str | None:
    """The CameraInfo of the same camera: the same family, or the nearest one above."""
    family = _family(image_topic)
    for depth in range(len(family), -1, -1):
        prefix = family[:depth]
        beside = [info for info in infos if tuple(p for p in info.split("/") if p)[:-1] == prefix]
        if len(beside) == 1:
            return beside[0]
    return None
