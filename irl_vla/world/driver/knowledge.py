"""What the expert knows before it sets off: its path as arrays, how fast it may go where, where it
may have to stop, and who comes first there.

Stream: the way others take to a place where they go first: their lane and what leads into it.
May import: frames, world.signals, scoring.compiled, scoring.scene, types, world.route_lanes,
routes, town.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from irl_vla.frames import arc_lengths
from irl_vla.scoring.compiled import kernel, plain
from irl_vla.scoring.scene import I64
from irl_vla.types import F64
from irl_vla.world.routes import RoutePath, StopPoint
from irl_vla.world.signals import Cycles
from irl_vla.world.town import NONE, Lane, Town

SMOOTH = 5  # points over which the path's curvature is averaged
INSET_SMOOTH = 9  # points over which moving to the inside of a bend is spread, twice
MAX_INSET = 0.5  # [m]
BRAKING = 1.3  # [m/s²] before bends and lower limits
STREAM_M = 75.0  # [m] others are looked for this far before the place where they go first
STREAM_STEP = 2.0  # [m] between the points of a stream
STREAMS = 8  # ways into one lane that are followed at most
CHANGE_HELD_M = 60.0  # [m] beyond its place that a lane change may be put off
APART_POINTS = 4  # of the path: farther on the two meet a second time, as on a roundabout
TOUCHING = 2.7  # [m] between centre lines: the two would touch


class PathProfile(NamedTuple):
    """The path, n points. xy (n, 2); heading unwrapped; arcs [m]; kappa smoothed [1/m]; speed: what
    bends, limits and braking for them allow [m/s]; room (n, 2): how far right (negative) and left
    lanes of this direction reach [m]; width: of the lane [m]; shift: how far left of the
    lane it last left the path lies [m]; changes (c, 3): where lane changes begin and end,
    and to which side"""

    xy: F64
    heading: F64
    arcs: F64
    kappa: F64
    speed: F64
    room: F64
    width: F64
    shift: F64
    changes: F64


class StopPoints(NamedTuple):
    """g places where the path may have to be halted, in order. s: stop line; end: where it is left;
    signal: or NONE; crosswalk: or NONE; bend: the junction is turned in; streams: first stream
    (g + 1,)"""

    s: F64
    end: F64
    signal: I64
    crosswalk: I64
    streams: I64


class ConflictStreams(NamedTuple):
    """k streams. points (p, 2), heading (p,), arcs (p,) from its own beginning, first (k + 1,);
    begin, end: where on it the conflict lies; mine (k, 2): where on the path; own: arc at which
    its last lane begins; signal: of that lane, or NONE; turn: of that lane; merges: 1 where both
    go on in the same lane"""

    points: F64
    heading: F64
    arcs: F64
    first: I64
    begin: F64
    end: F64
    mine: F64
    own: F64
    signal: I64
    turn: I64
    merges: I64


class Crosswalks(NamedTuple):
    """c crosswalks. rings (c, 4, 2); ends (c, 2, 2)."""

    rings: F64
    ends: F64


@dataclass(frozen=True)
class DriverKnowledge:
    """All of it."""

    profile: PathProfile
    stop_points: StopPoints
    streams: ConflictStreams
    cycles: Cycles
    crosswalks: Crosswalks


def study(town: Town, path: RoutePath, pace: float, side: float, front: float) -> DriverKnowledge:
    """pace: desired speed as a share of the limit; side: lateral acceleration in bends [m/s²];
    front: from the rear axle to the bumper [m]."""
    stops = list(path.stops)
    rows: list[_ConflictStream] = []
    first = [0]
    before = predecessors(town)
    for stop in stops:
        if stop.crosswalk == NONE:
            rows += _streams_of(town, path, stop, before)
        first.append(len(rows))
    stop_points = StopPoints(
        np.array([stop.s for stop in stops], np.float64),
        np.array([stop.end for stop in stops], np.float64),
        np.array([stop.signal for stop in stops], np.int64),
        np.array([stop.crosswalk for stop in stops], np.int64),
        np.array(first, np.int64),
    )
    crosswalks = Crosswalks(
        plain([walk.polygon for walk in town.crosswalks]).reshape(-1, 4, 2),
        plain([walk.ends for walk in town.crosswalks]).reshape(-1, 2, 2),
    )
    return DriverKnowledge(
        _guide(town, path, pace, side, front), stop_points, _pack(rows), Cycles.of(town), crosswalks
    )


@kernel
def brake_in_time(speed: F64, arcs: F64, braking: float) -> None:
    """Lowers speeds (n,) so that each is reached from the one before with at most `braking`."""
    for i in range(len(speed) - 2, -1, -1):
        ahead = speed[i + 1]
        reach = math.sqrt(ahead * ahead + 2.0 * braking * (arcs[i + 1] - arcs[i]))
        speed[i] = min(speed[i], reach)


def _guide(town: Town, path: RoutePath, pace: float, side: float, front: float) -> PathProfile:
    aside = inset(path, front)
    normal = np.stack([-np.sin(path.poses[:, 2]), np.cos(path.poses[:, 2])], axis=-1)
    line = path.poses[:, :2] + aside[:, None] * normal
    slope = np.gradient(line, axis=0)
    heading = np.unwrap(np.arctan2(slope[:, 1], slope[:, 0]))
    kappa = averaged(np.gradient(heading, arc_lengths(line)), SMOOTH)
    speed = np.minimum(path.limits * pace, np.sqrt(side / np.maximum(np.abs(kappa), 1e-4)))
    speed = plain(speed)
    brake_in_time(speed, path.arcs, BRAKING)
    return PathProfile(
        plain(line), plain(heading), path.arcs, plain(kappa), speed,
        plain(_room(town, path) - aside[:, None]), path.widths, _shift(path),
        plain(path.changes),
    )  # fmt: skip


def averaged(values: F64, window: int) -> F64:
    """(n,) running means over an odd number of samples."""
    padded = np.pad(values, window // 2, mode="edge")
    return np.asarray(np.convolve(padded, np.ones(window) / window, mode="valid"))


def inset(path: RoutePath, front: float) -> F64:
    """(n,) how far the rear axle cuts inside the lane's centre [m, left], so that in a bend the
    nose sweeps as far out as the flank lies in: half of front² / (2·R)."""
    wish = np.clip(path.curvature * front * front / 4.0, -MAX_INSET, MAX_INSET)
    return averaged(averaged(wish, INSET_SMOOTH), INSET_SMOOTH)


def _room(town: Town, path: RoutePath) -> F64:
    """(n, 2) metres to the right (negative) and left that lie in lanes of the same direction."""
    half = path.widths / 2.0
    room = np.stack([-half, half], axis=-1)
    for i in np.unique(path.lanes):
        here = path.lanes == i
        for column, sign, side in ((0, -1.0, town.lanes[i].right), (1, 1.0, town.lanes[i].left)):
            closed = any(closure.lane == side for closure in town.closures)
            if side != NONE and not closed and not town.lanes[side].merging:
                room[here, column] += sign * town.lanes[side].width
    return plain(room)


def _shift(path: RoutePath) -> F64:
    """(n,) how far left of the lane that the last lane change left the path lies [m]; back to 0
    some way on."""
    shift = np.zeros(len(path.arcs))
    for begin, end, side in path.changes:
        width = float(np.interp(begin, path.arcs, path.widths))
        t = np.clip((path.arcs - begin) / (end - begin), 0.0, 1.0)
        on = (path.arcs > begin) & (path.arcs < end + CHANGE_HELD_M)
        shift[on] = (side * width * t**3 * (10.0 - 15.0 * t + 6.0 * t * t))[on]
    return shift


# --------------------------------------------------------------------------- who comes first


class _ConflictStream(NamedTuple):
    line: F64
    begin: float
    end: float
    mine: tuple[float, float]
    own: float
    lane: Lane
    merges: bool


def predecessors(town: Town) -> list[list[int]]:
    """Of every lane, the lanes it succeeds."""
    before: list[list[int]] = [[] for _ in town.lanes]
    for i, lane in enumerate(town.lanes):
        for after in lane.successors:
            before[after].append(i)
    return before


def _streams_of(
    town: Town, path: RoutePath, stop: StopPoint, before: list[list[int]]
) -> list[_ConflictStream]:
    """The streams that go first at one junction."""
    inside = (path.arcs >= stop.s) & (path.arcs <= stop.end + 1.0)
    mine, arcs = path.poses[inside], path.arcs[inside]
    on_path = set(path.route)
    streams = []
    for other in town.lanes[stop.lane].yields_to:
        if other in on_path:
            continue
        lane = town.lanes[other]
        centre = lane.centre
        apart = np.hypot(*(mine[:, None, :2] - centre[None, :, :2]).transpose(2, 0, 1))
        near = apart < TOUCHING
        if not near.any():
            continue
        rows = np.flatnonzero(near.any(axis=1))
        rows = np.split(rows, np.flatnonzero(np.diff(rows) > APART_POINTS) + 1)[0]
        columns = np.flatnonzero(near[rows].any(axis=0))
        own = arc_lengths(centre)
        merges = any(s in town.lanes[stop.lane].successors for s in lane.successors)
        for lead in _leading_in(town, other, before):
            line = np.concatenate([*lead, centre]) if lead else centre
            into = float(arc_lengths(line)[-1] - own[-1])
            streams.append(
                _ConflictStream(
                    line, into + float(own[columns[0]]), into + float(own[columns[-1]]),
                    (float(arcs[rows[0]]), float(arcs[rows[-1]])), into, lane, merges,
                )
            )  # fmt: skip
    return streams


def _leading_in(town: Town, lane: int, before: list[list[int]]) -> list[list[F64]]:
    """Ways into a lane, each a list of centre lines, about STREAM_M long."""
    ways: list[list[F64]] = []
    open_: list[tuple[int, list[F64], float]] = [(lane, [], 0.0)]
    while open_ and len(ways) < STREAMS:
        at, way, length = open_.pop(0)
        more = [i for i in before[at] if i != lane]
        if length >= STREAM_M or not more:
            ways.append(way)
            continue
        for i in more:
            centre = town.lanes[i].centre
            arcs = arc_lengths(centre)
            kept = centre[arcs >= arcs[-1] - (STREAM_M - length) - 2.0]
            open_.append((i, [kept, *way], length + float(arcs[-1])))
    return ways


def _pack(rows: list[_ConflictStream]) -> ConflictStreams:
    points, headings, arcs = [np.zeros((0, 2))], [np.zeros(0)], [np.zeros(0)]
    for row in rows:
        own = arc_lengths(row.line)
        at = np.linspace(0.0, own[-1], max(int(own[-1] / STREAM_STEP), 1) + 1)
        xy = np.stack([np.interp(at, own, row.line[:, i]) for i in (0, 1)], axis=-1)
        slope = np.gradient(xy, axis=0)
        points.append(xy)
        headings.append(np.arctan2(slope[:, 1], slope[:, 0]))
        arcs.append(arc_lengths(xy))
    return ConflictStreams(
        plain(np.concatenate(points)), plain(np.concatenate(headings)), plain(np.concatenate(arcs)),
        np.cumsum([0, *(len(part) for part in arcs[1:])]).astype(np.int64),
        np.array([row.begin for row in rows], np.float64),
        np.array([row.end for row in rows], np.float64),
        np.array([row.mine for row in rows], np.float64).reshape(-1, 2),
        np.array([row.own for row in rows], np.float64),
        np.array([row.lane.signal for row in rows], np.int64),
        np.array([row.lane.turn for row in rows], np.int64),
        np.array([row.merges for row in rows], np.int64),
    )  # fmt: skip
