"""The guard's checks of many trajectories at once, compiled: motion, agents, map lines, ground.

    FINE    parts that each interval between poses is checked in
    fine    (n, 5) x, y, yaw, cos, sin of the rear axle, the first row is where the ego is
    front   (n, 4) x, y of the front left and the front right corner, on their way
    spans   (T + 1, 4) box around what each interval sweeps: least x, greatest x, least y, greatest
            y; the last row is around all of it
A verdict is a code (index into REASONS) and up to two numbers that tell how much or when. Nothing
here makes an array: scratch comes from outside. May import: types, scoring.compiled,
scoring.geometry.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.types import F64

REASONS = (
    "", "nan", "too_fast", "reverses", "jumps", "accelerates", "brakes", "slides",
    "turns_on_the_spot", "corners", "collision", "red_light", "boundary", "off_road",
)  # fmt: skip
(
    FREE, NAN, TOO_FAST, REVERSES, JUMPS, ACCELERATES, BRAKES, SLIDES, TURNS, CORNERS, COLLISION,
    RED_LIGHT, BOUNDARY, OFF_ROAD,
) = range(len(REASONS))  # fmt: skip
FINE = 5  # 0.1 s between the poses that are checked of a plan
NONE = -1  # an index that points nowhere
ASIDE_NOISE_M = 0.1  # [m] aside in one interval: a standing car's noise, no sliding
TURN_NOISE_RAD = 0.05  # [rad] likewise, no turning on the spot
NEAR_M = 1e-6  # [m] of rounding that the quick looks before an exact test allow for

Verdict = tuple[int, float, float]


class PlanBounds(NamedTuple):
    """What a drivable plan keeps within; see vehicle.Limits and guard.GuardConfig."""

    max_speed: float
    max_reverse: float
    max_acceleration: float
    max_braking: float
    max_lateral: float
    max_curvature: float
    max_start_error: float
    max_slip: float


class EgoBox(NamedTuple):
    """The ego's box [m]: half sizes, and from the rear axle forward to centre, front and rear."""

    half_length: float
    half_width: float
    centre: float
    front: float
    rear: float


class CheckedScene(NamedTuple):
    """What is checked against. boxes: (n, 9) as in Surroundings; red_lines, boundaries: (m, p, 2);
    undrivable: (nx, ny), or (0, 0) where the ground was not recognised; grid: (4,) first x and y,
    length and width of a cell [m]"""

    boxes: F64
    red_lines: F64
    boundaries: F64
    undrivable: NDArray[np.bool_]
    grid: F64


@lean_kernel
def motion_fault(poses: F64, step_s: float, now: float, bounds: PlanBounds) -> Verdict:
    """Why (T, 3) poses cannot be driven from the present speed `now` [m/s]; FREE where they can.

    Speeds are means over the intervals: the first one is reached in the middle of the first.
    """
    for i in range(len(poses)):
        for j in range(3):
            if not math.isfinite(poses[i, j]):
                return NAN, 0.0, 0.0
    fastest, slowest, gain, loss = -math.inf, math.inf, -math.inf, math.inf
    first, before = 0.0, 0.0
    x, y, yaw = 0.0, 0.0, 0.0
    slides, turns = False, False
    most_aside, most_turn, least_along, most_lateral = 0.0, 0.0, math.inf, 0.0
    for i in range(len(poses)):
        dx, dy, turn = poses[i, 0] - x, poses[i, 1] - y, wrap(poses[i, 2] - yaw)
        middle = yaw + turn / 2
        along = math.cos(middle) * dx + math.sin(middle) * dy
        speed = along / step_s
        fastest, slowest = max(fastest, speed), min(slowest, speed)
        if i == 0:
            first = speed
        else:
            change = (speed - before) / step_s
            gain, loss = max(gain, change), min(loss, change)
        length = math.hypot(dx, dy)
        aside = math.sqrt(max(length**2 - along**2, 0.0))
        slides = slides or aside > math.sin(bounds.max_slip) * length + ASIDE_NOISE_M
        turns = turns or abs(turn) > bounds.max_curvature * abs(along) + TURN_NOISE_RAD
        most_aside, most_turn = max(most_aside, aside), max(most_turn, abs(turn))
        least_along = min(least_along, along)
        most_lateral = max(most_lateral, abs(speed * turn / step_s))
        x, y, yaw, before = poses[i, 0], poses[i, 1], poses[i, 2], speed
    if fastest > bounds.max_speed:
        return TOO_FAST, fastest, 0.0
    if slowest < -bounds.max_reverse:
        return REVERSES, slowest, 0.0
    half = step_s / 2
    up = bounds.max_acceleration * half + bounds.max_start_error
    down = bounds.max_braking * half + bounds.max_start_error
    if not -down <= first - now <= up:
        return JUMPS, first, now
    if gain > bounds.max_acceleration:
        return ACCELERATES, gain, 0.0
    if loss < -bounds.max_braking:
        return BRAKES, -loss, 0.0
    if slides:
        return SLIDES, most_aside, 0.0
    if turns:
        return TURNS, most_turn, least_along
    if most_lateral > bounds.max_lateral:
        return CORNERS, most_lateral, 0.0
    return FREE, 0.0, 0.0


@lean_kernel
def place(fine: F64, row: int, x: float, y: float, yaw: float) -> None:
    """Write one pose of a fine path."""
    fine[row, 0], fine[row, 1], fine[row, 2] = x, y, yaw
    fine[row, 3], fine[row, 4] = math.cos(yaw), math.sin(yaw)


@lean_kernel
def refine(poses: F64, fine: F64) -> None:
    """(T, 3) poses from the ego's own on -> fine (T * FINE + 1, 5), straight between them."""
    x, y, yaw, raw, turns, row = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    place(fine, 0, 0.0, 0.0, 0.0)
    for i in range(len(poses)):
        turn = poses[i, 2] - raw
        if abs(turn) >= math.pi:  # the short way around
            turns += wrap(turn) - turn
        dx, dy, dyaw = poses[i, 0] - x, poses[i, 1] - y, poses[i, 2] + turns - yaw
        for _ in range(1, FINE):
            row += 1
            share = row / FINE - i
            place(fine, row, dx * share + x, dy * share + y, dyaw * share + yaw)
        row += 1
        x, y, raw = poses[i, 0], poses[i, 1], poses[i, 2]
        yaw = raw + turns
        place(fine, row, x, y, yaw)


@lean_kernel
def separated(
    x: float, y: float, cos: float, sin: float, half_length: float, half_width: float,
    turn_cos: float, turn_sin: float, other_length: float, other_width: float,
) -> bool:  # fmt: skip
    """Whether an axis of a box lies between it and another one whose centre is (x, y) away from its
    own (separating axes: Gottschalk et al., SIGGRAPH 1996, in the plane). turn: of the other
    against it, absolute values; all sizes are halves."""
    ahead, left = cos * x + sin * y, cos * y - sin * x
    reach_x = half_length + other_length * turn_cos + other_width * turn_sin
    reach_y = half_width + other_length * turn_sin + other_width * turn_cos
    return abs(ahead) > reach_x or abs(left) > reach_y


@lean_kernel
def touches(
    row: F64, body: EgoBox, x: float, y: float, cos: float, sin: float, length: float, width: float,
    reach: float,
) -> bool:  # fmt: skip
    """Whether the ego at a row of a fine path touches a box (centre, axis, half sizes). reach: [m]
    centres that are farther apart need no closer look."""
    dx = x - (row[0] + row[3] * body.centre)
    dy = y - (row[1] + row[4] * body.centre)
    if dx * dx + dy * dy > reach * reach:
        return False
    turn_cos = abs(row[3] * cos + row[4] * sin)
    turn_sin = abs(row[3] * sin - row[4] * cos)
    return not (
        separated(
            dx, dy, row[3], row[4], body.half_length, body.half_width, turn_cos, turn_sin, length,
            width,
        )
        or separated(
            dx, dy, cos, sin, length, width, turn_cos, turn_sin, body.half_length, body.half_width
        )
    )  # fmt: skip


@lean_kernel
def first_touch(fine: F64, rows: int, step_s: float, body: EgoBox, box: F64) -> int:
    """First row in which the ego touches an agent that keeps its velocity, NONE where it never
    does. An agent that overlaps the ego now already counts as never: no plan avoids it, and it is
    a false sighting more often than not. FINE rows in each step_s [s].

    box: (9,) x y z l w h yaw vx vy
    """
    cos, sin = math.cos(box[6]), math.sin(box[6])
    length, width = box[3] / 2, box[4] / 2
    reach = math.hypot(body.half_length, body.half_width) + math.hypot(length, width) + NEAR_M
    for row in range(rows):
        time_s = row * step_s / FINE
        x, y = box[0] + time_s * box[7], box[1] + time_s * box[8]
        if touches(fine[row], body, x, y, cos, sin, length, width, reach):
            return row if row else NONE
    return NONE


@lean_kernel
def advance_front(fine: F64, body: EgoBox, front: F64, spans: F64) -> None:
    """Where the front corners are in each row of a fine path, and the box around each interval."""
    for row in range(len(fine)):
        x, y, cos, sin = fine[row, 0], fine[row, 1], fine[row, 3], fine[row, 4]
        for side in range(2):
            left = body.half_width if side == 0 else -body.half_width
            front[row, 2 * side] = x + cos * body.front - sin * left
            front[row, 2 * side + 1] = y + sin * body.front + cos * left
    whole = len(spans) - 1
    for i in range(whole + 1):
        begin, end = (i * FINE, (i + 1) * FINE) if i < whole else (0, len(fine) - 1)
        low_x, high_x, low_y, high_y = math.inf, -math.inf, math.inf, -math.inf
        for row in range(begin, end + 1):
            low_x = min(low_x, front[row, 0], front[row, 2])
            high_x = max(high_x, front[row, 0], front[row, 2])
            low_y = min(low_y, front[row, 1], front[row, 3])
            high_y = max(high_y, front[row, 1], front[row, 3])
        spans[i, 0], spans[i, 1] = low_x - NEAR_M, high_x + NEAR_M
        spans[i, 2], spans[i, 3] = low_y - NEAR_M, high_y + NEAR_M


@lean_kernel
def side_of(px: float, py: float, qx: float, qy: float, rx: float, ry: float) -> float:
    """> 0 where r lies left of p -> q, < 0 where right."""
    return (qx - px) * (ry - py) - (qy - py) * (rx - px)


@lean_kernel
def cross(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> bool:
    """Whether segments a-b and c-d properly cross: ends that only touch do not."""
    return (
        side_of(ax, ay, bx, by, cx, cy) * side_of(ax, ay, bx, by, dx, dy) < 0.0
        and side_of(cx, cy, dx, dy, ax, ay) * side_of(cx, cy, dx, dy, bx, by) < 0.0
    )


@lean_kernel
def meets(span: F64, ax: float, ay: float, bx: float, by: float) -> bool:
    """Whether the box around a segment meets a span."""
    return bool(
        max(ax, bx) >= span[0] and min(ax, bx) <= span[1]
        and max(ay, by) >= span[2] and min(ay, by) <= span[3]
    )  # fmt: skip


@lean_kernel
def crossing_in(front: F64, begin: int, end: int, c: F64, d: F64) -> int:
    """First row in begin..end - 1 from which a front corner, on its way to the next row, crosses
    the segment c-d; NONE where none does."""
    for row in range(begin, end):
        for k in (0, 2):
            if cross(
                front[row, k], front[row, k + 1], front[row + 1, k], front[row + 1, k + 1],
                c[0], c[1], d[0], d[1],
            ):  # fmt: skip
                return row
    return NONE


@lean_kernel
def first_crossing(front: F64, spans: F64, lines: F64) -> int:
    """First row from which a front corner, on its way to the next row, crosses one of the polylines
    lines (m, p, 2); NONE where none does."""
    whole, first = len(spans) - 1, len(front) - 1
    for n in range(len(lines)):
        for i in range(lines.shape[1] - 1):
            c, d = lines[n, i], lines[n, i + 1]
            if not meets(spans[whole], c[0], c[1], d[0], d[1]):
                continue
            for part in range(whole):
                begin = part * FINE
                if begin >= first:
                    break
                if meets(spans[part], c[0], c[1], d[0], d[1]):
                    row = crossing_in(front, begin, min(begin + FINE, first), c, d)
                    first = row if row != NONE else first
    return first if first < len(front) - 1 else NONE


@lean_kernel
def first_off_road(
    fine: F64, front: F64, body: EgoBox, undrivable: NDArray[np.bool_], grid: F64
) -> int:
    """First row after the ego's own in which a corner stands on a cell that is surely not drivable;
    NONE where none does. Outside the grid nothing is known."""
    for row in range(1, len(fine)):
        x, y, cos, sin = fine[row, 0], fine[row, 1], fine[row, 3], fine[row, 4]
        for corner in range(4):
            if corner < 2:
                px, py = front[row, 2 * corner], front[row, 2 * corner + 1]
            else:
                left = body.half_width if corner == 2 else -body.half_width
                px, py = x - cos * body.rear - sin * left, y - sin * body.rear + cos * left
            i = math.floor((px - grid[0]) / grid[2])
            j = math.floor((py - grid[1]) / grid[3])
            if 0 <= i < undrivable.shape[0] and 0 <= j < undrivable.shape[1] and undrivable[i, j]:
                return row
    return NONE


@lean_kernel
def map_conflict(
    fine: F64, step_s: float, body: EgoBox, scene: CheckedScene, front: F64, spans: F64
) -> Verdict:
    """First conflict with lines and ground: code and time [s]."""
    if not (len(scene.red_lines) or len(scene.boundaries) or len(scene.undrivable)):
        return FREE, 0.0, 0.0
    advance_front(fine, body, front, spans)
    row = first_crossing(front, spans, scene.red_lines)
    if row != NONE:
        return RED_LIGHT, (row + 1) * step_s / FINE, 0.0
    row = first_crossing(front, spans, scene.boundaries)
    if row != NONE:
        return BOUNDARY, (row + 1) * step_s / FINE, 0.0
    row = first_off_road(fine, front, body, scene.undrivable, scene.grid)
    if row != NONE:
        return OFF_ROAD, row * step_s / FINE, 0.0
    return FREE, 0.0, 0.0


@lean_kernel
def first_free(
    candidates: F64, order: NDArray[np.int64], step_s: float, now: float, bounds: PlanBounds,
    body: EgoBox, scene: CheckedScene, fine: F64, front: F64, spans: F64, verdicts: F64,
) -> int:  # fmt: skip
    """How many of the candidates (K, T, 3), taken in `order`, are refused before the first that is
    free; all of them where none is. verdicts: (K, 3), written in the order of `order`."""
    for n in range(len(order)):
        poses = candidates[order[n]]
        verdict = motion_fault(poses, step_s, now, bounds)
        if verdict[0] == FREE:
            refine(poses, fine)
            for agent in range(len(scene.boxes)):
                row = first_touch(fine, len(fine), step_s, body, scene.boxes[agent])
                if row != NONE:
                    verdict = COLLISION, float(agent), row * step_s / FINE
                    break
        if verdict[0] == FREE:
            verdict = map_conflict(fine, step_s, body, scene, front, spans)
        verdicts[n, 0], verdicts[n, 1], verdicts[n, 2] = verdict
        if verdict[0] == FREE:
            return n
    return len(order)
