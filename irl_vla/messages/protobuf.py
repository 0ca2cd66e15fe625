"""Protobuf messages by the descriptors that an mcap file carries, without a library.

A schema of encoding "protobuf" is a serialised FileDescriptorSet. Wire format, and the numbers of
descriptors: https://protobuf.dev/programming-guides/encoding. Read are the types that
foxglove's schemas use: numbers, text, bytes, messages, and lists of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

DOUBLE, FLOAT, INT64, UINT64, INT32, FIXED64, FIXED32, BOOL, STRING = 1, 2, 3, 4, 5, 6, 7, 8, 9
MESSAGE, BYTES, UINT32, ENUM, SFIXED32, SFIXED64, SINT32, SINT64 = 11, 12, 13, 14, 15, 16, 17, 18
REPEATED = 3  # label of a field
FIXED = {DOUBLE: "<d", FLOAT: "<f", FIXED64: "<Q", FIXED32: "<I", SFIXED32: "<i", SFIXED64: "<q"}
MAX_DEPTH = 32  # of messages in messages


@dataclass(frozen=True)
class ProtobufField:
    """One field of a message type. kind: DOUBLE ...; of: type of a MESSAGE"""

    name: str
    kind: int
    repeated: bool
    of: str


@dataclass
class ProtobufTypes:
    """Type name ("foxglove.PoseInFrame") -> number -> field."""

    messages: dict[str, dict[int, ProtobufField]] = field(default_factory=dict)

    @staticmethod
    def of_descriptors(data: bytes) -> ProtobufTypes:
        """From a FileDescriptorSet. Raises ValueError for bytes that are none."""
        types = ProtobufTypes()
        for number, file in _fields(data):
            if number == 1 and isinstance(file, bytes):
                package, entries = "", []
                for part, value in _fields(file):
                    if part == 2 and isinstance(value, bytes):
                        package = value.decode()
                    elif part == 4 and isinstance(value, bytes):
                        entries.append(value)
                for entry in entries:
                    types._add(package, entry, 0)
        return types

    def _add(self, scope: str, entry: bytes, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError("protobuf types are nested too deep")
        parts = list(_fields(entry))
        own = next((v.decode() for n, v in parts if n == 1 and isinstance(v, bytes)), "")
        name = f"{scope}.{own}".lstrip(".")
        fields = [_field(v) for n, v in parts if n == 2 and isinstance(v, bytes)]
        self.messages[name] = dict(fields)
        for number, value in parts:
            if number == 3 and isinstance(value, bytes):
                self._add(name, value, depth + 1)

    def decode(self, name: str, data: bytes, depth: int = 0) -> SimpleNamespace:
        """A message of that type; absent fields have their zero. Raises ValueError."""
        if depth > MAX_DEPTH:
            raise ValueError("protobuf messages are nested too deep")
        fields = self.messages[name]
        found: dict[str, Any] = {
            f.name: [] if f.repeated else self._zero(f, depth) for f in fields.values()
        }
        for number, value in _fields(data):
            known = fields.get(number)
            if known is None:
                continue
            for one in self._values(known, value, depth):
                if known.repeated:
                    found[known.name].append(one)
                else:
                    found[known.name] = one
        return SimpleNamespace(**found)

    def _zero(self, known: ProtobufField, depth: int) -> Any:
        if known.kind == MESSAGE:
            return self.decode(known.of, b"", depth + 1) if depth < 4 else None
        return {STRING: "", BYTES: b"", BOOL: False, DOUBLE: 0.0, FLOAT: 0.0}.get(known.kind, 0)

    def _values(self, known: ProtobufField, value: int | bytes, depth: int) -> Iterator[Any]:
        if known.kind in (STRING, BYTES, MESSAGE):
            if not isinstance(value, bytes):
                raise ValueError(f"field '{known.name}': expected bytes")
            if known.kind == MESSAGE:
                yield self.decode(known.of, value, depth + 1)
            else:
                yield value.decode() if known.kind == STRING else value
        elif known.kind in FIXED:
            yield from _fixed(known, value)
        elif isinstance(value, bytes):  # packed
            at = 0
            while at < len(value):
                number, at = _varint(value, at)
                yield _integer(known.kind, number)
        else:
            yield _integer(known.kind, value)


def _fixed(known: ProtobufField, value: int | bytes) -> Iterator[float | int]:
    if not isinstance(value, bytes):
        raise ValueError(f"field '{known.name}': expected a number of fixed size")
    for (number,) in struct.iter_unpack(FIXED[known.kind], value):
        yield number


def _integer(kind: int, value: int) -> int:
    if kind in (SINT32, SINT64):
        return (value >> 1) ^ -(value & 1)
    if kind in (INT32, INT64, ENUM):
        return value - (1 << 64) if value >> 63 else value
    return value


def _field(entry: bytes) -> tuple[int, ProtobufField]:
    parts: dict[int, Any] = dict(_fields(entry))
    of = parts.get(6, b"").decode().lstrip(".")
    name = parts[1].decode()
    return parts[3], ProtobufField(name, parts.get(5, 0), parts.get(4) == REPEATED, of)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field; fixed numbers come as their bytes. Raises ValueError."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"no protobuf: a field of wire type {wire}")
        if number == 0 or at + size > len(data):
            raise ValueError(f"no protobuf: a field of {size} bytes in {len(data) - at}")
        yield number, bytes(data[at : at + size])
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("no protobuf: the message ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise ValueError("no protobuf: a number of more than 10 bytes")
