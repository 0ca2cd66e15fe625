"""The guard refuses what no car can do: each limit from both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from guard_scenes import driven, ego_at, tokens_of

from irl_vla.drive.checks import surroundings
from irl_vla.drive.guard import GuardConfig, best_first, choose
from irl_vla.perception.classes import CLASSES
from irl_vla.types import Candidates, Rejection
from irl_vla.vehicle import PACIFICA, Limits, Vehicle

CONFIG = GuardConfig()
BLIND = surroundings(tokens_of(), None, CLASSES, PACIFICA, 0.7)
TIMES = 0.5 * np.arange(1, 9)


def refused(
    poses: np.ndarray, speed: float, step_s: float = 0.5, vehicle: Vehicle = PACIFICA,
    config: GuardConfig = CONFIG,
) -> Rejection | None:  # fmt: skip
    """What the guard says of one candidate; None where it passes."""
    candidates = Candidates(poses[None], np.ones(1), step_s)
    order = best_first(candidates.confidence)
    choice = choose(candidates, order, ego_at(speed), BLIND, vehicle, config)
    assert (choice.chosen is None) == bool(choice.rejected)
    return choice.rejected[0] if choice.rejected else None


def reason(*arguments: object, **more: object) -> str | None:
    found = refused(*arguments, **more)  # type: ignore[arg-type]
    return None if found is None else found.reason


def means(*speeds: float, step_s: float = 0.5) -> np.ndarray:
    """(8, 3) straight on with these mean speeds, the last one kept."""
    speed = np.array([*speeds, *[speeds[-1]] * (8 - len(speeds))])
    x = np.cumsum(speed * step_s)
    return np.stack([x, np.zeros(8), np.zeros(8)], axis=-1)


def bent(change: tuple[int, int], value: float) -> np.ndarray:
    poses = driven(10.0)
    poses[change] = value
    return poses


def circle(speed: float, radius: float) -> np.ndarray:
    return driven(speed, 0.0, 1.0 / radius)


@pytest.mark.parametrize(
    ("poses", "speed"),
    [
        (driven(10.0), 10.0),
        (driven(0.0), 0.0),
        (driven(10.0, 2.0), 10.0),
        (driven(30.0, -6.0), 30.0),
        (circle(10.0, 20.0), 10.0),  # 5 m/s^2
        (circle(10.0, -20.0), 10.0),
        (circle(2.0, 4.5), 2.0),
        (circle(8.0, 11.0), 8.0),  # around by more than half a turn
    ],
)
def test_what_a_car_can_do_passes(poses: np.ndarray, speed: float) -> None:
    assert refused(poses, speed) is None


@pytest.mark.parametrize(
    ("poses", "speed", "name"),
    [
        (bent((3, 1), np.nan), 10.0, "nan"),
        (bent((7, 0), np.inf), 10.0, "nan"),
        (bent((0, 2), -np.inf), 10.0, "nan"),
        (driven(50.0), 50.0, "too_fast"),
        (means(-3.0), 0.0, "reverses"),
        (driven(20.0), 5.0, "jumps"),
        (driven(10.0, 6.0), 10.0, "accelerates"),
        (bent((0, 0), 0.2), 15.0, "jumps"),
        (bent((4, 1), 4.0), 10.0, "slides"),
        (driven(10.0) * [0.8, 1, 1] + driven(6.0)[:, [1, 0, 2]], 10.0, "slides"),  # crab
        (circle(2.0, 2.0), 2.0, "turns_on_the_spot"),
        (circle(15.0, 20.0), 15.0, "corners"),  # 11 m/s^2
    ],
)
def test_what_no_car_can_do_is_refused_by_name(poses: np.ndarray, speed: float, name: str) -> None:
    assert reason(poses, speed) == name


@pytest.mark.parametrize(
    ("passes", "fails", "speed", "name"),
    [  # straight on; the limit is 42 m/s, 0.3 back, 4 m/s^2 up, 9 down, 2 m/s at the start
        (means(41.9), means(42.1), 42.0, "too_fast"),
        (means(40.0, 40.0, 41.9), means(40.0, 40.0, 42.1), 40.0, "too_fast"),
        (means(-0.29), means(-0.31), 0.0, "reverses"),
        (means(0.0, 0.0, -0.29, 0.0), means(0.0, 0.0, -0.31, 0.0), 0.0, "reverses"),
        (means(12.9, 13.0), means(13.1, 13.0), 10.0, "jumps"),  # 4 x 0.25 + 2 above
        (means(5.8, 6.0), means(5.7, 6.0), 10.0, "jumps"),  # 9 x 0.25 + 2 below
        (means(10.0, 11.9), means(10.0, 12.1), 10.0, "accelerates"),
        (means(10.0, 10.0, 10.0, 11.9), means(10.0, 10.0, 10.0, 12.1), 10.0, "accelerates"),
        (means(10.0, 5.6), means(10.0, 5.4), 10.0, "brakes"),
        (means(10.0, 9.0, 8.0, 3.6), means(10.0, 9.0, 8.0, 3.4), 10.0, "brakes"),
    ],
)
def test_speed_limits_hold_on_both_sides(
    passes: np.ndarray, fails: np.ndarray, speed: float, name: str
) -> None:
    assert reason(passes, speed) is None
    assert reason(fails, speed) == name


def test_speeds_are_made_with_the_candidates_own_step() -> None:
    """A quarter of a second: 4 m/s^2 are 1 m/s from one interval to the next, and the first mean is
    reached after 0.125 s."""
    assert reason(means(10.0, 10.9, step_s=0.25), 10.0, 0.25) is None
    assert reason(means(10.0, 11.1, step_s=0.25), 10.0, 0.25) == "accelerates"
    assert reason(means(12.4, step_s=0.25), 10.0, 0.25) is None
    assert reason(means(12.6, step_s=0.25), 10.0, 0.25) == "jumps"
    assert reason(means(7.0, step_s=0.25), 10.0, 0.25) is None
    assert reason(means(6.8, step_s=0.25), 10.0, 0.25) == "jumps"


@pytest.mark.parametrize("step_s", [0.25, 0.5])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_lateral_acceleration_is_speed_squared_over_radius(step_s: float, side: float) -> None:
    """12 m/s: 6 m/s^2 at a radius of 24 m, whatever the step of the poses."""
    times = step_s * np.arange(1, 9)
    assert reason(driven(12.0, 0.0, side / 24.5, times), 12.0, step_s) is None
    assert reason(driven(12.0, 0.0, side / 23.5, times), 12.0, step_s) == "corners"


def test_a_car_turns_with_at_least_four_metres_radius() -> None:
    """2 m/s: 1 m and 0.25 rad in each interval, and 0.05 rad of noise."""
    assert reason(circle(2.0, 3.5), 2.0) is None  # 0.286 rad
    assert reason(circle(2.0, -3.2), 2.0) == "turns_on_the_spot"  # 0.31 rad
    standing = np.zeros((8, 3))
    standing[:, 2] = 0.049 * np.arange(1, 9)
    assert reason(standing, 0.0) is None, "noise of a standing car"
    standing[:, 2] = 0.051 * np.arange(1, 9)
    assert reason(standing, 0.0) == "turns_on_the_spot"


def test_heading_and_way_may_differ_by_a_slip_angle() -> None:
    """5 m each interval: sin(0.35) x 5 m + 0.1 m = 1.81 m aside."""
    slip = np.arcsin(1.81 / 5.0)
    for angle, name in [(0.98 * slip, None), (1.02 * slip, "slides"), (-1.02 * slip, "slides")]:
        s = 10.0 * TIMES
        crab = np.stack([s * np.cos(angle), s * np.sin(angle), np.zeros(8)], axis=-1)
        assert reason(crab, 10.0) == name
    still = np.zeros((8, 3))
    still[3:, 1] = 0.1
    assert reason(still, 0.0) is None
    still[3:, 1] = 0.16  # 0.34 of it are slip, and 0.1 m are noise
    assert reason(still, 0.0) == "slides"


def test_a_turn_over_the_back_is_a_small_turn() -> None:
    """Yaw jumps from pi to -pi on a circle; the car does not."""
    poses = driven(7.0, 0.0, 0.12)
    wrapped = poses.copy()
    wrapped[:, 2] = (poses[:, 2] + np.pi) % (2 * np.pi) - np.pi
    assert (np.abs(np.diff(wrapped[:, 2])) > 3.0).any()
    assert reason(wrapped, 7.0) is None


def test_the_limits_are_the_vehicle_s() -> None:
    bus = Vehicle(
        2.5, 9.0, 3.0, 6.0,
        Limits(max_speed=25.0, max_acceleration=1.5, max_braking=5.0, max_lateral=3.0,
               max_curvature=0.1),
    )  # fmt: skip
    for poses, speed, name in [
        (means(24.9), 25.0, None), (means(25.1), 25.0, "too_fast"),
        (means(10.0, 10.7), 10.0, None), (means(10.0, 10.8), 10.0, "accelerates"),
        (means(10.0, 7.6), 10.0, None), (means(10.0, 7.4), 10.0, "brakes"),
        (circle(12.0, 49.0), 12.0, None), (circle(12.0, 47.0), 12.0, "corners"),
        (circle(2.0, 8.0), 2.0, None), (circle(2.0, 6.0), 2.0, "turns_on_the_spot"),
    ]:  # fmt: skip
        assert reason(poses, speed, vehicle=bus) == name


def test_the_tolerances_are_the_configuration_s() -> None:
    strict = GuardConfig(max_reverse=0.1, max_start_error=0.5, max_slip=0.1)
    assert reason(means(-0.2), 0.0, config=strict) == "reverses"
    assert reason(means(11.6), 10.0, config=strict) == "jumps"
    crab = driven(10.0)
    crab[:, 1] = 0.15 * crab[:, 0]
    assert reason(crab, 10.0) is None and reason(crab, 10.0, config=strict) == "slides"


def test_what_is_said_has_the_numbers_that_were_wrong() -> None:
    for poses, speed, text in [
        (means(50.0), 50.0, "50.0 m/s, at most 42.0"),
        (means(-3.0), 0.0, "-3.0 m/s"),
        (means(20.0), 5.0, "starts at 20.0 m/s while the ego drives 5.0"),
        (means(10.0, 14.0), 10.0, "8.0 m/s^2, at most 4.0"),
        (means(10.0, 4.0), 10.0, "12.0 m/s^2, at most 9.0"),
        (circle(15.0, 20.0), 15.0, "11.2 m/s^2 sideways, at most 6.0"),
    ]:
        found = refused(poses, speed)
        assert found is not None and found.detail == text
    spin = np.zeros((8, 3))
    spin[:, 2] = 0.2 * np.arange(1, 9)
    found = refused(spin, 0.0)
    assert found is not None and found.detail == "0.20 rad in 0.0 m"
    found = refused(bent((7, 1), 3.0), 10.0)
    assert found is not None and found.detail == "moves 3.0 m aside of its heading in one step"
    found = refused(bent((3, 1), np.nan), 10.0)
    assert found is not None and found.detail == "poses are not finite"


def test_the_next_best_candidate_drives_when_the_best_is_refused() -> None:
    poses = np.stack([driven(10.0), bent((0, 0), np.nan), driven(10.0, -1.0)])
    candidates = Candidates(poses, np.array([0.2, 0.7, 0.1]))
    order = best_first(candidates.confidence)
    choice = choose(candidates, order, ego_at(10.0), BLIND, PACIFICA, CONFIG)
    assert choice.chosen == 0
    assert [(r.candidate, r.reason) for r in choice.rejected] == [(1, "nan")]


@pytest.mark.parametrize("name", [*vars(CONFIG)])
def test_impossible_tolerances_are_refused(name: str) -> None:
    for value in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=rf"guard\.{name}"):
            replace(CONFIG, **{name: value})


@pytest.mark.parametrize("name", [*vars(Limits())])
def test_impossible_limits_are_refused(name: str) -> None:
    for value in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=rf"vehicle\.limits\.{name}"):
            Limits(**{name: value})


@pytest.mark.parametrize("name", ["width", "front_length", "rear_length", "wheel_base"])
def test_impossible_outlines_are_refused(name: str) -> None:
    for value in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=rf"vehicle\.{name}"):
            Vehicle(**{name: value})
