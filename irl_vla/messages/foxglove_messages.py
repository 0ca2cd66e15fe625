"""foxglove's own schemas in protobuf or JSON -> messages with the fields of their ROS 2 twins.

Schemas: https://docs.foxglove.dev/docs/sdk/schemas. In JSON, bytes are base64 and times are
{"sec", "nsec"}; in protobuf they are google.protobuf.Timestamp.
"""

from __future__ import annotations

import base64
import binascii
from types import SimpleNamespace
from typing import Any

import numpy as np

from irl_vla.foreign import parse_json
from irl_vla.messages.protobuf import ProtobufTypes
from irl_vla.messages.records import StoredTopic
from irl_vla.types import InputError

BYTES_FIELDS = {"data"}


class FoxgloveDecoder:
    """Bytes of one topic -> message. Raises InputError where the file does not say what the
    message looks like."""

    def __init__(self, topic: StoredTopic) -> None:
        self._name, self._encoding = topic.name, topic.encoding
        self._type = "foxglove." + topic.msgtype.split("/")[-1]
        self._types = ProtobufTypes()
        if topic.encoding == "protobuf":
            raw = topic.definition.encode("utf-8", "surrogateescape")
            try:
                self._types = ProtobufTypes.of_descriptors(raw)
            except (ValueError, KeyError, IndexError, AttributeError) as error:
                raise InputError(f"topic {topic.name}: its protobuf schema is damaged ({error})") \
                    from None  # fmt: skip
            if self._type not in self._types.messages:
                raise InputError(
                    f"topic {topic.name}: encoded as protobuf, and the file has no schema of "
                    f"{self._type}; write the file again with its schemas, or convert the topic to "
                    "ROS 2 messages"
                )

    def __call__(self, data: bytes | memoryview) -> Any:
        """Raises ValueError or KeyError for bytes that are no such message."""
        if self._encoding == "json":
            return _as_ros(_from_json(parse_json(bytes(data), "a message")))
        try:
            return _as_ros(self._types.decode(self._type, bytes(data)))
        except (ValueError, KeyError) as error:
            raise InputError(f"no {self._type} in protobuf ({error})") from None


def _from_json(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if value.keys() == {"sec", "nsec"}:
            return SimpleNamespace(seconds=int(value["sec"]), nanos=int(value["nsec"]))
        return SimpleNamespace(**{name: _from_json(part, name) for name, part in value.items()})
    if isinstance(value, list):
        return [_from_json(part) for part in value]
    if key in BYTES_FIELDS and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError(f"field '{key}' is no base64 ({error})") from None
    return value


def _as_ros(message: Any) -> Any:
    """Times as builtin_interfaces/Time, transforms as geometry_msgs has them."""
    fields = vars(message)
    if "timestamp" in fields:
        stamp = message.timestamp
        message.timestamp = SimpleNamespace(sec=int(stamp.seconds), nanosec=int(stamp.nanos))
    if "data" in fields:
        message.data = np.frombuffer(message.data, np.uint8)
    if "transforms" in fields:
        message.transforms = [_transform(_as_ros(part)) for part in message.transforms]
    elif "parent_frame_id" in fields:
        message.transforms = [_transform(message)]
    return message


def _transform(one: Any) -> Any:
    """foxglove.FrameTransform -> geometry_msgs/TransformStamped."""
    return SimpleNamespace(
        header=SimpleNamespace(stamp=one.timestamp, frame_id=one.parent_frame_id),
        child_frame_id=one.child_frame_id,
        transform=SimpleNamespace(translation=one.translation, rotation=one.rotation),
    )
