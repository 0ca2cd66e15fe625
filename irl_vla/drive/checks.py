"""Candidates against what was explicitly seen: agents, map lines, drivable area.

Everything is in the ego frame at the anchor. Outside the observed grid the area is unknown, not
undrivable: there a plan may go, but only so fast that a comfortable stop fits before it.
May import: types, frames, camera, perception.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.projection import BevGrid
from irl_vla.frames import to_inner, to_outer
from irl_vla.perception.classes import SceneClasses
from irl_vla.types import F64, SceneTokens, Trajectory

DRIVABLE = ("road", "centerline", "vehicle")  # classes of cells
SURE = 0.5  # probability from which a cell counts as seen to be (un)drivable
FINE = 5  # parts that each interval between poses is checked in: 0.1 s
FRONT_M, REAR_M, HALF_WIDTH_M = 4.049, 1.127, 1.1485  # from the rear axle (epdms.md section 1)
CENTRE_M = (FRONT_M - REAR_M) / 2  # of the box, ahead of the rear axle


@dataclass(frozen=True)
class GuardClasses:
    """Where the classes that the guard needs stand in a bundle's lists.

    boundary, red_line: of map elements; drivable: of cells
    """

    boundary: int
    red_line: int
    drivable: tuple[int, ...]

    @staticmethod
    def of(classes: SceneClasses) -> GuardClasses:
        """Found by name. Raises InputError where the bundle does not know one of them."""
        return GuardClasses(
            classes.index("map", "boundary", "the guard"),
            classes.index("map", "red_stop_line", "the guard"),
            tuple(classes.index("seg", name, "the guard") for name in DRIVABLE),
        )


@dataclass(frozen=True)
class Surroundings:
    """What was seen around the ego.

    boxes: (n, 9) x y z l w h yaw vx vy of valid agents; lines: map polylines (20, 2) by class
    undrivable: (nx, ny) cells that are surely not drivable, or None where the area was not
    recognised (not even under the ego); area: the observed grid, or None for a policy without
    perception
    """

    boxes: F64
    boundaries: tuple[F64, ...]
    red_lines: tuple[F64, ...]
    undrivable: NDArray[np.bool_] | None
    area: BevGrid | None


def surroundings(tokens: SceneTokens, area: BevGrid | None, classes: SceneClasses) -> Surroundings:
    """Tokens -> what can be checked against. classes: of the bundle that saw."""
    known = GuardClasses.of(classes)
    boxes = tokens.boxes[tokens.agent_valid, :9].astype(np.float64)
    lines = [
        tuple(tokens.polylines[tokens.map_valid & (tokens.map_class == kind)].astype(np.float64))
        for kind in (known.boundary, known.red_line)
    ]
    return Surroundings(boxes, lines[0], lines[1], _undrivable(tokens, area, known), area)


def _undrivable(
    tokens: SceneTokens, area: BevGrid | None, known: GuardClasses
) -> NDArray[np.bool_] | None:
    """None unless the ground under the ego is recognised as drivable: a network that does not even
    see where it stands (an untrained one) has no say about the rest."""
    if area is None or tokens.seg.size == 0:
        return None
    drivable = tokens.seg[list(known.drivable)].astype(np.float32).sum(axis=0)
    here = _cells(area, np.array([[CENTRE_M, 0.0]]))
    if not here[1][0] or drivable[here[0][0, 0], here[0][0, 1]] < SURE:
        return None
    return np.asarray(drivable < 1.0 - SURE)


def conflict(poses: F64, step_s: float, seen: Surroundings) -> tuple[str, str] | None:
    """(reason, detail) of the first conflict of (T, 3) poses with what was seen, or None."""
    path = fine_path(poses)
    time = np.arange(1, len(path) + 1) * step_s / FINE
    found = _collision(path, time, seen.boxes)
    if found is not None:
        return "collision", found
    for name, lines in (("red_light", seen.red_lines), ("boundary", seen.boundaries)):
        at = _crossing(path, lines)
        if at is not None:
            return name, f"crosses it after {time[at]:.1f} s"
    if seen.area is not None and seen.undrivable is not None:
        cells, inside = _cells(seen.area, corners(path).reshape(-1, 2))
        off = inside & seen.undrivable[cells[:, 0], cells[:, 1]]
        if off.any():
            return "off_road", f"after {time[int(np.argmax(off)) // 4]:.1f} s"
    return None


def fine_path(poses: F64) -> F64:
    """(T, 3) poses -> (T * FINE, 3), from the ego's own pose onwards."""
    knots = np.vstack([np.zeros(3), poses])
    knots[:, 2] = np.unwrap(knots[:, 2])
    at = np.arange(1, (len(knots) - 1) * FINE + 1) / FINE
    return np.stack([np.interp(at, np.arange(len(knots)), c) for c in knots.T], axis=-1)


def corners(poses: F64) -> F64:
    """(n, 3) rear axle poses -> (n, 4, 2) corners of the car."""
    x = np.array([FRONT_M, FRONT_M, -REAR_M, -REAR_M])
    y = np.array([HALF_WIDTH_M, -HALF_WIDTH_M, -HALF_WIDTH_M, HALF_WIDTH_M])
    cos, sin = np.cos(poses[:, 2:3]), np.sin(poses[:, 2:3])
    return np.stack([poses[:, 0:1] + cos * x - sin * y, poses[:, 1:2] + sin * x + cos * y], axis=-1)


def _collision(path: F64, time: F64, boxes: F64) -> str | None:
    """First touch with an agent that keeps its velocity. An agent that overlaps the ego now already
    is left out: no plan can avoid it, and it is a false sighting more often than not."""
    if len(boxes) == 0:
        return None
    centre = to_outer(np.array([CENTRE_M, 0.0, 0.0]), (0.0, 0.0, 0.0))
    half_ego = np.array([(FRONT_M + REAR_M) / 2, HALF_WIDTH_M])
    ahead = np.vstack([np.zeros(3), path])
    centres = np.stack([to_outer(centre, pose) for pose in ahead])
    moments = np.r_[0.0, time]
    for index, box in enumerate(boxes):
        where = box[:2] + moments[:, None] * box[7:9]
        poses = np.column_stack([where, np.full(len(moments), box[6])])
        touching = overlap(centres, half_ego, poses, box[3:5] / 2)
        if touching.any() and not touching[0]:
            return f"with agent {index} after {moments[int(np.argmax(touching))]:.1f} s"
    return None


def overlap(first: F64, first_half: F64, second: F64, second_half: F64) -> NDArray[np.bool_]:
    """(n,) whether two rectangles touch. first, second: (n, 3) centre poses; half: (2,) half length
    and half width. Separating axes (Gottschalk et al., SIGGRAPH 1996), in the plane."""
    apart = np.zeros(len(first), np.bool_)
    for one, half, other, other_half in (
        (first, first_half, second, second_half),
        (second, second_half, first, first_half),
    ):
        there = np.stack([to_inner(b, a) for a, b in zip(one, other, strict=True)])
        cos, sin = np.abs(np.cos(there[:, 2])), np.abs(np.sin(there[:, 2]))
        reach_x = half[0] + other_half[0] * cos + other_half[1] * sin
        reach_y = half[1] + other_half[0] * sin + other_half[1] * cos
        apart |= (np.abs(there[:, 0]) > reach_x) | (np.abs(there[:, 1]) > reach_y)
    return ~apart


def _crossing(path: F64, lines: tuple[F64, ...]) -> int | None:
    """Index of the first pose whose front edge, on its way, crosses a line; None if none does."""
    if not lines:
        return None
    front = corners(np.vstack([np.zeros(3), path]))[:, :2]  # (n + 1, 2, 2) front left and right
    first: int | None = None
    for side in (0, 1):
        for line in lines:
            hit = _segments_cross(front[:-1, side], front[1:, side], line[:-1], line[1:]).any(
                axis=1
            )
            if hit.any():
                at = int(np.argmax(hit))
                first = at if first is None else min(first, at)
    return first


def _segments_cross(a: F64, b: F64, c: F64, d: F64) -> NDArray[np.bool_]:
    """(n, m): segment a-b (n, 2) properly crosses segment c-d (m, 2)."""

    def side(p: F64, q: F64, r: F64) -> F64:
        along, to = q - p, r - p
        return np.asarray(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    a, b = a[:, None], b[:, None]
    return np.asarray(
        (side(a, b, c[None]) * side(a, b, d[None]) < 0)
        & (side(c[None], d[None], a) * side(c[None], d[None], b) < 0)
    )


def _cells(area: BevGrid, points: F64) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n, 2) points -> their cells (clipped into the grid), and whether they lie in it."""
    low = np.array([area.x[0], area.y[0]])
    size = np.array([area.x[1] - area.x[0], area.y[1] - area.y[0]]) / np.array(area.cells)
    index = np.floor((points - low) / size).astype(np.int64)
    inside = ((index >= 0) & (index < np.array(area.cells))).all(axis=1)
    return np.clip(index, 0, np.array(area.cells) - 1), inside


def checked_until(poses: F64, seen: Surroundings) -> float:
    """How far along the path [m] the car stays in the observed grid; 0 without perception."""
    if seen.area is None:
        return 0.0
    path = np.vstack([np.zeros(3), fine_path(poses)])
    heading = path[-1, 2]
    on = np.arange(1.0, 200.0)[:, None] * np.array([np.cos(heading), np.sin(heading)])
    far = np.column_stack([path[-1, :2] + on, np.full(len(on), heading)])
    path = np.vstack([path, far])
    inside = _cells(seen.area, corners(path).reshape(-1, 2))[1].reshape(-1, 4)[:, :2].all(axis=1)
    length = np.r_[0.0, np.cumsum(np.hypot(*np.diff(path[:, :2], axis=0).T))]
    return float(length[-1] if inside.all() else length[int(np.argmin(inside))])


def slowed(poses: F64, step_s: float, until_m: float, speed: float, braking: float) -> Trajectory:
    """The same path, never faster than v^2 = 2 a (until - s): a comfortable stop always fits.

    From above that speed the car brakes with `braking`. speed: present [m/s]
    """
    path = np.vstack([np.zeros(3), fine_path(poses)])
    path[:, 2] = np.unwrap(path[:, 2])
    length = np.r_[0.0, np.cumsum(np.hypot(*np.diff(path[:, :2], axis=0).T))]
    dt = step_s / FINE
    distance, v, kept = 0.0, max(speed, 0.0), []
    for planned in np.diff(length) / dt:
        room = np.sqrt(max(2.0 * braking * (until_m - distance), 0.0))
        v = max(min(planned, room), v - braking * dt, 0.0) if planned > room else planned
        distance = min(distance + v * dt, length[-1])
        kept.append(distance)
    at = np.array(kept[FINE - 1 :: FINE])
    columns = [np.interp(at, length, column) for column in path.T]
    return Trajectory(np.stack(columns, axis=-1), step_s)
