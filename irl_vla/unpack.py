"""Compressed data of strangers, unpacked up to a size and no further.

A few kilobytes can unpack to terabytes. Whoever unpacks says how much is sensible; memory never
holds more than that, and what is larger is refused in a sentence. May import: types.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from irl_vla.types import InputError

STEP = 2**20  # [B] unpacked at once
MAX_BYTES = 2**29  # [B] of a file that is held in memory: 2000 scoring scenes, 2.7 million plans
GZIP_MAGIC = b"\x1f\x8b"
NPZ_DAMAGE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,  # a kind of compression that Python does not know
    RuntimeError,  # encrypted
    MemoryError,  # a shape that promises more than there is
    ValueError,  # a damaged array, or one of objects
    SyntaxError,  # its header, which numpy reads as a literal of Python
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,  # a damaged header or directory
)


class Stream(Protocol):
    """Anything that unpacks as it is read."""

    def read(self, size: int, /) -> bytes: ...


def pieces(stream: Stream, limit: int, where: str) -> Iterator[bytes]:
    """What `stream` holds, piece by piece. where: for the error. Raises InputError as soon as it
    is more than `limit` bytes."""
    total = 0
    while piece := stream.read(STEP):
        total += len(piece)
        if total > limit:
            raise InputError(
                f"{where}: unpacks to more than {limit} bytes, which is the limit. If you trust "
                "it, unpack it yourself and give it plain, or in smaller parts"
            )
        yield piece


def gunzipped(data: bytes, where: str, limit: int = MAX_BYTES) -> bytes:
    """`data` unpacked if it is gzip, else as it is. Raises InputError where it is damaged or
    unpacks to more than `limit` bytes."""
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return b"".join(pieces(stream, limit, where))
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{where}: the gzip stream is damaged or cut short ({error}); copy the file again"
        ) from None


def read_npz(
    file: Path | io.BytesIO, where: str, limit: int = MAX_BYTES
) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file. where: for the error. Raises InputError where it is none, holds
    objects, or holds more than `limit` bytes; what the directory of the file says is what can come
    out of it."""
    try:
        with zipfile.ZipFile(file) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        if total <= limit:
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
    except NPZ_DAMAGE as error:
        raise InputError(f"{where}: not a readable .npz file: {error}") from None
    raise InputError(
        f"{where}: its arrays unpack to {total} bytes, at most {limit} are read. Give them in "
        "smaller parts"
    )
