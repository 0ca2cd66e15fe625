"""Traffic on a crossing that is laid out by hand: laws whose numbers can be checked with a pencil.

Two streets of one lane each way cross at the origin; lanes are 3.5 m wide, 10 m/s is allowed. The
ego comes from the west. Lights: west and east red for the first 30 s, then green, or none at all.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from irl_vla.scoring.scene import VEHICLE, VX, Polygons
from irl_vla.types import F64, InputError
from irl_vla.world.driver.stop_points import until_red
from irl_vla.world.episode import BRAKE, Episode, WorldState
from irl_vla.world.replayed_traffic import ReplayedTraffic
from irl_vla.world.roads.build import build_town
from irl_vla.world.signals import Cycles, lights_at, seconds_to_red, shown
from irl_vla.world.simulation import DriverAction, Simulation, record
from irl_vla.world.town import NONE, Junction, Lane, Light, Signal, Town
from irl_vla.world.traffic.car_following import following, free_acceleration, stopping
from irl_vla.world.traffic.lane_network import net_of
from irl_vla.world.traffic.traffic import PACIFICA, Traffic, TrafficRequest, ego_box
from irl_vla.world.validity import check

ARM, BOX, HALF = 220.0, 10.0, 1.75
CALM = TrafficRequest(vehicles=10, cyclists=0, people=0, spare=6, parked=0.0, events=0.0)


def street(name: str, begin: F64, end: F64, **more: object) -> Lane:
    """A straight lane from one point to another."""
    way = end - begin
    n = max(math.ceil(float(np.hypot(*way))), 2)
    heading = math.atan2(way[1], way[0])
    line = begin + np.linspace(0.0, 1.0, n + 1)[:, None] * way
    side = HALF * np.array([-math.sin(heading), math.cos(heading)])
    ring = np.array([begin + side, begin - side, end - side, end + side])
    centre = np.column_stack([line, np.full(len(line), heading)])
    return Lane(name, centre, ring, 2 * HALF, 10.0, name, **{"successors": (), **more})  # type: ignore[arg-type]


def crossing(lights: bool) -> Town:
    """Lanes 0..3 lead in from west, east, south, north, 4..7 straight on, 8..11 out again."""
    ways = [np.array(way, float) for way in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    lanes: list[Lane] = []
    for part in range(3):
        for k, way in enumerate(ways):
            right = HALF * np.array([way[1], -way[0]])
            if part == 0:
                lanes.append(
                    street(f"in{k}", right - ARM * way, right - BOX * way, successors=(4 + k,))
                )
            elif part == 1:
                others = (6, 7) if k < 2 else (4, 5)
                lanes.append(street(
                    f"on{k}", right - BOX * way, right + BOX * way, successors=(8 + k,), junction=0,
                    signal=k // 2 if lights else NONE, crosses=others,
                    yields_to=() if lights or k > 1 else others,
                ))  # fmt: skip
            else:
                lanes.append(street(f"out{k}", right + BOX * way, right + ARM * way))
    heads = np.zeros((1, 4))
    red_first = np.array([[30.0, Light.RED], [27.0, Light.GREEN], [3.0, Light.AMBER]])
    green_first = np.array([[24.0, Light.GREEN], [3.0, Light.AMBER], [33.0, Light.RED]])
    signals = (Signal(red_first, 0.0, heads), Signal(green_first, 0.0, heads)) if lights else ()
    box = np.array([[-BOX, -BOX], [BOX, -BOX], [BOX, BOX], [-BOX, BOX]])
    return Town(
        "crossing", 0, tuple(lanes), Polygons.of([lane.polygon for lane in lanes] + [box]),
        (Junction("crossing", box, (4, 5, 6, 7)),), signals,
    )  # fmt: skip


class Steady:
    """Drives straight on at a constant speed."""

    route = (0, 4, 8)

    def drive(self, moment: WorldState, actors: object) -> DriverAction:
        ego = moment.ego.copy()
        ego[:2] += 0.1 * ego[VX] * np.array([math.cos(ego[2]), math.sin(ego[2])])
        return DriverAction(ego, 0)

    def copy(self) -> Steady:
        return self


def world(
    x: float = -120.0, speed: float = 0.0, seed: int = 0, lights: bool = True,
    request: TrafficRequest = CALM,
) -> Simulation:  # fmt: skip
    """The crossing with the ego `x` east of it, at a speed."""
    town, ego = crossing(lights), np.zeros(11)
    ego[:2], ego[VX] = (x, -HALF), speed
    return Simulation(town, Traffic(town, seed, ego[:3], speed, (0, 4, 8), request), Steady(), ego)


def moments(simulation: Simulation, steps: int) -> Episode:
    return record(simulation, 0, PACIFICA, steps)


def test_nobody_enters_on_red_and_the_queue_leaves_on_green() -> None:
    episode = moments(world(), 450)
    noses = episode.states[..., 0] + np.cos(episode.states[..., 2]) * episode.actors.sizes[:, 0] / 2
    eastward = np.abs(episode.states[..., 2]) < 0.1
    entered = eastward[:-1] & (noses[:-1] < -BOX) & (noses[1:] >= -BOX)
    assert not entered[:300].any(), "red until 30 s"
    westward = np.abs(np.abs(episode.states[..., 2]) - np.pi) < 0.1
    waiting = westward[299] & (np.hypot(*episode.states[299, :, 3:].T) < 0.1)
    assert waiting.any(), "a queue from the east has formed"
    gone = episode.states[449, waiting, 0] < BOX
    assert gone.any() or not episode.present[449, waiting].all(), "it leaves on green"
    assert check(episode).faults == 0


def test_who_gives_way_lets_the_others_pass_without_lights() -> None:
    found = [check(moments(world(seed=seed, lights=False), 400)) for seed in range(3)]
    assert sum(one.faults for one in found) == 0, [one.where for one in found]


def test_everybody_stops_behind_a_standing_ego() -> None:
    episode = moments(world(x=-60.0, lights=False), 400)
    eastward = (np.abs(episode.states[-1, :, 2]) < 0.1) & (episode.states[-1, :, 1] < 0.0)
    behind = eastward & (episode.states[-1, :, 0] < -60.0)
    assert behind.any()
    noses = episode.states[-1, behind, 0] + episode.actors.sizes[behind, 0] / 2
    rear = -60.0 - PACIFICA.rear_length
    nearest = noses.max()
    assert 1.0 < rear - nearest < 6.0
    first = np.flatnonzero(behind)[np.argmax(noses)]
    assert episode.lamps[-1, first] & BRAKE
    assert check(episode).ego_overlaps == 0


def test_same_seed_same_world_and_another_seed_another() -> None:
    first, again, other = (moments(world(speed=8.0, seed=seed), 60) for seed in (3, 3, 4))
    assert first.states.tobytes() == again.states.tobytes()
    assert first.lamps.tobytes() == again.lamps.tobytes()
    assert first.actors.ids == again.actors.ids
    assert first.states.tobytes() != other.states.tobytes()


def test_a_copy_goes_on_as_the_original_does_and_does_not_disturb_it() -> None:
    original, straight = world(speed=8.0), world(speed=8.0)
    for _ in range(30):
        original.step()
        straight.step()
    twin = original.copy()
    parked = twin.moment.ego.copy()
    for _ in range(40):
        twin.step(parked)
    twin = original.copy()
    for _ in range(40):
        a, b, c = original.step(), twin.step(), straight.step()
        assert a.states.tobytes() == b.states.tobytes() == c.states.tobytes()


def test_a_replayed_episode_gives_the_same_world_bit_for_bit() -> None:
    episode = moments(world(speed=8.0), 50)
    again = Simulation(episode.town, ReplayedTraffic(episode, 10), None, episode.ego[10], 10)
    for step in range(11, 50):
        moment = again.step(episode.ego[step])
        assert moment.states.tobytes() == episode.states[step].tobytes()
        assert moment.lamps.tobytes() == episode.lamps[step].tobytes()
        assert moment.lights.tobytes() == episode.lights[step].tobytes()
    with pytest.raises(InputError, match="ends after 50 moments"):
        again.step(episode.ego[-1])
    with pytest.raises(InputError, match="step 50"):
        ReplayedTraffic(episode, 50)


def test_a_road_user_is_present_in_one_unbroken_run() -> None:
    present = moments(world(speed=8.0), 300).present.astype(int)
    assert (np.diff(present, axis=0) == 1).sum(axis=0).max() <= 1
    assert ((np.diff(present, axis=0) != 0).sum(axis=0) <= 2).all()
    returned = (present[0] == 1) & ((np.diff(present, axis=0) == 1).any(axis=0))
    assert not returned.any()


def test_new_vehicles_appear_far_from_the_ego() -> None:
    episode = moments(world(speed=8.0), 300)
    fresh = episode.present[1:] & ~episode.present[:-1]
    for step, k in np.argwhere(fresh):
        gap = episode.states[step + 1, k, :2] - episode.ego[step + 1, :2]
        assert np.hypot(*gap) > 100.0


def test_the_first_moment_asks_nobody_to_brake_hard() -> None:
    for seed in range(5):
        episode = moments(world(speed=8.0, seed=seed), 11)
        moving = episode.actors.types == VEHICLE
        rate = np.diff(np.hypot(episode.states[..., 3], episode.states[..., 4]), axis=0) / 0.1
        assert np.nanmin(rate[:, moving]) > -4.0


def test_no_vehicle_wants_more_than_the_limit_on_a_free_road() -> None:
    assert free_acceleration(10.0, 10.0, 1.5, 2.0) == 0.0
    assert free_acceleration(0.0, 10.0, 1.5, 2.0) == 1.5
    assert free_acceleration(12.0, 10.0, 1.5, 2.0) < 0.0


def test_a_calm_driver_does_not_slam_the_brakes_when_somebody_as_fast_cuts_in() -> None:
    # plain IDM at 10 m/s, T = 1.5 s, s0 = 2 m, gap 8 m: z = 17/8, a (1 - z²) = -5.3 m/s²
    assert -2.5 < following(10.0, 12.0, 8.0, 10.0, 0.0, 1.5, 2.0, 1.5, 2.0) < 0.0


def test_stopping_before_a_line_needs_about_the_braking_of_physics() -> None:
    v, x = 10.0, 0.0
    hardest = 0.0
    for _ in range(300):
        a = stopping(v, 12.0, 40.0 - x, 1.5, 2.0)
        hardest = min(hardest, a)
        v, x = max(v + 0.1 * a, 0.0), x + 0.1 * v
    assert v < 0.05 and 38.0 < x <= 40.0
    assert hardest > -2.6, "v²/2s = 1.25 m/s² would do"


def test_lanes_in_conflict_are_found_where_they_cross() -> None:
    net = net_of(crossing(lights=True))
    rows = slice(net.meet_first[4], net.meet_first[5])
    assert net.meet[rows].tolist() == [6, 7]
    # lane 4 runs east at y = -1.75; lane 6 north at x = +1.75, 11.75 m from lane 4's begin
    begin, end = net.meet_s[rows][0, :2]
    assert begin == pytest.approx(11.75 - 2.5, abs=1.5) and end == pytest.approx(14.25, abs=1.5)


def test_the_ego_is_seen_around_the_middle_of_its_box() -> None:
    state = np.zeros(11)
    state[2], state[VX] = np.pi / 2, 3.0
    box = ego_box(state, PACIFICA)
    np.testing.assert_allclose(box[:5], [0.0, 1.461, np.pi / 2, 0.0, 3.0], atol=1e-9)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(InputError, match="vehicles is -1"):
        TrafficRequest(vehicles=-1)
    with pytest.raises(InputError, match="at most 1"):
        TrafficRequest(parked=1.5)
    town = crossing(lights=True)
    with pytest.raises(InputError, match="route is empty"):
        Traffic(town, 0, np.array([-50.0, -HALF, 0.0]), 0.0, ())


def test_an_empty_request_leaves_the_town_empty() -> None:
    nobody = replace(CALM, vehicles=0, spare=0)
    assert not moments(world(request=nobody), 20).present.any()


def test_all_signals_at_once_show_what_each_shows_alone() -> None:
    near = (-2.0, -0.1, -1e-16, -1e-17, -1e-18, -1e-300, 0.0, 1e-17, 0.1, 29.95, 30.05)
    for town in (crossing(True), build_town(3), build_town(4)):
        cycles = Cycles.of(town)
        for time_s in (*near, *np.linspace(3.03, 200.03, 60)):
            alone = lights_at(town, time_s).tolist()
            lights, left = cycles.at(time_s)
            assert lights.tolist() == alone
            assert [shown(cycles, k, time_s) for k in range(len(alone))] == alone
            for k, light in enumerate(alone):
                assert until_red(cycles, k, time_s, light) >= 0.0
                assert (until_red(cycles, k, time_s, light) == 0.0) == (light == Light.RED)
            red = lights == Light.RED
            assert (left[red] >= 0.0).all() and (left[~red] == 0.0).all()
            if time_s not in near[2:6]:  # there the cycle's end is reached but for rounding
                assert (left[red] > 0.0).all()


def test_just_before_a_cycle_begins_its_last_phase_is_shown_and_then_the_first() -> None:
    phases = np.array([[3.1, Light.GREEN], [3.0, Light.AMBER], [0.7, Light.RED]])
    signal = Signal(phases, 0.0, np.zeros((0, 4)))
    for before in (-0.6, -1e-9, -1e-16, -1e-17, -1e-300):
        assert signal.at(before) == Light.RED
    assert [signal.at(t) for t in (0.0, 3.0, 3.2, 6.0, 6.2)] == [
        Light.GREEN, Light.GREEN, Light.AMBER, Light.AMBER, Light.RED,
    ]  # fmt: skip
    cycles = Cycles.of(replace(crossing(True), signals=(signal,)))
    assert seconds_to_red(cycles, 0, 0.1) == pytest.approx(6.0)
    assert seconds_to_red(cycles, 0, -1e-17) == pytest.approx(6.1)
    assert seconds_to_red(cycles, 0, 6.5) == pytest.approx(-0.4)
    green = Cycles.of(replace(crossing(True), signals=(replace(signal, phases=phases[:2]),)))
    assert seconds_to_red(green, 0, 1.0) == np.inf
