"""Laws of the action space: there and back, rolling wheels, and noise that a passenger survives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irl_vla.planner.actions import (
    MEAN_SPEED,
    UNIT_SPEED,
    action_to_trajectory,
    actions_of,
    cosine_basis,
    poses_of,
    trajectory_to_action,
    units,
)
from irl_vla.planner.anchors import kmeans_anchors, synthetic_driving
from irl_vla.planner.rule import arc
from irl_vla.planner.schedule import START, TRUNCATED, noise_levels
from irl_vla.types import F64

# EPDMS comfort bounds (navsim, pdm_comfort_metrics): lateral, longitudinal, jerk, yaw rate, change
COMFORT = {"lateral": 4.89, "jerk": 8.37, "yaw_rate": 0.95, "yaw_acceleration": 1.93}


def kinematics(poses: F64) -> dict[str, F64]:
    """Differences over half-second steps of (..., 8, 3) poses."""
    steps = np.diff(np.concatenate([np.zeros_like(poses[..., :1, :]), poses], -2), axis=-2)
    speed, yaw_rate = np.hypot(steps[..., 0], steps[..., 1]) / 0.5, steps[..., 2] / 0.5
    acceleration = np.diff(speed) / 0.5
    return {
        "lateral": speed * yaw_rate,
        "acceleration": acceleration,
        "jerk": np.diff(acceleration) / 0.5,
        "yaw_rate": yaw_rate,
        "yaw_acceleration": np.diff(yaw_rate) / 0.5,
    }


def drivable(seed: int) -> F64:
    return poses_of(actions_of(synthetic_driving(seed, 64)))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_action_to_trajectory_undoes_trajectory_to_action(seed: int) -> None:
    driven = drivable(seed)
    step = np.linalg.norm(np.diff(driven[..., :2], axis=1, prepend=0.0), axis=-1)
    poses = torch.from_numpy(driven[step.min(axis=1) > 0.05])
    assert len(poses) > 40
    back = action_to_trajectory(trajectory_to_action(poses))
    np.testing.assert_allclose(back, poses, atol=1e-9)


def test_of_a_creeping_or_stopping_car_a_centimetre_is_lost_there_and_back() -> None:
    driven = synthetic_driving(5)
    np.testing.assert_allclose(poses_of(actions_of(driven))[..., :2], driven[..., :2], atol=0.02)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_trajectory_to_action_undoes_action_to_trajectory_while_the_car_moves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    action = torch.from_numpy(rng.normal(0.0, 0.15, (16, 8, 2)))
    back = trajectory_to_action(action_to_trajectory(action))
    np.testing.assert_allclose(back, action, atol=1e-9)


def test_reversing_goes_there_and_back() -> None:
    poses = arc(0.1, -1.0 * np.arange(1, 9))
    np.testing.assert_allclose(
        action_to_trajectory(trajectory_to_action(torch.from_numpy(poses))), poses, atol=1e-9
    )


def test_the_shaking_log_of_a_standing_car_gives_small_actions() -> None:
    rng = np.random.default_rng(0)
    shaking = rng.normal(0.0, [1e-3, 1e-3, 1e-3], (100, 8, 3))
    assert np.abs(actions_of(shaking)[..., 1]).max() < 0.01
    np.testing.assert_allclose(poses_of(actions_of(shaking)), 0.0, atol=0.02)


def test_action_zero_is_straight_driving_at_the_mean_speed() -> None:
    poses = poses_of(np.zeros((8, 2), np.float32))
    np.testing.assert_allclose(poses[:, 0], MEAN_SPEED * 0.5 * np.arange(1, 9), atol=1e-9)
    np.testing.assert_array_equal(poses[:, 1:], 0.0)


def test_one_unit_of_the_first_speed_coefficient_is_7_5_m_s_all_the_way() -> None:
    action = np.zeros((8, 2), np.float32)
    action[0, 0] = 1.0
    speed = MEAN_SPEED + UNIT_SPEED
    np.testing.assert_allclose(poses_of(action)[-1], [speed * 4.0, 0.0, 0.0], atol=1e-5)


def test_a_circle_has_the_same_turn_in_every_step() -> None:
    action = actions_of(arc(0.05, 4.0 * np.arange(1, 9)))
    np.testing.assert_allclose(action[1:], 0.0, atol=1e-6)
    assert action[0, 1] == pytest.approx(0.05 * 4.0 / 0.25)


@given(noise=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_standing_car_cannot_spin(noise: int) -> None:
    action = actions_of(np.zeros((8, 3)))
    action[:, 1] += np.random.default_rng(noise).normal(0.0, 3.0, 8).astype(np.float32)
    np.testing.assert_allclose(poses_of(action), 0.0, atol=1e-5)


def test_no_plan_slips_sideways() -> None:
    rng = np.random.default_rng(0)
    poses = poses_of(rng.normal(0.0, 1.0, (100, 8, 2)).astype(np.float32))
    before = np.concatenate([np.zeros((100, 1, 3)), poses[:, :-1]], axis=1)
    middle = (poses[..., 2] + before[..., 2]) / 2
    step = poses - before
    sideways = step[..., 1] * np.cos(middle) - step[..., 0] * np.sin(middle)
    np.testing.assert_allclose(sideways, 0.0, atol=1e-9)


def test_left_and_right_are_the_sign_of_the_turn() -> None:
    rng = np.random.default_rng(1)
    action = rng.normal(0.0, 0.5, (20, 8, 2)).astype(np.float32)
    mirrored = poses_of(action * np.array([1, -1], np.float32))
    np.testing.assert_allclose(mirrored, poses_of(action) * [1, -1, -1], atol=1e-9)


def test_the_cosine_basis_is_orthonormal_and_its_units_fall() -> None:
    np.testing.assert_allclose(cosine_basis() @ cosine_basis().T, np.eye(8), atol=1e-12)
    assert (np.diff(units(), axis=0) < 0).all()


def test_float32_and_float64_agree_to_a_millimetre() -> None:
    actions = actions_of(synthetic_driving(3, 256))
    single = action_to_trajectory(torch.from_numpy(actions)).numpy()
    np.testing.assert_allclose(single, poses_of(actions), atol=1e-3)


def test_gradients_are_finite_also_for_a_straight_and_a_standing_car() -> None:
    actions = torch.from_numpy(
        np.stack([actions_of(np.zeros((8, 3))), actions_of(arc(0.0, np.arange(1.0, 9.0)))])
    ).requires_grad_()
    poses = action_to_trajectory(actions)
    (poses.sum() + trajectory_to_action(poses).sum()).backward()
    assert actions.grad is not None and torch.isfinite(actions.grad).all()


@pytest.mark.parametrize(("t", "share"), [(START, 0.25), (TRUNCATED - 1, 0.6)])
def test_plans_made_of_truncated_noise_stay_within_a_share_of_the_comfort_bounds(
    t: int, share: float
) -> None:
    anchors = kmeans_anchors(synthetic_driving(0), 32, 0)
    abar, rng = noise_levels()[t], np.random.default_rng(0)
    noise = rng.standard_normal((500, *anchors.shape)).clip(-3, 3)
    clean = kinematics(poses_of((np.sqrt(abar) * anchors).astype(np.float32)))
    noisy = (np.sqrt(abar) * anchors + np.sqrt(1 - abar) * noise).astype(np.float32)
    for name, value in kinematics(poses_of(noisy)).items():
        added = np.quantile(np.abs(value - clean[name]), 0.999)
        bound = 2.4 if name == "acceleration" else COMFORT[name]
        assert added < share * bound, f"noise adds {added:.2f} to {name}, bound {bound}"


def test_truncated_noise_reaches_the_next_anchor_yet_not_across_the_street() -> None:
    anchors = kmeans_anchors(synthetic_driving(0), 32, 0)
    rng, abar = np.random.default_rng(1), noise_levels()[START]
    noise = rng.standard_normal((500, *anchors.shape))
    noisy = (np.sqrt(abar) * anchors + np.sqrt(1 - abar) * noise).astype(np.float32)
    spread = poses_of(noisy)[:, :, -1, :2].std(axis=0).mean(axis=0)
    assert (spread > 0.5).all() and (spread < 2.0).all(), spread
