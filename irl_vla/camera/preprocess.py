"""Exposures -> pictures of one size, normalised, with the geometry that belongs to those pixels.

How a picture is fitted into the size of the policy (`fit`): it is scaled until it covers that size;
surplus columns are cut from both sides alike, surplus rows so that the horizon (which the rig
knows) comes as near as it can to a fixed height: mostly sky goes, and the bonnet of the car.

A JPEG of at least twice the needed size is decoded at 1/2, 1/4 or 1/8: its 8x8 blocks give smaller
blocks, which costs half and, unlike skipping pixels, does not alias. The cut is made in whole
reduced pixels, so that the geometry does not depend on how a picture was decoded.

Where the spec asks for a tele crop (tele.py), it is cut out of the picture as it was taken.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.camera import MAX_SIDE_PX
from irl_vla.camera.projection import horizon_row
from irl_vla.camera.rig import Camera, Region, Rig, resized
from irl_vla.camera.tele import TeleFit, TeleSpec, tele_fit
from irl_vla.types import F32, U8, CameraImage, FrameSet, InputError

MAX_PIXELS = 100_000_000  # a picture with more is a broken header, not a camera
REDUCTIONS = {  # by how much libjpeg can shrink while decoding; the flags ignore EXIF rotation,
    1: cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,  # because calibration is of the sensor
    2: cv2.IMREAD_REDUCED_COLOR_2 | cv2.IMREAD_IGNORE_ORIENTATION,
    4: cv2.IMREAD_REDUCED_COLOR_4 | cv2.IMREAD_IGNORE_ORIENTATION,
    8: cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION,
}
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
JPEG_SCAN = 0xDA  # marker that starts the compressed data
PNG_START = b"\x89PNG\r\n\x1a\n"


class BadImage(InputError):
    """One camera's picture cannot be used; `camera` names it, so that the others still can."""

    def __init__(self, camera: str, what: str) -> None:
        super().__init__(f"camera '{camera}': {what}")
        self.camera = camera


@dataclass(frozen=True)
class ImageSpec:
    """What the network wants: size [px], and mean and deviation of R, G, B in 0..255.

    Defaults of mean and std: ImageNet's, with which public backbones were trained.
    horizon: where the horizon should lie, as far as rows are cut at all; 0 = top, 1 = bottom
    tele: size of the crop at full resolution that is wanted besides, or None
    """

    width: int = 704
    height: int = 256
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    horizon: float = 0.3  # nuScenes' front camera with a third of the rows, the sky, cut: 0.29
    tele: TeleSpec | None = None

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 8:
            raise ValueError(f"image size {self.width}x{self.height}: expected at least 8x8 px")
        if min(self.std) <= 0:
            raise ValueError(f"image std must be positive, got {self.std}")
        if not 0.0 <= self.horizon <= 1.0:
            raise ValueError(f"image horizon must lie between 0 and 1, got {self.horizon}")


@dataclass(frozen=True)
class Fit:
    """How the pictures of one camera become `camera`: decode at 1/reduction, cut, resize.

    crop: in source pixels, all four numbers multiples of `reduction`
    """

    camera: Camera
    crop: Region
    reduction: int


@dataclass(frozen=True)
class TeleImage:
    """The tele crop. camera: with the intrinsics of these very pixels; pixels: (3, h, w) RGB,
    normalised as the other pictures are."""

    camera: Camera
    pixels: F32


@dataclass(frozen=True)
class CalibratedImages:
    """All cameras of the rig, in rig order.

    cameras: with intrinsics of these very pixels (the same tuple object as long as rig and spec
    stay the same)
    pixels: (n, 3, H, W) RGB, normalised, of the n cameras that are present; present: (N,)
    tele: None where the spec asks for none, or there is none: no camera that looks ahead, or it
    is missing
    """

    cameras: tuple[Camera, ...]
    pixels: F32
    present: NDArray[np.bool_]
    tele: TeleImage | None = None


@dataclass(frozen=True)
class PreparedImage(CameraImage):
    """An image that went through `prepared`: it still holds the picture as it came.

    ready: (3, H, W) normalised; how: the fit that it was made with; tele: the crop (3, h, w) out of
    it, or None, and the fit of that
    """

    ready: F32 = field(default_factory=lambda: np.zeros((3, 0, 0), np.float32))
    how: Fit | None = None
    tele: F32 | None = None
    tele_how: TeleFit | None = None


def prepared(image: CameraImage, rig: Rig, spec: ImageSpec) -> CameraImage:
    """The image with the work of `preprocess` already done, for example in another thread. One that
    cannot be used, or is of no camera of the rig, comes back as it is."""
    far = _tele_fit(rig, spec)
    for index, (source, how) in enumerate(zip(rig.cameras, _fits(rig, spec), strict=True)):
        if source.name == image.camera:
            ready = np.empty((3, spec.height, spec.width), np.float32)
            mine = far if far is not None and far.index == index else None
            try:
                _prepare(image, source, how, spec, ready)
                tele = None if mine is None else _tele(image, mine, spec)
            except BadImage:
                return image
            return PreparedImage(
                image.camera, image.stamp_ns, image.encoded, image.pixels, ready, how, tele, mine
            )
    return image


def preprocess(
    frames: FrameSet, rig: Rig, spec: ImageSpec, pool: Executor | None = None
) -> CalibratedImages:
    """Decode, fit and normalise the images of the rig's cameras; others are not looked at.

    pool: threads to decode in (the result is the same)
    Raises BadImage (an InputError) with the name of the camera whose picture cannot be used.
    """
    fits = _fits(rig, spec)
    present = np.array([camera.name in frames.images for camera in rig.cameras], np.bool_)
    pixels = np.empty((int(present.sum()), 3, spec.height, spec.width), np.float32)

    def prepare(place: int, index: int) -> None:
        source = rig.cameras[index]
        _prepare(frames.images[source.name], source, fits[index], spec, pixels[place])

    there = np.flatnonzero(present).tolist()
    for _ in (map if pool is None else pool.map)(prepare, range(len(there)), there):
        pass  # waits, and raises what was raised inside
    tele, far = None, _tele_fit(rig, spec)
    if far is not None and present[far.index]:
        image = frames.images[rig.cameras[far.index].name]
        tele = TeleImage(far.camera, _tele(image, far, spec))
    return CalibratedImages(fitted_cameras(rig, spec), pixels, present, tele)


def fit(camera: Camera, spec: ImageSpec) -> Fit:
    """How this camera's pictures become the spec's size."""
    scale = max(spec.width / camera.width, spec.height / camera.height)
    step = max(k for k in REDUCTIONS if k == 1 or scale * k <= 1.0)
    columns, rows = camera.width // step, camera.height // step  # whole reduced pixels there are
    width = min(columns, max(1, round(spec.width / scale / step)))
    height = min(rows, max(1, round(spec.height / scale / step)))
    row = horizon_row(camera)
    above = (camera.height / 2 if np.isnan(row) else row) / step - spec.horizon * height
    top = round(float(np.clip(above, 0, rows - height)))
    crop = Region((columns - width) // 2 * step, top * step, width * step, height * step)
    return Fit(resized(camera, spec.width, spec.height, crop), crop, step)


@lru_cache(maxsize=8)
def fitted_cameras(rig: Rig, spec: ImageSpec) -> tuple[Camera, ...]:
    """The cameras that `preprocess` returns, without any picture."""
    return tuple(fitted.camera for fitted in _fits(rig, spec))


def tele_camera(rig: Rig, spec: ImageSpec) -> Camera | None:
    """The camera of the tele crop, without any picture; None where there is no crop."""
    found = _tele_fit(rig, spec)
    return None if found is None else found.camera


def decode(image: CameraImage, width: int | None = None) -> U8:
    """(H, W, 3) RGB in the size it was taken. width: a JPEG may come at 1/2, 1/4 or 1/8, still at
    least so wide. Raises BadImage if it cannot be decoded."""
    if image.pixels is not None:
        return _checked_pixels(image)
    encoded = _checked_encoding(image)
    full, _ = image_size(image)  # refuses what would not fit into memory
    small = width is not None and encoded.startswith(JPEG_START)
    step = max(k for k in REDUCTIONS if k == 1 or (small and full // k >= (width or full)))
    return np.asarray(cv2.cvtColor(_decoded(image.camera, encoded, step), cv2.COLOR_BGR2RGB))


def image_size(image: CameraImage) -> tuple[int, int]:
    """Width and height [px], from the header alone."""
    if image.pixels is not None:
        height, width, _ = _checked_pixels(image).shape
        return width, height
    data = _checked_encoding(image)
    size = _png_size(data) if data.startswith(PNG_START) else _jpeg_size(data)
    if size is None or min(size) < 1:
        raise BadImage(image.camera, "corrupt image: its header gives no size")
    if max(size) > MAX_SIDE_PX or size[0] * size[1] > MAX_PIXELS:
        raise BadImage(image.camera, f"corrupt image: its header says {size[0]}x{size[1]}")
    return size


@lru_cache(maxsize=8)
def _fits(rig: Rig, spec: ImageSpec) -> tuple[Fit, ...]:
    return tuple(fit(camera, spec) for camera in rig.cameras)


@lru_cache(maxsize=8)
def _tele_fit(rig: Rig, spec: ImageSpec) -> TeleFit | None:
    return None if spec.tele is None else tele_fit(rig.cameras, spec.tele)


def _prepare(image: CameraImage, source: Camera, how: Fit, spec: ImageSpec, out: F32) -> None:
    """One picture into its place `out` (3, H, W)."""
    if isinstance(image, PreparedImage) and image.how is how:
        out[:] = image.ready
        return
    width, height = image_size(image)
    if (width, height) != (source.width, source.height):
        raise BadImage(
            source.name,
            f"image is {width}x{height}, rig says {source.width}x{source.height}."
            " Fix 'size', or check the rig with calibration/check_rig.py.",
        )
    small, order = _reduced(image, how)
    picture = cv2.resize(small, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR)
    _normalise(picture, order, spec, out)


def _tele(image: CameraImage, how: TeleFit, spec: ImageSpec) -> F32:
    """(3, h, w) the crop of one picture, as it was taken."""
    if isinstance(image, PreparedImage) and image.tele is not None and image.tele_how is how:
        return image.tele
    crop = how.crop
    full = decode(image)
    part = full[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    out = np.empty((3, crop.height, crop.width), np.float32)
    _normalise(part, (0, 1, 2), spec, out)
    return out


def _normalise(picture: U8, order: tuple[int, int, int], spec: ImageSpec, out: F32) -> None:
    """(H, W, 3) -> (3, H, W); order: which of its planes are R, G and B."""
    planes = cv2.split(picture)
    for channel, plane in enumerate(order):
        np.multiply(planes[plane], np.float32(1.0 / spec.std[channel]), out=out[channel])
        out[channel] -= np.float32(spec.mean[channel] / spec.std[channel])


def _reduced(image: CameraImage, how: Fit) -> tuple[U8, tuple[int, int, int]]:
    """The cut at 1/reduction, and which of its planes are R, G and B."""
    step, crop = how.reduction, how.crop
    if image.encoded is not None and image.encoded.startswith(JPEG_START):
        small = _decoded(image.camera, image.encoded, step)
        left, top = crop.left // step, crop.top // step
        rows, columns = crop.height // step, crop.width // step
        return small[top : top + rows, left : left + columns], (2, 1, 0)
    full = decode(image)
    part = full[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    if step > 1:  # whole blocks of pixels, as libjpeg does
        size = (crop.width // step, crop.height // step)
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    return part, (0, 1, 2)


def _decoded(camera: str, encoded: bytes, reduction: int) -> U8:
    """(ceil(H / reduction), ceil(W / reduction), 3) BGR."""
    try:
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), REDUCTIONS[reduction])
    except cv2.error:  # OpenCV's word for "this is no picture"
        picture = None
    if picture is None:
        raise BadImage(camera, f"corrupt image: {len(encoded)} bytes cannot be decoded")
    return np.asarray(picture, np.uint8)


def _checked_pixels(image: CameraImage) -> U8:
    pixels = image.pixels
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        got = "none" if pixels is None else f"{pixels.shape} {pixels.dtype}"
        raise BadImage(image.camera, f"expected pixels (height, width, 3) uint8 RGB, got {got}")
    return pixels


def _checked_encoding(image: CameraImage) -> bytes:
    """The bytes, if they begin and end as a JPEG or PNG does (decoders fill a truncated JPEG with
    grey). Drivers may pad with zeros, or leave older bytes behind the end."""
    data = image.encoded or b""
    if data.startswith(PNG_START):
        return data
    if not data.startswith(JPEG_START):
        raise BadImage(
            image.camera, f"{len(data)} bytes that are neither a JPEG nor a PNG: {data[:8]!r}"
        )
    if not data[-4096:].rstrip(b"\0").endswith(JPEG_END) and not _ends_inside(data):
        raise BadImage(image.camera, f"truncated JPEG: {len(data)} bytes without an end mark")
    return data


def _ends_inside(data: bytes) -> bool:
    """Whether the end mark of a JPEG comes before other bytes, as where a driver's buffer still
    holds an older, longer file. In the compressed data after the scan's header the two bytes of the
    mark mean nothing else (ITU T.81, B.1.1.5); a thumbnail before it has a mark of its own."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == JPEG_SCAN:
            return data.find(JPEG_END, at) >= 0
        alone = marker in (0x01, 0xFF) or 0xD0 <= marker <= 0xD7
        length = 1 if marker == 0xFF else 2
        at += length if alone else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _png_size(data: bytes) -> tuple[int, int] | None:
    """IHDR is always first (PNG, section 11.2.2)."""
    if data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the first frame header SOF0..SOF15 (ITU T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:  # alone, without a length
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
