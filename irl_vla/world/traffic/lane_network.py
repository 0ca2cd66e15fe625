"""The town's lanes as flat arrays, as compiled traffic reads them.

Lane l has the centre points first[l]:first[l + 1]. A conflict of lane a with lane b is the stretch
of a (and of b) where a vehicle on a would touch one on b.
May import: frames, scoring.compiled, types, world.episode, world.town.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from irl_vla.frames import arc_lengths
from irl_vla.scoring.compiled import kernel, plain
from irl_vla.types import F64
from irl_vla.world.episode import I64
from irl_vla.world.town import Town

TOUCHING = 2.5  # [m] between centre lines: vehicles on both would touch
STOP_BEFORE_END = 0.5  # [m] stop line before a junction without a crosswalk
STOP_BEFORE_WALK = 1.0  # [m] stop line before a crosswalk
WALK_AT_JUNCTION = 14.0  # [m] a crosswalk so near the end of a lane has the stop line


class LaneNetwork(NamedTuple):
    """L lanes. xy (P, 2), heading, arc (P,): centre points; first (L + 1,); length, width, limit
    (L,) [m], [m/s]; left, right, junction, turn, signal (L,) as in Lane; crossing: 1 where the
    junction must be kept clear; stop: arc of the stop line before the lane's end; close (L, 2):
    stretch that is closed, inf where none; merging, border: 1 where the lane ends in its neighbour,
    or in nothing; before (L,) a predecessor or -1

    Ragged, item k of lane l in *_first[l]:*_first[l + 1]: succ lanes; meet lanes in conflict,
    meet_s (., 4) begin and end on this lane, then on the other, meet_yield 1 where the other
    has priority; walk crosswalks, walk_s (., 2) begin and end on this lane.
    """

    xy: F64
    heading: F64
    arc: F64
    first: I64
    length: F64
    width: F64
    limit: F64
    left: I64
    right: I64
    junction: I64
    turn: I64
    signal: I64
    crossing: I64
    stop: F64
    close: F64
    merging: I64
    border: I64
    before: I64
    succ: I64
    succ_first: I64
    meet: I64
    meet_s: F64
    meet_yield: I64
    meet_first: I64
    walk: I64
    walk_s: F64
    walk_first: I64


@kernel
def stretch_near(
    xy: F64, arc: F64, a0: int, a1: int, b0: int, b1: int, longest: float, out: F64
) -> bool:
    """Begin and end [m] on line a of what comes within TOUCHING of line b -> out (2,).

    longest: [m] between two points of a lane
    """
    found = False
    for i in range(a0, a1):
        j, near = b0, False
        while j < b1 and not near:
            far = math.sqrt((xy[i, 0] - xy[j, 0]) ** 2 + (xy[i, 1] - xy[j, 1]) ** 2)
            near = far < TOUCHING
            j += max(1, int((far - TOUCHING) / longest))
        if near:
            if not found:
                out[0] = arc[i - 1] if i > a0 else arc[i]
                found = True
            out[1] = arc[i + 1] if i + 1 < a1 else arc[i]
    return found


@kernel
def stretch_inside(xy: F64, arc: F64, a0: int, a1: int, quad: F64, out: F64) -> bool:
    """Begin and end [m] on a line of what lies in a convex quadrilateral (4, 2) -> out (2,)."""
    area = 0.0
    for c in range(4):
        d = (c + 1) % 4
        area += quad[c, 0] * quad[d, 1] - quad[d, 0] * quad[c, 1]
    found = False
    for i in range(a0, a1 - 1):
        low, high = 0.0, 1.0
        for c in range(4):
            ex, ey = quad[(c + 1) % 4, 0] - quad[c, 0], quad[(c + 1) % 4, 1] - quad[c, 1]
            here = (ex * (xy[i, 1] - quad[c, 1]) - ey * (xy[i, 0] - quad[c, 0])) * area
            there = (ex * (xy[i + 1, 1] - quad[c, 1]) - ey * (xy[i + 1, 0] - quad[c, 0])) * area
            if here < 0.0 and there < 0.0:
                low, high = 1.0, 0.0
            elif here < 0.0:
                low = max(low, here / (here - there))
            elif there < 0.0:
                high = min(high, here / (here - there))
        if low < high:
            span = arc[i + 1] - arc[i]
            if not found:
                out[0], found = arc[i] + low * span, True
            out[1] = arc[i] + high * span
    return found


@kernel
def conflicts(
    xy: F64, arc: F64, first: I64, owner: I64, other: I64, longest: float, out: F64, keep: I64
) -> None:
    """Stretches of many pairs of lanes -> out (n, 4), keep (n,) 0 where they do not touch."""
    for k in range(len(owner)):
        a, b = owner[k], other[k]
        a0, a1, b0, b1 = first[a], first[a + 1], first[b], first[b + 1]
        mine = stretch_near(xy, arc, a0, a1, b0, b1, longest, out[k, :2])
        yours = stretch_near(xy, arc, b0, b1, a0, a1, longest, out[k, 2:])
        keep[k] = 1 if mine and yours else 0


def _ragged(rows: list[tuple[int, ...]]) -> tuple[I64, I64]:
    """Lists of integers, flat, and where each begins."""
    first = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    flat = [value for row in rows for value in row]
    return np.array(flat, np.int64), first


def _ints(values: Iterable[int]) -> I64:
    return np.array(list(values), np.int64)


def _meetings(town: Town, xy: F64, arc: F64, first: I64) -> tuple[I64, F64, I64, I64]:
    """Conflicts of all lanes: other lane, stretches, priority of the other, where each begins."""
    pairs = [
        (a, b, int(b in lane.yields_to))
        for a, lane in enumerate(town.lanes)
        for b in dict.fromkeys((*lane.crosses, *lane.yields_to))
    ]
    table = np.array(pairs, np.int64).reshape(-1, 3)
    stretches, keep = np.zeros((len(table), 4)), np.zeros(len(table), np.int64)
    owner, other = table[:, 0].copy(), table[:, 1].copy()
    longest = float(np.diff(arc).max())
    conflicts(xy, arc, first, owner, other, longest, stretches, keep)
    kept = keep == 1
    counts = np.bincount(owner[kept], minlength=len(town.lanes))
    begins = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return other[kept], plain(stretches[kept]), table[kept, 2].copy(), begins


def _walks(town: Town, xy: F64, arc: F64, first: I64) -> tuple[I64, F64, I64]:
    """Where the lanes cross the crosswalks: crosswalk, stretch, where each lane's begin."""
    rows: list[list[tuple[int, float, float]]] = [[] for _ in town.lanes]
    out = np.zeros(2)
    for index, walk in enumerate(town.crosswalks):
        zone = plain(walk.polygon)
        for lane in walk.lanes:
            if stretch_inside(xy, arc, first[lane], first[lane + 1], zone, out):
                rows[lane].append((index, float(out[0]), float(out[1])))
    flat = [row for lane in rows for row in sorted(lane, key=lambda row: row[1])]
    begins = np.cumsum([0, *(len(lane) for lane in rows)]).astype(np.int64)
    stretches = np.array([row[1:] for row in flat], np.float64).reshape(-1, 2)
    return _ints(row[0] for row in flat), stretches, begins


def _stops(length: F64, walk_s: F64, walk_first: I64) -> F64:
    """Arc of the stop line at the end of every lane."""
    stop = length - STOP_BEFORE_END
    for lane in range(len(length)):
        for begin, _ in walk_s[walk_first[lane] : walk_first[lane + 1]]:
            if length[lane] - begin < WALK_AT_JUNCTION and begin > STOP_BEFORE_WALK:
                stop[lane] = min(stop[lane], begin - STOP_BEFORE_WALK)
    return np.maximum(stop, 0.0)


def net_of(town: Town) -> LaneNetwork:
    """The lanes of a town."""
    lanes = town.lanes
    points = np.concatenate([lane.centre for lane in lanes])
    first = np.cumsum([0, *(len(lane.centre) for lane in lanes)]).astype(np.int64)
    arc = arc_lengths(points)
    arc -= np.repeat(arc[first[:-1]], np.diff(first))
    xy, length = plain(points[:, :2]), plain(arc[first[1:] - 1])
    close = np.full((len(lanes), 2), math.inf)
    for closure in town.closures:
        close[closure.lane] = closure.begin, closure.end
    before = np.full(len(lanes), -1, np.int64)
    for index, lane in enumerate(lanes):
        before[list(lane.successors)] = index
    boxes = [junction.kind == "crossing" for junction in town.junctions]
    walk, walk_s, walk_first = _walks(town, xy, arc, first)
    succ, succ_first = _ragged([lane.successors for lane in lanes])
    meet, meet_s, meet_yield, meet_first = _meetings(town, xy, arc, first)
    return LaneNetwork(
        xy, plain(np.unwrap(points[:, 2])), plain(arc), first, length,
        plain([lane.width for lane in lanes]), plain([lane.speed_limit for lane in lanes]),
        _ints(lane.left for lane in lanes), _ints(lane.right for lane in lanes),
        _ints(lane.junction for lane in lanes), _ints(lane.turn for lane in lanes),
        _ints(lane.signal for lane in lanes),
        _ints(lane.junction >= 0 and boxes[lane.junction] for lane in lanes),
        _stops(length, walk_s, walk_first), close, _ints(lane.merging for lane in lanes),
        _ints(not lane.successors and not lane.merging for lane in lanes), before,
        succ, succ_first, meet, meet_s, meet_yield, meet_first, walk, walk_s, walk_first,
    )  # fmt: skip
