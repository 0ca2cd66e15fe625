"""ONNX files as they are on the wire, read without any library that could act on them.

Protocol buffers are pairs of a field's number and a value. Every field that a bundle's graph may
have is listed here; whatever else is in the file is refused, before a runtime sees it. So nothing
depends on how that runtime understands what this reader does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from irl_vla.types import InputError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; groups (3, 4) are not in ONNX
LONGEST_VARINT = 10  # [B]
FIXED = {FIXED64: 8, FIXED32: 4}  # [B]

Values = dict[int, list[Any]]  # field number -> its values, integers or pieces of the file


@dataclass(frozen=True)
class MessageKind:
    """A message of ONNX. once, many: numbers of its fields that may stand once or repeatedly;
    barred: number -> what it would bring, for the error."""

    name: str
    once: frozenset[int]
    many: frozenset[int] = frozenset()
    barred: dict[int, str] = field(default_factory=dict)


MODEL = MessageKind(
    "model", frozenset({1, 2, 3, 4, 5, 6, 7}), frozenset({8, 14}),
    {20: "training steps", 25: "functions", 26: "device settings"},
)  # fmt: skip
OPSET = MessageKind("operator set", frozenset({1, 2}))
GRAPH = MessageKind(
    "graph", frozenset({2, 10}), frozenset({1, 5, 11, 12, 13, 16}),
    {14: "quantisation notes", 15: "sparse initialisers"},
)  # fmt: skip
NODE = MessageKind(
    "node", frozenset({3, 4, 6, 7}), frozenset({1, 2, 5, 9}),
    {8: "overloads", 10: "device settings"},
)  # fmt: skip
ATTRIBUTE = MessageKind(
    "attribute", frozenset({1, 2, 3, 4, 5, 13, 20}), frozenset({7, 8, 9, 10}),
    {6: "a subgraph", 11: "subgraphs", 14: "types", 15: "types", 21: "references to functions",
     22: "sparse tensors", 23: "sparse tensors"},
)  # fmt: skip
TENSOR = MessageKind(
    "tensor", frozenset({2, 8, 9, 12, 14}), frozenset({1, 4, 5, 7, 10, 11, 16}),
    {3: "segments", 6: "texts", 13: "external data: weights outside the bundle's hashed file"},
)  # fmt: skip
VALUE_INFO = MessageKind("value", frozenset({1, 2, 3}), frozenset({4}))
TYPE = MessageKind(
    "type", frozenset({1, 6}), frozenset(),
    {4: "sequences", 5: "maps", 8: "sparse tensors", 9: "optional values"},
)  # fmt: skip
TENSOR_TYPE = MessageKind("tensor type", frozenset({1, 2}))
SHAPE = MessageKind("shape", frozenset(), frozenset({1}))
DIMENSION = MessageKind("dimension", frozenset({1, 2, 3}))


def message(data: memoryview, kind: MessageKind, where: str) -> Values:
    """The fields of one message. Raises InputError for a field that a graph of a bundle may not
    have, and for one that stands twice where readers would have to choose."""
    found: Values = {}
    for number, value in _fields(data, f"{where}: {kind.name}"):
        if number in kind.barred:
            raise InputError(
                f"{where}: the {kind.name} has {kind.barred[number]}, which a bundle may not "
                "have. Export the graph with one file for everything and without it"
            )
        if number not in kind.once | kind.many:
            raise InputError(f"{where}: the {kind.name} has field {number}, which is not known")
        found.setdefault(number, []).append(value)
        if number in kind.once and len(found[number]) > 1:
            raise InputError(f"{where}: the {kind.name} has field {number} twice")
    return found


def text(values: Values, number: int, where: str) -> str:
    """A text that stands at most once; absent: empty."""
    return as_text(values[number][0], where) if number in values else ""


def as_text(value: Any, where: str) -> str:
    """One value as text. Raises InputError."""
    if not isinstance(value, memoryview):
        raise InputError(f"{where}: a number stands where a name is expected")
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{where}: a name is not UTF-8") from None


def part(value: Any, where: str) -> memoryview:
    """One value as the message that it holds. Raises InputError."""
    if not isinstance(value, memoryview):
        raise InputError(f"{where}: a number stands where a part is expected")
    return value


def integer(values: Values, number: int, where: str) -> int:
    """A number that stands at most once; absent: 0."""
    found = values.get(number, [0])[0]
    if not isinstance(found, int):
        raise InputError(f"{where}: field {number} is no number")
    return found


def integers(values: Values, number: int, where: str) -> tuple[int, ...]:
    """Numbers, one by one or packed in one piece."""
    found: list[int] = []
    for value in values.get(number, []):
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at, where)
            found.append(one)
    return tuple(found)


def _fields(data: memoryview, where: str) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at, where)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(data, at, where)
            yield number, value
            continue
        size = FIXED.get(wire)
        if wire == BYTES:
            size, at = _varint(data, at, where)
        if size is None or number == 0 or not 0 <= size <= len(data) - at:
            raise InputError(f"{where}: is no ONNX, or is cut short, at byte {at}")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int, where: str) -> tuple[int, int]:
    """A number and where it ends; 64 bits, two's complement."""
    value = 0
    for index in range(LONGEST_VARINT):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            value &= (1 << 64) - 1
            return value - (1 << 64) if value >= 1 << 63 else value, at + index + 1
    raise InputError(f"{where}: is no ONNX, or is cut short, at byte {at}")
