"""Whom an agent on rails follows: the nearest thing in the corridor ahead of it.

    corridor   the path still to go, widened by half the agent's width, ends cut off flat
    footprint  the agent's box and its path from its tail to speed · headway ahead of its nose,
               widened in the same way; before its first move only the box
The leader is the nearest, footprint to thing, of all things that touch the corridor: footprints of
agents and the ego's box. The decision is GEOS's, on the very figures that it makes of a widened
line (its round joins have 16 chords a quarter); distances between the lines in the middle, which
bound those of the figures, spare it whom it cannot concern.
May import: scoring.compiled, scoring.geometry, scoring.scene, scoring.traffic_lanes, types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely

from irl_vla.scoring.compiled import kernel
from irl_vla.scoring.geometry import box_corners, distance_to_segment, orientation, wrap
from irl_vla.scoring.traffic_lanes import LaneVehicles
from irl_vla.types import F64

HEADWAY = 1.5  # [s] to the vehicle ahead
CHORDS = 16  # per quarter circle, of round joins
ALMOST_STRAIGHT = 1e-5  # [m] footprint vertices that stand out less are dropped
EGO = -1  # index of the ego among leaders
ROOM = 0.05  # [m] GEOS thins out a line before it widens it, by 1 % of the width at most


@kernel
def place(path: F64, progress: float, out: F64) -> None:
    """Pose (x, y, heading in [-pi, pi)) of a path (n, 4) at an arc length, held at both ends."""
    s = min(max(progress, path[0, 0]), path[-1, 0])
    i = min(max(np.searchsorted(path[:, 0], s), 1), len(path) - 1)
    span, past = path[i, 0] - path[i - 1, 0], s - path[i - 1, 0]
    for j in range(3):
        out[j] = (path[i, j + 1] - path[i - 1, j + 1]) / span * past + path[i - 1, j + 1]
    out[2] = wrap(out[2])


@kernel
def stretch(path: F64, start: float, end: float) -> F64:
    """(m, 2) points of a path from arc length start to end, both held within the path.

    Quirk: where nothing is left, the last (or first) two vertices stand for it.
    """
    n, first, last = len(path), path[0, 0], path[-1, 0]
    start, end = min(max(start, first), last), min(max(end, first), last)
    front = np.searchsorted(path[:, 0], start, side="right")
    tail = np.searchsorted(path[:, 0], end, side="left")
    if front == n or tail == 0:
        pair = path[n - 2 :] if front == n else path[:2]
        return np.ascontiguousarray(pair[:, 1:3])
    points, pose = np.empty((max(tail - front, 0) + 2, 2)), np.empty(3)
    place(path, start, pose)
    points[0] = pose[:2]
    for i in range(front, tail):
        points[1 + i - front] = path[i, 1:3]
    place(path, end, pose)
    points[-1] = pose[:2]
    return points


@kernel
def segments_within(a: F64, b: F64, c: F64, d: F64, reach: float) -> bool:
    """Whether the segments a-b and c-d come within reach of each other."""
    if (orientation(a[0], a[1], b[0], b[1], c[0], c[1]) > 0.0) != (
        orientation(a[0], a[1], b[0], b[1], d[0], d[1]) > 0.0
    ) and (orientation(c[0], c[1], d[0], d[1], a[0], a[1]) > 0.0) != (
        orientation(c[0], c[1], d[0], d[1], b[0], b[1]) > 0.0
    ):
        return True
    return (
        distance_to_segment(a[0], a[1], c[0], c[1], d[0], d[1]) <= reach
        or distance_to_segment(b[0], b[1], c[0], c[1], d[0], d[1]) <= reach
        or distance_to_segment(c[0], c[1], a[0], a[1], b[0], b[1]) <= reach
        or distance_to_segment(d[0], d[1], a[0], a[1], b[0], b[1]) <= reach
    )


@kernel
def lines_within(a: F64, b: F64, reach: float) -> bool:
    """Whether two lines (n, 2), (m, 2) come within reach of each other."""
    low_x, high_x = b[:, 0].min() - reach, b[:, 0].max() + reach
    low_y, high_y = b[:, 1].min() - reach, b[:, 1].max() + reach
    for i in range(len(a) - 1):
        if max(a[i, 0], a[i + 1, 0]) < low_x or min(a[i, 0], a[i + 1, 0]) > high_x:
            continue
        if max(a[i, 1], a[i + 1, 1]) < low_y or min(a[i, 1], a[i + 1, 1]) > high_y:
            continue
        for j in range(len(b) - 1):
            if segments_within(a[i], a[i + 1], b[j], b[j + 1], reach):
                return True
    return False


@kernel
def axis_of(pose: F64, length: float) -> F64:
    """(2, 2) the line from the tail to the nose of a box around pose (3,)."""
    dx, dy = math.cos(pose[2]) * length / 2.0, math.sin(pose[2]) * length / 2.0
    return np.array([[pose[0] - dx, pose[1] - dy], [pose[0] + dx, pose[1] + dy]])


def widened(points: F64, width: float) -> shapely.Polygon:
    """A line (m, 2) widened to a strip with flat ends."""
    line = shapely.LineString(points)
    return line.buffer(width / 2.0, quad_segs=CHORDS, cap_style="flat")


def box_shape(pose: F64, length: float, width: float) -> shapely.Polygon:
    """The box (length, width) around pose (3,)."""
    corners = np.empty((4, 2))
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    box_corners(pose[0], pose[1], cos, sin, length / 2.0, width / 2.0, corners)
    return shapely.Polygon(corners)


@dataclass(frozen=True)
class EgoBox:
    """The ego as agents see it. pose: (3,); length, width [m]; speed [m/s]."""

    pose: F64
    length: float
    width: float
    speed: float


class TrafficState:
    """Agents on rails while they move: progress [m], speeds [m/s], alive, all (A,); poses (A, 3).

    axes, ways: per agent the line in the middle of its box, and of the rest of its footprint.
    """

    def __init__(self, rails: LaneVehicles, ids: tuple[str, ...]) -> None:
        self.rails, self.ids, n = rails, ids, len(ids)
        self.progress, self.speeds = rails.progress.copy(), rails.speeds.copy()
        self.alive = np.ones(n, np.bool_)
        self.poses = np.empty((n, 3))
        for path, progress, pose in zip(rails.paths, self.progress, self.poses, strict=True):
            place(path, progress, pose)
        lengths = rails.sizes[:, 0]
        self.axes = [axis_of(p, length) for p, length in zip(rails.boxes, lengths, strict=True)]
        self.ways: list[F64 | None] = [None] * n
        self.shapes: list[shapely.Polygon | None] = [
            box_shape(box, *size) for box, size in zip(rails.boxes, rails.sizes, strict=True)
        ]

    def move(self, i: int, progress: float, speed: float) -> None:
        """Put agent i elsewhere on its path."""
        path, half = self.rails.paths[i], float(self.rails.sizes[i, 0]) / 2.0
        self.progress[i], self.speeds[i] = progress, speed
        place(path, progress, self.poses[i])
        self.axes[i] = axis_of(self.poses[i], 2.0 * half)
        self.ways[i] = stretch(path, progress - half, progress + half + speed * HEADWAY)
        self.shapes[i] = None

    def to_go(self, i: int) -> float:
        """[m] left on agent i's path. Quirk: negative beyond its end."""
        return float(self.rails.paths[i][-1, 0] - self.progress[i])

    def shape(self, i: int) -> shapely.Polygon:
        """The footprint of agent i."""
        kept = self.shapes[i]
        if kept is None:
            length, width = self.rails.sizes[i]
            way = self.ways[i]
            whole = box_shape(self.poses[i], length, width)
            if way is not None:
                whole = shapely.union(widened(way, width), whole)
            kept = self.shapes[i] = whole.simplify(ALMOST_STRAIGHT, preserve_topology=True)
        return kept

    def may_concern(self, i: int, course: F64, j: int) -> bool:
        """Whether the footprint of agent j may touch agent i's corridor around `course` (n, 2)."""
        reach = (self.rails.sizes[i, 1] + self.rails.sizes[j, 1]) / 2.0 + ROOM
        way = self.ways[j]
        if way is not None and lines_within(course, way, reach):
            return True
        return bool(lines_within(course, self.axes[j], reach))

    def things(self, i: int, course: F64, ego: EgoBox) -> Iterator[tuple[int, shapely.Polygon]]:
        """Who may touch agent i's corridor: agents, then EGO, with their figures.

        Quirk: whose name is part of agent i's name is overlooked.
        """
        for j in np.flatnonzero(self.alive).tolist():
            if self.ids[j] not in self.ids[i] and self.may_concern(i, course, j):
                yield j, self.shape(j)
        reach = (self.rails.sizes[i, 1] + ego.width) / 2.0 + ROOM
        if "ego" not in self.ids[i] and lines_within(course, axis_of(ego.pose, ego.length), reach):
            yield EGO, box_shape(ego.pose, ego.length, ego.width)

    def leader(self, i: int, ego: EgoBox) -> tuple[float, float] | None:
        """Distance [m] to the leader of agent i and its speed [m/s] along agent i's heading, or
        None on a free road."""
        course = stretch(self.rails.paths[i], self.progress[i], math.inf)
        things = list(self.things(i, course, ego))
        if not things:
            return None
        corridor = widened(course, self.rails.sizes[i, 1])
        things = [(j, shape) for j, shape in things if shape.intersects(corridor)]
        if not things:
            return None
        own, nearest = self.shape(i), 0
        if len(things) > 1:
            nearest = int(shapely.STRtree([shape for _, shape in things]).nearest(own))
        j, shape = things[nearest]
        speed, heading = (
            (ego.speed, ego.pose[2]) if j == EGO else (self.speeds[j], self.poses[j, 2])
        )
        return float(own.distance(shape)), float(speed * math.cos(heading - self.poses[i, 2]))
