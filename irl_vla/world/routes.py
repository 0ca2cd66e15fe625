"""Where to drive: random routes through a town, the line a route describes, what navigation says.

    route = random_route(town, rng, start_lane, 500.0)    lanes, each a successor or a neighbour
    path = Path.of(town, route)                           one smooth line, lane changes blended
    s, offset = path.project(points);  intent_at(path, pose, stamp_ns)
s: arc length along the path [m]; offset: to its left [m].
May import: types, frames, scoring.compiled, scoring.scene, world.route_lanes, world.town.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from irl_vla.frames import arc_lengths, to_inner, wrap_angle
from irl_vla.scoring.compiled import plain
from irl_vla.scoring.scene import I64, Mask
from irl_vla.types import F64, InputError, Intent, IntentDirection
from irl_vla.world.route_lanes import (
    are_neighbours,
    beside,
    changes_of,
    locate,
    nearest,
)
from irl_vla.world.town import NONE, Town, Turn

SPACING = 1.0  # [m] between the points of a path
TURN_WITHIN_M, TURN_WITHIN_S = 60.0, 6.0  # navigation announces turns this far ahead
TURN_ANGLE = math.radians(28.0)  # a junction that bends the way more is a turn
INTENT_POINTS, INTENT_SPACING = 20, 5.0  # of the polyline navigation hands out; [m]
BACK_M, SEARCHED_M = 15.0, 60.0  # [m] before and after a known place where a pose is looked for
TRIES = 12  # random walks before a shorter route is accepted


# --------------------------------------------------------------------------- random routes


def random_route(
    town: Town, rng: np.random.Generator, start_lane: int, length_m: float
) -> tuple[int, ...]:
    """Lanes from start_lane on, at least length_m long where the town allows it; each is a
    successor or a neighbour of the one before. Left, straight and right are equally likely where
    they exist; lanes are changed for a turn, before a merge and before a work zone."""
    best: tuple[list[int], float] = ([start_lane], -1.0)
    for _ in range(TRIES):
        route, length = _walk(town, rng, start_lane, length_m)
        if length >= length_m:
            return tuple(route)
        best = max(best, (route, length), key=lambda item: item[1])
    return tuple(best[0])


def _walk(
    town: Town, rng: np.random.Generator, start_lane: int, length_m: float
) -> tuple[list[int], float]:
    route, length = [start_lane], 0.0
    while True:
        here = route[-1]
        options = _ways_on(town, here, set(route)) or _ways_on(town, here, set(route[-9:]))
        if not options:
            return route, length + _length(town, here)
        if length >= length_m:
            return route, length
        turns = sorted({_turn(town, ahead) for _, ahead in options})
        turn = turns[rng.integers(len(turns))]
        options = [way for way in options if _turn(town, way[1]) == turn]
        fewest = min(len(chain) for chain, _ in options)
        if rng.random() < 0.7:
            options = [way for way in options if len(way[0]) == fewest]
        chain, ahead = options[rng.integers(len(options))]
        length += _length(town, here)
        route += [*chain[1:], ahead]


def _ways_on(town: Town, lane: int, recent: set[int]) -> list[tuple[list[int], int]]:
    """(lanes beside each other from `lane` on, successor of the last) that can be driven."""
    ways = []
    chains = beside(town, lane) if town.lanes[lane].junction == NONE else [[lane]]
    if any(closure.lane in {c[-1] for c in chains} for closure in town.closures):
        chains += [[*c, c[-2]] for c in chains if len(c) > 1]  # out of a closed lane and back
    for chain in chains:
        ahead = [lane for lane in town.lanes[chain[-1]].successors if lane not in recent]
        if ahead and changes_of(town, chain) is not None:
            ways += [(chain, lane) for lane in ahead]
    return ways


def _turn(town: Town, lane: int) -> int:
    return int(town.lanes[lane].turn)


def _length(town: Town, lane: int) -> float:
    return float(arc_lengths(town.lanes[lane].centre)[-1])


# --------------------------------------------------------------------------- the path of a route


class StopPoint(NamedTuple):
    """Where the path may have to be halted: s of the stop line; end: s where the junction or
    crosswalk is left; lane: of the route; signal: index or NONE; yields: others go first;
    crosswalk: index or NONE (a crosswalk, not a junction)."""

    s: float
    end: float
    lane: int
    signal: int
    yields: bool
    crosswalk: int


class Bend(NamedTuple):
    """A junction on the path. direction: what navigation calls it; s, end: where it lies."""

    s: float
    end: float
    direction: IntentDirection


@dataclass(frozen=True)
class RoutePath:
    """The line a route describes, points about 1 m apart, lane changes blended.

    poses: (n, 3), headings unwrapped; arcs: (n,) [m]; lanes: (n,) index of the lane; limits: (n,)
    [m/s]; widths: (n,) [m]; curvature: (n,) [1/m]; changes: (c, 3) s where lane changes begin and
    end, and to which side: +1 left, -1 right
    """

    route: tuple[int, ...]
    poses: F64
    arcs: F64
    lanes: I64
    limits: F64
    widths: F64
    curvature: F64
    changes: F64
    stops: tuple[StopPoint, ...]
    bends: tuple[Bend, ...]

    @property
    def length(self) -> float:
        """[m]"""
        return float(self.arcs[-1])

    @staticmethod
    def of(town: Town, route: Sequence[int]) -> RoutePath:
        """Raises InputError where lanes do not follow one another."""
        points, owners, changes = _join(town, route)
        raw = arc_lengths(points)
        at = np.linspace(0.0, raw[-1], max(round(raw[-1] / SPACING), 2) + 1)
        line = np.stack([np.interp(at, raw, points[:, i]) for i in (0, 1)], axis=-1)
        lanes = owners[np.minimum(np.searchsorted(raw, at - 1e-6), len(raw) - 1)]
        slope = np.gradient(line, axis=0)
        headings = np.unwrap(np.arctan2(slope[:, 1], slope[:, 0]))
        poses, arcs = plain(np.column_stack([line, headings])), arc_lengths(line)
        limits = np.array([lane.speed_limit for lane in town.lanes])[lanes]
        widths = np.array([lane.width for lane in town.lanes])[lanes]
        return RoutePath(
            tuple(route), poses, arcs, lanes, plain(limits), plain(widths),
            plain(np.gradient(headings, arcs)), np.array(changes, np.float64).reshape(-1, 3),
            _stops(town, poses, arcs, lanes), _bends(town, lanes, arcs, headings),
        )  # fmt: skip

    def project(self, points: F64) -> tuple[F64, F64]:
        """(s, offset), both (m,), of points (m, 2): the nearest place on the whole path."""
        out = locate(self.poses, np.atleast_2d(points))
        return out[:, 0], out[:, 1]

    def place(self, pose: F64, after: float | None = None) -> tuple[float, float]:
        """(s, offset) of a pose (3,): near and in about the same direction. after: s of a place
        passed less than SEARCHED_M before, where known: a long route may come along twice."""
        low, high = 0, len(self.arcs) - 1
        if after is not None:
            low = min(int(np.searchsorted(self.arcs, after - BACK_M)), high - 1)
            high = max(int(np.searchsorted(self.arcs[:-1], after + SEARCHED_M)), low + 1)
        return nearest(
            plain(self.poses[:, :2]), self.arcs, plain(self.poses[:, 2]), low, high,
            float(pose[0]), float(pose[1]), float(pose[2]), 10.0,
        )  # fmt: skip

    def at(self, s: F64) -> F64:
        """(..., 3) poses at arc lengths s, the ends beyond them."""
        return np.stack([np.interp(s, self.arcs, self.poses[:, i]) for i in range(3)], axis=-1)

    def between(self, begin: float, end: float) -> F64:
        """(m, 3) the path's own points from s = begin to end."""
        return self.poses[(self.arcs >= begin) & (self.arcs <= end)]


def route_centreline(path: RoutePath, begin: float, end: float) -> F64:
    """(m >= 2, 3) what progress and lane keeping are measured against from s = begin to end: the
    route's lane centres, with lane changes where navigation asks for them. Headings are wrapped."""
    poses = path.at(np.arange(max(begin, 0.0), min(end, path.length) + SPACING / 2, SPACING))
    poses[:, 2] = wrap_angle(poses[:, 2])
    return poses


def _join(town: Town, route: Sequence[int]) -> tuple[F64, I64, list[tuple[float, float, float]]]:
    """Points (n, 2) of the whole route, the lane each lies on, where lanes are changed."""
    points: list[F64] = []
    owners: list[I64] = []
    changes: list[tuple[float, float, float]] = []
    done = 0.0
    for chain in _chains(town, route):
        laid = changes_of(town, chain) or _squeezed(town, chain)
        line, owner = _blend(town, chain, laid if len(chain) > 1 else [])
        arcs = arc_lengths(line)
        scale = float(arcs[-1] / arc_lengths(town.lanes[chain[0]].centre)[-1])
        for (begin, end), (a, b) in zip(laid, pairwise(chain), strict=False):
            side = 1.0 if town.lanes[a].left == b else -1.0
            changes.append((done + begin * scale, done + end * scale, side))
        done += float(arcs[-1])
        first = 1 if points else 0
        points.append(line[first:])
        owners.append(owner[first:])
    return np.concatenate(points), np.concatenate(owners), changes


def _chains(town: Town, route: Sequence[int]) -> list[list[int]]:
    """The route cut into runs of lanes beside each other."""
    if not route:
        raise InputError("route: expected at least one lane, got none")
    chains = [[route[0]]]
    for i, (a, b) in enumerate(pairwise(route)):
        if b in town.lanes[a].successors:
            chains.append([b])
        elif are_neighbours(town, a, b):
            chains[-1].append(b)
        else:
            raise InputError(
                f"route: lane {i + 1} ('{town.lanes[b].id}') is neither a successor nor a "
                f"neighbour of the one before ('{town.lanes[a].id}')"
            )
    return chains


def _squeezed(town: Town, chain: Sequence[int]) -> list[tuple[float, float]]:
    """Changes spread evenly where the street is too short for comfortable ones."""
    step = _length(town, chain[0]) / max(len(chain) - 1, 1)
    return [(i * step, (i + 1) * step) for i in range(len(chain) - 1)]


def _blend(town: Town, chain: Sequence[int], changes: list[tuple[float, float]]) -> tuple[F64, I64]:
    """Points (n, 2) that follow chain[0] and move over to the next lanes, and their lanes (n,)."""
    line = town.lanes[chain[0]].centre
    owner = np.full(len(line), chain[0], np.int64)
    if not changes:
        return line[:, :2], owner
    arcs = arc_lengths(line)
    at = np.linspace(0.0, arcs[-1], max(int(arcs[-1] / SPACING), 2) + 1)
    base = np.stack([np.interp(at, arcs, line[:, i]) for i in (0, 1)], axis=-1)
    points, owner = base, np.full(len(at), chain[0], np.int64)
    for lane, (begin, end) in zip(chain[1:], changes, strict=True):
        centre = town.lanes[lane].centre
        s = locate(centre, base)[:, 0]
        other = np.stack([np.interp(s, arc_lengths(centre), centre[:, i]) for i in (0, 1)], axis=-1)
        t = np.clip((at - begin) / (end - begin), 0.0, 1.0)
        weight = (t**3 * (10.0 - 15.0 * t + 6.0 * t * t))[:, None]
        points = points * (1.0 - weight) + other * weight
        owner = np.where(t >= 0.5, lane, owner)
    last = town.lanes[chain[-1]].centre[-1, :2]
    if np.hypot(*(points[-1] - last)) > 0.2:  # the other lane is longer
        points, owner = np.vstack([points, last]), np.append(owner, chain[-1])
    else:
        points[-1] = last
    return points, owner


def _stops(town: Town, poses: F64, arcs: F64, lanes: I64) -> tuple[StopPoint, ...]:
    """Stop lines along a path, in order: of junctions' lanes and of crosswalks."""
    junction = np.array([lane.junction for lane in town.lanes])[lanes]
    stops = []
    for i in np.flatnonzero(np.diff(lanes)) + 1:
        lane = town.lanes[lanes[i]]
        fresh = junction[i] != junction[i - 1] or lane.signal != NONE or lane.yields_to
        if lane.junction != NONE and fresh:
            left = np.flatnonzero(junction[i:] != junction[i])
            end = arcs[i + left[0]] if len(left) else arcs[-1]
            stops.append(
                StopPoint(float(arcs[i - 1]), float(end), int(lanes[i]), lane.signal,
                     bool(lane.yields_to), NONE)
            )  # fmt: skip
    on_route = set(lanes.tolist())
    for number, crosswalk in enumerate(town.crosswalks):
        if on_route.isdisjoint(crosswalk.lanes):
            continue
        inside = np.flatnonzero(_within(crosswalk.polygon, poses[:, :2]))
        for run in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
            if len(run):
                s, end = float(arcs[run[0]]) - SPACING / 2, float(arcs[run[-1]]) + SPACING / 2
                lane_there = int(lanes[run[0]])
                stops.append(StopPoint(s, end, lane_there, crosswalk.signal, True, number))
    return tuple(sorted(stops, key=lambda stop: stop.s))


def _within(ring: F64, points: F64) -> Mask:
    """(m,) which points (m, 2) lie in a convex ring (n, 2)."""
    side = np.roll(ring, -1, axis=0) - ring
    away = points[:, None] - ring
    turn = side[:, 0] * away[..., 1] - side[:, 1] * away[..., 0]
    return np.asarray((turn >= 0.0).all(axis=1) | (turn <= 0.0).all(axis=1))


def _bends(town: Town, lanes: I64, arcs: F64, headings: F64) -> tuple[Bend, ...]:
    """The junctions along a path and what navigation calls them."""
    where = np.array([lane.junction for lane in town.lanes])[lanes]
    edges = np.flatnonzero(np.diff(where)) + 1
    bends = []
    for first, last in zip([0, *edges], [*edges, len(where)], strict=True):
        if where[first] == NONE:
            continue
        turn = headings[last - 1] - headings[first]
        named = {town.lanes[i].turn for i in lanes[first:last]} - {Turn.STRAIGHT}
        direction = IntentDirection.STRAIGHT
        if abs(turn) > TURN_ANGLE:
            direction = IntentDirection.LEFT if turn > 0 else IntentDirection.RIGHT
        elif len(named) == 1 and town.junctions[where[first]].kind != "roundabout":
            left = named == {Turn.LEFT}
            direction = IntentDirection.LEFT if left else IntentDirection.RIGHT
        bends.append(Bend(float(arcs[first]), float(arcs[last - 1]), direction))
    return tuple(bends)


# --------------------------------------------------------------------------- navigation


def intent_at(path: RoutePath, pose: F64, stamp_ns: int) -> Intent:
    """What navigation says at a pose (3,) of the rear axle: the next turn within about 60 m or 6 s
    at the speed limit, and up to 20 points of the route ahead, 5 m apart."""
    s, _ = path.place(pose)
    limit = float(np.interp(s, path.arcs, path.limits))
    reach = max(TURN_WITHIN_M, TURN_WITHIN_S * limit)
    near = [bend for bend in path.bends if bend.end > s and bend.s < s + reach]
    turns = [bend.direction for bend in near if bend.direction != IntentDirection.STRAIGHT]
    ahead = np.arange(s, min(s + INTENT_POINTS * INTENT_SPACING, path.length), INTENT_SPACING)
    route = to_inner(path.at(ahead[:INTENT_POINTS]), pose)[:, :2]
    return Intent(turns[0] if turns else IntentDirection.STRAIGHT, route, stamp_ns)
