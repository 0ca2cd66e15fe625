"""PDM-Closed agrees with the original's recorded plans, and drives as its rules say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from scoring_cases import (
    F64,
    intermediate,
    needs_cases,
    public_scenes,
    rectangle,
    street,
    tracks,
    turned,
)

from irl_vla.scoring.epdms import score
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.reference import pdm_closed, with_reference
from irl_vla.scoring.reference_corridor import blocked_by, corridor_of, paths_of, way_ahead
from irl_vla.scoring.reference_forecast import MOMENTS, Obstacles
from irl_vla.scoring.reference_rollout import search_order
from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE, Polygons, RedLights, Scene, Tracks
from irl_vla.types import InputError

EXACT = {"rtol": 0.0, "atol": 1e-6}
SUB_SCORE_NAMES = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc", "mult", "pdm_score_no_ec")


def angle_between(a: F64, b: F64) -> F64:
    return np.abs((a - b + np.pi) % (2 * np.pi) - np.pi)


def obstacles(rings: F64, drift: F64 | None = None) -> Obstacles:
    """Rectangles (n, 4, 2), not red."""
    n, centres = len(rings), rings.mean(axis=1)
    still, none = np.zeros(n), np.zeros(n, np.bool_)
    return Obstacles(
        rings.reshape(-1, 2).copy(), np.arange(n + 1) * 4, centres,
        np.hypot(*(rings[:, 0] - centres).T), np.zeros((n, 2)) if drift is None else drift,
        still, still, none, none,
    )  # fmt: skip


def boxes(rng: np.random.Generator, n: int, low: F64, high: F64) -> F64:
    """(n, 4, 2) turned rectangles of 0.3 to 5 m in these bounds."""
    turn, size = rng.uniform(0, 2 * np.pi, (2, n, 1)), rng.uniform(0.15, 2.5, (n, 2))
    corners = size[:, None] * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    cos, sin = np.cos(turn[0]), np.sin(turn[0])
    x, y = corners[..., 0], corners[..., 1]
    turned_corners = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    return np.asarray(turned_corners + rng.uniform(low, high, (n, 1, 2)))


def red(scene: Scene, ring: F64) -> Scene:
    """The street with a stretch that is red at the start alone."""
    steps = np.zeros((1, 41), np.bool_)
    steps[0, 0] = True
    return replace(scene, red_lights=RedLights(("light",), Polygons.of([ring]), steps))


def cases() -> list[Any]:
    return [*intermediate("pdm_closed_public")["cases"]]


@needs_cases
def test_every_recorded_proposal_gets_the_recorded_marks_and_the_same_one_is_chosen() -> None:
    for case in cases():
        closed = pdm_closed(public_scenes()[case["scene"]])
        for sub_score in SUB_SCORE_NAMES:
            wanted = [proposal[sub_score] for proposal in case["proposals"]]
            np.testing.assert_allclose(getattr(closed.sub_scores, sub_score), wanted, **EXACT)
        assert closed.chosen == case["best"], case["scene"]
        assert list(closed.ignored) == case["ignored_tracks"], case["scene"]


@needs_cases
def test_recorded_drives_leaders_and_plans_are_reproduced() -> None:
    for case in cases():
        scene = public_scenes()[case["scene"]]
        closed = pdm_closed(scene)
        ends = [[p["progress_end"], p["speed_end"]] for p in case["proposals"]]
        ours = np.stack([closed.progress[:, -1], closed.proposal_speeds[:, -1]], axis=-1)
        np.testing.assert_allclose(ours, ends, **EXACT)
        drive = np.stack([closed.chosen_progress, closed.speeds], axis=-1)
        np.testing.assert_allclose(drive, case["best_idm"], **EXACT)
        np.testing.assert_allclose(closed.leaders, case["best_leading_agent"], **EXACT)
        plan = np.array(case["trajectory"])
        np.testing.assert_allclose(closed.plan[:, :2], plan[:, :2], **EXACT)
        assert angle_between(closed.plan[:, 2], plan[:, 2]).max() < 1e-6


@needs_cases
def test_references_that_scenes_carry_are_reproduced_without_any_hint() -> None:
    carried = [s for s in public_scenes().values() if s.reference.kind == "pdm_closed"]
    assert len(carried) >= 50
    for scene in carried:
        plan = pdm_closed(replace(scene, reference=None)).plan
        np.testing.assert_allclose(plan[:, :2], scene.reference.poses[:, :2], **EXACT)
        assert angle_between(plan[:, 2], scene.reference.poses[:, 2]).max() < 1e-6


def test_a_moving_ego_first_brakes_with_three_metres_per_second_squared() -> None:
    closed = pdm_closed(street(speed=10.0))
    np.testing.assert_allclose(closed.proposal_speeds[:, 1], 9.7, rtol=0, atol=1e-12)
    assert (closed.leaders[:2] == 0.0).all()  # the record that brakes it


def test_on_a_free_road_the_fastest_on_the_centreline_wins_and_nears_the_limit() -> None:
    closed = pdm_closed(street(speed=10.0), speed_limit=13.9)
    assert closed.chosen == 4
    assert (np.diff(closed.speeds[2:]) > 0.0).all()
    assert closed.speeds[-1] < 13.9
    np.testing.assert_allclose(closed.plan[:, 1], 0.0, rtol=0, atol=1e-12)


def test_an_unknown_limit_means_fifteen_metres_per_second() -> None:
    unknown = pdm_closed(street(), speed_limit=float("nan"))
    np.testing.assert_array_equal(unknown.plan, pdm_closed(street(), speed_limit=15.0).plan)


def test_the_limit_is_that_of_the_lane_under_the_rear_axle() -> None:
    scene = street()
    areas = replace(scene.areas, speed_limit=np.array([7.0, 30.0, np.nan, np.nan]))
    slow = pdm_closed(replace(scene, areas=areas))
    np.testing.assert_array_equal(slow.plan, pdm_closed(scene, speed_limit=7.0).plan)


@pytest.mark.parametrize("limit", [0.0, -3.0, float("inf")])
def test_a_limit_that_is_no_speed_is_refused(limit: float) -> None:
    with pytest.raises(InputError, match=r"street.*speed limit"):
        pdm_closed(street(), speed_limit=limit)


def test_the_plan_begins_on_the_centreline_and_not_at_the_ego() -> None:
    scene = street()
    scene.ego.initial[:3] = 2.0, 0.4, 0.1
    first = pdm_closed(scene).plan[0]
    np.testing.assert_allclose(first, [2.0, 0.0, 0.0], rtol=0, atol=1e-9)


def test_paths_lie_on_the_centreline_one_metre_right_and_one_metre_left() -> None:
    line = np.array([[0.0, 0.0, np.pi / 2], [0.0, 5.0, np.pi / 2]])
    np.testing.assert_allclose([path.line[0, 0] for path in paths_of(line)], [0.0, 1.0, -1.0])


def test_a_corridor_is_made_of_the_vertices_between_its_ends() -> None:
    path = paths_of(street().route.centerline)[0]  # vertices every metre from x = -60
    np.testing.assert_allclose(way_ahead(path, 60.5, 63.5)[:, 0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(way_ahead(path, 60.2, 60.7)[:, 0], [0.2, 0.7])


def test_it_stops_behind_what_stands_in_the_lane() -> None:
    scene = street(10.0, tracks(("parked", VEHICLE, 40.0, 0.0, 0.0, 0.0, 0.0)))
    closed = pdm_closed(scene)
    assert closed.chosen < 5
    assert closed.plan[:, 0].max() + scene.ego.vehicle.front_length < 38.0
    assert closed.speeds[-1] < 3.0


def test_the_forecast_lays_speed_along_the_box_whatever_its_direction() -> None:
    along = street(10.0, tracks(("car", VEHICLE, 25.0, 0.0, 0.0, 8.0, 0.0)))
    drifting = street(10.0, tracks(("car", VEHICLE, 25.0, 0.0, 0.0, 4.8, 6.4)))
    np.testing.assert_allclose(pdm_closed(drifting).leaders, pdm_closed(along).leaders)


def test_a_box_that_moves_backwards_is_forecast_backwards() -> None:
    closer = street(10.0, tracks(("car", VEHICLE, 60.0, 0.0, 0.0, -8.0, 0.0)))
    away = street(10.0, tracks(("car", VEHICLE, 60.0, 0.0, 0.0, 8.0, 0.0)))
    assert pdm_closed(closer).chosen_progress[-1] < pdm_closed(away).chosen_progress[-1]


def test_red_at_the_start_stays_red_and_is_stopped_at() -> None:
    scene = red(street(10.0), rectangle(50, -1.75, 60, 1.75))
    closed = pdm_closed(scene)
    assert closed.plan[:, 0].max() + scene.ego.vehicle.front_length < 50.0
    assert (closed.leaders[2::2, 1] == 0.0).all()


def test_a_red_stretch_around_the_whole_ego_is_left_but_one_at_its_nose_is_not() -> None:
    inside = pdm_closed(red(street(10.0), rectangle(-10, -1.75, 12, 1.75)))
    free = pdm_closed(street(10.0))
    np.testing.assert_array_equal(inside.progress[:5], free.progress[:5])
    nose = pdm_closed(red(street(10.0), rectangle(3, -1.75, 12, 1.75)))
    assert (nose.progress[2:5, -1] < free.progress[2:5, -1] - 1.0).all()


def test_what_touches_the_ego_at_the_start_is_ignored_and_named() -> None:
    closed = pdm_closed(street(10.0, tracks(("bumper", VEHICLE, 6.0, 0.0, 0.0, 0.0, 0.0))))
    assert closed.ignored == ("bumper",)
    np.testing.assert_array_equal(closed.plan, pdm_closed(street(10.0)).plan)
    assert closed.sub_scores.nc.min() == 1.0


def test_what_is_more_than_a_hundred_metres_away_is_not_seen() -> None:
    limit = 30.0
    near = tracks(("box", VEHICLE, 100.0, 0.0, 0.0, 0.0, 0.0))
    far = tracks(("box", VEHICLE, 102.0, 0.0, 0.0, 0.0, 0.0))
    free = pdm_closed(street(20.0), limit).leaders
    np.testing.assert_array_equal(pdm_closed(street(20.0, far), limit).leaders, free)
    assert not (pdm_closed(street(20.0, near), limit).leaders == free).all()


def test_only_the_nearest_of_a_kind_are_seen() -> None:
    crowd = [(f"p{i}", PEDESTRIAN, -40.0, 5.0 + 0.1 * i, 0.0, 0.0, 0.0) for i in range(25)]
    last = ("last", PEDESTRIAN, 50.0, 0.0, 0.0, 0.0, 0.0)
    free = pdm_closed(street(10.0)).plan
    np.testing.assert_array_equal(pdm_closed(street(10.0, tracks(*crowd, last))).plan, free)
    assert not (pdm_closed(street(10.0, tracks(*crowd[:24], last))).plan == free).all()


def test_given_boxes_and_lights_replace_those_of_the_scene() -> None:
    wall = tracks(("wall", VEHICLE, 40.0, 0.0, 0.0, 0.0, 0.0))
    ring = rectangle(50, -1.75, 60, 1.75)
    none, free = Tracks.pick(wall, np.array([False])), pdm_closed(street(10.0)).plan
    np.testing.assert_array_equal(pdm_closed(street(10.0, wall), seen=none).plan, free)
    dark = pdm_closed(red(street(10.0), ring), red=Polygons.of([]))
    np.testing.assert_array_equal(dark.plan, free)
    lit = pdm_closed(street(10.0), red=Polygons.of([ring]))
    np.testing.assert_array_equal(lit.plan, pdm_closed(red(street(10.0), ring)).plan)


def test_turning_and_shifting_the_scene_turns_and_shifts_the_plan() -> None:
    scene = red(
        street(10.0, tracks(("slow", VEHICLE, 30.0, 0.5, 0.1, 4.0, 0.0))),
        rectangle(90, -1.75, 99, 1.75),
    )
    moved = turned(scene, 0.7, (300.0, -40.0))
    plan = pdm_closed(scene).plan
    expected = turned(
        replace(scene, reference=replace(scene.reference, poses=plan)), 0.7, (300.0, -40.0)
    ).reference
    ours = pdm_closed(moved).plan
    np.testing.assert_allclose(ours[:, :2], expected.poses[:, :2], rtol=0, atol=1e-8)
    assert angle_between(ours[:, 2], expected.poses[:, 2]).max() < 1e-9


def test_the_first_of_the_best_is_chosen() -> None:
    wall = tracks(*((f"w{i}", VEHICLE, 9.0, i - 3.0, 0.0, 0.0, 0.0) for i in range(7)))
    closed = pdm_closed(street(20.0, wall))  # nothing can be saved
    assert closed.scores.max() == closed.scores.min() == 0.0
    assert closed.chosen == 0


def test_a_scene_with_the_plan_as_reference_scores_as_if_it_had_come_with_it() -> None:
    scene = street(10.0, tracks(("slow", VEHICLE, 30.0, 0.0, 0.0, 4.0, 0.0)))
    bare = prepare(replace(scene, reference=None))
    closed = pdm_closed(bare)
    late = with_reference(bare, closed)
    early = prepare(replace(scene, reference=closed.reference()))
    plans = closed.poses(scene.ego.initial)
    np.testing.assert_array_equal(score(late, plans).epdms, score(early, plans).epdms)
    assert late.reference is not None and late.scene.reference is not None
    assert score(late, plans).raw.ep[0] == pytest.approx(1.0, abs=0.02)


def test_the_plan_as_a_candidate_is_what_lies_ahead_of_the_ego() -> None:
    scene = turned(street(10.0), 0.5, (5.0, 6.0))
    poses = pdm_closed(scene).poses(scene.ego.initial)
    straight = pdm_closed(street(10.0)).plan[5:41:5]
    np.testing.assert_allclose(poses, straight, rtol=0, atol=1e-8)


def bend() -> F64:
    """(60, 2) a path that turns both ways, with vertices a metre apart and one sharp corner."""
    heading = np.cumsum(np.sin(np.arange(60) / 7.0) * 0.12)
    heading[30:] += 0.6
    return np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=-1), axis=0)


@pytest.mark.parametrize("moving", [False, True])
def test_the_corridor_holds_just_what_geos_says_it_holds(moving: bool) -> None:
    rng = np.random.default_rng(3)
    spine = bend()
    rings = boxes(rng, 4000, spine.min(axis=0) - 6.0, spine.max(axis=0) + 6.0)
    drift = rng.uniform(-3, 3, (4000, 2)) if moving else np.zeros((4000, 2))
    ours = blocked_by(spine, 1.1485, obstacles(rings, drift))
    corridor = corridor_of(spine, 1.1485)
    for moment in (0, 7, MOMENTS - 1):
        polygons = shapely.polygons(rings + moment * 0.2 * drift[:, None])
        np.testing.assert_array_equal(ours[moment] == 1, shapely.intersects(corridor, polygons))


def test_at_the_corridors_very_edge_the_millimetres_of_geos_decide() -> None:
    rng, spine, half = np.random.default_rng(4), bend(), 1.1485
    line, corridor = shapely.LineString(spine), corridor_of(spine, half)
    rings = boxes(rng, 5_000, spine.min(axis=0) - 4.0, spine.max(axis=0) + 4.0)
    ways = shapely.get_coordinates(shapely.shortest_line(line, shapely.polygons(rings)))
    step = np.diff(ways.reshape(-1, 2, 2), axis=1)
    apart = np.linalg.norm(step, axis=2, keepdims=True)
    beside = apart[:, 0, 0] > 0.0
    wanted = half + rng.uniform(-0.002, 0.002, apart.shape)
    rings = (rings + step / np.where(apart > 0.0, apart, 1.0) * (wanted - apart))[beside]
    polygons = shapely.polygons(rings)
    truth = shapely.intersects(corridor, polygons)
    plain_distance = shapely.distance(line, polygons) <= half
    assert (truth != plain_distance).any()  # else this test would say nothing
    np.testing.assert_array_equal(blocked_by(spine, half, obstacles(rings))[0] == 1, truth)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 37, 135])
def test_equals_are_ordered_as_the_search_tree_of_geos_orders_them(n: int) -> None:
    rings = boxes(np.random.default_rng(n), n, np.array([-50.0, -50.0]), np.array([50.0, 50.0]))
    tree = shapely.STRtree(shapely.polygons(rings))
    everywhere = shapely.box(-99, -99, 99, 99)
    np.testing.assert_array_equal(
        np.argsort(search_order(obstacles(rings), 0)), tree.query(everywhere)
    )
