"""Facts about the policy without a network; the numbers are circle geometry."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.planner.rule import RuleConfig, RulePolicy, point_ahead
from irl_vla.types import (
    F64,
    Candidates,
    Command,
    EgoStatus,
    InputError,
    Intent,
    SceneTokens,
)

UNKNOWN = Command(stamp_ns=0, valid_until_ns=0)


def moving(speed: float, yaw_rate: float = 0.0, valid: bool = True) -> EgoStatus:
    return EgoStatus(0, np.array([speed, 0.0]), np.zeros(2), yaw_rate, valid, "test")


def propose(ego: EgoStatus, route: F64 | None = None, seed: int = 0) -> Candidates:
    policy = RulePolicy(RuleConfig())
    return policy.propose(SceneTokens.blind(0, 0), UNKNOWN, ego, Intent(route=route), seed)


def test_straight_driving_at_10_m_s_puts_pose_i_at_5_metres_times_i_plus_1() -> None:
    best = propose(moving(10.0)).poses[0]
    np.testing.assert_allclose(best[:, 0], 5.0 * np.arange(1, 9), atol=1e-9)
    np.testing.assert_allclose(best[:, 1:], 0.0, atol=1e-9)


def test_a_quarter_turn_in_four_seconds_ends_one_radius_ahead_and_one_to_the_left() -> None:
    yaw_rate = np.pi / 2 / 4.0
    radius = 8.0 / yaw_rate
    best = propose(moving(8.0, yaw_rate)).poses[0]
    np.testing.assert_allclose(best[-1], [radius, radius, np.pi / 2], atol=1e-9)
    np.testing.assert_allclose(np.hypot(best[:, 0], best[:, 1] - radius), radius, atol=1e-9)


def test_left_and_right_are_mirror_images() -> None:
    left, right = (propose(moving(6.0, w)).poses for w in (0.3, -0.3))
    np.testing.assert_allclose(left, right * [1.0, -1.0, -1.0], atol=1e-12)


def test_a_slower_candidate_stays_on_the_same_path_and_stops_after_v_squared_over_2a() -> None:
    candidates = propose(moving(4.0, 0.2))
    radius, one_m_s2 = 4.0 / 0.2, candidates.poses[1]
    np.testing.assert_allclose(np.hypot(one_m_s2[:, 0], one_m_s2[:, 1] - radius), radius, atol=1e-9)
    assert one_m_s2[-1, 2] * radius == pytest.approx(4.0**2 / 2 / 1.0)
    assert candidates.poses[2][-1, 2] * radius == pytest.approx(4.0**2 / 2 / 2.0)


@pytest.mark.parametrize("speed", [0.0, 0.04, -0.04, -3.0])
def test_standing_or_reversing_plans_to_stand_still(speed: float) -> None:
    candidates = propose(moving(speed, yaw_rate=0.3))
    np.testing.assert_array_equal(candidates.poses, np.zeros((1, 8, 3)))


def test_confidence_falls_and_sums_to_one() -> None:
    confidence = propose(moving(5.0, 0.1)).confidence
    assert (np.diff(confidence) < 0).all()
    assert confidence.sum() == pytest.approx(1.0)


def test_the_present_motion_does_not_jump_when_speed_or_turn_rate_pass_through_zero() -> None:
    near, straight = propose(moving(5.0, 1e-10)), propose(moving(5.0, 0.0))
    np.testing.assert_allclose(near.poses, straight.poses, atol=1e-7)


def test_a_straight_route_to_the_side_is_reached_without_a_jump() -> None:
    route = np.stack([np.linspace(0, 60, 20), np.full(20, 2.0)], axis=1)
    best = propose(moving(10.0), route).poses[0]
    assert abs(best[-1, 1] - 2.0) < 0.2
    assert abs(best[0, 1]) < 0.5, "the first half second starts from the present pose"
    assert best[:, 1].max() < 2.3, "little overshoot"


def test_a_circular_route_is_followed_along_its_circle() -> None:
    angle = np.linspace(0, np.pi, 20)
    route = 20.0 * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=1)
    best = propose(moving(6.0, yaw_rate=6.0 / 20.0), route).poses[0]
    np.testing.assert_allclose(np.hypot(best[:, 0], best[:, 1] - 20.0), 20.0, atol=0.8)
    steps = np.linalg.norm(np.diff(np.r_[np.zeros((1, 2)), best[:, :2]], axis=0), axis=1)
    np.testing.assert_allclose(steps, 3.0, atol=0.03)


def test_the_wheel_turns_at_a_bounded_rate_towards_a_route_that_starts_with_a_corner() -> None:
    route = np.array([[0.0, 0.0], [0.0, 30.0]])
    yaw = np.r_[0.0, propose(moving(5.0), route).poses[0][:, 2]]
    config = RuleConfig()
    assert (np.abs(np.diff(yaw)) <= config.max_curvature * 2.5 + 1e-9).all()
    assert yaw[1] <= 0.5 * config.max_curvature_change * 2.5**2 + 0.06


@pytest.mark.parametrize(
    "route", [np.zeros((0, 2)), np.ones((1, 2)), np.ones((5, 2)), np.full((3, 2), np.nan)]
)
def test_a_route_without_direction_is_no_route(route: F64) -> None:
    ego = moving(7.0, 0.1)
    np.testing.assert_array_equal(propose(ego, route).poses, propose(ego).poses)


def test_the_route_goes_straight_on_after_its_last_point() -> None:
    route = np.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(point_ahead(route, np.array([3.0, 4.0]), 5.0), [6.0, 8.0])


def test_invalid_ego_motion_is_refused_in_words() -> None:
    for ego in (moving(5.0, valid=False), moving(float("nan")), moving(5.0, float("inf"))):
        with pytest.raises(InputError, match="ego motion at 0 ns"):
            propose(ego)


def test_parameters_without_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="lookahead_s"):
        RuleConfig(lookahead_s=0.0)
    with pytest.raises(ValueError, match="confidence_ratio"):
        RuleConfig(confidence_ratio=1.0)
