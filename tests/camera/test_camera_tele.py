"""The tele crop is a piece of the very picture, and its calibration says which piece."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.preprocess import ImageSpec, prepared, preprocess, tele_camera
from irl_vla.camera.projection import horizon_row, project
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look, load_rig
from irl_vla.camera.tele import TeleSpec, tele_fit
from irl_vla.resources import resource
from irl_vla.types import CameraImage, FrameSet

TINY3 = load_rig(resource("calibration/rigs/tiny3.yaml"))
PLAIN = ImageSpec(352, 128, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), tele=TeleSpec(256, 96))


def camera(name: str = "cam", yaw_deg: float = 0.0, focal: float = 460.0) -> Camera:
    lens = np.array([[focal, 0.0, 319.5], [0.0, focal, 179.5], [0.0, 0.0, 1.0]])
    mounting = ego_from_look((1.5, 0.0, 1.5), ViewDirection(yaw_deg=yaw_deg, pitch_deg=4.0))
    return Camera(name, 640, 360, CameraModel.PLUMB_BOB, lens, np.zeros(0), mounting)


def frames(rig: Rig, encoded: bool = False) -> FrameSet:
    rng, images = np.random.default_rng(0), {}
    for one in rig.cameras:
        pixels = rng.integers(0, 255, (one.height, one.width, 3)).astype(np.uint8)
        images[one.name] = CameraImage(one.name, 0, pixels=pixels)
        if encoded:
            data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
            images[one.name] = CameraImage(one.name, 0, encoded=data)
    return FrameSet(0, images)


@pytest.mark.parametrize("encoded", [False, True])
def test_the_crop_holds_the_pixels_that_its_calibration_names(encoded: bool) -> None:
    taken = frames(TINY3, encoded)
    tele = preprocess(taken, TINY3, PLAIN).tele
    source = TINY3.camera("front")
    picture = frames(TINY3).images["front"].pixels
    assert tele is not None and picture is not None and tele.pixels.shape == (3, 96, 256)
    rng = np.random.default_rng(1)
    points = rng.uniform((20.0, -5.0, -1.0), (60.0, 5.0, 6.0), (200, 3))
    cam_from_ego = np.linalg.inv(source.ego_from_cam)
    seen = points @ cam_from_ego[:3, :3].T + cam_from_ego[:3, 3]
    there, here = project(source, seen), project(tele.camera, seen)
    assert here.visible.sum() > 50
    for old, new in zip(there.pixels[here.visible], here.pixels[here.visible], strict=True):
        np.testing.assert_allclose(new - np.round(new), old - np.round(old), atol=1e-9)
        u, v = np.round(new).astype(int)
        column, row = np.round(old).astype(int)
        np.testing.assert_allclose(tele.pixels[:, v, u], picture[row, column], atol=1e-4)


def test_the_horizon_lies_in_the_crop_and_more_of_it_above() -> None:
    found = tele_camera(TINY3, PLAIN)
    assert found is not None and 48.0 < horizon_row(found) < 72.0
    ahead = project(found, found.ego_from_cam[:3, :3].T @ np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(ahead.pixels[0], 127.5, atol=1.0)


def test_a_thread_that_prepares_pictures_cuts_the_same_crop() -> None:
    taken = frames(TINY3)
    early = {name: prepared(image, TINY3, PLAIN) for name, image in taken.images.items()}
    first = preprocess(taken, TINY3, PLAIN).tele
    second = preprocess(FrameSet(0, early), TINY3, PLAIN).tele
    assert first is not None and second is not None and first.camera is second.camera
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_there_is_no_crop_where_nothing_looks_ahead_or_is_large_enough() -> None:
    taken = frames(TINY3)
    front_gone = {name: image for name, image in taken.images.items() if name != "front"}
    assert preprocess(FrameSet(0, front_gone), TINY3, PLAIN).tele is None
    assert preprocess(taken, TINY3, replace(PLAIN, tele=None)).tele is None
    assert tele_fit((camera(yaw_deg=60.0), camera("other", -60.0)), TeleSpec(256, 96)) is None
    assert tele_fit((camera(),), TeleSpec(641, 96)) is None
    assert tele_fit((camera(),), TeleSpec(640, 360)) is not None


def test_of_two_cameras_that_look_ahead_the_longer_lens_is_cut() -> None:
    rig = (camera("wide", 0.0, 300.0), camera("left", 25.0, 900.0), camera("far", 0.0, 800.0))
    found = tele_fit(rig, TeleSpec(256, 96))
    assert found is not None and rig[found.index].name == "far"
