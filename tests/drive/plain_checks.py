"""The guard's checks of one candidate, plain and slow: what the compiled ones are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.projection import BevGrid
from irl_vla.drive.check_kernels import PlanBounds
from irl_vla.drive.checks import Surroundings
from irl_vla.frames import to_inner, to_outer, wrap_angle
from irl_vla.types import F64
from irl_vla.vehicle import PACIFICA, Vehicle

FINE = 5


def fault(poses: F64, step_s: float, now: float, bounds: PlanBounds) -> tuple[str, str] | None:
    """(reason, detail) why (T, 3) poses cannot be driven from the present motion, or None."""
    if not np.isfinite(poses).all():
        return "nan", "poses are not finite"
    path = np.vstack([np.zeros(3), poses])
    step = np.diff(path[:, :2], axis=0)
    turn = wrap_angle(np.diff(path[:, 2]))
    middle = path[:-1, 2] + turn / 2
    along = np.cos(middle) * step[:, 0] + np.sin(middle) * step[:, 1]
    speed = along / step_s
    for found in (
        _speed_fault(speed, now, step_s, bounds),
        _turn_fault(step, along, turn, speed, step_s, bounds),
    ):
        if found is not None:
            return found
    return None


def _speed_fault(
    speed: F64, now: float, step_s: float, bounds: PlanBounds
) -> tuple[str, str] | None:
    """speed: (T,) mean over each interval [m/s]."""
    if speed.max() > bounds.max_speed:
        return "too_fast", f"{speed.max():.1f} m/s, at most {bounds.max_speed}"
    if speed.min() < -bounds.max_reverse:
        return "reverses", f"{speed.min():.1f} m/s"
    half = step_s / 2  # the first mean speed is reached in the middle of the first interval
    up = bounds.max_acceleration * half + bounds.max_start_error
    down = bounds.max_braking * half + bounds.max_start_error
    if not -down <= speed[0] - now <= up:
        return "jumps", f"starts at {speed[0]:.1f} m/s while the ego drives {now:.1f}"
    change = np.diff(speed) / step_s
    if change.size and change.max() > bounds.max_acceleration:
        return "accelerates", f"{change.max():.1f} m/s^2, at most {bounds.max_acceleration}"
    if change.size and change.min() < -bounds.max_braking:
        return "brakes", f"{-change.min():.1f} m/s^2, at most {bounds.max_braking}"
    return None


def _turn_fault(
    step: F64, along: F64, turn: F64, speed: F64, step_s: float, bounds: PlanBounds
) -> tuple[str, str] | None:
    """step: (T, 2) [m]; along: (T,) its part along the heading; turn: (T,) [rad]."""
    length = np.hypot(step[:, 0], step[:, 1])
    aside = np.sqrt(np.maximum(length**2 - along**2, 0.0))
    if np.any(aside > np.sin(bounds.max_slip) * length + 0.1):  # 0.1 m: noise of a standing car
        return "slides", f"moves {aside.max():.1f} m aside of its heading in one step"
    if np.any(np.abs(turn) > bounds.max_curvature * np.abs(along) + 0.05):  # 0.05 rad: likewise
        return "turns_on_the_spot", f"{np.abs(turn).max():.2f} rad in {along.min():.1f} m"
    lateral = np.abs(speed * turn / step_s)
    if lateral.max() > bounds.max_lateral:
        return "corners", f"{lateral.max():.1f} m/s^2 sideways, at most {bounds.max_lateral}"
    return None


def conflict(
    poses: F64, step_s: float, seen: Surroundings, car: Vehicle = PACIFICA
) -> tuple[str, str] | None:
    """(reason, detail) of the first conflict of (T, 3) poses with what was seen, or None."""
    path = fine_path(poses)
    time = np.arange(1, len(path) + 1) * step_s / FINE
    found = _collision(path, time, seen.boxes, car)
    if found is not None:
        return "collision", found
    for name, lines in (("red_light", seen.red_lines), ("boundary", seen.boundaries)):
        at = _crossing(path, lines, car)
        if at is not None:
            return name, f"crosses it after {time[at]:.1f} s"
    if seen.area is not None and seen.undrivable.size:
        cells, inside = _cells(seen.area, corners(path, car).reshape(-1, 2))
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


def corners(poses: F64, car: Vehicle) -> F64:
    """(n, 3) rear axle poses -> (n, 4, 2) corners of the car."""
    front, rear, half = car.front_length, car.rear_length, car.width / 2
    x = np.array([front, front, -rear, -rear])
    y = np.array([half, -half, -half, half])
    cos, sin = np.cos(poses[:, 2:3]), np.sin(poses[:, 2:3])
    return np.stack([poses[:, 0:1] + cos * x - sin * y, poses[:, 1:2] + sin * x + cos * y], axis=-1)


def _collision(path: F64, time: F64, boxes: F64, car: Vehicle) -> str | None:
    """First touch with an agent that keeps its velocity. An agent that overlaps the ego now already
    is left out: no plan can avoid it, and it is a false sighting more often than not."""
    if len(boxes) == 0:
        return None
    centre = to_outer(np.array([car.centre, 0.0, 0.0]), (0.0, 0.0, 0.0))
    half_ego = np.array([car.length / 2, car.width / 2])
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


def _crossing(path: F64, lines: F64, car: Vehicle) -> int | None:
    """Index of the first pose whose front edge, on its way, crosses a line; None if none does."""
    if not len(lines):
        return None
    front = corners(np.vstack([np.zeros(3), path]), car)[:, :2]
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
