"""How PDM-Closed drives along a path: IDM behind whatever is ahead.

Symbols: s, v progress [m] and speed [m/s]; a leader record is (progress it seems to be at,
its speed, its rear overhang); k the step, 0.1 s each. All compiled.
Source: docs/epdms.md, "PDM-Closed", with its quirks.
May import: types, scoring.arena, scoring.compiled, scoring.geometry, scoring.reference_corridor,
scoring.reference_forecast, scoring.scene.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.arena import EgoFootprint
from irl_vla.scoring.compiled import kernel, lean_kernel
from irl_vla.scoring.geometry import (
    box_corners,
    distance_to_segment,
    in_ring,
    principal,
    segment_touches_box,
)
from irl_vla.scoring.reference_corridor import ReferencePath
from irl_vla.scoring.reference_forecast import REFRESH, REFRESH_S, Obstacles
from irl_vla.scoring.scene import I8, I64, SIM_DT_S
from irl_vla.types import F64

MIN_GAP = 1.0  # [m]
HEADWAY = 1.5  # [s]
MAX_ACCELERATION = 1.5  # [m/s²]
MAX_DECELERATION = 3.0  # [m/s²]
EXPONENT = 10.0  # of the free-road term; textbooks (and the traffic) have 4
RENEWAL = 2  # steps a leader record lasts
PATH_START = 1e-5  # [m] the path is never read before this arc length
NODE_CAPACITY = 10  # of the original's search tree, which decides the order of equals


class Rollout(NamedTuple):
    """motion (P, 51, 2) s, v; leaders (P, 51, 3) records; poses (P, 51, 3) on the path, headings
    in [-pi, pi]."""

    motion: F64
    leaders: F64
    poses: F64


@lean_kernel
def pose_at(path: ReferencePath, arc: float, out: F64) -> None:
    """Pose at an arc length [m] -> out (3,), linear between vertices."""
    n = len(path.arcs)
    arc = min(max(arc, PATH_START), path.arcs[n - 1])
    low, high = 0, n - 1
    while high - low > 1:  # the first vertex at or beyond the arc is `high`, unless that is 0
        middle = (low + high) // 2
        if path.arcs[middle] < arc:
            low = middle
        else:
            high = middle
    span = path.arcs[high] - path.arcs[low]
    for j in range(3):
        slope = (path.poses[high, j] - path.poses[low, j]) / span
        out[j] = slope * (arc - path.arcs[low]) + path.poses[low, j]
    out[2] = principal(out[2])
    for j in range(3):
        if math.isnan(out[j]):  # the original does so too: a path without length
            out[j] = 0.0


@lean_kernel
def idm_acceleration(s: float, v: float, target: float, leader: F64) -> float:
    """Acceleration [m/s²] behind a leader record (3,)."""
    wanted = MIN_GAP + v * HEADWAY
    wanted += v * (v - leader[1]) / (2.0 * math.sqrt(MAX_ACCELERATION * MAX_DECELERATION))
    gap = max(leader[0] - s - leader[2], MIN_GAP)
    a: float = MAX_ACCELERATION * (1.0 - (v / target) ** EXPONENT - (wanted / gap) ** 2)
    return min(max(a, -MAX_DECELERATION), MAX_ACCELERATION)


@lean_kernel
def gap_to(
    obstacles: Obstacles, a: int, m: int, pose: F64, body: EgoFootprint, corners: F64
) -> float:
    """Distance [m] of the ego's box at pose (3,) (rear axle) to obstacle a at moment m, 0 where
    they touch. corners: scratch (4, 2)."""
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    x = pose[0] + body.centre * cos - m * REFRESH_S * obstacles.drift[a, 0]
    y = pose[1] + body.centre * sin - m * REFRESH_S * obstacles.drift[a, 1]
    box_corners(x, y, cos, sin, body.half_length, body.half_width, corners)
    ring, first, last = obstacles.vertices, obstacles.offsets[a], obstacles.offsets[a + 1]
    if in_ring(ring, first, last, x, y) >= 0:
        return 0.0
    best, before = math.inf, last - 1
    for n in range(first, last):
        ax, ay, bx, by = ring[before, 0], ring[before, 1], ring[n, 0], ring[n, 1]
        before = n
        if segment_touches_box(ax, ay, bx, by, x, y, cos, sin, body.half_length, body.half_width):
            return 0.0
        for i in range(4):
            best = min(best, distance_to_segment(corners[i, 0], corners[i, 1], ax, ay, bx, by))
            j = (i + 1) % 4
            best = min(best, distance_to_segment(
                bx, by, corners[i, 0], corners[i, 1], corners[j, 0], corners[j, 1]
            ))  # fmt: skip
    return best


@kernel
def ordered(keys: F64) -> I64:
    """Indices (n,) that sort keys (n,), equals in their order. By insertion: n is small."""
    order = np.arange(len(keys))
    for i in range(1, len(keys)):
        item, j = order[i], i
        while j > 0 and keys[order[j - 1]] > keys[item]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = item
    return order


@kernel
def bundle(bounds: F64, starts: I64, leaves: I64) -> tuple[F64, I64]:
    """One level of a sort-tile-recursive tree: sorts its n nodes in place and groups them.

    bounds: (n, 4) xmin, ymin, xmax, ymax; node i holds leaves[starts[i]:starts[i + 1]]; returns
    bounds and starts of the groups.
    """
    n = len(bounds)
    slices = math.ceil(math.sqrt(math.ceil(n / NODE_CAPACITY)))
    size = math.ceil(n / slices)
    x, y = bounds[:, 0] + bounds[:, 2], bounds[:, 1] + bounds[:, 3]
    by_x = ordered(x)
    old_leaves, fill, groups = leaves.copy(), 0, 0
    new_bounds, new_starts = np.empty((n, 4)), np.zeros(n + 1, np.int64)
    for first in range(0, n, size):
        tile = by_x[first : first + size]
        tile = tile[ordered(y[tile])]
        for i in range(len(tile)):
            node = bounds[tile[i]]
            if i % NODE_CAPACITY == 0:
                new_bounds[groups] = node
                groups += 1
            group = new_bounds[groups - 1]
            for j in range(2):
                group[j] = min(group[j], node[j])
                group[j + 2] = max(group[j + 2], node[j + 2])
            for leaf in range(starts[tile[i]], starts[tile[i] + 1]):
                leaves[fill] = old_leaves[leaf]
                fill += 1
            new_starts[groups] = fill
    return new_bounds[:groups].copy(), new_starts[: groups + 1].copy()


@kernel
def search_order(obstacles: Obstacles, m: int) -> I64:
    """(n,) rank of each obstacle in the original's search tree at moment m."""
    n = len(obstacles.radii)
    bounds = np.empty((n, 4))
    for a in range(n):
        for j in range(2):
            shift = m * REFRESH_S * obstacles.drift[a, j]
            low, high = math.inf, -math.inf
            for i in range(obstacles.offsets[a], obstacles.offsets[a + 1]):
                low = min(low, obstacles.vertices[i, j])
                high = max(high, obstacles.vertices[i, j])
            bounds[a, j], bounds[a, j + 2] = low + shift, high + shift
    leaves, starts = np.arange(n), np.arange(n + 1)
    while len(bounds) > 1:
        bounds, starts = bundle(bounds, starts, leaves)
    ranks = np.empty(n, np.int64)
    ranks[leaves] = np.arange(n)
    return ranks


@kernel
def nearest_ahead(
    obstacles: Obstacles, blocked: I8, at: F64, m: int, s: float, pose: F64, body: EgoFootprint,
    corners: F64,
) -> tuple[int, float]:  # fmt: skip
    """Obstacle in the corridor beyond progress s that is nearest to the ego's box, and how near; -1
    where there is none. Of equally near ones (0: touching)
    the first that the search tree finds."""
    best, who = math.inf, -1
    ranks = np.empty(0, np.int64)
    for a in range(len(obstacles.radii)):
        if blocked[m, a] == 0 or obstacles.ignored[a] or at[m, a] <= s:
            continue
        gap = gap_to(obstacles, a, m, pose, body, corners)
        if who >= 0 and gap == best:
            if len(ranks) == 0:
                ranks = search_order(obstacles, m)
            if ranks[a] < ranks[who]:
                who = a
        elif gap < best:
            best, who = gap, a
    return who, best


@kernel
def renew(
    record: F64, obstacles: Obstacles, path: ReferencePath, blocked: I8, at: F64, m: int, s: float,
    pose: F64, body: EgoFootprint, corners: F64,
) -> None:  # fmt: skip
    """Write the leader record (3,) of an ego at progress s and pose (3,).

    Quirk: only the entries that matter are written. One record serves all speeds of a path in turn,
    so that a red light keeps the speed of the last one's leader, and any leader its overhang.
    """
    who, gap = nearest_ahead(obstacles, blocked, at, m, s, pose, body, corners)
    if who < 0:
        record[0] = path.arcs[len(path.arcs) - 1]
        record[2] = body.half_length
        return
    record[0] = s + gap
    if not obstacles.red[who]:
        record[1] = obstacles.speeds[who] * math.cos(obstacles.headings[who] - pose[2])


@kernel
def roll(
    rollout: Rollout,
    members: I64,
    targets: F64,
    first: int,
    last: int,
    path: ReferencePath,
    blocked: I8,
    at: F64,
    obstacles: Obstacles,
    body: EgoFootprint,
) -> None:
    """Drive proposals `members` of one path through steps first..last (explicit Euler).

    Quirks: a record lasts two steps, and that of step 0 is all zero: a leader at the path's very
    beginning, so that every moving proposal brakes with -3 m/s² in step 1. Speeds may get negative.
    """
    motion, leaders = rollout.motion, rollout.leaders
    corners, record = np.empty((4, 2)), np.empty(3)
    for k in range(first, last + 1):
        record[:] = 0.0
        for i in range(len(members)):
            p = members[i]
            s, v = motion[p, k - 1, 0], motion[p, k - 1, 1]
            if k % RENEWAL == 0:
                pose = rollout.poses[p, k - 1]
                renew(record, obstacles, path, blocked, at, k // REFRESH, s, pose, body, corners)
                leaders[p, k] = record
            else:
                leaders[p, k] = leaders[p, k - 1]
            a = idm_acceleration(s, v, targets[i], leaders[p, k])
            motion[p, k, 0] = s + SIM_DT_S * v
            motion[p, k, 1] = v + SIM_DT_S * a
            pose_at(path, motion[p, k, 0], rollout.poses[p, k])
