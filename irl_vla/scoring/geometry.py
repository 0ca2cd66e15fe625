"""Planar geometry for compiled code: angles, and exact predicates in float64: orientation, point in
polygon, boxes that touch. Its twin for whole arrays is frames.

Decisions agree with GEOS (shapely): the boundary of a polygon is not inside it (`contains`), and
figures that only touch do intersect (`intersects`). All compiled. A box is its four corners (4, 2)
in the order front left, rear left, rear right, front right, given with centre, axis and half sizes.
May import: scoring.compiled.
"""

from __future__ import annotations

import math

import numpy as np

from irl_vla.scoring.compiled import kernel, lean_kernel
from irl_vla.types import F64

SAFE = 3.3306690738754716e-16 * 4.0  # relative error bound of a 2x2 determinant, with room
TWO_PI = 2.0 * math.pi
SPLITTER = 134217729.0  # 2^27 + 1: cuts a float64 in two halves


@lean_kernel
def wrap(angle: float) -> float:
    """Angle [rad] to [-pi, pi): frames.wrap_angle."""
    return (angle + math.pi) % TWO_PI - math.pi


@lean_kernel
def principal(angle: float) -> float:
    """Angle [rad] to (-pi, pi]: frames.principal_angle."""
    return math.atan2(math.sin(angle), math.cos(angle))


@kernel
def difference(a: float, b: float) -> tuple[float, float]:
    """a - b as rounded value and rounding error, exactly (Knuth)."""
    s = a - b
    back = a - s
    return s, (a - (s + back)) + (back - b)


@kernel
def product(a: float, b: float) -> tuple[float, float]:
    """a · b as rounded value and rounding error, exactly (Dekker)."""
    p = a * b
    t = SPLITTER * a
    a_high = t - (t - a)
    a_low = a - a_high
    t = SPLITTER * b
    b_high = t - (t - b)
    b_low = b - b_high
    return p, a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)


@kernel
def orientation_exact(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> float:
    """The determinant of `orientation` in double-double arithmetic."""
    dx1, ex1 = difference(bx, ax)
    dy1, ey1 = difference(by, ay)
    dx2, ex2 = difference(px, ax)
    dy2, ey2 = difference(py, ay)
    left, left_low = product(dx1, dy2)
    right, right_low = product(dy1, dx2)
    left_low += dx1 * ey2 + ex1 * dy2
    right_low += dy1 * ex2 + ey1 * dx2
    det, low = difference(left, right)
    return det + (low + (left_low - right_low))


@kernel
def orientation(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> float:
    """Twice the signed area of a, b, p: > 0 where p lies left of a -> b, 0 on the line. The sign is
    right."""
    left = (bx - ax) * (py - ay)
    right = (by - ay) * (px - ax)
    det = left - right
    if abs(det) > SAFE * (abs(left) + abs(right)):
        return det
    return orientation_exact(ax, ay, bx, by, px, py)


@kernel
def in_ring(vertices: F64, first: int, last: int, px: float, py: float) -> int:
    """Where p lies in the ring vertices[first:last]: 1 inside, 0 on the boundary, -1 outside."""
    inside = False
    bx, by = vertices[last - 1, 0], vertices[last - 1, 1]
    for i in range(first, last):
        ax, ay = bx, by
        bx, by = vertices[i, 0], vertices[i, 1]
        if ax < px and bx < px:
            continue
        if bx == px and by == py:
            return 0
        if ay == py and by == py:
            if min(ax, bx) <= px <= max(ax, bx):
                return 0
            continue
        if (ay > py) != (by > py):
            side = orientation(ax, ay, bx, by, px, py)
            if side == 0.0:
                return 0
            if (side > 0.0) == (by > ay):
                inside = not inside
    return 1 if inside else -1


@kernel
def box_corners(
    x: float, y: float, cos: float, sin: float, half_length: float, half_width: float, out: F64
) -> None:
    """Corners FL, RL, RR, FR of a box around its centre -> out (4, 2)."""
    lx, ly = half_length * cos, half_length * sin
    wx, wy = -half_width * sin, half_width * cos
    out[0, 0], out[0, 1] = x + (wx + lx), y + (wy + ly)
    out[1, 0], out[1, 1] = x + (wx - lx), y + (wy - ly)
    out[2, 0], out[2, 1] = x + (-wx - lx), y + (-wy - ly)
    out[3, 0], out[3, 1] = x + (lx - wx), y + (ly - wy)


@kernel
def apart(
    corners: F64, n: int, x: float, y: float, cos: float, sin: float, length: float, width: float
) -> bool:
    """Whether an axis of the box (centre, axis, half sizes) separates it from n corner points."""
    low_u, low_v, high_u, high_v = math.inf, math.inf, -math.inf, -math.inf
    for i in range(n):
        dx, dy = corners[i, 0] - x, corners[i, 1] - y
        u, v = dx * cos + dy * sin, dy * cos - dx * sin
        low_u, high_u = min(low_u, u), max(high_u, u)
        low_v, high_v = min(low_v, v), max(high_v, v)
    return low_u > length or high_u < -length or low_v > width or high_v < -width


@kernel
def touch(a: F64, a_half: F64, b: F64, b_half: F64) -> bool:
    """Whether two boxes (4,) x, y, cos, sin with half sizes (2,) length, width touch."""
    corners = np.empty((4, 2))
    box_corners(a[0], a[1], a[2], a[3], a_half[0], a_half[1], corners)
    if apart(corners, 4, b[0], b[1], b[2], b[3], b_half[0], b_half[1]):
        return False
    box_corners(b[0], b[1], b[2], b[3], b_half[0], b_half[1], corners)
    return not apart(corners, 4, a[0], a[1], a[2], a[3], a_half[0], a_half[1])


@kernel
def segment_touches_box(
    ax: float, ay: float, bx: float, by: float,
    x: float, y: float, cos: float, sin: float, length: float, width: float,
) -> bool:  # fmt: skip
    """Whether the closed segment a-b meets the closed box."""
    au, av = (ax - x) * cos + (ay - y) * sin, (ay - y) * cos - (ax - x) * sin
    bu, bv = (bx - x) * cos + (by - y) * sin, (by - y) * cos - (bx - x) * sin
    if min(au, bu) > length or max(au, bu) < -length:
        return False
    if min(av, bv) > width or max(av, bv) < -width:
        return False
    du, dv = bu - au, bv - av  # the segment's own normal
    reach = abs(du) * width + abs(dv) * length
    return abs(du * av - dv * au) <= reach


@kernel
def distance_to_segment(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Distance [m] of p to the closed segment a-b."""
    dx, dy = bx - ax, by - ay
    squared = dx * dx + dy * dy
    if squared == 0.0:
        return math.sqrt((px - ax) ** 2 + (py - ay) ** 2)
    r = ((px - ax) * dx + (py - ay) * dy) / squared
    if r <= 0.0:
        return math.sqrt((px - ax) ** 2 + (py - ay) ** 2)
    if r >= 1.0:
        return math.sqrt((px - bx) ** 2 + (py - by) ** 2)
    return abs(((ay - py) * dx - (ax - px) * dy) / squared) * math.sqrt(squared)


@kernel
def locate_on_line(line: F64, lengths: F64, px: float, py: float) -> float:
    """Arc length [m] of the point of line (n, 2) nearest to p; the first one where several are.

    lengths: (n,) arc length at each vertex.
    """
    best, at = math.inf, 0.0
    for i in range(len(line) - 1):
        ax, ay, bx, by = line[i, 0], line[i, 1], line[i + 1, 0], line[i + 1, 1]
        distance = distance_to_segment(px, py, ax, ay, bx, by)
        if distance < best:
            best = distance
            dx, dy = bx - ax, by - ay
            squared = dx * dx + dy * dy
            r = ((px - ax) * dx + (py - ay) * dy) / squared if squared > 0.0 else 0.0
            at = lengths[i] + min(max(r, 0.0), 1.0) * (lengths[i + 1] - lengths[i])
    return at
