"""Messages with pictures, of whatever type and form -> files or pixels, with what had to be done.

A file (JPEG, PNG) stays a file: it is decoded where its size is known. A mosaic of a colour filter
and video become pixels here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

from irl_vla.messages.images import BAYER, bits_of, pixels_of
from irl_vla.messages.motion_reader import header_stamp_ns
from irl_vla.messages.records import StoredTopic
from irl_vla.messages.topic_roles import FOXGLOVE_IMAGES, RAW_IMAGE, PictureForm
from irl_vla.messages.video import VideoDecoder
from irl_vla.types import U8, InputError

JPEG_MAGIC, PNG_MAGIC = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
WIDE = 16  # bits per value of the wide encodings
COLOUR_TARGETS = ("bgr8", "rgb8", "bgr16", "rgb16")


class RecordedPicture(NamedTuple):
    """One exposure: a file or pixels. stamp_ns: 0 where the message has none."""

    stamp_ns: int
    encoded: bytes | None = None
    pixels: U8 | None = None


class PictureReader:
    """One topic's pictures. said: what had to be done to them, in words, each once."""

    def __init__(self, topic: StoredTopic, form: PictureForm) -> None:
        self._topic = topic
        self._raw = topic.msgtype in (RAW_IMAGE, FOXGLOVE_IMAGES[1])
        self._video = VideoDecoder(form.video) if form.video else None
        self._bits = 0  # that the values of wide pictures have used so far
        self.said: list[str] = []

    def read(self, message: Any) -> Iterator[RecordedPicture]:
        """Raises InputError for what is no picture."""
        stamp = header_stamp_ns(message)
        if self._raw:
            yield RecordedPicture(stamp, pixels=self._pixels(message))
            return
        data = bytes(message.data)
        if self._video is not None:
            for when, pixels in self._video.decode(data, stamp):
                yield RecordedPicture(when, pixels=pixels)
            return
        stated = str(getattr(message, "format", ""))
        if not data.startswith((JPEG_MAGIC, PNG_MAGIC)):
            raise InputError(
                f"neither JPEG nor PNG: format '{stated}', {len(data)} bytes that start with "
                f"{data[:8]!r}"
            )
        pattern = mosaic_pattern(stated)
        coloured = None if pattern is None else _demosaiced(data, pattern)
        if coloured is None:
            yield RecordedPicture(stamp, encoded=data)
        else:
            self._say(f"format '{stated}': a colour mosaic in a picture file, colours are restored")
            yield RecordedPicture(stamp, pixels=coloured)

    def _pixels(self, message: Any) -> U8:
        bits = bits_of(message)
        if bits is None:
            return pixels_of(message)
        self._bits = max(self._bits, bits)
        if self._bits < WIDE:
            self._say(
                f"encoding '{message.encoding}': its values have {self._bits} bits of {WIDE}; the "
                "pictures are scaled to that range"
            )
        return pixels_of(message, self._bits)

    def _say(self, text: str) -> None:
        if text not in self.said:
            self.said.append(text)


def mosaic_pattern(stated: str) -> str | None:
    """The colour filter of a CompressedImage by its `format` ("bayer_rggb8; jpeg compressed
    bayer_rggb8"), None where the file already has colours ("...; jpeg compressed bgr8")."""
    found = re.search(r"bayer_(rggb|bggr|gbrg|grbg)", stated.lower())
    target = stated.lower().rsplit(" ", 1)[-1]
    return None if found is None or target in COLOUR_TARGETS else found.group()


def _demosaiced(data: bytes, pattern: str) -> U8 | None:
    """Colours of a mosaic; None for a file that has colours already or cannot be decoded."""
    try:
        flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        mosaic = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    if mosaic is None or mosaic.dtype != np.uint8 or min(mosaic.shape[:2]) < 2:
        return None
    if mosaic.ndim == 3:
        if (mosaic != mosaic[..., :1]).any():
            return None
        mosaic = np.ascontiguousarray(mosaic[..., 0])
    return np.asarray(cv2.cvtColor(mosaic, BAYER[pattern]), np.uint8)
