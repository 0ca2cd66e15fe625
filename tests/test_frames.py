"""There and back, and what a wrong product would look like."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla import frames
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
