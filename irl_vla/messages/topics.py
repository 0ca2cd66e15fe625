"""Which topic plays which part: found by type and name, or given in a small YAML.

cameras: {front: {image: /front/image_raw/compressed, camera_info: /front/camera_info}}
odometry: /odom        # all are optional; what is left out is found by type
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from irl_vla.messages.records import StoredTopic, TopicStats
from irl_vla.messages.topic_roles import (
    BOXES,
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    FIX,
    FOXGLOVE_CALIBRATION,
    FOXGLOVE_IMAGES,
    FOXGLOVE_POSE,
    FOXGLOVE_TRANSFORMS,
    HEADING_TYPES,
    IMAGE_TYPES,
    INTENT,
    MOTION_TYPES,
    ODOMETRY,
    POSE_TYPES,
    RAW_IMAGE,
    STRING,
    TF_TYPES,
    TWIST_TYPES,
    VIDEO_TYPES,
    PictureForm,
    Role,
    is_image,
    is_rectified,
    no_camera,
    picture_form,
    unread_encoding,
    words_of,
)
from irl_vla.messages.video import can_decode_video
from irl_vla.types import InputError

__all__ = [
    "BOXES",
    "CAMERA_INFO",
    "COMPRESSED_IMAGE",
    "INTENT",
    "ODOMETRY",
    "RAW_IMAGE",
    "TF_TYPES",
    "CameraTopics",
    "ChosenTopics",
    "Role",
    "Topics",
    "choose_topics",
    "is_rectified",
]  # fmt: skip

IMAGE_WORDS = {
    "image", "images", "raw", "color", "colour", "rgb", "rect", "compressed", "rectified", "mono",
    "img", "jpeg", "jpg", "png", "republished", "video", "stream", "data", "h264", "h265", "hevc",
    "ffmpeg", "zstd", "theora", "undistorted", "undist", "undistort",
}  # fmt: skip
INFO_WORDS = {"camera", "info", "calibration", "calib", "intrinsics"}
GENERIC = {
    "camera", "cameras", "sensing", "sensors", "sensor", "driver", "perception", "front_end", "rt",
}  # fmt: skip
NO_EGO_POSE = ("goal", "initial", "target", "marker", "aruco", "tag", "object", "waypoint")
LEAST_POSE_HZ = 2.0  # of a topic that may tell the ego's motion; slower ones are events
ALL_MOTION = (*MOTION_TYPES, FOXGLOVE_POSE)
ALL_POSES = (*POSE_TYPES, FOXGLOVE_POSE)
ALL_TF = (*TF_TYPES, *FOXGLOVE_TRANSFORMS)
ALL_IMAGES = (*IMAGE_TYPES, *VIDEO_TYPES, *FOXGLOVE_IMAGES)
ALL_INFOS = (CAMERA_INFO, FOXGLOVE_CALIBRATION)


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
    """Every part, and the topic that plays it. why: the reason for every topic's part, or for its
    being passed over.

    pose, twist, fix, heading: what may tell the ego's motion where neither odometry nor tf does
    odometries: all topics of that type, the chosen one first
    forms: image topic -> how its pictures are stored
    """

    cameras: Mapping[str, CameraTopics]
    odometry: str | None
    tf: tuple[str, ...]
    tf_static: tuple[str, ...]
    intent: str | None
    boxes: str | None
    base_frame: str | None
    why: Mapping[str, str]
    pose: str | None = None
    twist: str | None = None
    fix: str | None = None
    heading: str | None = None
    odometries: tuple[str, ...] = ()
    forms: Mapping[str, PictureForm] = field(default_factory=dict)

    def role(self, topic: str) -> Role:
        """What this topic is read as."""
        if any(topic == camera.image for camera in self.cameras.values()):
            return Role.CAMERA
        if any(topic == camera.camera_info for camera in self.cameras.values()):
            return Role.CAMERA_INFO
        for part, role in [
            (self.odometry, Role.ODOMETRY), (self.pose, Role.ODOMETRY), (self.fix, Role.ODOMETRY),
            (self.twist, Role.TWIST), (self.heading, Role.HEADING), (self.intent, Role.INTENT),
            (self.boxes, Role.BOXES),
        ]:  # fmt: skip
            if topic == part:
                return role
        return Role.TF if topic in (*self.tf, *self.tf_static) else Role.IGNORED


class _Choice:
    """The topics that can be read, and why each plays its part."""

    def __init__(
        self, there: Mapping[str, StoredTopic], stats: Mapping[str, TopicStats], where: str,
        apart: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.where, self.stats = where, stats
        self.why = {n: text for n, topic in there.items() if (text := unread_encoding(topic))}
        self.there = {name: topic for name, topic in there.items() if name not in self.why}
        self.why.update(apart)
        free = [name for name in self.there if name not in apart]
        self.by_count = sorted(free, key=lambda name: (-stats[name].count, name))

    def of(self, *kinds: str) -> list[str]:
        """Topics of these types, most messages first."""
        return [name for name in self.by_count if self.there[name].msgtype in kinds]

    def one(
        self, name: str | None, setting: str, kinds: tuple[str, ...], found: list[str], rule: str
    ) -> str | None:
        """The given topic, else the first that was found; says why."""
        if name is not None:
            _checked(self.there, name, setting, kinds, self.where)
            self.why[name] = f"given as '{setting}'"
            return name
        for other in found[1:]:
            self.why[other] = f"a second topic of this type; {found[0]} is used"
        if not found:
            return None
        of = f", first of {len(found)}" if len(found) > 1 else ""
        self.why[found[0]] = f"{self.there[found[0]].msgtype}: {rule}{of}"
        return found[0]

    def fast(self, name: str) -> bool:
        """Whether a pose or fix comes often enough to be the ego's, and is none by its name."""
        words = words_of(name)
        named = any(word.startswith(NO_EGO_POSE) for word in words)
        return not named and self.stats[name].rate_hz >= LEAST_POSE_HZ


def choose_topics(
    there: Mapping[str, StoredTopic], stats: Mapping[str, TopicStats], given: Topics, where: str,
    stated: Mapping[str, str] | None = None, apart: Mapping[str, str] | None = None,
) -> ChosenTopics:  # fmt: skip
    """Assign parts. stated: image topic -> `format` of its first message; apart: topics that are
    not to be looked at, with the reason. Raises InputError for a given name that the bag does not
    have, or that is of another type."""
    choice = _Choice(there, stats, where, apart or {})
    odometries = _odometry(choice.of(ODOMETRY))
    rule = "it moves the ego; a localisation goes before others, then the one with most messages"
    odometry = choice.one(given.odometry, "odometry", ALL_MOTION, odometries, rule)
    tf = choice.of(*ALL_TF)
    for name in given.tf:
        _checked(choice.there, name, "tf", ALL_TF, where)
    tf = list(given.tf) or tf
    choice.why.update({name: f"{choice.there[name].msgtype}: where frames are" for name in tf})
    other = {} if odometry else _other_motion(choice)
    spoken = [name for name in choice.of(STRING) if "intent" in name.lower()]
    forms = {
        name: picture_form(topic, (stated or {}).get(name, ""))
        for name, topic in choice.there.items() if is_image(topic)
    }  # fmt: skip
    return ChosenTopics(
        cameras=_cameras(choice, given, forms),
        odometry=odometry,
        tf=tuple(name for name in tf if not name.endswith("tf_static")),
        tf_static=tuple(name for name in tf if name.endswith("tf_static")),
        intent=choice.one(
            given.intent, "intent", (INTENT, STRING), [*choice.of(INTENT), *spoken], "the intent"
        ),
        boxes=choice.one(given.boxes, "boxes", (BOXES,), choice.of(BOXES), "known things"),
        base_frame=given.base_frame,
        why=choice.why | _unused(choice, there),
        odometries=tuple(odometries),
        forms=forms,
        **other,
    )


def _unused(choice: _Choice, there: Mapping[str, StoredTopic]) -> dict[str, str]:
    """The reason for topics of types that nothing is read from."""
    return {
        name: (
            "the ego's motion is read from elsewhere"
            if topic.msgtype in (*ALL_MOTION, *HEADING_TYPES)
            else f"nothing is read from {topic.msgtype or 'topics without a type'}"
        )
        for name, topic in there.items()
        if name not in choice.why
    }


def _other_motion(choice: _Choice) -> dict[str, str | None]:
    """What tells the ego's motion where there is no odometry; tf still goes before these."""
    poses = [name for name in choice.of(*ALL_POSES) if choice.fast(name)]
    fixes = [name for name in choice.of(FIX) if choice.fast(name)]
    twists = [name for name in choice.of(*TWIST_TYPES) if choice.fast(name)]
    headings = [name for name in choice.of(*HEADING_TYPES) if choice.fast(name)]
    twist = choice.one(None, "twist", TWIST_TYPES, twists, "speed and yaw rate of the ego")
    if poses:
        rule = "poses of the ego, as there is no odometry"
        return {"pose": choice.one(None, "pose", ALL_POSES, poses, rule), "twist": twist}
    if fixes and headings:
        rule = "GNSS positions of the ego, as there is no odometry"
        return {
            "fix": choice.one(None, "fix", (FIX,), fixes, rule),
            "heading": choice.one(None, "heading", HEADING_TYPES, headings, "the ego's heading"),
            "twist": twist,
        }
    return {"twist": twist}


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
    choice: _Choice, given: Topics, forms: Mapping[str, PictureForm]
) -> dict[str, CameraTopics]:
    there = choice.there
    infos = sorted(name for name in choice.by_count if there[name].msgtype in ALL_INFOS)
    if given.cameras:
        return _given_cameras(choice, given, infos)
    families: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(choice.of(*ALL_IMAGES)):
        if not choice.stats[name].count:
            continue
        reason = forms[name].unread or no_camera(name) or _no_decoder(forms[name])
        if reason:
            choice.why[name] = reason
        else:
            families.setdefault(_family(name), []).append(name)
    names = _names(list(families))
    cameras = {}
    for family, members in families.items():
        best = min(members, key=lambda name: _preference(choice, name, forms[name]))
        choice.why.update({n: f"the same camera as {best}" for n in members if n != best})
        camera, info = names[family], _info_of(best, infos)
        lens = ", undistorted by its name: P of its CameraInfo counts" if is_rectified(best) else ""
        choice.why[best] = f"{there[best].msgtype}: {forms[best].says}{lens}"
        if info is not None:
            choice.why[info] = f"{there[info].msgtype}: beside {best}"
        cameras[camera] = CameraTopics(best, info)
    return cameras


def _given_cameras(choice: _Choice, given: Topics, infos: list[str]) -> dict[str, CameraTopics]:
    chosen = {}
    for name, topics in given.cameras.items():
        setting = f"cameras.{name}"
        image = _checked(choice.there, topics.image, f"{setting}.image", ALL_IMAGES, choice.where)
        info = topics.camera_info
        if info is not None:
            _checked(choice.there, info, f"{setting}.camera_info", ALL_INFOS, choice.where)
        chosen[name] = CameraTopics(image, info or _info_of(image, infos))
        choice.why.update({t: f"given as '{setting}'" for t in (image, info) if t is not None})
    return chosen


def _no_decoder(form: PictureForm) -> str:
    if form.video and not can_decode_video():
        return f"{form.says}: its pictures need PyAV (pip install 'irl-vla[video]')"
    return ""


def _preference(choice: _Choice, name: str, form: PictureForm) -> tuple[bool, bool, bool, int, str]:
    """As the lens made it before rectified; JPEG before raw (decoded at the size that is needed)
    and both before video (damage lasts); many before few."""
    raw = choice.there[name].msgtype in (RAW_IMAGE, FOXGLOVE_IMAGES[1])
    return is_rectified(name), bool(form.video), raw, -choice.stats[name].count, name


def _family(topic: str) -> tuple[str, ...]:
    """The camera's part of a topic: /front/image_raw/compressed -> (front,)."""
    parts = [part for part in topic.split("/") if part]
    while parts and all(word in IMAGE_WORDS for word in words_of(parts[-1])):
        parts.pop()
    return tuple(parts)


def _info_family(topic: str) -> tuple[str, ...]:
    """The camera's part of a CameraInfo: /device_0/Color_0/info/camera_info -> (device_0, Color_0).
    At least the last part names the message, not the camera."""
    parts = [part for part in topic.split("/") if part][:-1]
    while parts and all(word in INFO_WORDS - {"camera"} for word in words_of(parts[-1])):
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
        beside = [info for info in infos if _info_family(info) == prefix]
        if len(beside) == 1:
            return beside[0]
    return None
