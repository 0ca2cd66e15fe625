"""Raw pictures of sensor_msgs/Image -> (height, width, 3) uint8 RGB.

Encodings as in sensor_msgs/image_encodings.hpp. Rows may be padded (`step`); 16-bit pictures keep
the highest eight of the bits that are in use. YUV is BT.601 with limited range, as OpenCV and the
usual drivers have it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.types import U8, InputError

DEPTHS = (10, 12, 14, 16)  # [bit] of sensors whose values are stored in 16
MAX_SIDE_PX = 16384  # a wider picture is a broken header
CHANNELS = {"mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}
TO_RGB = {
    "mono": cv2.COLOR_GRAY2RGB,
    "bgr": cv2.COLOR_BGR2RGB,
    "rgba": cv2.COLOR_RGBA2RGB,
    "bgra": cv2.COLOR_BGRA2RGB,
}
BAYER = {  # the four letters are the top left 2x2 pixels, row by row
    "bayer_rggb": cv2.COLOR_BayerRGGB2RGB,
    "bayer_bggr": cv2.COLOR_BayerBGGR2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGBRG2RGB,
    "bayer_grbg": cv2.COLOR_BayerGRBG2RGB,
}
YUV422 = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,  # the old name of uyvy
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
}
YUV420 = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
ALIASES = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}  # as cv_bridge reads them
SUPPORTED = (
    *(f"{kind}{bits}" for kind in CHANNELS for bits in (8, 16)),
    *(f"{kind}{bits}" for kind in BAYER for bits in (8, 16)),
    *YUV422, *YUV420, *ALIASES,
)  # fmt: skip


def bits_of(message: Any) -> int | None:
    """How many bits the values of a 16-bit picture need: sensors of 10, 12 or 14 bits are often
    stored so. None for pictures of 8 bits, and for what `pixels_of` refuses."""
    if not message.encoding.lower().endswith("16"):
        return None
    data = np.asarray(message.data, np.uint8).reshape(-1)
    values = data[: len(data) // 2 * 2].view(">u2" if big_endian(message) else "<u2")
    greatest = int(values.max(initial=0))
    return next(bits for bits in DEPTHS if greatest < 2**bits)


def big_endian(message: Any) -> bool:
    """foxglove.RawImage has no such field: little-endian."""
    return bool(getattr(message, "is_bigendian", False))


def pixels_of(message: Any, bits: int = 16) -> U8:
    """Picture of a sensor_msgs/Image. bits: that are in use in a 16-bit encoding. Raises InputError
    for an encoding that is no colour picture, or for fewer bytes than its size needs."""
    width, height = int(message.width), int(message.height)
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise InputError(f"picture of {width}x{height} px, expected 1 to {MAX_SIDE_PX} a side")
    encoding = ALIASES.get(message.encoding, message.encoding.lower())
    if encoding not in SUPPORTED:
        raise InputError(
            f"encoding '{message.encoding}' is not supported; supported are {', '.join(SUPPORTED)}"
        )
    data, step = np.asarray(message.data, np.uint8).reshape(-1), int(message.step)
    if encoding in YUV422:
        return _yuv422(data, width, height, step, YUV422[encoding])
    if encoding in YUV420:
        return _yuv420(data, width, height, step, YUV420[encoding])
    kind, wide = encoding.removesuffix("16").removesuffix("8"), encoding.endswith("16")
    channels = CHANNELS.get(kind, 1)
    values = _rows(data, height, step, width * channels * (2 if wide else 1))
    if wide:
        words = np.ascontiguousarray(values).view(">u2" if big_endian(message) else "<u2")
        values = (words >> (bits - 8)).astype(np.uint8)
    picture = np.ascontiguousarray(values).reshape(height, width, channels)
    if kind in BAYER:
        if width < 2 or height < 2:
            raise InputError(f"a bayer picture of {width}x{height} px has no colours")
        return np.asarray(cv2.cvtColor(picture[..., 0], BAYER[kind]), np.uint8)
    return picture.copy() if kind == "rgb" else _convert(picture, TO_RGB[kind])


def _convert(picture: NDArray[np.uint8], code: int) -> U8:
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)


def _rows(data: NDArray[np.uint8], rows: int, step: int, row_bytes: int) -> NDArray[np.uint8]:
    """(rows, row_bytes): bytes without the padding; step 0 means none."""
    step = step or row_bytes
    if step < row_bytes:
        raise InputError(f"step is {step} bytes, but a row of pixels needs {row_bytes}")
    needed = step * (rows - 1) + row_bytes
    if len(data) < needed:
        raise InputError(f"{len(data)} bytes of pixels, expected {needed} for {rows} rows")
    whole = np.zeros(step * rows, np.uint8) if len(data) < step * rows else data[: step * rows]
    if len(data) < step * rows:  # the last row may lack its padding
        whole[:needed] = data[:needed]
    return whole.reshape(rows, step)[:, :row_bytes]


def _yuv422(data: NDArray[np.uint8], width: int, height: int, step: int, code: int) -> U8:
    if width % 2:
        raise InputError(f"a yuv422 picture has pixels in pairs, its width is {width}")
    rows = np.ascontiguousarray(_rows(data, height, step, 2 * width))
    return _convert(rows.reshape(height, width, 2), code)


def _yuv420(data: NDArray[np.uint8], width: int, height: int, step: int, code: int) -> U8:
    """`height` rows of luma, then half as many of interleaved chroma."""
    if width % 2 or height % 2:
        raise InputError(f"an nv12 picture has pixels in 2x2 blocks, its size is {width}x{height}")
    return _convert(np.ascontiguousarray(_rows(data, height * 3 // 2, step, width)), code)
