"""The guard refuses what no car can do and stops where nothing is left."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.drive.checks import surroundings
from irl_vla.drive.guard import Limits, choose, fault, present_arc, rest_of, stop_along
from irl_vla.perception.classes import CLASSES
from irl_vla.types import Candidates, EgoStatus, SceneTokens, Trajectory

LIMITS = Limits()
BLIND = surroundings(SceneTokens.blind(0, 0), None, CLASSES)
TIMES = 0.5 * np.arange(1, 9)


def ego(speed: float, yaw_rate: float = 0.0) -> EgoStatus:
    return EgoStatus(0, np.array([speed, 0.0]), np.zeros(2), yaw_rate, valid=True, source="test")


def straight(speed: float, acceleration: float = 0.0) -> np.ndarray:
    x = speed * TIMES + 0.5 * acceleration * TIMES**2
    return np.stack([x, np.zeros(8), np.zeros(8)], axis=-1)


def circle(speed: float, radius: float) -> np.ndarray:
    yaw = speed * TIMES / radius
    return np.stack([radius * np.sin(yaw), radius * (1 - np.cos(yaw)), yaw], axis=-1)


def bent(change: tuple[int, int], value: float) -> np.ndarray:
    poses = straight(10.0)
    poses[change] = value
    return poses


@pytest.mark.parametrize(
    ("poses", "speed"),
    [
        (straight(10.0), 10.0),
        (straight(0.0), 0.0),
        (straight(10.0, 2.0), 10.0),
        (straight(30.0, -6.0), 30.0),
        (circle(10.0, 20.0), 10.0),  # 5 m/s^2
        (circle(2.0, 4.5), 2.0),
    ],
)
def test_what_a_car_can_do_passes(poses: np.ndarray, speed: float) -> None:
    assert fault(poses, 0.5, ego(speed), LIMITS) is None


@pytest.mark.parametrize(
    ("poses", "speed", "reason"),
    [
        (bent((3, 1), np.nan), 10.0, "nan"),
        (bent((7, 0), np.inf), 10.0, "nan"),
        (straight(50.0), 50.0, "too_fast"),
        (straight(-3.0), 0.0, "reverses"),
        (straight(20.0), 5.0, "jumps"),
        (straight(10.0, 6.0), 10.0, "accelerates"),
        (bent((0, 0), 0.2), 10.0, "jumps"),
        (bent((4, 1), 4.0), 10.0, "slides"),
        (straight(10.0) * [0.8, 1, 1] + straight(6.0)[:, [1, 0, 2]], 10.0, "slides"),  # crab
        (circle(2.0, 2.0), 2.0, "turns_on_the_spot"),
        (circle(15.0, 20.0), 15.0, "corners"),  # 11 m/s^2
    ],
)
def test_what_no_car_can_do_is_refused_by_name(
    poses: np.ndarray, speed: float, reason: str
) -> None:
    found = fault(poses, 0.5, ego(speed), LIMITS)
    assert found is not None and found[0] == reason


def test_the_next_best_candidate_drives_when_the_best_is_refused() -> None:
    poses = np.stack([straight(10.0), bent((0, 0), np.nan), straight(10.0, -1.0)])
    candidates = Candidates(poses, np.array([0.2, 0.7, 0.1]))
    choice = choose(
        candidates, candidates.confidence, ego(10.0), LIMITS, BLIND, Trajectory(np.zeros((8, 3)))
    )
    assert choice.chosen == 0
    assert [(r.candidate, r.reason) for r in choice.rejected] == [(1, "nan")]
    np.testing.assert_array_equal(choice.trajectory.poses, straight(10.0))


def test_without_a_drivable_candidate_the_car_stops() -> None:
    candidates = Candidates(np.full((3, 8, 3), np.nan), np.array([np.nan, 0.5, 0.5]))
    stop = stop_along(np.zeros((1, 3)), 10.0)
    choice = choose(candidates, candidates.confidence, ego(10.0), LIMITS, BLIND, stop)
    assert choice.chosen is None and choice.trajectory is stop and len(choice.rejected) == 3


def test_the_comfortable_stop_from_10_m_s_takes_20_m_and_4_s() -> None:
    stop = stop_along(np.array([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]]), 10.0).poses
    assert stop[-1, 0] == pytest.approx(20.0)  # v^2 / 2a
    assert stop[0, 0] == pytest.approx(10.0 * 0.5 - 0.5 * 2.5 * 0.25)
    assert fault(stop, 0.5, ego(10.0), LIMITS) is None


def test_a_stop_follows_the_bend_of_the_path() -> None:
    stop = stop_along(present_arc(ego(5.0, yaw_rate=0.25)), 5.0).poses  # radius 20 m, 5 m to halt
    np.testing.assert_allclose(
        stop[-1, :2], [20 * np.sin(0.25), 20 * (1 - np.cos(0.25))], atol=0.02
    )
    assert stop[-1, 2] == pytest.approx(0.25, abs=1e-3)


def test_the_rest_of_a_path_starts_at_the_ego_and_leaves_out_what_is_behind() -> None:
    rest = rest_of(straight(10.0), np.array([12.0, 0.5, 0.0]))
    np.testing.assert_allclose(rest[:2], [[0.0, 0.0, 0.0], [3.0, -0.5, 0.0]])


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ValueError, match=r"guard\.max_speed"):
        Limits(max_speed=-1.0)
