"""Strokes and letters on RGB arrays, in place, anti-aliased; sub-pixel coordinates everywhere.

A pixel coordinate (u, v) is OpenCV's: (0, 0) is the centre of the top left pixel.
May import: frames, types, palette.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from irl_vla.frames import arc_lengths
from irl_vla.types import F64, U8
from irl_vla.view.palette import WHITE, Rgb, on

SHIFT = 4  # OpenCV's fixed-point bits below the pixel: 1/16 px
FAR_PX = 20_000.0  # [px] coordinates are clamped here, so that fixed point cannot overflow


def fixed(pixels: F64) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """(..., 2) pixels -> OpenCV's fixed-point integers."""
    return np.round(np.clip(pixels, -FAR_PX, FAR_PX) * (1 << SHIFT)).astype(np.int32)


def stroke(image: U8, pixels: F64, color: Rgb, width: int = 1) -> None:
    """Draw one open line through (n, 2) pixels; NaN rows break it."""
    for run in runs(pixels):
        cv2.polylines(image, [fixed(run)], False, color, width, cv2.LINE_AA, SHIFT)


def strokes(image: U8, lines: list[F64], color: Rgb, width: int = 1, alpha: float = 1.0) -> None:
    """Draw many open lines, each (n, 2), together at one opacity: crossings do not add up."""
    chains = [fixed(run) for line in lines for run in runs(line)]
    if not chains:
        return
    if alpha >= 1.0:
        cv2.polylines(image, chains, False, color, width, cv2.LINE_AA, SHIFT)
        return
    cover = np.zeros(image.shape[:2], np.uint8)
    cv2.polylines(cover, chains, False, 255, width, cv2.LINE_AA, SHIFT)
    blend(image, cover, color, alpha)


def blend(image: U8, cover: U8, color: Rgb | U8, alpha: float) -> None:
    """Mix `color` (one, or an image) into `image` by `cover` (h, w) 0..255 times `alpha`."""
    rows, columns = np.nonzero(cover.any(axis=1))[0], np.nonzero(cover.any(axis=0))[0]
    if len(rows) == 0:
        return
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    paint = color[part] if isinstance(color, np.ndarray) else np.array(color, np.uint8)
    weight = cover[part][..., None].astype(np.float32) * (alpha / 255.0)
    under = image[part].astype(np.float32)
    image[part] = np.round(under + (paint - under) * weight).astype(np.uint8)


def runs(pixels: F64) -> list[F64]:
    """Split (n, 2) at NaN rows into pieces of at least two points."""
    good = np.isfinite(pixels).all(axis=-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [pixels[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= 2]


def dashes(pixels: F64, length: float) -> list[F64]:
    """An open line (n, 2) cut into dashes of `length` [px] with gaps of the same length."""
    pieces = []
    for run in runs(pixels):
        along = arc_lengths(run)
        for start in np.arange(0.0, along[-1], 2 * length):
            end = min(start + length, along[-1])
            at = [start, *along[(along > start) & (along < end)], end]
            pieces.append(np.stack([np.interp(at, along, run[:, i]) for i in (0, 1)], axis=-1))
    return pieces


def dot(image: U8, pixel: F64, radius: float, color: Rgb) -> None:
    """A filled disc with a thin dark rim."""
    if np.isfinite(pixel).all():
        center = tuple(int(v) for v in fixed(pixel))
        for size, ink in ((radius + 1.0, (20, 20, 20)), (radius, color)):
            cv2.circle(image, center, int(size * (1 << SHIFT)), ink, -1, cv2.LINE_AA, SHIFT)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


@lru_cache(maxsize=2048)
def letters(text: str, size: int) -> U8:
    """Coverage (h, w) 0..255 of one line of text; the height depends on `size` alone."""
    font = _font(size)
    ascent, descent = font.getmetrics()
    width = max(1, int(np.ceil(font.getlength(text))))
    sheet = Image.new("L", (width, ascent + descent))
    ImageDraw.Draw(sheet).text((0, 0), text, fill=255, font=font)
    return np.asarray(sheet)


def write(
    image: U8, text: str, left: float, top: float, size: int = 13, color: Rgb = WHITE
) -> None:
    """One line of text with its top left corner at (left, top), cut off at the image's border."""
    cover = letters(text, size)
    x, y = round(left), round(top)
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + cover.shape[1], image.shape[1]), min(y + cover.shape[0], image.shape[0])
    if x0 < x1 and y0 < y1:
        part = image[y0:y1, x0:x1]
        blend(part, np.ascontiguousarray(cover[y0 - y : y1 - y, x0 - x : x1 - x]), color, 1.0)


def text_size(extent: int) -> int:
    """Letters [px] for a picture of that width or height: it is often shown at half its size."""
    return int(np.clip(extent / 42, 11, 18))


def chip(
    image: U8, text: str, left: float, top: float, size: int = 13, back: Rgb = (20, 24, 30),
    alpha: float = 0.78,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Text on a small plate; returns the plate's (left, top, right, bottom)."""
    height, width = letters(text, size).shape
    pad = max(3, size // 3)
    x, y = round(left), round(top)
    box = (x, y, x + width + 2 * pad, y + height + 2)
    x0, y0 = max(x, 0), max(y, 0)
    part = image[y0 : max(box[3], 0), x0 : max(box[2], 0)]
    if part.size:
        blend(part, np.full(part.shape[:2], 255, np.uint8), back, alpha)
    write(image, text, x + pad, y + 1, size, on(back))
    return box


def webp(image: U8, quality: int = 80) -> bytes:
    """(h, w, 3) RGB -> WebP file; the same pixels give the same bytes."""
    return _encoded(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])


def png(image: U8) -> bytes:
    """(h, w, 3) RGB -> PNG file."""
    return _encoded(".png", image, [])


def _encoded(suffix: str, image: U8, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert done, f"OpenCV could not write {suffix}"
    return bytes(data)


def resized(image: U8, width: int, height: int) -> U8:
    """Area-averaged when it shrinks, bilinear when it grows."""
    mode = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=mode), np.uint8)
