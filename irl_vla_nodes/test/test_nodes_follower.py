"""The example of a vehicle interface, and the world's car that obeys it. No ROS."""

from __future__ import annotations

import math

import numpy as np
import pytest
from irl_vla_follower.pursuit import Limits, Wanted, braked, pursue, seen_from
from irl_vla_nodes.commanded_car import ALONE_BRAKING, MotionCommand, moved, of_twist

from irl_vla.scoring.scene import HEADING, STEER, VX, X, Y
from irl_vla.vehicle import PACIFICA

TIMES = [0.5 * i for i in range(9)]


def straight(speed: float) -> list[tuple[float, float, float]]:
    return [(speed * t, 0.0, 0.0) for t in TIMES]


def arc(speed: float, curvature: float) -> list[tuple[float, float, float]]:
    turned = [curvature * speed * t for t in TIMES]
    return [(math.sin(a) / curvature, (1.0 - math.cos(a)) / curvature, a) for a in turned]


def car(speed: float) -> np.ndarray:
    ego = np.zeros(11)
    ego[VX] = speed
    return ego


def test_straight_on_at_the_speed_that_is_driven_already_changes_nothing() -> None:
    wanted = pursue(straight(8.0), TIMES, 8.0, Limits())
    assert wanted.speed == pytest.approx(8.0) and wanted.curvature == pytest.approx(0.0)


@pytest.mark.parametrize("curvature", [0.05, -0.05])
def test_on_an_arc_the_curvature_is_that_of_the_arc(curvature: float) -> None:
    """To a tenth: poses are 2.5 m apart, and the chord between them lies inside the arc."""
    wanted = pursue(arc(5.0, curvature), TIMES, 5.0, Limits())
    assert wanted.curvature == pytest.approx(curvature, rel=0.1)


def test_speed_and_curvature_never_leave_the_limits() -> None:
    wanted = pursue(arc(8.0, 0.15), TIMES, 8.0, Limits(speed=5.0, curvature=0.1))
    assert wanted.speed == 5.0 and wanted.curvature == 0.1


def test_a_trajectory_that_is_over_asks_for_standing_still() -> None:
    late = [t - 5.0 for t in TIMES]
    assert pursue(straight(8.0), late, 8.0, Limits()).speed == 0.0


def test_without_a_trajectory_it_brakes_on_the_path_that_was_steered() -> None:
    assert braked(8.0, 0.03, 0.1, Limits(braking=4.0)) == Wanted(7.6, 0.03)
    assert braked(0.2, 0.0, 0.1, Limits()).speed == 0.0


def test_poses_are_seen_from_where_the_car_has_gone() -> None:
    x, y, yaw = seen_from((10.0, 5.0, 0.0), (10.0, 0.0, math.pi / 2.0))
    assert (x, y, yaw) == pytest.approx((5.0, 0.0, -math.pi / 2.0))


def test_the_world_s_car_is_as_fast_as_its_limits_let_it() -> None:
    limits = PACIFICA.limits
    assert moved(car(8.0), MotionCommand(20.0, 0.0), PACIFICA)[VX] == pytest.approx(
        8.0 + 0.1 * limits.max_acceleration
    )
    assert moved(car(8.0), MotionCommand(0.0, 0.0), PACIFICA)[VX] == pytest.approx(
        8.0 - 0.1 * limits.max_braking
    )
    assert moved(car(8.0), None, PACIFICA)[VX] == pytest.approx(8.0 - 0.1 * ALONE_BRAKING)
    assert moved(car(0.1), None, PACIFICA)[VX] == 0.0


def test_the_world_s_car_turns_on_the_circle_that_a_twist_asks_for() -> None:
    """A whole circle of 20 m radius at 5 m/s ends where it began."""
    command, ego = of_twist(5.0, 5.0 / 20.0, PACIFICA.wheel_base), car(5.0)
    ego[STEER] = command.steer
    steps = round(2.0 * math.pi * 20.0 / 0.5)
    for _ in range(steps):
        ego = moved(ego, command, PACIFICA)
    assert math.hypot(ego[X], ego[Y]) < 0.5 and abs(ego[HEADING]) < 0.05


def test_the_follower_brings_the_car_back_onto_the_line() -> None:
    """It begins 1 m to the left of a line that it is told along."""
    ego = car(8.0)
    ego[Y] = 1.0
    for _ in range(60):
        here = (float(ego[X]), float(ego[Y]), float(ego[HEADING]))
        line = [(here[0] + 8.0 * t, 0.0, 0.0) for t in TIMES]
        wanted = pursue([seen_from(p, here) for p in line], TIMES, float(ego[VX]), Limits())
        twist = of_twist(wanted.speed, wanted.speed * wanted.curvature, PACIFICA.wheel_base)
        ego = moved(ego, twist, PACIFICA)
    assert abs(ego[Y]) < 0.05 and ego[VX] == pytest.approx(8.0, abs=0.1)
