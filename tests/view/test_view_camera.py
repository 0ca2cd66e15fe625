"""What is painted into a picture lies where geometry says, and nothing behind ever shows."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.types import F64, U8, Boxes3D, Trajectory
from irl_vla.vehicle import PACIFICA
from irl_vla.view.camera import (
    corners_of,
    dense_path,
    fit,
    paint_boxes,
    paint_candidates,
    paint_grid,
    paint_horizon,
    paint_trajectory,
    seen,
)

AHEAD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # optical axes in ego


def camera(
    yaw_deg: float = 0.0, model: str = CameraModel.PLUMB_BOB, k: F64 | None = None
) -> Camera:
    """640x480, f = 400 px, 1.5 m above the rear axle, level."""
    yaw = np.radians(yaw_deg)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    ego_from_cam = np.eye(4)
    ego_from_cam[:3, :3] = turn @ AHEAD
    ego_from_cam[2, 3] = 1.5
    lens = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])
    distortion = np.zeros(0) if k is None else k
    return Camera("front", 640, 480, model, lens, distortion, ego_from_cam)


def straight(speed: float) -> Trajectory:
    x = speed * 0.5 * np.arange(1, 9)
    return Trajectory(np.stack([x, np.zeros(8), np.zeros(8)], -1))


def black() -> U8:
    return np.zeros((480, 640, 3), np.uint8)


def box(x: float, y: float, label: str = "car") -> Boxes3D:
    one = np.array([[x, y, 0.8]])
    return Boxes3D(one, np.array([[4.0, 2.0, 1.6]]), np.zeros(1), np.zeros((1, 2)), (label,))


def test_a_ground_point_10_m_ahead_lies_at_the_hand_computed_pixel() -> None:
    # u = 320 - 400 * y / 10, v = 240 + 400 * 1.5 / 10
    assert seen(camera(), np.array([10.0, 0.0, 0.0])) == pytest.approx([320.0, 300.0])
    assert seen(camera(), np.array([10.0, 1.0, 0.0])) == pytest.approx([280.0, 300.0])


@pytest.mark.parametrize("width", [PACIFICA.width, 2.0])
def test_a_straight_plan_paints_its_ribbon_half_a_car_to_each_side(width: float) -> None:
    image = black()
    paint_trajectory(image, camera(), straight(5.0), width)
    row = np.flatnonzero(image[299].any(axis=1))  # v = 299: 600 / 59 = 10.17 m ahead
    half = 400 * (width / 2) / (600 / 59)
    assert row.min() == pytest.approx(320 - half, abs=2.5)
    assert row.max() == pytest.approx(320 + half, abs=2.5)
    assert not image[: 240 + 24].any()  # 20 m, the end of the plan, is at v = 270, its dot 4 px


def test_what_lies_behind_the_camera_is_never_drawn() -> None:
    image = black()
    backwards = Trajectory(-straight(5.0).poses)
    paint_trajectory(image, camera(), backwards)
    paint_candidates(image, camera(), backwards.poses[None], 0.5)
    assert paint_boxes(image, camera(), box(-10.0, 0.0)) == 0
    assert not image.any()


@pytest.mark.parametrize("yaw_deg", [0, 55, 110, 180, -75])
def test_the_ground_grid_stays_below_the_horizon_in_every_direction(yaw_deg: float) -> None:
    image = black()
    paint_grid(image, camera(yaw_deg))
    labels = 40  # the marks stand above their points
    assert image[245:].any()
    assert not image[: 240 - labels].any()


@pytest.mark.parametrize(
    ("model", "k"),
    [
        (CameraModel.PLUMB_BOB, np.array([-0.35, 0.12, 0.0, 0.0, 0.0])),  # folds back far out
        (CameraModel.EQUIDISTANT, np.array([-0.02, 0.003, 0.0, 0.0])),
    ],
)
def test_distorted_lines_do_not_wrap_into_the_sky(model: str, k: F64) -> None:
    image = black()
    paint_grid(image, camera(0.0, model, k))
    assert image[245:].any()
    assert not image[:190].any()


def test_a_level_camera_has_its_horizon_on_the_principal_row() -> None:
    image = black()
    paint_horizon(image, camera(30.0))
    rows = np.flatnonzero(image.any(axis=(1, 2)))
    assert 239 <= rows.min() <= rows.max() <= 241


def test_a_box_is_drawn_around_its_own_pixels() -> None:
    image = black()
    assert paint_boxes(image, camera(), box(20.0, 0.0, "unlabelled")) == 1
    columns = np.flatnonzero(image[245:].any(axis=(0, 2)))
    near = 400 / 18  # half a width of 1 m at the rear face, 18 m ahead
    assert columns.min() == pytest.approx(320 - near, abs=2.5)
    assert columns.max() == pytest.approx(320 + near, abs=2.5)
    bottom = np.flatnonzero(image[:, 320 - 10 : 320 + 10].any(axis=(1, 2))).max()
    assert bottom == pytest.approx(240 + 400 * 1.5 / 18, abs=2.5)


def test_the_front_face_of_a_box_is_where_its_yaw_points() -> None:
    turned = Boxes3D(np.zeros((1, 3)), np.array([[4.0, 2.0, 1.0]]), np.array([np.pi / 2]),
                     np.zeros((1, 2)), ("car",))  # fmt: skip
    front = corners_of(turned)[0, [0, 1, 4, 5]]
    assert np.allclose(front[:, 1], 2.0)
    assert np.allclose(np.sort(front[:, 0]), [-1, -1, 1, 1])


def test_a_smaller_picture_shows_every_point_at_the_same_place() -> None:
    small, fitted = fit(black(), camera(), 320)
    assert small.shape == (240, 320, 3)
    assert fitted is not None
    point = np.array([12.0, 3.0, 1.0])
    whole = seen(camera(), point)
    assert seen(fitted, point) == pytest.approx((whole + 0.5) / 2 - 0.5)


def test_a_dense_path_begins_at_the_ego_and_ends_at_the_last_pose() -> None:
    path = dense_path(straight(7.0))
    assert path.points[0].tolist() == [0.0, 0.0]
    assert path.points[-1].tolist() == [28.0, 0.0]
    assert np.diff(path.points[:, 0]).max() <= 0.5 + 1e-9
    assert path.speed == pytest.approx(7.0)
    assert path.time_s[-1] == pytest.approx(4.0)


def test_a_standing_plan_can_be_painted() -> None:
    image = black()
    paint_trajectory(image, camera(), straight(0.0))
