"""Preprocessing: what really happens to the pixels is what the intrinsics say."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from irl_vla.camera.preprocess import (
    BadImage,
    ImageSpec,
    decode,
    fit,
    fitted_cameras,
    image_size,
    preprocess,
)
from irl_vla.camera.projection import horizon_row, project, unproject
from irl_vla.camera.rig import (
    Camera,
    CameraModel,
    Rig,
    ViewDirection,
    camera_from_info,
    ego_from_look,
)
from irl_vla.types import F64, U8, CameraImage, FrameSet, InputError

NUSCENES = Path(__file__).parents[3] / "shared" / "recordings" / "nuscenes_scene0061"
SIZES = [(1600, 900), (1601, 901), (1936, 1216), (1226, 370), (1283, 719), (3841, 2161), (500, 300)]
PLAIN = ImageSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def lens(width: int, height: int, name: str = "cam", pitch_deg: float = 0.0) -> Camera:
    k = np.array([[0.7 * width, 0, 0.51 * width], [0, 0.7 * width, 0.48 * height], [0, 0, 1.0]])
    mounting = ego_from_look((1.5, 0.0, 1.5), ViewDirection(pitch_deg=pitch_deg))
    return Camera(name, width, height, CameraModel.PLUMB_BOB, k, np.zeros(0), mounting)


def jpeg(name: str, picture: U8, quality: int = 95) -> CameraImage:
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return CameraImage(name, 0, encoded=data.tobytes())


def blobs(camera: Camera, spec: ImageSpec) -> tuple[U8, F64]:
    """A dark picture with soft bright discs, and where their centres are (n, 2)."""
    crop = fit(camera, spec).crop
    scale = crop.width / spec.width
    wide = 4.0 * max(scale, 1.0)  # sigma [px]: soft enough for every reduction
    margin = 4.0 * wide
    xs = np.linspace(crop.left + margin, crop.left + crop.width - 1 - margin, 4) + 0.37
    ys = np.linspace(crop.top + margin, crop.top + crop.height - 1 - margin, 3) - 0.21
    centres = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    columns, rows = np.arange(camera.width), np.arange(camera.height)
    light = np.zeros((camera.height, camera.width))
    for u, v in centres:
        across, down = (np.exp(-0.5 * ((a - c) / wide) ** 2) for a, c in ((columns, u), (rows, v)))
        light += np.outer(down, across)
    return np.repeat(np.rint(200 * light)[..., None], 3, axis=2).astype(np.uint8), centres


def centre_near(plane: F64, guess: F64, reach: int) -> F64:
    """Centre of light around a pixel, sub-pixel."""
    u, v = (round(float(g)) for g in guess)
    part = plane[v - reach : v + reach + 1, u - reach : u + reach + 1]
    part = np.where(part > 8.0, part, 0.0)
    steps = np.arange(-reach, reach + 1)
    return np.array(
        [u + (part.sum(0) * steps).sum() / part.sum(), v + (part.sum(1) * steps).sum() / part.sum()]
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spec", [PLAIN, ImageSpec(352, 128, PLAIN.mean, PLAIN.std)])
@pytest.mark.parametrize("encoded", [True, False])
def test_a_known_point_lands_where_the_moved_calibration_says(
    size: tuple[int, int], spec: ImageSpec, encoded: bool
) -> None:
    camera = lens(*size)
    picture, centres = blobs(camera, spec)
    image = jpeg("cam", picture) if encoded else CameraImage("cam", 0, pixels=picture)
    out = preprocess(FrameSet(0, {"cam": image}), Rig("one", (camera,)), spec)
    small = out.cameras[0]
    expected = project(small, unproject(camera, centres)).pixels
    scale = spec.width / fit(camera, spec).crop.width
    reach = int(np.ceil(3.0 * 4.0 * max(scale, 1.0)))
    for guess in expected:
        found = centre_near(out.pixels[0, 1].astype(np.float64), guess, reach)
        assert np.abs(found - guess).max() <= 0.1, (size, guess, found)


@pytest.mark.parametrize("size", SIZES)
def test_the_fit_covers_the_target_and_keeps_one_side_whole(size: tuple[int, int]) -> None:
    camera = lens(*size)
    how = fit(camera, ImageSpec())
    crop, step = how.crop, how.reduction
    assert (how.camera.width, how.camera.height) == (704, 256)
    assert all(side % step == 0 for side in (crop.left, crop.top, crop.width, crop.height))
    assert size[0] - crop.width < step or size[1] - crop.height < step  # one side is kept whole
    assert ((crop.width / step >= 704) and (crop.height / step >= 256)) or step == 1
    stretch = how.camera.intrinsics[0, 0] / how.camera.intrinsics[1, 1]
    assert stretch == pytest.approx(1.0, abs=0.004)  # whole pixels, hence not quite 1


@pytest.mark.parametrize("pitch_deg", [-6.0, -2.0, 0.0, 3.0, 8.0])
def test_rows_are_cut_so_that_the_horizon_lies_where_the_spec_says(pitch_deg: float) -> None:
    camera = lens(1936, 1216, pitch_deg=pitch_deg)
    how = fit(camera, ImageSpec())
    row = horizon_row(how.camera)
    wanted = 0.3 * 256
    if how.crop.top == 0:
        assert row < wanted + 1  # nothing is left above to show
    elif how.crop.top + how.crop.height == 1216:
        assert row > wanted - 1  # nothing is left below
    else:
        assert row == pytest.approx(wanted, abs=0.6)
    down = lens(1600, 900, pitch_deg=90.0)
    assert np.isnan(horizon_row(down)) and fit(down, ImageSpec()).crop.height == 582


def test_jpegs_are_reduced_only_where_the_source_is_at_least_twice_the_target() -> None:
    reductions = [fit(lens(w, 9 * w // 16), ImageSpec()).reduction for w in (704, 1407, 1408, 2900)]
    assert reductions == [1, 1, 2, 4]
    assert fit(lens(8000, 4500), ImageSpec()).reduction == 8


def test_pixels_are_normalised_rgb_and_absent_cameras_have_none() -> None:
    red = np.zeros((256, 704, 3), np.uint8)
    red[..., 0] = 255
    rig = Rig("two", (lens(704, 256, "seen"), lens(704, 256, "gone")))
    image = CameraImage("seen", 0, pixels=red)
    out = preprocess(FrameSet(0, {"seen": image}, {"gone": "stopped: 2 s"}), rig, ImageSpec())
    assert out.pixels.shape == (1, 3, 256, 704) and out.pixels.dtype == np.float32
    assert out.present.tolist() == [True, False]
    np.testing.assert_allclose(out.pixels[0, 0], (255 - 123.675) / 58.395, rtol=1e-6)
    np.testing.assert_allclose(out.pixels[0, 1], -116.28 / 57.12, rtol=1e-6)
    assert out.cameras is fitted_cameras(rig, ImageSpec())  # one calibration, one object


def test_png_and_raw_pixels_give_the_same_picture() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (901, 1601, 3)).astype(np.uint8)
    _done, data = cv2.imencode(".png", picture[..., ::-1])
    rig = Rig("one", (lens(1601, 901),))
    png, raw = CameraImage("cam", 0, encoded=data.tobytes()), CameraImage("cam", 0, pixels=picture)
    np.testing.assert_array_equal(decode(png), picture)
    first, second = (preprocess(FrameSet(0, {"cam": i}), rig, PLAIN).pixels for i in (png, raw))
    np.testing.assert_array_equal(first, second)


def test_a_reduced_jpeg_shows_what_the_whole_one_shows() -> None:
    rows, columns = np.mgrid[0:900, 0:1600]
    smooth = 127 + 80 * np.sin(columns / 60) * np.cos(rows / 45)
    picture = np.repeat(smooth[..., None], 3, axis=2).astype(np.uint8)
    rig = Rig("one", (lens(1600, 900),))
    small, whole = (
        preprocess(FrameSet(0, {"cam": i}), rig, PLAIN).pixels
        for i in (jpeg("cam", picture), CameraImage("cam", 0, pixels=picture))
    )
    assert np.abs(small - whole).mean() < 1.0 and np.abs(small - whole).max() < 6.0


def test_a_rotation_mark_in_the_file_is_not_obeyed_because_the_lens_does_not_turn() -> None:
    picture = np.zeros((64, 128, 3), np.uint8)
    plain = jpeg("cam", picture).encoded or b""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), 1).shape == (128, 64, 3)
    assert decode(CameraImage("cam", 0, encoded=turned)).shape == (64, 128, 3)
    assert image_size(CameraImage("cam", 0, encoded=turned)) == (128, 64)


def test_a_picture_of_another_size_is_refused_with_what_to_do() -> None:
    rig = Rig("van3", (lens(1920, 1080, "front_left"),))
    picture = jpeg("front_left", np.zeros((720, 1280, 3), np.uint8))
    with pytest.raises(InputError) as caught:
        preprocess(FrameSet(0, {"front_left": picture}), rig, ImageSpec())
    assert str(caught.value) == (
        "camera 'front_left': image is 1280x720, rig says 1920x1080. Fix 'size', or check the rig"
        " with calibration/check_rig.py."
    )


@pytest.mark.parametrize("size", [(0, 0), (65535, 65535), (1279, 720)])
def test_a_header_that_lies_about_the_size_is_refused_before_memory_is_taken(
    size: tuple[int, int],
) -> None:
    data = bytearray(jpeg("cam", np.zeros((720, 1280, 3), np.uint8)).encoded or b"")
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big")
    with pytest.raises(BadImage, match="camera 'cam'"):
        image = CameraImage("cam", 0, encoded=bytes(data))
        preprocess(FrameSet(0, {"cam": image}), Rig("one", (lens(1280, 720),)), ImageSpec())


BROKEN = {
    "empty": b"",
    "text": b"not a picture",
    "torn": "half",
    "start only": b"\xff\xd8\xff\xd9",
    "png head": b"\x89PNG\r\n\x1a\n" + bytes(8),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("pool", [None, ThreadPoolExecutor(2)])
def test_a_broken_file_names_its_camera(kind: str, pool: ThreadPoolExecutor | None) -> None:
    whole = jpeg("cam", np.full((480, 640, 3), 90, np.uint8)).encoded or b""
    data = whole[: len(whole) // 2] if kind == "torn" else BROKEN[kind]
    assert isinstance(data, bytes)
    rig = Rig("two", (lens(640, 480, "good"), lens(640, 480, "cam")))
    images = {
        "cam": CameraImage("cam", 0, encoded=data),
        "good": CameraImage("good", 0, encoded=whole),
    }
    with pytest.raises(BadImage, match="camera 'cam': ") as caught:
        preprocess(FrameSet(0, images), rig, ImageSpec(352, 128), pool)
    assert caught.value.camera == "cam"
    with pytest.raises(BadImage):
        decode(images["cam"])


def test_bytes_that_were_flipped_never_end_in_anything_but_a_picture_or_a_refusal() -> None:
    whole = jpeg("cam", np.random.default_rng(0).integers(0, 99, (64, 96, 3)).astype(np.uint8))
    random = np.random.default_rng(7)
    rig = Rig("one", (lens(96, 64),))
    refused = 0
    for _ in range(200):
        data = bytearray(whole.encoded or b"")
        for at in random.integers(0, len(data), 3):
            data[at] = random.integers(0, 256)
        try:
            image = CameraImage("cam", 0, encoded=bytes(data))
            out = preprocess(FrameSet(0, {"cam": image}), rig, ImageSpec(48, 32))
            assert np.isfinite(out.pixels).all()
        except BadImage:
            refused += 1
    assert 0 < refused < 200


def test_pixels_of_the_wrong_kind_are_refused() -> None:
    grey = CameraImage("cam", 0, pixels=np.zeros((480, 640), np.uint8))
    with pytest.raises(BadImage, match=r"expected pixels \(height, width, 3\) uint8"):
        decode(grey)


def nuscenes() -> tuple[Rig, FrameSet]:
    if not NUSCENES.is_dir():
        pytest.skip("shared/recordings/nuscenes_scene0061 is not here")
    scene = json.loads((NUSCENES / "scene-0061.json").read_text())["data_list"][0]["images"]
    cameras, images = [], {}
    for name, entry in scene.items():
        k = np.array(entry["cam2img"])[:3, :3].ravel()
        cameras.append(camera_from_info(name, 1600, 900, "", [], k, np.array(entry["cam2ego"])))
        images[name] = CameraImage(name, 0, encoded=(NUSCENES / entry["img_path"]).read_bytes())
    return Rig("nuscenes", tuple(cameras)), FrameSet(0, images)


def test_real_pictures_come_out_whole_sharp_and_the_same_with_threads() -> None:
    rig, frames = nuscenes()
    out = preprocess(frames, rig, ImageSpec())
    assert out.present.all() and np.isfinite(out.pixels).all()
    with ThreadPoolExecutor(3) as pool:
        threaded = preprocess(frames, rig, ImageSpec(), pool)
    np.testing.assert_array_equal(out.pixels, threaded.pixels)
    for camera, picture in zip(rig.cameras, out.pixels, strict=True):
        whole = decode(frames.images[camera.name])
        crop = fit(camera, ImageSpec()).crop
        part = whole[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        slow = cv2.resize(part, (704, 256), interpolation=cv2.INTER_AREA).astype(np.float32)
        fast = picture[1] * 57.12 + 116.28
        assert np.abs(slow[..., 1] - fast).mean() < 4.0  # of 255
        for shift in (-1, 1):  # one pixel to the side is clearly worse
            aside = np.abs(slow[:, 1:-1, 1] - np.roll(fast, shift, 1)[:, 1:-1]).mean()
            assert aside > 1.3 * np.abs(slow[..., 1] - fast).mean()


def test_known_things_of_a_real_scene_stay_where_they_are_in_the_smaller_picture() -> None:
    rig, _ = nuscenes()
    scene = json.loads((NUSCENES / "scene-0061.json").read_text())["data_list"][0]
    shown = 0
    for camera, small in zip(rig.cameras, fitted_cameras(rig, ImageSpec()), strict=True):
        crop = fit(camera, ImageSpec()).crop
        for thing in scene["cam_instances"][camera.name]:
            centre = np.array(thing["bbox_3d"][:3])
            u, v = thing["center_2d"]  # the data set's own projection
            np.testing.assert_allclose(project(camera, centre).pixels, [u, v], atol=0.01)
            moved = project(small, centre)
            if moved.visible:
                back = (moved.pixels + 0.5) * [crop.width / 704, crop.height / 256] - 0.5
                np.testing.assert_allclose(back, [u - crop.left, v - crop.top], atol=0.01)
                shown += 1
    assert shown >= 60
