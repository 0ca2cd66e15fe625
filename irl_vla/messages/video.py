"""H.264, H.265 and other video packets -> pictures, by PyAV, which is an extra (irl-vla[video]).

A packet of video is a change to the pictures before it: a stream is read from its first key frame
on, in order. Imported when the first packet comes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from irl_vla.types import U8, InputError

MAX_WAITING = 64  # packets whose pictures have not come: more means that none will


def can_decode_video() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None


class VideoDecoder:
    """One camera's stream. codec: "h264", "hevc", ..."""

    def __init__(self, codec: str) -> None:
        if not can_decode_video():
            raise InputError(f"{codec} video needs PyAV: pip install 'irl-vla[video]'")
        import av  # an extra, and 50 ms

        self.codec = codec
        self._errors: tuple[type[Exception], ...] = (av.FFmpegError, ValueError)
        self._packet, self._count = av.Packet, 0
        context: Any = av.CodecContext.create(codec, "r")
        context.thread_count = 1
        context.flags |= 0x80000  # AV_CODEC_FLAG_LOW_DELAY: pictures come with their own packet
        self._context = context
        self._stamps: dict[int, int] = {}

    def decode(self, data: bytes, stamp_ns: int) -> list[tuple[int, U8]]:
        """(stamp, RGB) of the pictures that this packet completes: usually its own, none before the
        first key frame. Raises InputError for bytes that are no such video."""
        packet = self._packet(data)
        packet.pts = packet.dts = self._count
        self._stamps[self._count] = stamp_ns
        self._count += 1
        try:
            frames = self._context.decode(packet)
        except self._errors as error:
            self._stamps.pop(self._count - 1, None)
            raise InputError(
                f"{len(data)} bytes that cannot be decoded as {self.codec} video ({error}); a "
                "stream can be read from its first key frame on"
            ) from None
        if not frames and len(self._stamps) > MAX_WAITING:
            self._stamps.clear()
            raise InputError(f"no picture in {MAX_WAITING} packets of {self.codec} video")
        return [(self._stamps.pop(int(frame.pts), stamp_ns), _rgb(frame)) for frame in frames]


def _rgb(frame: Any) -> U8:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
