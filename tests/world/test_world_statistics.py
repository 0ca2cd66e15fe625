"""Samples of how a world moves, on an episode whose numbers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irl_vla.scoring.scene import HEADING, PEDESTRIAN, VEHICLE, VX, Polygons, X, Y
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle
from irl_vla.world.benchmark.statistics import distances, histogram, statistics_of
from irl_vla.world.episode import Actors, Episode
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla.world.town import Town

REAL = Path(__file__).parents[2] / ".." / "shared" / "scenarios" / "scenarionet"
STEPS, SPEED, BEND = 41, 10.0, 0.02


def arc(start: float, speed: float, times: F64) -> F64:
    """(T, 3) poses along a left bend of curvature BEND that begins at the origin, heading east."""
    turned = (start + speed * times) * BEND
    return np.column_stack([np.sin(turned) / BEND, (1.0 - np.cos(turned)) / BEND, turned])


def drawn(acceleration: float = 0.0) -> Episode:
    """The ego follows a car 20 m ahead on a bend; another is parked; one person; one car far."""
    times = np.arange(STEPS) * 0.1
    way = SPEED * times + acceleration * times**2 / 2.0
    ego = np.zeros((STEPS, 11))
    ego[:, [X, Y, HEADING]] = arc(0.0, 1.0, way)
    ego[:, VX] = SPEED + acceleration * times
    leader = arc(20.0, SPEED, times)
    velocity = SPEED * np.column_stack([np.cos(leader[:, 2]), np.sin(leader[:, 2])])
    still = np.zeros((STEPS, 2))
    states = np.stack([
        np.column_stack([leader, velocity]),
        np.column_stack([np.tile([-15.0, -5.0, 0.0], (STEPS, 1)), still]),
        np.column_stack([np.tile([0.0, 9.0, 0.0], (STEPS, 1)), still]),
        np.column_stack([np.tile([900.0, 0.0, 0.0], (STEPS, 1)), still + 7.0]),
    ], axis=1)  # fmt: skip
    actors = Actors(
        ("leader", "parked", "person", "far"),
        np.array([VEHICLE, VEHICLE, PEDESTRIAN, VEHICLE], np.int8),
        np.tile([4.0, 2.0, 1.5], (4, 1)), np.zeros(4, np.int8), np.arange(4),
    )  # fmt: skip
    return Episode(
        Town("drawn", 0, (), Polygons.of([])), 0, Vehicle(), actors, ego,
        np.zeros(STEPS, np.uint8), states, np.ones((STEPS, 4), np.bool_),
        np.zeros((STEPS, 4), np.uint8), np.zeros((STEPS, 0), np.int8), (),
    )  # fmt: skip


def test_the_numbers_of_a_drawn_episode_come_back() -> None:
    found = statistics_of([drawn()])
    assert found.speed == pytest.approx(np.full(8, SPEED))  # ego and leader, 4 instants
    assert found.acceleration == pytest.approx(np.zeros(8), abs=1e-9)
    assert found.curvature == pytest.approx(np.full(8, BEND), rel=0.01)
    assert found.vehicles.tolist() == [2.0] * 4  # leader and parked
    assert found.pedestrians.tolist() == [1.0] * 4 and found.bicycles.tolist() == [0.0] * 4
    assert found.standing.mean() == pytest.approx(1 / 3)
    assert not found.gap.size or found.gap.min() > 0.0


def test_acceleration_is_the_change_of_speed_in_a_second() -> None:
    assert statistics_of([drawn(1.5)]).acceleration[::2] == pytest.approx(np.full(4, 1.5))


def test_the_gap_is_from_bumper_to_bumper() -> None:
    episode = drawn()
    straight = episode.ego.copy()
    straight[:, [Y, HEADING]] = 0.0
    straight[:, X] = SPEED * 0.1 * np.arange(STEPS)
    states = episode.states.copy()
    states[:, 0] = [0.0, 0.5, 0.0, SPEED, 0.0]
    states[:, 0, 0] = straight[:, X] + episode.vehicle.centre + 20.0
    gap = statistics_of([replace(episode, ego=straight, states=states)]).gap
    assert gap == pytest.approx(np.full(4, 20.0 - (episode.vehicle.length + 4.0) / 2.0))


def test_who_comes_the_other_way_or_drives_beside_is_no_leader() -> None:
    episode = drawn()
    ego = episode.ego.copy()
    ego[:, [X, Y, HEADING]] = 0.0
    for pose in ([20.0, 0.0, np.pi], [20.0, 3.5, 0.0], [-20.0, 0.0, 0.0]):
        states = episode.states.copy()
        states[:, 0] = [*pose, 0.0, 0.0]
        assert not statistics_of([replace(episode, ego=ego, states=states)]).gap.size


def test_moving_the_world_changes_no_statistic() -> None:
    episode, shift, turn = drawn(0.7), np.array([300.0, -40.0]), 2.0
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    ego, states = episode.ego.copy(), episode.states.copy()
    for array in (ego, states):
        array[..., :2] = array[..., :2] @ spin + shift
        array[..., 2] += turn
    states[..., 3:] = states[..., 3:] @ spin
    apart = distances(statistics_of([replace(episode, ego=ego, states=states)]),
                      statistics_of([episode]))  # fmt: skip
    assert np.nan_to_num(list(apart.values())) == pytest.approx(np.zeros(8), abs=1e-9)


def test_histograms_are_shares_and_keep_what_lies_beyond() -> None:
    shares = histogram(np.array([-5.0, 0.5, 1.5, 99.0]), np.array([0.0, 1.0, 2.0]))
    assert shares.tolist() == [0.5, 0.5]
    assert histogram(np.zeros(0), np.array([0.0, 1.0])).tolist() == [0.0]


def test_no_episode_gives_no_sample_and_no_distance() -> None:
    nothing = statistics_of([])
    assert nothing.speed.shape == (0,)
    assert np.isnan(distances(nothing, statistics_of([drawn()]))["speed"])


def test_recorded_cities_have_speeds_of_cities() -> None:
    if not REAL.is_dir():
        pytest.skip(f"no ScenarioNet recordings at {REAL}")
    found = statistics_of(load_scenario(path) for path in sorted(REAL.glob("*.pkl")))
    assert 3.0 < np.median(found.speed) < 15.0
    assert np.abs(np.percentile(found.acceleration, [5, 95])).max() < 3.0
    assert np.abs(np.median(found.curvature)) < 0.01
    assert 0.3 < found.standing.mean() < 0.95
