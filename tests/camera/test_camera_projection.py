"""Projection: the same as OpenCV's where that is right, there and back, and never folded."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transforms3d.euler import euler2mat

from irl_vla.camera.lens import domain_radius
from irl_vla.camera.projection import (
    BevGrid,
    GridCache,
    project,
    sampling_grid,
    unproject,
)  # fmt: skip
from irl_vla.camera.rig import Camera, CameraModel, Region, ViewDirection, ego_from_look, resized
from irl_vla.frames import inverse, move, rigid
from irl_vla.types import F64, InputError

LENSES = {
    CameraModel.PLUMB_BOB: [-0.31, 0.11, 8e-4, -5e-4, -0.018],
    CameraModel.RATIONAL_POLYNOMIAL: [0.51, -0.11, 8e-4, 5e-4, 0.01, 0.83, -0.05, 0.02],
    CameraModel.EQUIDISTANT: [-0.021, 0.012, -0.005, 0.001],
}
MODELS = list(LENSES)


def camera(model: str, *, focal: float = 900.0, look: ViewDirection | None = None) -> Camera:
    matrix = np.array([[focal, 0.0, 811.3], [0.0, focal * 1.01, 447.8], [0.0, 0.0, 1.0]])
    mounting = ego_from_look((1.7, 0.1, 1.5), look or ViewDirection())
    return Camera("lens", 1600, 900, model, matrix, np.array(LENSES[model]), mounting)


def opencv_pixels(lens: Camera, points: F64) -> F64:
    zero, k, d = np.zeros(3), lens.intrinsics, lens.distortion
    if lens.model == CameraModel.EQUIDISTANT:
        pixels, _ = cv2.fisheye.projectPoints(points.reshape(-1, 1, 3), zero, zero, k, d)
    else:
        pixels, _ = cv2.projectPoints(points.reshape(-1, 1, 3), zero, zero, k, d)
    return np.asarray(pixels).reshape(-1, 2)


def picture_points(step: int = 25) -> F64:
    axes = np.meshgrid(np.arange(0.0, 1600.0, step), np.arange(0.0, 900.0, step))
    return np.stack(axes, axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("model", MODELS)
def test_projection_equals_opencv(model: str) -> None:
    lens = camera(model)
    points = np.random.default_rng(3).uniform([-6, -4, 4], [6, 4, 12], (2000, 3))
    ours = project(lens, points)
    seen = ours.visible
    assert seen.mean() > 0.5
    np.testing.assert_allclose(ours.pixels[seen], opencv_pixels(lens, points)[seen], atol=1e-8)


@pytest.mark.parametrize("model", MODELS)
def test_a_pixel_becomes_a_ray_and_the_same_pixel_again(model: str) -> None:
    lens = camera(model, focal=1200.0)
    pixels = picture_points()
    rays = unproject(lens, pixels)
    assert not np.isnan(rays).any()
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1.0)
    back = project(lens, rays * 37.0)
    assert back.visible.all()
    np.testing.assert_allclose(back.pixels, pixels, atol=1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_a_ray_becomes_a_pixel_and_the_same_ray_again(model: str) -> None:
    lens = camera(model, focal=600.0)
    rays = np.random.default_rng(4).normal(size=(4000, 3))
    rays[:, 2] = np.abs(rays[:, 2]) + 0.3
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    limit = 0.97 * np.arctan(domain_radius(lens))
    seen = project(lens, rays).visible & (np.arccos(rays[:, 2]) < limit)
    assert seen.sum() > 1000
    back = unproject(lens, project(lens, rays[seen]).pixels)
    np.testing.assert_allclose(back, rays[seen], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.lists(st.floats(-0.4, 0.4), min_size=8, max_size=8),
    st.floats(400, 1500),
)
def test_whatever_the_lens_a_ray_that_is_found_lands_on_its_pixel(
    model: str, numbers: list[float], focal: float
) -> None:
    coefficients = np.array(numbers)
    if model != CameraModel.EQUIDISTANT:
        coefficients[2:4] *= 0.01
    length = len(LENSES[model])
    k = np.array([[focal, 0.0, 800.0], [0.0, focal, 450.0], [0.0, 0.0, 1.0]])
    lens = Camera("any", 1600, 900, model, k, coefficients[:length], np.eye(4))
    pixels = picture_points(100)
    rays = unproject(lens, pixels)
    found = ~np.isnan(rays).any(axis=-1)
    shown = project(lens, rays[found] * 5.0)
    np.testing.assert_allclose(shown.pixels[shown.visible], pixels[found][shown.visible], atol=1e-4)
    assert found[np.argmin(np.linalg.norm(pixels - [800, 450], axis=-1))]  # the middle, always


def test_without_distortion_a_pinhole_is_a_division() -> None:
    k = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    lens = Camera("plain", 640, 480, CameraModel.PLUMB_BOB, k, np.zeros(0), np.eye(4))
    seen = project(lens, np.array([[1.0, -0.5, 10.0]]))
    np.testing.assert_allclose(seen.pixels, [[370.0, 215.0]])


@pytest.mark.parametrize("model", MODELS)
def test_what_is_behind_the_camera_is_invisible(model: str) -> None:
    points = np.random.default_rng(5).uniform(-5, 5, (500, 3))
    points[:, 2] = -np.abs(points[:, 2])
    points[:3] = [[0, 0, 0], [1, 1, 0], [0, 0, -1]]
    seen = project(camera(model), points)
    assert not seen.visible.any() and np.isnan(seen.pixels).all()


def test_a_barrel_lens_does_not_fold_the_far_side_back_into_the_picture() -> None:
    lens = camera(CameraModel.PLUMB_BOB)
    limit = domain_radius(lens)
    assert 1.6 < limit < 1.7  # 1 + 3 k1 s + 5 k2 s^2 + 7 k3 s^3 = 0 at s = r^2
    slope = 1 - 3 * 0.31 * limit**2 + 5 * 0.11 * limit**4 - 7 * 0.018 * limit**6
    assert abs(slope) < 1e-9
    wide = np.array([[2.1, 0.0, 1.0]])  # 64.5 degrees off the axis
    folded = opencv_pixels(lens, wide)[0]
    assert 0 <= folded[0] < 1600  # the formula alone paints it into the picture
    assert not project(lens, wide).visible.any()


def test_a_pole_of_the_rational_lens_ends_its_domain() -> None:
    lens = Camera(
        "pole", 1600, 900, CameraModel.RATIONAL_POLYNOMIAL, camera(MODELS[0]).intrinsics,
        np.array([0.0, 0, 0, 0, 0, -0.25, 0, 0]), np.eye(4),
    )  # fmt: skip
    assert domain_radius(lens) == pytest.approx(2.0)  # 1 - r^2 / 4 = 0


def test_pixels_that_no_ray_reaches_have_no_ray() -> None:
    lens = camera(CameraModel.PLUMB_BOB, focal=500.0)
    rays = unproject(lens, np.array([[0.0, 0.0], [811.3, 447.8]]))
    assert np.isnan(rays[0]).all()
    np.testing.assert_allclose(rays[1], [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [(704, 396), (401, 223), (3201, 1799)])
def test_resizing_moves_no_ground_point_by_more_than_a_tenth_of_a_pixel(
    model: str, size: tuple[int, int]
) -> None:
    lens = camera(model, look=ViewDirection(pitch_deg=8))
    crop = Region(0, 100, 1600, 800)
    small = resized(lens, *size, crop)
    ground = np.random.default_rng(6).uniform([3, -12, 0], [40, 12, 0], (3000, 3))
    before = project(lens, move(ground, inverse(lens.ego_from_cam)))
    after = project(small, move(ground, inverse(small.ego_from_cam)))
    scale = np.array([size[0] / 1600, size[1] / 800])
    moved = (before.pixels - [0, 100] + 0.5) * scale - 0.5  # where resizing puts that pixel
    both = before.visible & after.visible
    assert both.sum() > 1000
    assert np.abs(moved - after.pixels)[both].max() < 1e-6 < 0.1
    np.testing.assert_array_equal(  # what is cut off is not visible, what stays is
        after.visible, before.visible & (before.pixels[:, 1] >= 99.5)
    )


def test_resizing_twice_is_resizing_once_and_the_same_size_changes_nothing() -> None:
    lens = camera(CameraModel.PLUMB_BOB)
    np.testing.assert_array_equal(resized(lens, 1600, 900).intrinsics, lens.intrinsics)
    twice = resized(resized(lens, 800, 450), 400, 300)
    np.testing.assert_allclose(twice.intrinsics, resized(lens, 400, 300).intrinsics, atol=1e-12)
    with pytest.raises(InputError, match="cannot cut 10x10 at"):
        resized(lens, 5, 5, Region(1595, 0, 10, 10))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("turn", [0.7, -2.1, 3.0])
def test_rotating_rig_and_scene_together_changes_nothing(model: str, turn: float) -> None:
    lens = camera(model, look=ViewDirection(yaw_deg=20, pitch_deg=5, roll_deg=2))
    outer = rigid(np.asarray(euler2mat(turn, 0.1, -0.2, "rzyx")), [3.0, -7.0, 0.4])
    turned = Camera(
        lens.name, lens.width, lens.height, lens.model, lens.intrinsics, lens.distortion,
        outer @ lens.ego_from_cam,
    )  # fmt: skip
    scene = BevGrid().points()
    before = project(lens, move(scene, inverse(lens.ego_from_cam)))
    after = project(turned, move(move(scene, outer), inverse(turned.ego_from_cam)))
    np.testing.assert_array_equal(before.visible, after.visible)
    seen = before.visible
    np.testing.assert_allclose(before.pixels[seen], after.pixels[seen], atol=1e-8)


def test_bev_points_are_counted_cell_by_cell_then_by_height() -> None:
    grid = BevGrid(x=(0.0, 4.0), y=(-1.0, 1.0), cells=(4, 2), heights=(0.0, 2.0, 5.0))
    points = grid.points().reshape(4, 2, 3, 3)
    np.testing.assert_allclose(points[3, 0, 1], [3.5, -0.5, 2.0])
    np.testing.assert_allclose(points[0, 1, 2], [0.5, 0.5, 5.0])
    with pytest.raises(ValueError, match="must grow"):
        BevGrid(x=(1.0, 0.0))


def test_grid_sample_reads_the_pixel_that_a_point_falls_on() -> None:
    lens = resized(camera(CameraModel.PLUMB_BOB, look=ViewDirection(pitch_deg=10)), 160, 90)
    grid = sampling_grid([lens], BevGrid(x=(2, 30), y=(-8, 8), cells=(20, 20), heights=(0.0,)))
    columns, rows = np.meshgrid(np.arange(160.0), np.arange(90.0))
    picture = torch.from_numpy(np.stack([columns, rows])[None].astype(np.float32))
    read = torch.nn.functional.grid_sample(
        picture, torch.from_numpy(grid.grid.copy())[:, None],
        align_corners=False, padding_mode="border",
    )[0, :, 0].T.numpy()  # fmt: skip
    ground = BevGrid(x=(2, 30), y=(-8, 8), cells=(20, 20), heights=(0.0,)).points()
    direct = project(lens, move(ground, inverse(lens.ego_from_cam))).pixels
    inner = grid.visible[0] & (direct > 0).all(-1) & (direct < [159, 89]).all(-1)
    assert inner.sum() > 100
    np.testing.assert_allclose(read[inner], direct[inner], atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_the_grid_of_a_resized_camera_is_the_grid_of_the_original(model: str) -> None:
    lens = camera(model)
    small = resized(lens, 704, 397)
    first, second = (sampling_grid([c], BevGrid()) for c in (lens, small))
    assert first.visible.any()
    np.testing.assert_array_equal(first.visible, second.visible)
    np.testing.assert_allclose(first.grid, second.grid, atol=1e-6)


def test_padding_cameras_see_nothing_and_change_nothing() -> None:
    lenses = [camera(model) for model in MODELS]
    bare, padded = sampling_grid(lenses, BevGrid()), sampling_grid(lenses, BevGrid(), pad_to=8)
    assert padded.grid.shape == (8, 64 * 64 * 4, 2) and padded.grid.dtype == np.float32
    np.testing.assert_array_equal(padded.grid[:3], bare.grid)
    assert not padded.visible[3:].any()
    assert (padded.grid[~padded.visible] == -2).all()
    assert (np.abs(padded.grid[padded.visible]) <= 1).all()
    with pytest.raises(InputError, match="do not fit"):
        sampling_grid(lenses, BevGrid(), pad_to=2)


def test_the_grid_is_computed_once_per_calibration() -> None:
    cache = GridCache(BevGrid(), pad_to=8)
    lenses = (camera(MODELS[0]),)
    first = cache.lookup(lenses)
    assert cache.lookup(lenses) is first
    assert cache.lookup((camera(MODELS[0]),)) is first  # another object, the same numbers
    start = time.process_time()
    for _ in range(100):
        cache.lookup(lenses)
    assert (time.process_time() - start) / 100 < 1e-4  # [s], a tenth of its budget
    other = cache.lookup((camera(MODELS[0], look=ViewDirection(yaw_deg=0.1)),))
    assert other is not first and not np.array_equal(other.grid, first.grid)
