"""ROS message types without ROS: standard types of Jazzy, ours, and whatever a bag brings along.

Our own definitions live once, in ros2_ws/src/irl_vla_msgs/msg. The fields of vision_msgs are those
of its 4.x releases (https://github.com/ros-perception/vision_msgs, Apache-2.0).
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Any

import zstandard
from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from irl_vla.messages.foxglove_messages import FoxgloveDecoder
from irl_vla.messages.records import StoredTopic
from irl_vla.messages.topic_roles import is_foxglove
from irl_vla.resources import resource
from irl_vla.types import SECOND_NS, InputError
from irl_vla.unpack import pieces

VISION_MSGS = {
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
    "vision_msgs/msg/Detection3D": (
        "std_msgs/Header header\nObjectHypothesisWithPose[] results\n"
        "BoundingBox3D bbox\nstring id\n"
    ),
    "vision_msgs/msg/Detection3DArray": "std_msgs/Header header\nDetection3D[] detections\n",
}
FOXGLOVE_MSGS = {  # fields of foxglove's ImageAnnotations (https://docs.foxglove.dev, MIT)
    "foxglove_msgs/msg/Point2": "float64 x\nfloat64 y\n",
    "foxglove_msgs/msg/Color": "float64 r\nfloat64 g\nfloat64 b\nfloat64 a\n",
    "foxglove_msgs/msg/CircleAnnotation": (
        "builtin_interfaces/Time timestamp\nPoint2 position\nfloat64 diameter\n"
        "float64 thickness\nColor fill_color\nColor outline_color\n"
    ),
    "foxglove_msgs/msg/PointsAnnotation": (
        "builtin_interfaces/Time timestamp\nuint8 type\nPoint2[] points\nColor outline_color\n"
        "Color[] outline_colors\nColor fill_color\nfloat64 thickness\n"
    ),
    "foxglove_msgs/msg/TextAnnotation": (
        "builtin_interfaces/Time timestamp\nPoint2 position\nstring text\nfloat64 font_size\n"
        "Color text_color\nColor background_color\n"
    ),
    "foxglove_msgs/msg/ImageAnnotations": (
        "CircleAnnotation[] circles\nPointsAnnotation[] points\nTextAnnotation[] texts\n"
    ),
}
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_MESSAGE_BYTES = 2**28  # [B] a picture of 9000x9000 RGB
XCDR2 = range(0x06, 0x0C)  # second byte of a CDR header (DDS-XTypes 1.3, 7.6.2.1.2)
IDL_SEPARATOR = "=" * 80 + "\n"
DECODE_DAMAGE = (  # what broken bytes or definitions make rosbags raise
    SerdeError,
    TypesysError,
    zstandard.ZstdError,
    struct.error,
    ValueError,  # also UnicodeDecodeError
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    SyntaxError,  # code generated from a definition with impossible names
    OverflowError,
    MemoryError,
    RecursionError,
)


def definition_files() -> list[Path]:
    """Our .msg files. Raises InputError where they are missing."""
    return sorted(resource("msg").glob("*.msg"))


@cache
def typestore() -> Typestore:
    """Jazzy's standard types, vision_msgs, foxglove's annotations and irl_vla_msgs."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: Typesdict = {}
    for name, text in (VISION_MSGS | FOXGLOVE_MSGS).items():
        types.update(get_types_from_msg(text, name))
    for path in definition_files():
        text = path.read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, f"irl_vla_msgs/msg/{path.stem}"))
    store.register(types)
    return store


@cache
def ros1_typestore() -> Typestore:
    """Noetic's standard types, and tf."""
    store = get_typestore(Stores.ROS1_NOETIC)
    types: Typesdict = {}
    for name in ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage"):
        types.update(get_types_from_msg("geometry_msgs/TransformStamped[] transforms\n", name))
    store.register(types)
    return store


class Decoder:
    """Bytes of one topic -> message. The definition that the bag carries goes before ours."""

    def __init__(self, topic: StoredTopic) -> None:
        self.msgtype = topic.msgtype
        self.foxglove = FoxgloveDecoder(topic) if is_foxglove(topic) else None
        if self.foxglove is not None:
            return
        self.ros1 = topic.encoding == "ros1"
        self.store = _store_for(topic, ros1_typestore() if self.ros1 else typestore())
        if topic.msgtype not in self.store.fielddefs:
            raise InputError(f"topic {topic.name}: no definition of {topic.msgtype} is known")

    def __call__(self, data: bytes | memoryview) -> Any:
        """Raises one of DECODE_DAMAGE for bytes that are no such message."""
        if self.foxglove is not None:
            return self.foxglove(data)
        if self.ros1:
            return self.store.deserialize_ros1(data, self.msgtype)
        if data[:4] == ZSTD_MAGIC:  # message-compressed; CDR starts with a zero byte
            data = _unpacked(data)
        if len(data) > 1 and data[0] == 0 and data[1] in XCDR2:
            raise InputError(
                "messages are encoded as XCDR2, expected XCDR1, which ROS 2 writes; record the "
                "topic with ROS 2's own settings of the middleware"
            )
        return self.store.deserialize_cdr(data, self.msgtype)


def _unpacked(data: bytes | memoryview) -> bytes:
    """A compressed message. Raises InputError where it is too large to be one."""
    reader = zstandard.ZstdDecompressor().stream_reader(bytes(data), read_across_frames=True)
    return b"".join(pieces(reader, MAX_MESSAGE_BYTES, "a compressed message"))


def _store_for(topic: StoredTopic, known: Typestore) -> Typestore:
    """`known` where it agrees with the embedded definition or there is none, else a store of the
    embedded definition alone. One that lacks or retypes a field that we know is damaged."""
    if not topic.definition:
        return known
    try:
        types = _parse(topic)
        if all(
            name in known.fielddefs and _fields(known.fielddefs[name]) == _fields(entry)
            for name, entry in types.items()
        ):
            return known
        for name in types.keys() & known.fielddefs.keys():
            there = _fields(types[name])
            if not all(field in there for field in _fields(known.fielddefs[name])):
                return known
        own = get_typestore(Stores.EMPTY)
        own.register(types)
        own.get_msgdef(topic.msgtype)
        return own
    except DECODE_DAMAGE:
        return known


def _fields(entry: Any) -> list[tuple[str, Any]]:
    return [(name, description) for name, description in entry[1]]


def _parse(topic: StoredTopic) -> Typesdict:
    if topic.definition_format != "ros2idl":
        return get_types_from_msg(topic.definition, topic.msgtype)
    if not topic.definition.startswith(IDL_SEPARATOR + "IDL: "):
        return get_types_from_idl(topic.definition)
    types: Typesdict = {}
    for part in topic.definition.split(IDL_SEPARATOR)[1:]:
        types.update(get_types_from_idl(part.split("\n", 1)[1]))
    return types


def stamp_ns(stamp: Any) -> int:
    """builtin_interfaces/Time -> nanoseconds."""
    return int(stamp.sec) * SECOND_NS + int(stamp.nanosec)


def new(msgtype: str, **fields: Any) -> Any:
    """A message of one of our known types; every field has to be given."""
    return typestore().types[msgtype](**fields)


def header(when_ns: int, frame_id: str) -> Any:
    """std_msgs/Header. Raises InputError for a time that ROS cannot write."""
    return new("std_msgs/msg/Header", stamp=time_message(when_ns), frame_id=frame_id)


def time_message(when_ns: int) -> Any:
    """Nanoseconds -> builtin_interfaces/Time (int32 seconds)."""
    seconds, rest = divmod(when_ns, SECOND_NS)
    if not 0 <= seconds < 2**31:
        raise InputError(f"stamp {when_ns} ns: ROS can write times from 1970 to 2038 only")
    return new("builtin_interfaces/msg/Time", sec=seconds, nanosec=rest)
