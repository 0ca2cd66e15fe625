"""Each rule of the score on a street where its outcome can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scoring_cases import change_lane, plan, rectangle, street, tracks

from irl_vla.scoring import evaluate as ev
from irl_vla.scoring.epdms import score
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.scene import (
    PEDESTRIAN,
    VEHICLE,
    Polygons,
    RedLights,
    Scene,
    Tracks,
)
from irl_vla.scoring.simulate import sample_plans, simulate

CONE = 3
STRAIGHT = plan(10.0)  # 40 m along x in 4 s; front bumper at x = 4.049 + 10 t


def sub_scores(scene: Scene, poses: np.ndarray) -> dict[str, float]:
    raw = score(scene, poses).raw
    return {n: float(getattr(raw, n)[0]) for n in ("nc", "dac", "ddc", "tlc", "ttc", "lk", "hc")}


def lost(scene: Scene, poses: np.ndarray) -> set[str]:
    return {name for name, value in sub_scores(scene, poses).items() if value < 1.0}


def test_driving_straight_on_an_empty_street_loses_nothing() -> None:
    assert lost(street(), STRAIGHT) == set()


def test_running_into_a_slower_car_is_the_egos_fault() -> None:
    scene = street(agents=tracks(("slow", VEHICLE, 20.0, 0.0, 0.0, 2.0, 0.0)))
    assert lost(scene, STRAIGHT) == {"nc", "ttc"}
    assert sub_scores(scene, STRAIGHT)["nc"] == 0.0


def test_hitting_a_thing_costs_half() -> None:
    scene = street(agents=tracks(("cone", CONE, 20.0, 0.0, 0.0, 0.0, 0.0)))
    assert sub_scores(scene, STRAIGHT)["nc"] == 0.5


def test_being_hit_from_behind_is_not_the_egos_fault_yet_costs_ttc() -> None:
    # Quirk: where the pusher will be in 0.9 s lies ahead of where the rear axle is now.
    scene = street(agents=tracks(("pusher", VEHICLE, -8.0, 0.0, 0.0, 12.0, 0.0)))
    assert lost(scene, STRAIGHT) == {"ttc"}
    slow = tracks(("pusher", VEHICLE, -8.0, 0.0, 0.0, 3.5, 0.0))
    assert lost(street(2.0, slow), plan(2.0)) == set()  # 1.8 m ahead is still behind the axle


def test_a_released_track_stays_released() -> None:
    # From behind, through the ego (released), then it stands in front: no fault any more.
    pusher = tracks(("pusher", VEHICLE, -8.0, 0.0, 0.0, 40.0, 0.0))
    states = pusher.states.copy()
    states[0, 10:, 0] = 32.0
    scene = street(agents=replace(pusher, states=states))
    found = score(scene, STRAIGHT)
    assert found.raw.nc[0] == 1.0
    apart = states.copy()
    apart[0, :10, 1] = 50.0  # had it come from elsewhere, it would be hit
    assert score(street(agents=replace(pusher, states=apart)), STRAIGHT).raw.nc[0] == 0.0


def test_type_and_speed_of_a_track_are_those_of_its_first_sight() -> None:
    # It stands when first seen and is hit on its side later, moving: still "stopped", hence at
    # fault although the ego is in its lane and the hit is lateral.
    mover = tracks(("mover", VEHICLE, 30.0, -8.0, np.pi / 2, 0.0, 0.0))
    states = mover.states.copy()
    states[0, :, 1] = -8.0 + 3.0 * np.arange(41) * 0.1
    states[0, :, 0] = 25.0 + 10.0 * np.arange(41) * 0.1 - 24.0
    states[0, 1:, 4] = 3.0
    assert score(street(agents=replace(mover, states=states)), STRAIGHT).raw.nc[0] == 0.0
    states[0, 0, 4] = 3.0  # moving at first sight: a lateral hit in the own lane is no fault
    assert score(street(agents=replace(mover, states=states)), STRAIGHT).raw.nc[0] == 1.0


def test_tracks_that_touch_the_ego_at_the_start_are_deleted_in_log_replay_only() -> None:
    # half lengths 2.588 + 2 from the centre at 1.461: touching exactly at x = 6.049
    agents = tracks(("in", VEHICLE, 6.0, 0.0, 0.0, 0.0, 0.0))
    replay = street(agents=agents)
    assert len(prepare(replay).tracks) == 0 and lost(replay, STRAIGHT) == set()
    reactive = replace(replay, traffic_policy="reactive")
    assert sub_scores(reactive, STRAIGHT)["nc"] == 0.0
    near = tracks(("in", VEHICLE, 6.2, 0.0, 0.0, 0.0, 0.0))
    assert len(prepare(street(agents=near)).tracks) == 1


def test_a_standing_ego_is_never_at_fault() -> None:
    scene = street(0.0, tracks(("in", PEDESTRIAN, 10.0, 0.0, np.pi, -4.0, 0.0)))
    assert lost(scene, np.zeros((8, 3))) == set()


def test_stopping_late_keeps_nc_but_not_ttc() -> None:
    scene, brake = street(), plan(10.0, acceleration=-3.0)
    end = simulate(scene.ego.initial, sample_plans(brake, scene.ego.initial, scene.t0_us))[0, -1]
    wall = tracks(("wall", VEHICLE, end[0] + 4.049 + 0.3 + 2.0, 0.0, 0.0, 0.0, 0.0))  # 0.3 m short
    found = score(street(agents=wall), brake)
    assert found.raw.nc[0] == 1.0 and found.raw.ttc[0] == 0.0
    assert found.evidence[0, ev.TTC_TRACK] == 0


def test_leaving_the_drivable_area_with_one_corner_costs_dac() -> None:
    scene = street()
    drift = STRAIGHT.copy()
    drift[:, 1] = np.linspace(0.0, -1.2, 8)  # half width 1.1485, the road's edge is at -1.75
    found = score(scene, drift)
    assert found.raw.dac[0] == 0.0 and found.raw.ddc[0] == 1.0


def test_lanes_are_no_drivable_area() -> None:
    scene = street()
    kinds = scene.areas.kinds.copy()
    kinds[2] = 0  # the roadblock becomes one more lane
    assert (
        sub_scores(replace(scene, areas=replace(scene.areas, kinds=kinds)), STRAIGHT)["dac"] == 0.0
    )


def test_driving_off_route_costs_direction_and_lane_keeping() -> None:
    assert lost(street(), change_lane(3.5)) >= {"ddc", "lk"}
    assert sub_scores(street(), change_lane(3.5))["ddc"] == 0.0


def test_direction_is_never_looked_at() -> None:
    scene = street()
    oncoming = replace(scene, route=replace(scene.route, lane_ids=("lane", "oncoming")))
    assert sub_scores(oncoming, change_lane(3.5))["ddc"] == 1.0


def test_intersections_excuse_direction_and_pause_lane_keeping() -> None:
    scene = street()
    everywhere = scene.areas.polygons.vertices.copy()
    everywhere[12:16] = rectangle(-60, -1.75, 180, 5.25)
    polygons = Polygons(everywhere, scene.areas.polygons.offsets)
    crossing = replace(scene, areas=replace(scene.areas, polygons=polygons))
    assert lost(crossing, change_lane(3.5)) & {"ddc", "lk"} == set()


@pytest.mark.parametrize(("x", "red", "tlc"), [
    (30.0, (0, 40), 0.0), (30.0, (0, 20), 1.0), (90.0, (0, 40), 1.0), (2.0, (0, 0), 0.0),
])  # fmt: skip
def test_touching_a_red_stretch_while_it_is_red(x: float, red: tuple[int, int], tlc: float) -> None:
    steps = np.zeros((1, 41), np.bool_)
    steps[0, red[0] : red[1] + 1] = True
    lights = RedLights(("stop",), Polygons.of([rectangle(x, -1.0, x + 10.0, 1.0)]), steps)
    assert sub_scores(replace(street(), red_lights=lights), STRAIGHT)["tlc"] == tlc


def test_unknown_lights_cost_nothing() -> None:
    assert sub_scores(replace(street(), red_lights=None), STRAIGHT)["tlc"] == 1.0


def test_hard_braking_costs_comfort_and_breaks_with_the_plan_before() -> None:
    found = score(street(), plan(10.0, acceleration=-6.0), STRAIGHT)
    assert found.raw.hc[0] == 0.0 and found.ec[0] == 0.0
    calm = score(street(), STRAIGHT, STRAIGHT)
    assert calm.raw.hc[0] == 1.0 and calm.ec[0] == 1.0


def test_without_a_previous_frame_extended_comfort_is_left_out() -> None:
    slow = plan(10.0, acceleration=-1.0)
    found = score(street(), slow)
    assert np.isnan(found.ec[0])
    assert found.epdms[0] == found.raw.pdm_score_no_ec[0]  # (5 EP + 5 + 2 + 2) / 14
    ep = found.raw.ep[0]
    assert abs(found.epdms[0] - (5 * ep + 9) / 14) < 1e-15
    paired = score(street(), slow, STRAIGHT)
    assert abs(paired.epdms[0] - (5 * ep + 9 + 2 * paired.ec[0]) / 16) < 1e-15


def test_progress_is_paired_with_the_reference() -> None:
    found = score(street(), plan(10.0, acceleration=-1.0))
    assert found.best_progress_m[0] == pytest.approx(40.0, abs=0.05)
    assert found.raw.ep[0] == pytest.approx(found.progress_m[0] / found.best_progress_m[0])


def test_a_track_that_is_absent_cannot_be_hit() -> None:
    wall = tracks(("wall", VEHICLE, 20.0, 0.0, 0.0, 0.0, 0.0))
    present = np.zeros((1, 41), np.bool_)
    present[0, :5] = True  # gone before the ego arrives
    gone = Tracks(wall.ids, wall.types, wall.sizes, wall.states, present)
    assert lost(street(agents=gone), STRAIGHT) == set()
