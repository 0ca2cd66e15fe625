"""Named situations: the same every time, begun in order, handled by who sees what happens."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import shapely

from irl_vla.frames import box_corners
from irl_vla.scoring.bench2drive import succeeded
from irl_vla.scoring.footprint import footprint
from irl_vla.scoring.scene import VEHICLE, VX
from irl_vla.types import InputError
from irl_vla.vehicle import Vehicle
from irl_vla.world.driver.expert import Expert
from irl_vla.world.episode import WorldState
from irl_vla.world.route_monitor import STUCK_S, Ending, RouteMonitor
from irl_vla.world.routes import RoutePath
from irl_vla.world.situations.expert_drive import ExpertDrive, expert_drive
from irl_vla.world.situations.situation import NAMES, Situation, situation
from irl_vla.world.town import NONE, Light

EVENTS = {"lead_brakes": "hard brake", "pedestrian_steps_out": "jaywalk", "cut_in": "cut-in"}


@cache
def driven(name: str, seed: int = 0) -> ExpertDrive:
    return expert_drive(situation(name, seed))


def path_of(found: Situation) -> RoutePath:
    assert found.simulation.driver is not None
    return RoutePath.of(found.simulation.town, found.simulation.driver.route)


def monitor_of(found: Situation) -> RouteMonitor:
    simulation = found.simulation
    actors = simulation.others.actors
    return RouteMonitor(simulation.town, path_of(found), actors, simulation.moment, found.route_m)


def content(moment: WorldState) -> bytes:
    arrays = (moment.ego, moment.states, moment.present, moment.lamps, moment.lights)
    return b"".join(array.tobytes() for array in arrays)


def judged_well(drive: ExpertDrive) -> bool:
    return succeeded(drive.monitor.score(drive.found.name).record)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_name_and_seed_give_the_same_drive_byte_for_byte(name: str) -> None:
    first = driven(name)
    situation(NAMES[0], 5)  # whatever was made in between
    again = situation(name, 0)
    assert again.route_m == first.found.route_m
    assert path_of(again).poses.tobytes() == first.monitor.infraction_monitor.path.poses.tobytes()
    for moment in first.moments[:40]:
        assert content(again.simulation.moment) == content(moment)
        again.simulation.step()


def test_another_seed_is_another_situation() -> None:
    one, other = situation("cut_in", 1), situation("cut_in", 2)
    assert content(one.simulation.moment) != content(other.simulation.moment)


@pytest.mark.parametrize("name", NAMES)
def test_everybody_begins_on_the_road_and_apart(name: str) -> None:
    for seed in (1, 2):
        simulation = situation(name, seed).simulation
        town, moment, actors = simulation.town, simulation.moment, simulation.others.actors
        areas = [surface.ring(i) for surface in (town.drivable, town.carparks)
                 for i in range(len(surface))]  # fmt: skip
        road = shapely.union_all([shapely.Polygon(ring) for ring in areas]).buffer(0.05)
        ego = shapely.Polygon(footprint(moment.ego, Vehicle()))
        assert road.contains(ego)
        there = np.flatnonzero(moment.present)
        boxes = shapely.polygons(box_corners(moment.states[there], actors.sizes[there]))
        assert ego.distance(boxes).min() >= 0.3
        for k, i in enumerate(there):
            assert actors.types[i] != VEHICLE or road.covers(boxes[k].centroid)
            assert not boxes[k + 1 :].size or not boxes[k].intersects(boxes[k + 1 :]).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_expert_gets_through_without_an_infraction(name: str) -> None:
    drive = driven(name)
    assert drive.monitor.ending is Ending.ROUTE_COMPLETED
    assert judged_well(drive)
    whats = {note.what for note in drive.found.simulation.others.notes}
    assert EVENTS.get(name) in whats | {None}  # what it is named after has happened


@pytest.mark.parametrize("name", NAMES)
def test_nobody_gets_through_with_closed_eyes(name: str) -> None:
    """The car keeps to the route's line, and to the speed of an empty street."""
    harmed = 0
    for seed in range(2):
        found = situation(name, seed)
        monitor, path, simulation = monitor_of(found), path_of(found), found.simulation
        driver, s = simulation.driver, monitor.infraction_monitor.place_m
        assert isinstance(driver, Expert)
        while monitor.ending is None:
            monitor.observe(simulation.moment)
            ego = simulation.moment.ego.copy()
            ego[VX] = driver.allowed(s)
            s += 0.1 * ego[VX]
            ego[:3] = path.at(np.array(s))
            simulation.step(ego)
        harmed += not succeeded(monitor.score(name).record)
    assert harmed >= 1


def test_the_light_turns_red_before_who_comes_could_be_past_it() -> None:
    drive = driven("red_light")
    stop = next(stop for stop in path_of(situation("red_light", 0)).stops if stop.signal != NONE)
    first = drive.moments[0]
    arrives_s = (stop.s - drive.monitor.span_m[0] - Vehicle().front_length) / first.ego[VX]
    then = drive.moments[round(arrives_s * 10)]
    assert first.lights[stop.signal] == Light.GREEN and then.lights[stop.signal] == Light.RED


def test_who_waits_at_a_red_light_is_not_stuck_and_who_waits_at_a_green_one_is() -> None:
    for light, ending in ((Light.RED, None), (Light.GREEN, Ending.BLOCKED)):
        found = situation("red_light", 0)
        first, path, monitor = found.simulation.moment, path_of(found), monitor_of(found)
        stop = next(stop for stop in path.stops if stop.signal != NONE)
        ego = np.zeros(11)
        ego[:3] = path.at(np.array(stop.s - 20.0))
        nobody, shown = np.zeros_like(first.present), np.full_like(first.lights, light)
        for k in range(round(STUCK_S * 10) + 40):
            monitor.observe(replace(first, time_s=k / 10.0, ego=ego, present=nobody, lights=shown))
        assert monitor.ending is ending


@pytest.mark.parametrize(
    ("name", "seed", "words"),
    [("tea_time", 0, "expected one of lead_brakes"), ("merge", -1, "0 or more, got -1")],
)
def test_situations_that_are_not_are_refused(name: str, seed: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        situation(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_expert_gets_through_nine_of_ten(name: str) -> None:
    assert sum(judged_well(driven(name, seed)) for seed in range(50)) >= 45
