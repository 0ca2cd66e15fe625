"""Frames -> one animated WebP file, written while they come.

Browsers play it without plug-ins, and unlike GIF it knows all colours. The container is written
here (RFC 9649, section 2.7: VP8X, ANIM, one ANMF per frame), so that no more than a few frames are
in memory at once; the frames are ordinary lossy WebP pictures. Of a frame that differs from the one
before only in a part, that part is stored. May import: types, report.
"""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from irl_vla.types import U8
from irl_vla.view.report import replacing

QUALITY = 25  # of 100: letters stay sharp, and 20 s of a town take less than 4 MB
METHOD = 4  # of 0..6: more is smaller and slower
THREADS = 2  # that compress while frames are being painted
MAX_SIDE = 1 << 14  # [px] of a WebP picture
ANIMATED = 0x02  # flag of VP8X
NO_BLEND = 0x02  # flag of ANMF: the part replaces what is below


class _Part(NamedTuple):
    """The part of a frame that changed, and for how many frames it then stays."""

    left: int
    top: int
    pixels: U8
    lasts: int


def write_webp(
    path: Path, frames: Iterable[U8], fps: float, quality: int = QUALITY,
    progress: Callable[[int], None] = lambda done: None,
) -> int:  # fmt: skip
    """Writes (height, width, 3) uint8 RGB frames of one size; returns how many.

    fps: frames a second; progress: is told how many frames were taken so far. The same frames give
    the same bytes. An older file is replaced in one step, or left alone if anything fails. Raises
    InputError where the file cannot be written, ValueError for no frames or frames of two sizes.
    """
    with replacing(path) as beside, beside.open("w+b") as file:
        return _write(file, _counted(frames, progress), 1000.0 / fps, quality)


def _counted(frames: Iterable[U8], progress: Callable[[int], None]) -> Iterator[U8]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress(done)


def _write(file: BinaryIO, frames: Iterator[U8], period_ms: float, quality: int) -> int:
    """The whole container; its length is filled in at the end."""
    first = next(frames, None)
    if first is None:
        raise ValueError("an animation needs at least one frame")
    height, width = _checked(first, first.shape)
    file.write(b"RIFF\0\0\0\0WEBP")
    file.write(_chunk(b"VP8X", bytes([ANIMATED, 0, 0, 0]) + _u24(width - 1) + _u24(height - 1)))
    file.write(_chunk(b"ANIM", bytes([255, 255, 255, 255, 0, 0])))  # white below, endless
    count = 0
    for part, data in _compressed(_parts(first, frames), quality):
        begin, count = count, count + part.lasts
        lasts = round(count * period_ms) - round(begin * period_ms)
        rows, columns = part.pixels.shape[:2]
        head = _u24(part.left // 2) + _u24(part.top // 2) + _u24(columns - 1) + _u24(rows - 1)
        file.write(_chunk(b"ANMF", head + _u24(lasts) + bytes([NO_BLEND]) + data))
    size = file.tell() - 8
    file.seek(4)
    file.write(struct.pack("<I", size))
    return count


def _checked(frame: U8, shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of a frame that can be stored."""
    good = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
    if not good or frame.shape != shape or not 1 <= min(shape[:2]) <= max(shape[:2]) <= MAX_SIDE:
        raise ValueError(f"frames: expected uint8 {shape}, RGB, got {frame.dtype} {frame.shape}")
    return frame.shape[0], frame.shape[1]


def _parts(first: U8, frames: Iterator[U8]) -> Iterator[_Part]:
    """What changes from frame to frame; frames that change nothing make the one before last."""
    shown, part, lasts = first, (0, 0, first), 1
    for frame in frames:
        _checked(frame, first.shape)
        changed = (frame != shown).any(axis=2)
        if not changed.any():
            lasts += 1
            continue
        yield _Part(*part, lasts)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        top, left = int(rows[0]) & ~1, int(columns[0]) & ~1  # the format knows even corners only
        part = (left, top, frame[top : rows[-1] + 1, left : columns[-1] + 1])
        shown, lasts = frame, 1
    yield _Part(*part, lasts)


def _compressed(parts: Iterator[_Part], quality: int) -> Iterator[tuple[_Part, bytes]]:
    """Every part with its picture chunks, in order, compressed in threads a little ahead."""
    waiting: deque[tuple[_Part, Future[bytes]]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for part in parts:
            waiting.append((part, pool.submit(_picture, part.pixels, quality)))
            if len(waiting) > 2 * THREADS:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()


def _picture(pixels: U8, quality: int) -> bytes:
    """The chunks of a still WebP file, without its RIFF head."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=METHOD)
    return file.getvalue()[12:]


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _u24(value: int) -> bytes:
    return struct.pack("<I", value)[:3]
