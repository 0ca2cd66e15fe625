"""Reactive traffic against the original's, and what can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scoring_cases import (
    F64,
    intermediate,
    needs_cases,
    plan,
    public_scenes,
    rectangle,
    street,
    tracks,
    turned,
)

from irl_vla.frames import wrap_angle
from irl_vla.scoring.epdms import SubScores, score
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE, NamedPlan, Polygons, Scene, Tracks
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.traffic import (
    idm_acceleration,
    prepare_reactive,
    reactive_tracks,
    score_reactive,
)
from irl_vla.scoring.traffic_lanes import rail_of
from irl_vla.scoring.traffic_leader import place, stretch
from irl_vla.types import InputError

EVERY = 4  # steps between the recorded ones
CAR = VEHICLE


def states_of(scene: Scene, poses: F64) -> F64:
    ego = scene.ego
    reference = sample_plans(poses, ego.initial, scene.t0_us, ego.vehicle)
    return np.asarray(simulate(ego.initial, reference, ego.vehicle.wheel_base)[0])


def drive(scene: Scene, poses: F64) -> Tracks:
    return reactive_tracks(scene, states_of(scene, poses))


def standing(scene: Scene) -> Scene:
    """The same scene, the ego at rest."""
    initial = scene.ego.initial.copy()
    initial[3] = 0.0
    return replace(scene, ego=replace(scene.ego, initial=initial))


def row(found: Tracks, name: str) -> F64:
    return np.asarray(found.states[found.ids.index(name)])


@needs_cases
def test_tracks_and_scores_are_those_of_the_original() -> None:
    scenes = public_scenes()
    for case in intermediate("idm")["cases"]:
        scene = scenes[case["scene"]]
        ready = prepare_reactive(prepare(scene))
        plans = {plan.id: plan.poses for plan in scene.candidates}
        for result in case["results"]:
            world = ready.under(plans[result["candidate"]])
            for k, rows in enumerate(result["tracks"]):
                agree(world.tracks, EVERY * k, {name: np.array(rest) for name, *rest in rows})
            sub_scores = score(world, plans[result["candidate"]]).filtered
            for name, value in result["filtered"].items():
                assert getattr(sub_scores, name)[0] == pytest.approx(value, abs=1e-6), (
                    scene.id,
                    name,
                )


def agree(found: Tracks, step: int, expected: dict[str, F64]) -> None:
    assert {name for i, name in enumerate(found.ids) if found.present[i, step]} == set(expected)
    for name, state in expected.items():
        difference = row(found, name)[step] - state
        difference[2] = wrap_angle(difference[2])
        np.testing.assert_allclose(difference, 0.0, atol=1e-6)


def test_a_car_on_a_free_road_follows_the_formula() -> None:
    # The path ends one vertex early, at x = 179, and the car's nose is 2 m ahead of its centre.
    scene = street(agents=tracks(("a", CAR, 100.0, 0.0, 0.0, 8.0, 0.0)))
    a = row(drive(scene, plan(10.0)), "a")
    gap, wanted = 179.0 - 100.0 - 2.0, 1.0 + 8.0 * 1.5 + 8.0 * 8.0 / (2 * np.sqrt(2.0))
    rate = 1.0 - (8.0 / 13.9) ** 4 - (wanted / gap) ** 2
    np.testing.assert_allclose(a[1], [100.8, 0.0, 0.0, 8.0 + 0.1 * rate, 0.0], atol=1e-12)
    assert idm_acceleration(8.0, 13.9, gap, 0.0) == pytest.approx(rate)


def test_the_end_of_the_lane_stops_a_car() -> None:
    # Driving the other way, 14 m before the end of its path: 12 m from its nose.
    scene = street(agents=tracks(("a", CAR, -45.0, 2.5, np.pi, -9.0, 0.0)))
    a = row(drive(scene, plan(10.0)), "a")
    np.testing.assert_allclose(np.diff(a[:, 3])[:20], 0.2)  # full braking, 2 m/s²
    assert a[-1, 3] > -1.5


def test_a_car_brakes_behind_an_ego_that_stands_more_than_behind_one_that_drives() -> None:
    near = tracks(("a", CAR, -20.0, 0.0, 0.0, 10.0, 0.0))
    stopped = row(drive(standing(street(agents=near)), np.zeros((8, 3))), "a")
    rolling = row(drive(street(agents=near), plan(10.0)), "a")
    assert stopped[-1, 3] < 4.0 < 8.0 < rolling[-1, 3]


def test_the_ego_is_seen_at_its_rear_axle_and_one_step_late() -> None:
    scene = standing(street(agents=tracks(("a", CAR, -20.0, 0.0, 0.0, 4.0, 0.0))))
    states = np.tile(scene.ego.initial, (41, 1))
    found = row(reactive_tracks(scene, states), "a")
    # nose at -18 m; the ego's box, centred at the rear axle, begins at -5.176 / 2
    rate = idm_acceleration(4.0, 13.9, 18.0 - 5.176 / 2, 0.0)
    assert found[1, 3] == pytest.approx(4.0 + 0.1 * rate, abs=1e-12)
    states[1:, 0] = 60.0  # from step 1 on: step 1 still answers step 0
    gone = row(reactive_tracks(scene, states), "a")
    np.testing.assert_array_equal(gone[1], found[1])
    assert gone[2, 3] > found[2, 3]


def test_traffic_answers_the_way_the_ego_goes_and_not_the_poses_that_describe_it() -> None:
    # Braking, given every 0.5 s or every 0.1 s: between the poses the two are apart.
    scene = street(agents=tracks(("a", CAR, -12.0, 0.0, 0.0, 9.0, 0.0)))
    initial, coarse = scene.ego.initial, plan(10.0, acceleration=-2.0)
    sampled = sample_plans(coarse, initial, scene.t0_us)[0]
    t = 0.1 * np.arange(41)
    fine = np.stack([10.0 * t - t**2, 0.0 * t, 0.0 * t], axis=1) + initial[:3]
    np.testing.assert_allclose(sampled[::5], fine[::5], atol=1e-4)
    assert 0.03 < np.abs(sampled - fine).max() < 0.1
    found = [row(reactive_tracks(scene, simulate(initial, way)[0]), "a") for way in (sampled, fine)]
    np.testing.assert_array_equal(found[0], row(drive(scene, coarse), "a"))
    assert 1e-4 < np.abs(found[0] - found[1]).max() < 0.1


def test_a_follower_keeps_behind_its_leader_whose_footprint_reaches_ahead() -> None:
    scene = street(agents=tracks(("a", CAR, 60.0, 0.0, 0.0, 5.0, 0.0),
                                 ("b", CAR, 48.0, 0.0, 0.0, 5.0, 0.0)))  # fmt: skip
    found = drive(scene, plan(10.0))
    a, b = row(found, "a"), row(found, "b")
    # a has moved to 60.5 before b looks; b is still only its box: 60.5 - 2 - (48 + 2) = 8.5 m
    rate = idm_acceleration(5.0, 13.9, 8.5, a[1, 3])
    assert b[1, 3] == pytest.approx(5.0 + 0.1 * rate, abs=1e-9)
    # in step 2 b's own footprint reaches 1.5 s ahead: the gap shrinks by that
    gap = (a[2, 0] - 2.0) - (b[1, 0] + 2.0 + 1.5 * b[1, 3])
    assert b[2, 3] == pytest.approx(b[1, 3] + 0.1 * idm_acceleration(b[1, 3], 13.9, gap, a[2, 3]))


def test_a_car_beside_its_lanes_centre_is_put_onto_it_after_step_0() -> None:
    a = row(drive(street(agents=tracks(("a", CAR, 80.0, 1.0, 0.1, 5.0, 0.0))), plan(10.0)), "a")
    np.testing.assert_array_equal(a[0, :3], [80.0, 1.0, 0.1])
    np.testing.assert_allclose(a[1, :3], [80.5, 0.0, 0.0], atol=1e-12)


def test_a_lane_without_a_limit_takes_that_of_the_agent_before() -> None:
    scene = street(agents=tracks(("a", CAR, 100.0, 0.0, 0.0, 5.0, 0.0),
                                 ("b", CAR, 60.0, 2.5, np.pi, -5.0, 0.0)))  # fmt: skip
    limits = np.array([4.0, np.nan, np.nan, np.nan])
    rails = prepare_reactive(replace(scene, areas=replace(scene.areas, speed_limit=limits))).rails
    np.testing.assert_array_equal(rails.desired, [4.0, 4.0])
    none = np.full(4, np.nan)
    rails = prepare_reactive(replace(scene, areas=replace(scene.areas, speed_limit=none))).rails
    np.testing.assert_array_equal(rails.desired, [10.0, 10.0])


def test_a_car_that_stands_off_the_road_stays_and_one_that_moves_there_is_gone() -> None:
    scene = street(agents=tracks(("parked", CAR, 30.0, 20.0, 0.0, 0.05, 0.0),
                                 ("rolling", CAR, 60.0, 20.0, 0.0, 0.1, 0.0)))  # fmt: skip
    found = drive(scene, plan(10.0))
    assert found.present[0].all() and found.present[1].tolist() == [True] + [False] * 40
    np.testing.assert_array_equal(row(found, "parked"), np.tile(scene.agents.states[0, 0], (41, 1)))


def test_a_car_too_far_from_its_centreline_stays_until_somebody_drives_there() -> None:
    wide = [rectangle(-60, -1.75, 180, 8), rectangle(0, 20, 1, 21), rectangle(0, 20, 1, 21),
            rectangle(0, 20, 1, 21)]  # fmt: skip
    scene = street(agents=tracks(("through", CAR, 70.0, 0.0, 0.0, 9.0, 0.0),
                                 ("aside", CAR, 90.0, 3.1, 0.0, 0.0, 0.0)))  # fmt: skip
    scene = replace(scene, areas=replace(scene.areas, polygons=Polygons.of(wide)))
    assert drive(scene, plan(10.0)).present[1].all()
    scene.agents.sizes[1, 1] = 4.3  # reaches the other's side, which is at y = 1
    there = drive(scene, plan(10.0)).present[1]
    through = row(drive(scene, plan(10.0)), "through")[:, 0]
    np.testing.assert_array_equal(there[1:], np.abs(through - 90.0)[1:] > 4.0)
    assert 5 < there.sum() < 41


def test_a_car_that_would_overlap_the_ego_or_an_earlier_one_gets_no_rails() -> None:
    scene = street(agents=tracks(("in_ego", CAR, 4.0, 0.0, 0.0, 5.0, 0.0),
                                 ("first", CAR, 40.0, 0.0, 0.0, 5.0, 0.0),
                                 ("second", CAR, 43.0, 1.0, 0.0, 5.0, 0.0)))  # fmt: skip
    found = drive(scene, plan(10.0))
    assert found.present.sum(axis=1).tolist() == [1, 41, 1]


def test_cars_out_of_reach_are_gone() -> None:
    scene = street(agents=tracks(("a", CAR, 101.0, 0.0, 0.0, 0.0, 0.0)))
    assert drive(scene, plan(10.0)).present.sum() == 1
    scene = street(agents=tracks(("a", CAR, 99.0, 0.0, 0.0, 0.0, 0.0)))
    assert drive(scene, plan(10.0)).present.all()


def test_pedestrians_replay_the_log_and_stop_nobody() -> None:
    car = ("a", CAR, 60.0, 0.0, 0.0, 5.0, 0.0)
    scene = street(agents=tracks(car, ("p", PEDESTRIAN, 75.0, 0.0, 0.0, 0.3, 0.0)))
    found = drive(scene, plan(10.0))
    np.testing.assert_array_equal(row(found, "p"), scene.agents.states[1])
    alone = drive(street(agents=tracks(car)), plan(10.0))
    np.testing.assert_array_equal(row(found, "a"), row(alone, "a"))


def test_what_is_not_seen_now_is_not_there_at_step_0() -> None:
    agents = tracks(("a", CAR, 60.0, 0.0, 0.0, 5.0, 0.0), ("late", CAR, 90.0, 0.0, 0.0, 0.0, 0.0),
                    ("p", PEDESTRIAN, 75.0, 9.0, 0.0, 0.3, 0.0))  # fmt: skip
    scene = street(agents=agents)
    now = agents.pick(np.array([True, False, False]))
    found = reactive_tracks(scene, states_of(scene, plan(10.0)), now)
    assert found.ids == ("a", "p") and found.present[1].tolist() == [False] + [True] * 40


def test_a_path_loses_its_last_vertex_and_repeated_ones() -> None:
    rail = rail_of(np.array([[0.0, 0, 9], [10, 0, 9], [10, 0, 9], [10, 10, 9], [10, 20, 9]]))
    assert rail is not None
    np.testing.assert_allclose(rail, [[0, 0, 0, 0], [10, 10, 0, np.pi / 2],
                                      [20, 10, 10, np.pi / 2]])  # fmt: skip
    pose = np.empty(3)
    place(rail, 5.0, pose)
    np.testing.assert_allclose(pose, [5.0, 0.0, np.pi / 4])
    np.testing.assert_allclose(stretch(rail, 5.0, 15.0), [[5, 0], [10, 0], [10, 5]])
    np.testing.assert_allclose(stretch(rail, 20.0, 30.0), [[10, 0], [10, 10]])
    np.testing.assert_allclose(stretch(rail, -2.0, 0.0), [[0, 0], [10, 0]])


def busy() -> Scene:
    return street(agents=tracks(("a", CAR, 25.0, 0.2, 0.0, 6.0, 0.0),
                                ("b", CAR, -18.0, -0.1, 0.0, 9.0, 0.0),
                                ("c", CAR, 70.0, 3.4, np.pi, -7.0, 0.0)))  # fmt: skip


def test_turning_and_shifting_the_scene_turns_and_shifts_the_traffic() -> None:
    scene, angle, shift = busy(), 0.7, (300.0, -120.0)
    here, there = drive(scene, plan(10.0)), drive(turned(scene, angle, shift), plan(10.0))
    expected = turned(replace(scene, agents=here), angle, shift).agents.states
    difference = there.states - expected
    difference[..., 2] = wrap_angle(difference[..., 2])
    np.testing.assert_allclose(difference, 0.0, atol=1e-7)


def test_each_plan_is_scored_in_its_own_traffic_and_the_scene_stays_as_it_was() -> None:
    scene = busy()
    before = scene.agents.states.copy()
    plans = np.stack([plan(10.0), plan(10.0, acceleration=-3.0), plan(10.0, turn=0.02)])
    many = score_reactive(scene, plans)
    prepared = prepare(scene)
    for i, poses in enumerate(plans):
        alone = score(prepared.under(drive(scene, poses)), poses)
        assert many.epdms[i] == alone.epdms[0]
        for name in SubScores.__dataclass_fields__:
            assert getattr(many.raw, name)[i] == getattr(alone.raw, name)[0]
    np.testing.assert_array_equal(scene.agents.states, before)
    assert len(score_reactive(scene, plans[:0])) == 0


def test_the_human_of_the_filter_drives_in_traffic_of_his_own() -> None:
    # Ahead somebody drives the other way in the same lane: he is stopped by who comes early.
    scene = street(agents=tracks(("b", CAR, 60.0, 2.5, np.pi, -10.0, 0.0)))
    human = NamedPlan("", "human", plan(10.0, acceleration=-3.0))
    scene = replace(scene, scene_type="original", human=human)
    ready = prepare_reactive(scene)
    own = prepare(scene).under(drive(scene, human.poses))
    np.testing.assert_array_equal(ready.under(plan(10.0)).human, own.human)
    shared = prepare(scene).under(drive(scene, plan(10.0)))
    assert own.human is not None and shared.human is not None
    assert (own.human != shared.human).any()


def test_states_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"ego states: expected \(41, 11\), got \(40, 11\)"):
        reactive_tracks(busy(), np.zeros((40, 11)))
