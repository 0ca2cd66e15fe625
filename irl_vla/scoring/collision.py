"""Whom the ego hits, and whose fault it is: NC and TTC.

All compiled, one proposal at a time, track by track: a track's release touches no other track, so
that the order of tracks does not matter. Source: docs/epdms.md, "Multipliers" and "Weighted terms".
May import: scoring.arena, scoring.compiled, scoring.geometry, scoring.grid, scoring.road,
scoring.scene.
"""

from __future__ import annotations

import math

from irl_vla.scoring.arena import STOPPED_TRACK, Arena, EgoFootprint
from irl_vla.scoring.compiled import kernel
from irl_vla.scoring.geometry import apart, box_corners, segment_touches_box
from irl_vla.scoring.grid import contains_mask
from irl_vla.scoring.road import MULTIPLE_LANES, OFF_DRIVABLE, meets
from irl_vla.scoring.scene import I64, SIM_DT_S, STEPS, VX, VY
from irl_vla.types import F64

STOPPED_EGO, STOPPED_OTHER, REAR, FRONT, LATERAL = range(5)  # collision classes
STOPPED_SPEED = STOPPED_TRACK  # [m/s] the ego at or below does not collide actively (inclusive)
TTC_STOPPED_SPEED = 0.005  # [m/s] below (strict) TTC is not asked
COS_AHEAD = math.cos(math.radians(30.0))
COS_BEHIND = math.cos(math.radians(150.0))
LOOK_AHEAD = (0, 3, 6, 9)  # steps the ego is projected forward
LAST_LOOK = LOOK_AHEAD[-1]
ROOM = 1.000001  # circles that miss by less are looked at exactly
SHARED_ROAD = MULTIPLE_LANES | OFF_DRIVABLE  # where lateral hits are the ego's fault


@kernel
def cosine_to(state: F64, axis: F64, x: float, y: float) -> float:
    """Cosine of the angle at the REAR AXLE between heading and the way to (x, y); 0 if it is
    there."""
    dx, dy = x - state[0], y - state[1]
    norm = math.sqrt(dx * dx + dy * dy)
    return (dx * axis[0] + dy * axis[1]) / norm if norm > 0.0 else 0.0


@kernel
def boxes_touch(
    body: EgoFootprint,
    corners: F64,
    x: float,
    y: float,
    axis: F64,
    box: F64,
    halves: F64,
    scratch: F64,
) -> bool:
    """Whether the ego's box (corners (4, 2), centre, axis) touches a track's box (4,)."""
    box_corners(box[0], box[1], box[2], box[3], halves[0], halves[1], scratch)
    return not (
        apart(scratch, 4, x, y, axis[0], axis[1], body.half_length, body.half_width)
        or apart(corners, 4, box[0], box[1], box[2], box[3], halves[0], halves[1])
    )


@kernel
def classify(state: F64, axis: F64, corners: F64, box: F64, halves: F64, stopped: bool) -> int:
    """Class of a collision that has been established."""
    if math.hypot(state[VX], state[VY]) <= STOPPED_SPEED:
        return STOPPED_EGO
    if stopped:
        return STOPPED_OTHER
    if cosine_to(state, axis, box[0], box[1]) < COS_BEHIND:
        return REAR
    if segment_touches_box(
        corners[0, 0], corners[0, 1], corners[3, 0], corners[3, 1],
        box[0], box[1], box[2], box[3], halves[0], halves[1],
    ):  # fmt: skip
        return FRONT
    return LATERAL


@kernel
def at_fault(kind: int, flags: int) -> bool:
    """Whether the ego is to blame for a collision of this class in an area with these flags."""
    if kind in (STOPPED_OTHER, FRONT):
        return True
    return kind == LATERAL and flags & SHARED_ROAD != 0


@kernel
def first_fault(
    arena: Arena, a: int, states: F64, corners: F64, centres: F64, axes: F64, flags: I64,
    scratch: F64,
) -> int:  # fmt: skip
    """Step in which the ego hits track a at its own fault, or -1.

    Quirk: a hit that is not the ego's fault releases the track for the rest of the horizon.
    """
    body, traffic = arena.body, arena.traffic
    boxes, present = traffic.boxes, traffic.present
    reach = math.hypot(body.half_length, body.half_width) + traffic.radii[a]
    for k in range(STEPS):
        dx, dy = boxes[a, k, 0] - centres[k, 0], boxes[a, k, 1] - centres[k, 1]
        if dx * dx + dy * dy > reach * reach * ROOM or not present[a, k]:
            continue
        box, halves = boxes[a, k], traffic.halves[a]
        if boxes_touch(
            body, corners[k], centres[k, 0], centres[k, 1], axes[k], box, halves, scratch
        ):
            kind = classify(states[k], axes[k], corners[k], box, halves, traffic.stopped[a])
            return k if at_fault(kind, flags[k]) else -1
    return -1


@kernel
def blamed_ahead(arena: Arena, state: F64, axis: F64, box: F64, flags: int, masks: I64) -> bool:
    """Whether a projected hit counts: the track is ahead, or merely not behind where the ego shares
    the road or its rear axle is in an intersection. masks: scratch, its last row is used."""
    cosine = cosine_to(state, axis, box[0], box[1])
    if cosine > COS_AHEAD:
        return True
    if cosine < COS_BEHIND:
        return False
    if flags & SHARED_ROAD != 0:
        return True
    n = len(masks) - 1
    contains_mask(arena.cells, arena.rings, state[0], state[1], masks, n)
    return meets(masks, n, arena.kinds.intersections)


@kernel
def first_threat(
    arena: Arena, a: int, last: int, states: F64, corners: F64, centres: F64, axes: F64,
    flags: I64, scratch: F64, masks: I64,
) -> int:  # fmt: skip
    """Step 0..last in which the ego, projected straight ahead, hits track a, or -1.

    Quirk: the box is translated, never turned; a hit that does not count releases the track, on a
    list of its own. scratch: (8, 2).
    """
    body, traffic = arena.body, arena.traffic
    boxes, present = traffic.boxes, traffic.present
    reach = math.hypot(body.half_length, body.half_width) + traffic.radii[a]
    steps = present.shape[1]
    moved, track = scratch[:4], scratch[4:]
    for k in range(last + 1):
        speed = math.hypot(states[k, VX], states[k, VY])
        if speed < TTC_STOPPED_SPEED:
            continue
        for f in LOOK_AHEAD:
            if k + f >= steps or not present[a, k + f]:
                continue
            mx, my = axes[k, 0] * speed * (f * SIM_DT_S), axes[k, 1] * speed * (f * SIM_DT_S)
            x, y = centres[k, 0] + mx, centres[k, 1] + my
            dx, dy = boxes[a, k + f, 0] - x, boxes[a, k + f, 1] - y
            if dx * dx + dy * dy > reach * reach * ROOM:
                continue
            for i in range(4):
                moved[i, 0], moved[i, 1] = corners[k, i, 0] + mx, corners[k, i, 1] + my
            box = boxes[a, k + f]
            if boxes_touch(body, moved, x, y, axes[k], box, traffic.halves[a], track):
                return k if blamed_ahead(arena, states[k], axes[k], box, flags[k], masks) else -1
    return -1


@kernel
def swept_bounds(body: EgoFootprint, states: F64, centres: F64, axes: F64) -> tuple[float, ...]:
    """xmin, ymin, xmax, ymax of all the ego's boxes, also projected ahead."""
    low_x, low_y, high_x, high_y = math.inf, math.inf, -math.inf, -math.inf
    for k in range(STEPS):
        ahead = math.hypot(states[k, VX], states[k, VY]) * (LAST_LOOK * SIM_DT_S)
        x, y = centres[k, 0], centres[k, 1]
        fx, fy = x + axes[k, 0] * ahead, y + axes[k, 1] * ahead
        low_x, high_x = min(low_x, x, fx), max(high_x, x, fx)
        low_y, high_y = min(low_y, y, fy), max(high_y, y, fy)
    reach = math.hypot(body.half_length, body.half_width) + 0.001
    return low_x - reach, low_y - reach, high_x + reach, high_y + reach


@kernel
def near(bounds: F64, radii: F64, a: int, swept: tuple[float, ...]) -> bool:
    """Whether track a ever comes into the swept bounds."""
    radius = radii[a]
    return not (
        bounds[a, 0] - radius > swept[2] or bounds[a, 2] + radius < swept[0]
        or bounds[a, 1] - radius > swept[3] or bounds[a, 3] + radius < swept[1]
    )  # fmt: skip
