"""There and back, and what a wrong product would look like."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla import frames
from irl_vla.scoring import geometry
from irl_vla.types import InputError

RNG = np.random.default_rng(0)


def any_transform() -> np.ndarray:
    return frames.rigid_from_quaternion(RNG.normal(size=3), RNG.normal(size=4))


def test_inverse_undoes_the_transform() -> None:
    transform = any_transform()
    points = RNG.normal(size=(5, 3))
    back = frames.move(frames.move(points, transform), frames.inverse(transform))
    np.testing.assert_allclose(back, points, atol=1e-12)


def test_quaternion_there_and_back_keeps_the_rotation() -> None:
    transform = any_transform()
    again = frames.rigid_from_quaternion(transform[:3, 3], frames.quaternion_xyzw(transform))
    np.testing.assert_allclose(again, transform, atol=1e-12)


def test_a_quarter_turn_left_takes_forward_to_left() -> None:
    transform = frames.rigid_from_quaternion(
        (1.0, 0.0, 0.0), (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    )
    np.testing.assert_allclose(
        frames.move(np.array([2.0, 0.0, 0.0]), transform), [1.0, 2.0, 0.0], atol=1e-12
    )
    assert frames.yaw_of(transform) == pytest.approx(np.pi / 2)


def test_to_inner_undoes_to_outer_and_agrees_with_the_matrices() -> None:
    pose, inner = RNG.normal(size=(4, 3)), np.array([3.0, -2.0, 1.1])
    outer = frames.to_outer(pose, inner)
    np.testing.assert_allclose(frames.to_inner(outer, inner), pose, atol=1e-12)
    product = frames.rigid_from_pose(inner) @ frames.rigid_from_pose(pose[0])
    np.testing.assert_allclose(frames.pose_of(product), outer[0], atol=1e-12)


@pytest.mark.parametrize(
    ("angle", "wrapped"), [(np.pi, -np.pi), (3 * np.pi / 2, -np.pi / 2), (-7.0, 2 * np.pi - 7.0)]
)
def test_wrap_angle_lands_in_the_half_open_circle(angle: float, wrapped: float) -> None:
    assert float(frames.wrap_angle(angle)) == pytest.approx(wrapped)


def test_half_a_turn_keeps_its_sign_as_a_principal_angle() -> None:
    assert float(frames.principal_angle(np.pi)) == pytest.approx(np.pi)
    angles = RNG.uniform(-30.0, 30.0, 100)
    np.testing.assert_allclose(
        frames.principal_angle(angles), frames.wrap_angle(angles), atol=1e-14
    )


def test_compiled_angles_are_those_of_whole_arrays() -> None:
    angles = np.append(RNG.uniform(-30.0, 30.0, 1000), [np.pi, -np.pi, 0.0, 1e9])
    wrapped = [geometry.wrap(angle) for angle in angles]
    np.testing.assert_array_equal(wrapped, frames.wrap_angle(angles))
    principal = [geometry.principal(angle) for angle in angles]
    np.testing.assert_allclose(principal, frames.principal_angle(angles), atol=1e-15)


def test_corners_go_round_a_box_from_its_front_left() -> None:
    boxes = np.array([[10.0, 5.0, np.pi / 2], [0.0, 0.0, 0.0]])
    corners = frames.box_corners(boxes, np.array([[4.0, 2.0]]))
    np.testing.assert_allclose(corners[0], [[9, 7], [9, 3], [11, 3], [11, 7]])
    np.testing.assert_allclose(corners[1], [[2, 1], [-2, 1], [-2, -1], [2, -1]])
    for box, expected in zip(boxes, corners, strict=True):
        out = np.empty((4, 2))
        geometry.box_corners(*box[:2], np.cos(box[2]), np.sin(box[2]), 2.0, 1.0, out)
        np.testing.assert_allclose(out, expected, atol=1e-12)


def test_a_point_ahead_of_a_pose_is_to_outer_of_a_point_on_its_axis() -> None:
    pose = np.array([3.0, -2.0, 1.1])
    expected = frames.to_outer(np.array([2.5, 0.0, 0.0]), pose)[:2]
    np.testing.assert_allclose(frames.ahead_of(pose, 2.5), expected, atol=1e-12)


def test_lengths_along_a_line_are_planar_and_begin_at_its_first_point() -> None:
    line = np.array([[0.0, 0.0, 7.0], [3.0, 4.0, 0.0], [3.0, 4.0, 5.0], [3.0, 10.0, 1.0]])
    np.testing.assert_array_equal(frames.step_lengths(line), [5.0, 0.0, 6.0])
    np.testing.assert_array_equal(frames.arc_lengths(line), [0.0, 5.0, 5.0, 11.0])
    np.testing.assert_array_equal(frames.arc_lengths(line[:1]), [0.0])
    even = frames.evenly_along(line, 12)
    np.testing.assert_allclose(even[[0, 5, 11]], [[0.0, 0.0], [3.0, 4.0], [3.0, 10.0]])
    np.testing.assert_allclose(frames.step_lengths(even), 1.0)


def test_interpolation_meets_both_ends_and_halves_the_turn() -> None:
    first, second = frames.rigid_from_pose((0.0, 0.0, 0.0)), frames.rigid_from_pose((2.0, 0.0, 1.0))
    np.testing.assert_allclose(frames.interpolate_rigid(first, second, 0.0), first, atol=1e-12)
    np.testing.assert_allclose(frames.interpolate_rigid(first, second, 1.0), second, atol=1e-12)
    np.testing.assert_allclose(
        frames.pose_of(frames.interpolate_rigid(first, second, 0.5)), [1.0, 0.0, 0.5], atol=1e-12
    )


@pytest.mark.parametrize("quaternion", [(0.0, 0.0, 0.0, 0.0), (np.nan, 0.0, 0.0, 1.0)])
def test_a_quaternion_that_is_no_rotation_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="unit quaternion"):
        frames.rigid_from_quaternion((0.0, 0.0, 0.0), quaternion)
