"""Named arrays as bytes and back: what lies in a slot of the ring.

    u64 length of the index | index (JSON) | arrays, each beginning on a cache line
The index is text, never a pickle: who reads a slot runs nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = struct.Struct("<Q")
LINE = 64  # [B] of a cache
TYPES = {"float16", "float32", "float64", "int64", "bool", "uint8"}

Arrays = Mapping[str, NDArray[Any]]


def pack(arrays: Arrays, notes: Mapping[str, Any]) -> list[memoryview]:
    """Pieces to be written one after the other. notes: anything JSON can write."""
    rows, at = [], 0
    for name, array in arrays.items():
        if array.dtype.name not in TYPES:
            raise ValueError(f"array '{name}': type {array.dtype} is not carried")
        rows.append([name, array.dtype.name, array.shape, at])
        at += _padded(array.nbytes)
    index = json.dumps({"arrays": rows, "notes": notes}).encode()
    head = LENGTH.pack(len(index)) + index
    pieces = [memoryview(head.ljust(_padded(len(head)), b"\0"))]
    for array in arrays.values():
        plain = np.ascontiguousarray(array)
        pieces.append(plain.reshape(-1).view(np.uint8).data)
        pieces.append(memoryview(bytes(_padded(plain.nbytes) - plain.nbytes)))
    return pieces


def unpack(payload: memoryview) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays (views into `payload`) and notes. Raises ValueError for what `pack` did not make."""
    (length,) = LENGTH.unpack_from(payload, 0)
    index = json.loads(bytes(payload[LENGTH.size : LENGTH.size + length]))
    begin = _padded(LENGTH.size + length)
    arrays = {}
    for name, kind, shape, at in index["arrays"]:
        if kind not in TYPES:
            raise ValueError(f"array '{name}': type {kind} is not carried")
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(payload, kind, count, begin + at).reshape(shape)
    return arrays, index["notes"]


def packed_size(arrays: Arrays, notes_bytes: int) -> int:
    """Enough bytes for arrays of these shapes and so much text."""
    text = notes_bytes + 200 * (len(arrays) + 1)
    return _padded(LENGTH.size + text) + sum(_padded(array.nbytes) for array in arrays.values())


def _padded(size: int) -> int:
    return -(-size // LINE) * LINE
