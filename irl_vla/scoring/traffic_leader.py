"""Whom an agent on rails follows: the nearest thing in the corridor ahead of it.

    corridor   the path still to go, widened by half the agent's width, ends cut off flat
    footprint  the agent's box and its path from its tail to speed · headway ahead of its nose,
               widened in the same way; before its first move only the box
The leader is the nearest, footprint to thing, of all things that touch the corridor: footprints of
agents and the ego's box. The decision is GEOS's, on the very figures that it makes of a widened
line (its round joins have 16 chords a quarter); a circle test spares it whom it cannot concern.
May import: scoring.compiled, scoring.geometry, scoring.scene, scoring.traffic_rails, types.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely

from irl_vla.scoring.compiled import kernel
from irl_vla.scoring.geometry import box_corners, distance_to_segment
from irl_vla.scoring.tracker import wrap
from irl_vla.scoring.traffic_rails import Rails
from irl_vla.types import F64

HEADWAY = 1.5  # [s] to the vehicle ahead
CHORDS = 16  # per quarter circle, of round joins
ALMOST_STRAIGHT = 1e-5  # [m] footprint vertices that stand out less are dropped
EGO = -1  # index of the ego among leaders
ROOM = 1e-3  # [m] added to circles that only rule out


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
def reaches(path: F64, progress: float, margin: float, circle: F64) -> bool:
    """Whether a circle (3,) x, y, radius comes within margin of the path from progress on."""
    reach = circle[2] + margin
    for i in range(len(path) - 1):
        if path[i + 1, 0] < progress and i < len(path) - 2:
            continue
        ax, ay, bx, by = path[i, 1], path[i, 2], path[i + 1, 1], path[i + 1, 2]
        if distance_to_segment(circle[0], circle[1], ax, ay, bx, by) <= reach:
            return True
    return False


def stretch(path: F64, start: float, end: float) -> F64:
    """(m, 2) points of a path from arc length start to end, both held within the path.

    Quirk: where nothing is left, the last (or first) two vertices stand for it.
    """
    first, last = path[0, 0], path[-1, 0]
    start, end = min(max(start, first), last), min(max(end, first), last)
    front = int(np.searchsorted(path[:, 0], start, side="right"))
    tail = int(np.searchsorted(path[:, 0], end, side="left"))
    if front == len(path):
        return path[-2:, 1:3]
    if tail == 0:
        return path[:2, 1:3]
    points = np.empty((max(tail - front, 0) + 2, 3))
    place(path, start, points[0])
    points[1:-1, :2] = path[front:tail, 1:3]
    place(path, end, points[-1])
    return points[:, :2]


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


class Road:
    """Agents on rails while they move: progress [m] and speeds [m/s] (A,), alive (A,)."""

    def __init__(self, rails: Rails, ids: tuple[str, ...]) -> None:
        self.rails, self.ids = rails, ids
        self.progress, self.speeds = rails.progress.copy(), rails.speeds.copy()
        n = len(ids)
        self.alive = np.ones(n, np.bool_)
        self.poses, self.circles = np.empty((n, 3)), np.empty((n, 3))
        self.shapes: list[shapely.Polygon | None] = [None] * n
        self.moved = np.zeros(n, np.bool_)
        for i in range(n):
            place(rails.paths[i], self.progress[i], self.poses[i])
            self.circles[i] = *rails.boxes[i, :2], math.hypot(*rails.sizes[i]) / 2.0

    def move(self, i: int, progress: float, speed: float) -> None:
        """Put agent i elsewhere on its path."""
        self.progress[i], self.speeds[i], self.moved[i] = progress, speed, True
        self.shapes[i] = None
        place(self.rails.paths[i], progress, self.poses[i])
        length, width = self.rails.sizes[i]
        ahead = length + width + speed * HEADWAY  # more than any point of the footprint is away
        self.circles[i] = *self.poses[i, :2], ahead

    def to_go(self, i: int) -> float:
        """[m] left on agent i's path. Quirk: negative beyond its end."""
        return float(self.rails.paths[i][-1, 0] - self.progress[i])

    def shape(self, i: int) -> shapely.Polygon:
        """The footprint of agent i."""
        kept = self.shapes[i]
        if kept is None:
            kept = self.shapes[i] = self._footprint(i)
        return kept

    def _footprint(self, i: int) -> shapely.Polygon:
        length, width = self.rails.sizes[i]
        if not self.moved[i]:
            x, y, cos, sin = self.rails.boxes[i]
            return box_shape(np.array([x, y, math.atan2(sin, cos)]), length, width)
        s, ahead = self.progress[i], self.speeds[i] * HEADWAY
        strip = widened(
            stretch(self.rails.paths[i], s - length / 2.0, s + length / 2.0 + ahead), width
        )
        whole = shapely.union_all([strip, box_shape(self.poses[i], length, width)])
        return whole.simplify(ALMOST_STRAIGHT, preserve_topology=True)

    def near(self, i: int, ego: EgoBox) -> list[int]:
        """Whom agent i's corridor may touch: rows of agents, EGO last."""
        path, s = self.rails.paths[i], self.progress[i]
        margin = self.rails.sizes[i, 1] / 2.0 + ROOM
        found = [
            j
            for j in np.flatnonzero(self.alive)
            if j != i and reaches(path, s, margin, self.circles[j])
        ]
        circle = np.array([ego.pose[0], ego.pose[1], math.hypot(ego.length, ego.width) / 2.0])
        return [*found, EGO] if reaches(path, s, margin, circle) else found

    def leader(self, i: int, ego: EgoBox) -> tuple[float, float] | None:
        """Distance [m] to the leader of agent i and its speed [m/s] along agent i's heading, or
        None on a free road.

        Quirk: things whose name is part of agent i's name are overlooked when the nearest is
        chosen.
        """
        others = self.near(i, ego)
        if not others:
            return None
        path, own = self.rails.paths[i], self.shape(i)
        corridor = widened(stretch(path, self.progress[i], path[-1, 0]), self.rails.sizes[i, 1])
        ego_shape = box_shape(ego.pose, ego.length, ego.width) if others[-1] == EGO else None
        shapes = [ego_shape if j == EGO else self.shape(j) for j in others]
        names = ["ego" if j == EGO else self.ids[j] for j in others]
        ahead = [
            (other, shape)
            for other, name, shape in zip(others, names, shapes, strict=True)
            if name not in self.ids[i] and shape.intersects(corridor)
        ]
        if not ahead:
            return None
        nearest = 0
        if len(ahead) > 1:
            nearest = int(shapely.STRtree([shape for _, shape in ahead]).nearest(own))
        j, shape = ahead[nearest]
        speed, heading = (
            (ego.speed, ego.pose[2]) if j == EGO else (self.speeds[j], self.poses[j, 2])
        )
        return float(own.distance(shape)), float(speed * math.cos(heading - self.poses[i, 2]))
