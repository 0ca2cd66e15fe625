"""Routes, their paths and what navigation says, in a town small enough to check by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64, InputError, IntentDirection
from irl_vla.world.route_lanes import are_neighbours, changes_of
from irl_vla.world.routes import RoutePath, intent_at, random_route, route_centreline
from irl_vla.world.town import NONE, Closure, Crosswalk, Junction, Lane, Light, Signal, Town, Turn

WIDTH, LIMIT, RADIUS = 3.5, 13.0, 12.0


def lane(name: str, centre: F64, successors: tuple[int, ...], **more: object) -> Lane:
    return Lane(name, centre, np.zeros((4, 2)), WIDTH, LIMIT, name, successors, **more)  # type: ignore[arg-type]


def straight(x0: float, x1: float, y: float) -> F64:
    x = np.linspace(x0, x1, int(x1 - x0) + 1)
    return np.column_stack([x, np.full(len(x), y), np.zeros(len(x))])


def arc(x: float, y: float, side: float) -> F64:
    """A quarter turn from (x, y) eastwards; side +1 left."""
    angle = np.linspace(0.0, np.pi / 2, 20)
    return np.column_stack(
        [x + RADIUS * np.sin(angle), y + side * RADIUS * (1 - np.cos(angle)), side * angle]
    )


def climb(x: float, y: float, sign: float) -> F64:
    s = np.linspace(0.0, 200.0, 201)
    return np.column_stack([np.full(201, x), y + sign * s, np.full(201, sign * np.pi / 2)])


def town(closures: tuple[Closure, ...] = (), length: float = 200.0) -> Town:
    """Two lanes eastwards to a crossing; the left one turns left or goes on, the right one turns
    right or goes on. The way on has a crosswalk at x = length + 60."""
    end = length + 2 * RADIUS
    lanes = (
        lane("left", straight(0, length, 0.0), (2, 3), right=1),
        lane("right", straight(0, length, -WIDTH), (4, 5), left=0),
        lane("turn-left", arc(length, 0.0, 1.0), (6,), junction=0, turn=Turn.LEFT, signal=0),
        lane("on-left", straight(length, end, 0.0), (7,), junction=0, signal=0),
        lane("on-right", straight(length, end, -WIDTH), (8,), junction=0, signal=0),
        lane("turn-right", arc(length, -WIDTH, -1.0), (9,), junction=0, turn=Turn.RIGHT, signal=0),
        lane("north", climb(length + RADIUS, RADIUS, 1.0), ()),
        lane("east-left", straight(end, end + 200, 0.0), (), right=8),
        lane("east-right", straight(end, end + 200, -WIDTH), (), left=7),
        lane("south", climb(length + RADIUS, -WIDTH - RADIUS, -1.0), ()),
    )
    zebra = length + 60.0 + np.array([[0.0, 8], [4, 8], [4, -8], [0, -8]])
    zebra[:, 1] -= length + 60.0
    crosswalk = Crosswalk(zebra, np.array([[length + 62, 8.0], [length + 62, -8.0]]), (7, 8))
    signal = Signal(np.array([[20.0, Light.GREEN], [20.0, Light.RED]]), 0.0, np.zeros((0, 4)))
    return Town(
        "crossing", 0, lanes, Polygons.of([]),
        (Junction("crossing", np.zeros((4, 2)), (2, 3, 4, 5)),), (signal,), (crosswalk,), closures,
    )  # fmt: skip


def test_every_lane_of_a_random_route_follows_the_one_before() -> None:
    world = town((Closure(0, 90.0, 120.0),))
    for seed in range(60):
        route = random_route(world, np.random.default_rng(seed), seed % 2, 300.0)
        assert all(
            b in world.lanes[a].successors or are_neighbours(world, a, b)
            for a, b in pairwise(route)
        )
        assert RoutePath.of(world, route).length > 300.0


def test_left_straight_and_right_are_chosen_about_equally_often() -> None:
    ends = [random_route(town(), np.random.default_rng(i), i % 2, 300.0)[-1] for i in range(300)]
    for goal in ({6}, {7, 8}, {9}):
        assert 70 <= sum(end in goal for end in ends) <= 130


def test_the_same_generator_gives_the_same_route() -> None:
    routes = [random_route(town(), np.random.default_rng(5), 0, 300.0) for _ in range(2)]
    assert routes[0] == routes[1]


def test_a_path_is_evenly_spaced_smooth_and_ends_where_its_lanes_end() -> None:
    path = RoutePath.of(town(), (1, 0, 2, 6))
    steps = np.diff(path.arcs)
    assert np.all(np.abs(steps - 1.0) < 0.02)
    assert np.all(np.abs(np.diff(path.poses[:, 2])) < 0.12)
    assert path.poses[0, :2] == pytest.approx([0.0, -WIDTH])
    assert path.poses[-1, :2] == pytest.approx([200.0 + RADIUS, RADIUS + 200.0])
    assert np.abs(path.curvature).max() == pytest.approx(1 / RADIUS, rel=0.05)
    begin, end, side = path.changes[0]
    assert side == 1.0
    assert 28.0 <= end - begin <= 70.0
    assert path.at(np.array(begin))[1] == pytest.approx(-WIDTH, abs=0.01)
    assert path.at(np.array(end))[1] == pytest.approx(0.0, abs=0.01)


def test_projection_finds_arc_length_and_the_side() -> None:
    path = RoutePath.of(town(), (0, 3, 7))
    s, offset = path.project(np.array([[50.3, 1.2], [120.0, -0.7]]))
    assert s == pytest.approx([50.3, 120.0])
    assert offset == pytest.approx([1.2, -0.7])


def test_lane_changes_keep_off_work_zones() -> None:
    before = changes_of(town((Closure(0, 100.0, 130.0),)), (0, 1))
    after = changes_of(town((Closure(0, 100.0, 130.0),)), (1, 0))
    assert before is not None and before[0][1] <= 86.0
    assert after is not None and after[0][0] >= 144.0
    assert changes_of(town((Closure(0, 100.0, 130.0),)), (0,)) is None
    assert changes_of(town((Closure(0, 20.0, 60.0),)), (0, 1)) is None


def test_a_street_too_short_for_a_lane_change_is_not_changed_on() -> None:
    assert changes_of(town(length=20.0), (0, 1)) is None


def test_stops_name_the_signal_and_the_crosswalk_in_order() -> None:
    stops = RoutePath.of(town(), (1, 4, 8)).stops
    assert [(stop.signal, stop.crosswalk) for stop in stops] == [(0, NONE), (NONE, 0)]
    assert stops[0].s == pytest.approx(200.0, abs=1.0)
    assert stops[0].end == pytest.approx(224.0, abs=1.5)
    assert stops[1].s == pytest.approx(260.0, abs=1.0)


def test_navigation_announces_the_next_turn_but_not_too_early() -> None:
    for route, direction in [
        ((0, 2, 6), IntentDirection.LEFT), ((1, 5, 9), IntentDirection.RIGHT),
        ((0, 3, 7), IntentDirection.STRAIGHT),
    ]:  # fmt: skip
        path = RoutePath.of(town(), route)
        assert intent_at(path, path.at(np.array(50.0)), 7).direction == IntentDirection.STRAIGHT
        near = intent_at(path, path.at(np.array(150.0)), 7)
        assert near.direction == direction
        assert near.stamp_ns == 7
        assert near.route is not None and len(near.route) == 20
        assert near.route[0] == pytest.approx([0.0, 0.0], abs=1e-6)
        assert np.hypot(*np.diff(near.route, axis=0).T) == pytest.approx(5.0, abs=0.1)
        past = intent_at(path, path.at(np.array(260.0)), 7)
        assert past.direction == IntentDirection.STRAIGHT


def test_the_route_seen_from_beside_the_path_lies_to_the_side() -> None:
    path = RoutePath.of(town(), (0, 3, 7))
    route = intent_at(path, np.array([50.0, 1.0, 0.0]), 0).route
    assert route is not None
    assert route[:, 1] == pytest.approx(-1.0)


def test_the_centreline_is_the_path_between_two_places() -> None:
    path = RoutePath.of(town(), (0, 3, 7))
    line = route_centreline(path, 20.0, 60.0)
    assert line[0] == pytest.approx([20.0, 0.0, 0.0])
    assert line[-1] == pytest.approx([60.0, 0.0, 0.0])


def test_lanes_that_do_not_follow_one_another_are_refused() -> None:
    with pytest.raises(InputError, match=r"'south'.* is neither a successor nor a neighbour"):
        RoutePath.of(town(), (0, 9))
