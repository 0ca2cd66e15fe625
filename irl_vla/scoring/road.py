"""Where the ego stands on the map: area flags, and DAC, DDC, TLC and LK from them.

All compiled, one proposal at a time. Source: docs/epdms.md, "Areas" and "Multipliers".
May import: scoring.arena, scoring.compiled, scoring.geometry, scoring.grid, scoring.scene.
"""

from __future__ import annotations

import math

import numpy as np

from irl_vla.scoring.arena import AreaMasks, Arena, RedLightAreas
from irl_vla.scoring.compiled import kernel
from irl_vla.scoring.geometry import in_ring, segment_touches_box
from irl_vla.scoring.grid import off_centerline
from irl_vla.scoring.scene import I64, STEPS
from irl_vla.types import F64

MULTIPLE_LANES, OFF_DRIVABLE, OFF_ROUTE, IN_INTERSECTION = 1, 2, 4, 8  # bits of a step's flags
DIRECTION_WINDOW = 10  # steps before the current one: 1 s
DIRECTION_WARN = 2.0  # [m] off route within a window: DDC 0.5
DIRECTION_FAIL = 6.0  # [m]: DDC 0
LANE_KEEPING_STEPS = 20  # 2 s


@kernel
def meets(masks: I64, n: int, of: I64) -> bool:
    """Whether masks[n] and `of` (words,) share a polygon."""
    for w in range(len(of)):  # noqa: SIM110 - compiled
        if masks[n, w] & of[w] != 0:
            return True
    return False


@kernel
def several_lanes(masks: I64, lanes: I64) -> bool:
    """More than one lane holds a corner, none holds all four. masks: (5, words), corners first."""
    count = 0
    for w in range(len(lanes)):
        some = (masks[0, w] | masks[1, w] | masks[2, w] | masks[3, w]) & lanes[w]
        if masks[0, w] & masks[1, w] & masks[2, w] & masks[3, w] & lanes[w] != 0:
            return False
        if some != 0:
            count += 1 if some & (some - 1) == 0 else 2
    return count > 1


@kernel
def area_flags(masks: I64, kinds: AreaMasks) -> int:
    """Flags of one step. masks: (5, words) polygons around the four corners and the centre.

    Quirk: "off route" asks only whether the centre lies in a lane of the route; no direction is
    ever compared.
    """
    flags = 0
    for i in range(4):
        if not meets(masks, i, kinds.drivable):
            flags |= OFF_DRIVABLE
    if several_lanes(masks, kinds.lanes):
        flags |= MULTIPLE_LANES
    if not meets(masks, 4, kinds.route):
        flags |= OFF_ROUTE
    if meets(masks, 4, kinds.intersections):
        flags |= IN_INTERSECTION
    return flags


@kernel
def drivable_area(flags: I64) -> tuple[float, int]:
    """DAC and the first step (or -1) in which a corner is off the drivable area."""
    for k in range(STEPS):
        if flags[k] & OFF_DRIVABLE != 0:
            return 0.0, k
    return 1.0, -1


@kernel
def driving_direction(flags: I64, centres: F64) -> tuple[float, int, float]:
    """DDC, last step of the worst window (or -1), metres off route in it. centres: (41, 2).

    A step counts by where it ends: off route and not in an intersection.
    """
    lengths = np.zeros(STEPS)
    any_off = False
    for k in range(1, STEPS):
        if flags[k] & OFF_ROUTE != 0 and flags[k] & IN_INTERSECTION == 0:
            dx, dy = centres[k, 0] - centres[k - 1, 0], centres[k, 1] - centres[k - 1, 1]
            lengths[k] = math.sqrt(dx * dx + dy * dy)
            any_off = True
    if not any_off:
        return 1.0, -1, 0.0
    worst, at = 0.0, -1
    for k in range(STEPS):
        total = 0.0
        for j in range(max(0, k - DIRECTION_WINDOW), k + 1):
            total += lengths[j]
        if total > worst:
            worst, at = total, k
    if worst < DIRECTION_WARN:
        return 1.0, -1, worst
    return (0.5 if worst < DIRECTION_FAIL else 0.0), at, worst


@kernel
def touches_ring(
    lights: RedLightAreas, n: int, corners: F64, x: float, y: float, cos: float, sin: float,
    half_length: float, half_width: float,
) -> bool:  # fmt: skip
    """Whether the ego's box touches red polygon n."""
    first, last = lights.offsets[n], lights.offsets[n + 1]
    previous = last - 1
    for i in range(first, last):
        if segment_touches_box(
            lights.vertices[previous, 0], lights.vertices[previous, 1],
            lights.vertices[i, 0], lights.vertices[i, 1],
            x, y, cos, sin, half_length, half_width,
        ):  # fmt: skip
            return True
        previous = i
    return in_ring(lights.vertices, first, last, corners[0, 0], corners[0, 1]) >= 0


@kernel
def traffic_lights(arena: Arena, corners: F64, centres: F64, axes: F64) -> tuple[float, int, int]:
    """TLC, first step (or -1), light. corners (41, 4, 2), centres (41, 2), axes (41, 2) cos, sin.

    Quirk: starting inside a red stretch is no excuse.
    """
    lights, body = arena.lights, arena.body
    reach = math.hypot(body.half_length, body.half_width)
    first, light = STEPS, -1
    for n in range(len(lights.bounds)):
        box = lights.bounds[n]
        for k in range(first):
            x, y = centres[k, 0], centres[k, 1]
            if not lights.red[n, k] or x < box[0] - reach or x > box[2] + reach:
                continue
            if y < box[1] - reach or y > box[3] + reach:
                continue
            if touches_ring(
                lights, n, corners[k], x, y, axes[k, 0], axes[k, 1],
                body.half_length, body.half_width,
            ):  # fmt: skip
                first, light = k, n
                break
    return (1.0, -1, -1) if light < 0 else (0.0, first, light)


@kernel
def lane_keeping(arena: Arena, flags: I64, centres: F64) -> tuple[float, int]:
    """LK and the step (or -1) in which it is lost.

    Quirk: steps in an intersection neither count nor reset the count.
    """
    count, cells, path = 0, arena.cells, arena.path
    for k in range(STEPS):
        if flags[k] & IN_INTERSECTION != 0:
            continue
        if off_centerline(cells, path, centres[k, 0], centres[k, 1]):
            count += 1
        else:
            count = 0
        if count >= LANE_KEEPING_STEPS:
            return 0.0, k
    return 1.0, -1
