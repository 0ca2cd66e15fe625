"""Infractions on a straight road, with numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.scoring.bench2drive import succeeded
from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE, Polygons
from irl_vla.vehicle import Vehicle
from irl_vla.world.episode import Actors, WorldState
from irl_vla.world.infractions import (
    LAYOUT,
    OUTSIDE,
    PEDESTRIANS,
    VEHICLES,
    InfractionMonitor,
    judge,
)
from irl_vla.world.routes import RoutePath
from irl_vla.world.town import Junction, Lane, Light, Signal, Town

STOP_X = 60.0  # where the signalled connector begins


def strip(x0: float, x1: float, y0: float = -1.75, y1: float = 1.75) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def line(x0: float, x1: float) -> np.ndarray:
    x = np.arange(x0, x1 + 0.5, 1.0)
    return np.column_stack([x, np.zeros_like(x), np.zeros_like(x)])


def road() -> Town:
    """120 m straight on along x; from 60 to 80 m it crosses a junction with a light, always red."""
    first = Lane("a", line(0, STOP_X), strip(0, STOP_X), 3.5, 14.0, "a", (1,))
    middle = Lane(
        "b", line(STOP_X, 80), strip(STOP_X, 80), 3.5, 14.0, "b", (2,), junction=0, signal=0
    )
    last = Lane("c", line(80, 120), strip(80, 120), 3.5, 14.0, "c", ())
    red = Signal(np.array([[10.0, Light.RED]]), 0.0, np.zeros((0, 4)))
    return Town(
        "straight", 0, (first, middle, last), Polygons.of([strip(0, 120, -3.0, 3.0)]),
        junctions=(Junction("crossing", strip(STOP_X, 80), (1,)),), signals=(red,),
    )  # fmt: skip


ACTORS = Actors(
    ("car", "person"), np.array([VEHICLE, PEDESTRIAN], np.int8),
    np.array([[4.5, 1.9, 1.5], [0.6, 0.6, 1.75]]), np.zeros(2, np.int8), np.zeros(2, np.int64),
)  # fmt: skip
FAR = np.array([[500.0, 500.0, 0.0, 0.0, 0.0], [600.0, 500.0, 0.0, 0.0, 0.0]])


def moment(
    k: int, x: float, speed: float = 10.0, y: float = 0.0, others: np.ndarray = FAR
) -> WorldState:
    ego = np.zeros(11)
    ego[[0, 1, 3]] = x, y, speed
    return WorldState(
        k / 10.0, ego, 0, others, np.ones(2, np.bool_), np.zeros(2, np.uint8),
        np.array([Light.RED], np.int8),
    )  # fmt: skip


@pytest.fixture
def monitor() -> InfractionMonitor:
    town = road()
    return InfractionMonitor(
        town, RoutePath.of(town, (0, 1, 2)), ACTORS, Vehicle(), np.array([10.0, 0.0, 0.0])
    )


def kinds(monitor: InfractionMonitor) -> list[str]:
    return [found.kind for found in monitor.infractions]


def test_driving_in_the_lane_is_no_infraction(monitor: InfractionMonitor) -> None:
    for k in range(30):
        monitor.observe(moment(k, 10.0 + k))
    assert kinds(monitor) == [] and monitor.outside_m == 0.0
    assert np.isclose(monitor.farthest_m, 39.0) and np.isclose(monitor.driven_m, 29.0)


def test_passing_a_red_light_counts_once(monitor: InfractionMonitor) -> None:
    for k in range(30):
        monitor.observe(moment(k, 40.0 + k))
    assert kinds(monitor) == ["red_light"]


def test_stopping_before_the_line_passes_nothing(monitor: InfractionMonitor) -> None:
    for k in range(30):
        monitor.observe(moment(k, min(30.0 + k, STOP_X - 4.5)))
    assert kinds(monitor) == []


@pytest.mark.parametrize(("who", "kind"), [(0, VEHICLES), (1, PEDESTRIANS)])
def test_touching_somebody_is_a_collision_of_its_kind(
    monitor: InfractionMonitor, who: int, kind: str
) -> None:
    others = FAR.copy()
    others[who, :2] = 30.0, 0.0
    monitor.observe(moment(0, 15.0, others=others))
    assert not monitor.collided
    monitor.observe(moment(1, 26.5, others=others))
    assert monitor.collided and kinds(monitor) == [kind]
    assert "at fault" in monitor.infractions[0].text


def test_being_hit_from_behind_is_not_the_egos_fault(monitor: InfractionMonitor) -> None:
    others = FAR.copy()
    others[0, :2] = 20.0, 0.0
    monitor.observe(moment(0, 22.0, speed=5.0, others=others))
    assert "hit from behind: not at fault" in monitor.infractions[0].text


def test_metres_off_the_road_are_measured(monitor: InfractionMonitor) -> None:
    for k in range(11):
        monitor.observe(moment(k, 10.0 + k, y=0.0 if k <= 5 else 2.5))
    assert 4.9 < monitor.outside_m < 8.0


def test_penalties_multiply_as_on_the_leaderboard(monitor: InfractionMonitor) -> None:
    others = FAR.copy()
    others[0, :2] = 85.0, 0.0
    for k in range(50):
        monitor.observe(moment(k, 40.0 + k, others=others))
        if monitor.collided:
            break
    result = judge(monitor, "route", 0.5, "Failed", (10.0, 110.0))
    assert np.isclose(result.record.composed, 50.0 * 0.6 * 0.7)
    assert not succeeded(result.record)
    assert result.record.infractions[LAYOUT] == () and result.record.infractions[OUTSIDE] == ()


def test_a_clean_completed_drive_succeeds(monitor: InfractionMonitor) -> None:
    for k in range(45):
        monitor.observe(moment(k, 10.0 + k))
    result = judge(monitor, "route", 1.0, "Completed", (10.0, 54.0))
    assert succeeded(result.record) and result.record.composed == 100.0 and result.comfort == 1.0
