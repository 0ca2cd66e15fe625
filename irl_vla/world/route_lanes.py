"""Lanes as lines: where a point lies along one, and where a street allows lane changes.

`changes_of` lays the changes between lanes beside each other as early as work zones and the
street's length allow. s: arc length [m]; offset: to the left of the line [m].
May import: frames, types, scoring.compiled, world.town.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from irl_vla.frames import arc_lengths
from irl_vla.scoring.compiled import lean_kernel, plain
from irl_vla.types import F64
from irl_vla.world.town import NONE, Town

CHANGE_S = 4.2  # [s] a lane change takes at the speed limit
CHANGE_M = (28.0, 70.0)  # [m] shortest and longest comfortable lane change
TIGHTER = (1.0, 0.75, 0.55)  # factors tried where the street is too short
ENTRY_M, EXIT_M = 4.0, 12.0  # [m] of a street that no lane change touches
CLOSED_M = 14.0  # [m] kept from a work zone


@lean_kernel
def nearest(
    line: F64, arcs: F64, headings: F64, first: int, last: int, x: float, y: float, heading: float,
    turn_cost: float,
) -> tuple[float, float]:  # fmt: skip
    """(s, offset) of the point of segments first..last-1 of line (n, 2) that is nearest to (x, y);
    a segment that differs from `heading` counts as turn_cost [m] per unit of 1 - cos further."""
    best, s, offset = math.inf, 0.0, 0.0
    for i in range(first, last):
        ax, ay = line[i, 0], line[i, 1]
        dx, dy = line[i + 1, 0] - ax, line[i + 1, 1] - ay
        t = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)
        t = min(max(t, 0.0), 1.0)
        px, py = x - ax - t * dx, y - ay - t * dy
        if px * px + py * py > 1.001 * best * best:  # for sure: the rest is dear
            continue
        away = math.hypot(px, py)
        if turn_cost > 0.0:
            away += turn_cost * (1.0 - math.cos(headings[i] - heading))
        if away < best:
            best, s = away, arcs[i] + t * (arcs[i + 1] - arcs[i])
            offset = math.copysign(math.hypot(px, py), dx * py - dy * px)
    return s, offset


@lean_kernel
def nearest_many(line: F64, arcs: F64, headings: F64, points: F64, out: F64) -> None:
    """(s, offset) of every point (m, 2) -> out (m, 2)."""
    for j in range(len(points)):
        x, y = points[j, 0], points[j, 1]
        out[j] = nearest(line, arcs, headings, 0, len(line) - 1, x, y, 0.0, 0.0)


def locate(line: F64, points: F64) -> F64:
    """(m, 2) s and offset of points (m, 2) along line (n, 3)."""
    out = np.empty((len(points), 2))
    xy = plain(line[:, :2])
    nearest_many(xy, arc_lengths(xy), plain(line[:, 2]), plain(points), out)
    return out


def are_neighbours(town: Town, a: int, b: int) -> bool:
    """Whether b lies beside a, in the same direction."""
    lane = town.lanes[a]
    return b != NONE and b in (lane.left, lane.right)


def beside(town: Town, lane: int) -> list[list[int]]:
    """Every lane that can be reached sideways, as the chain of lanes from `lane` to it, itself
    first."""
    chains, seen = [[lane]], {lane}
    for chain in chains:
        for side in (town.lanes[chain[-1]].left, town.lanes[chain[-1]].right):
            if side != NONE and side not in seen:
                seen.add(side)
                chains.append([*chain, side])
    return chains


def changes_of(town: Town, chain: Sequence[int]) -> list[tuple[float, float]] | None:
    """Where along chain[0] each change to the next lane begins and ends [m], or None where the
    street is too short for them. Each begins as early as it may."""
    lanes = [town.lanes[i] for i in chain]
    base = lanes[0].centre
    total = float(arc_lengths(base)[-1])
    closed = [closed_along(town, i, base) for i in chain]
    wish = min(max(CHANGE_S * lanes[0].speed_limit, CHANGE_M[0]), CHANGE_M[1])
    for factor in TIGHTER:
        changes: list[tuple[float, float]] = []
        cursor = ENTRY_M
        for here, there in pairwise(closed):
            changes.append(_slot(here, there, cursor, wish * factor))
            cursor = changes[-1][1]
        open_ = cursor <= total - EXIT_M and all(e <= cursor for _, e in closed[-1])
        if open_ or (len(chain) == 1 and not closed[0]):
            return changes
    return None


def _slot(
    here: list[tuple[float, float]], there: list[tuple[float, float]], cursor: float, length: float
) -> tuple[float, float]:
    """The first change of this length after `cursor`: beyond all work zones of the lane there,
    before those of the lane here; infinite where there is none."""
    begin = max([cursor, *(e for _, e in there)])
    if any(e > cursor and begin + length > b for b, e in here):
        return math.inf, math.inf
    return begin, begin + length


def closed_along(town: Town, lane: int, base: F64) -> list[tuple[float, float]]:
    """Work zones of a lane, with their distance kept, as stretches along base (n, 3)."""
    spans = []
    for closure in town.closures:
        if closure.lane == lane:
            centre = town.lanes[lane].centre
            arcs = arc_lengths(centre)
            ends = [
                [np.interp(s, arcs, centre[:, i]) for i in (0, 1)]
                for s in (closure.begin, closure.end)
            ]
            (begin, _), (end, _) = locate(base, np.array(ends))
            spans.append((float(begin) - CLOSED_M, float(end) + CLOSED_M))
    return sorted(spans)
