"""Where people walk: lines along the footpaths and over the crosswalks near the ego's way.

May import: frames, types, scoring.scene, world.traffic, world.town.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.frames import arc_lengths, step_lengths
from irl_vla.scoring.scene import Mask
from irl_vla.types import F64
from irl_vla.world.episode import I64
from irl_vla.world.town import Town
from irl_vla.world.traffic.pedestrians import KEEP_RIGHT, NODES, STANDING, WALKING, Walkers

NEAR_M = 90.0  # [m] from the ego's way
STROLL_M = 45.0  # [m] of footpath to either side of where one starts
APPROACH_M = (8.0, 35.0)  # [m] along the footpath before and after a crosswalk
TO_PATH_M = 9.0  # [m] a footpath so near a crosswalk's end is joined to it
IDLE = 3  # people who stand about, and may take a short cut
CROSSING_SHARE = 0.6  # of the people cross, where there are crosswalks
PACE = (0.95, 1.65)  # [m/s]
APART_M = 1.2  # [m] between people at the start
ARMS = 6  # tries to find a free place


def _thinned(line: F64) -> F64:
    """A line (n, 2) of at most NODES points, corners kept as well as they can be."""
    line = np.asarray(line[np.concatenate([[True], step_lengths(line) > 1e-6])])
    if len(line) <= NODES:
        return line
    return np.asarray(line[np.linspace(0, len(line) - 1, NODES).round().astype(int)])


def _along(path: F64, x: F64, length: float, way: int) -> F64:
    """The part of a footpath (n, 2) from its point next to x, `length` metres one way."""
    k = int(np.argmin(np.hypot(path[:, 0] - x[0], path[:, 1] - x[1])))
    part = path[k:] if way > 0 else path[: k + 1][::-1]
    arc = arc_lengths(part)
    return part[arc <= length]


class _Paths(NamedTuple):
    """The footpaths: each a line (n, 2), and all their points with where each begins."""

    lines: tuple[F64, ...]
    points: F64
    starts: I64

    @staticmethod
    def of(town: Town) -> _Paths:
        starts = np.cumsum([0, *(len(path) for path in town.footpaths)])[:-1]
        return _Paths(town.footpaths, np.concatenate([np.zeros((0, 2)), *town.footpaths]), starts)

    def gaps(self, x: F64) -> F64:
        """(n,) [m] from a point to the nearest vertex of every footpath."""
        squares = (self.points[:, 0] - x[0]) ** 2 + (self.points[:, 1] - x[1]) ** 2
        return np.asarray(np.sqrt(np.minimum.reduceat(squares, self.starts)))

    def nearest(self, x: F64) -> int:
        """The footpath that comes nearest to a point, -1 where none comes near."""
        if not self.lines:
            return -1
        gaps = self.gaps(x)
        best = int(np.argmin(gaps))
        return best if gaps[best] < TO_PATH_M else -1


def _over(
    town: Town, paths: _Paths, walk: int, rng: np.random.Generator
) -> tuple[F64, float, float]:
    """A line over a crosswalk, and the arcs where the road begins and ends on it."""
    ends = town.crosswalks[walk].ends
    if rng.random() < 0.5:
        ends = ends[::-1]
    arms = []
    for end in ends:
        k = paths.nearest(end)
        arm = np.zeros((0, 2))
        if k >= 0:
            length, way = rng.uniform(*APPROACH_M), int(rng.choice([-1, 1]))
            arm = _along(town.footpaths[k], end, length, way)
            if len(arm) < 2:
                arm = _along(town.footpaths[k], end, length, -way)
        out = (end - ends.mean(axis=0)) / max(np.linalg.norm(end - ends.mean(axis=0)), 1e-6)
        arms.append(np.concatenate([(end + 1.0 * out)[None], arm]))
    line = np.concatenate([arms[0][::-1], ends, arms[1]])
    before = np.concatenate([arms[0][::-1], ends[:1]])
    begin = float(step_lengths(before).sum())
    return line, begin, begin + float(np.hypot(*(ends[1] - ends[0])))


def _stroll(paths: _Paths, near: F64, rng: np.random.Generator) -> F64 | None:
    """A stretch of a footpath near the ego's way."""
    x = near[rng.integers(len(near))]
    if not paths.lines:
        return None
    gaps = paths.gaps(x)
    order = [k for k in np.argsort(gaps, kind="stable")[:4] if gaps[k] < NEAR_M]
    if not order:
        return None
    path = paths.lines[order[rng.integers(len(order))]]
    k = int(np.argmin(np.hypot(path[:, 0] - x[0], path[:, 1] - x[1])))
    back, ahead = _along(path, path[k], STROLL_M, -1), _along(path, path[k], STROLL_M, 1)
    line = np.concatenate([back[::-1], ahead[1:]])
    return line if len(line) > 1 else None


def put_people(
    town: Town, walkers: Walkers, states: F64, near: F64, rng: np.random.Generator
) -> None:
    """Gives everybody a line and a place on it. near: (n, 2) points of the ego's way."""
    middles = np.array([walk.ends.mean(axis=0) for walk in town.crosswalks]).reshape(-1, 2)
    gaps = np.sqrt(((middles[:, None] - near[None]) ** 2).sum(-1)).min(axis=1, initial=math.inf)
    usable, paths = np.flatnonzero(gaps < NEAR_M), _Paths.of(town)
    for p in range(len(walkers.mode)):
        begin, end, walk = math.inf, math.inf, -1
        if p >= IDLE and len(usable) and rng.random() < CROSSING_SHARE:
            walk = int(usable[rng.integers(len(usable))])
            line, begin, end = _over(town, paths, walk, rng)
        else:
            strolled = _stroll(paths, near, rng)
            if strolled is None:
                continue
            line = strolled
        give_line(walkers, p, line, begin, end)
        walkers.walk[p] = walk
        walkers.signal[p] = town.crosswalks[walk].signal if walk >= 0 else -1
        walkers.pace[p] = rng.uniform(*PACE)
        walkers.starts[p] = math.inf if p < IDLE and walk < 0 else 0.0
        _put(walkers, p, states, rng)


def give_line(walkers: Walkers, p: int, line: F64, begin: float, end: float) -> None:
    """Person p walks along a line (n, 2) from now on; begin, end: arcs of the road on it."""
    if np.isfinite(begin):  # thinning must not move the kerbs
        arc = arc_lengths(line)
        keep = np.abs(arc - (begin + end) / 2.0) < 50.0
        begin, end, line = begin - arc[keep][0], end - arc[keep][0], line[keep]
    thin = _thinned(line)
    n = len(thin)
    walkers.line[p, :n], walkers.points[p] = thin, n
    walkers.arc[p, :n] = arc_lengths(thin)
    walkers.gate[p] = begin, end


def _put(walkers: Walkers, p: int, states: F64, rng: np.random.Generator) -> None:
    """Person p starts on its line where nobody is, off the road."""
    n, first = walkers.points[p], walkers.first
    total, begin = walkers.arc[p, n - 1], walkers.gate[p, 0]
    walkers.mode[p], walkers.points[p] = STANDING, 0
    for _ in range(ARMS):
        s = rng.uniform(0.0, total if math.isinf(begin) else max(begin - 0.5, 0.1))
        way = 1.0 if not math.isinf(begin) else float(rng.choice([-1.0, 1.0]))
        x = np.array([np.interp(s, walkers.arc[p, :n], walkers.line[p, :n, c]) for c in (0, 1)])
        ahead = np.array([
            np.interp(s + 0.5, walkers.arc[p, :n], walkers.line[p, :n, c])
            - np.interp(s - 0.5, walkers.arc[p, :n], walkers.line[p, :n, c]) for c in (0, 1)
        ])  # fmt: skip
        heading = math.atan2(ahead[1], ahead[0])
        side = KEEP_RIGHT * way
        x = x + side * np.array([math.sin(heading), -math.cos(heading)])
        others = states[first : first + p, :2]
        if len(others) and np.nanmin(np.hypot(*(others - x).T), initial=math.inf) < APART_M:
            continue
        walkers.s[p], walkers.way[p], walkers.side[p] = s, way, side
        idle = math.isinf(walkers.starts[p])
        walkers.mode[p], walkers.points[p] = STANDING if idle else WALKING, n
        facing = heading if way > 0 else heading + math.pi
        states[first + p] = x[0], x[1], facing, 0.0, 0.0
        return


def seat_people(walkers: Walkers, present: Mask) -> None:
    """Marks who has a line as present."""
    present[walkers.first : walkers.first + len(walkers.mode)] = walkers.points > 0
