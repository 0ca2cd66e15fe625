"""What lies ahead of a mover on its path, and how it follows it.

Symbols: v, v0 speed and the desired one; s gap; u speed of what is ahead; a, b, T, s0 parameters.
    s* = s0 + max(0, v·T + v·(v - u) / (2·sqrt(a·b))),   z = s*/s
Improved Intelligent Driver Model and its mixture with the constant-acceleration heuristic, which
keeps calm when somebody cuts in: Treiber and Kesting, Traffic Flow Dynamics (2013), 11.3.7, 11.3.8.
May import: scoring.compiled, scoring.geometry, types, world.episode, world.traffic.
"""

from __future__ import annotations

import math

import numpy as np

from irl_vla.scoring.compiled import kernel, lean_kernel
from irl_vla.scoring.geometry import touch
from irl_vla.types import F64
from irl_vla.world.traffic.fleet import (
    ALIVE,
    BASE,
    COUNT,
    DS,
    FAR,
    GAP,
    GAP_V,
    LEAD,
    NOSE,
    WIDTH,
    A,
    Fleet,
    S,
    V,
)
from irl_vla.world.traffic.path import state_at
from irl_vla.world.traffic.pedestrians import CROSSING, Walkers

MARGIN = 0.25  # [m] kept free on either side of the own width
MARGIN_WALKER = 0.6  # [m] the same for people
WALKER_AHEAD_S = 1.5  # people are expected where they will be that much later
BESIDE_NOSE = 2.5  # [m] behind the nose: people there are waited for when they are close
SCRAPE_S = 0.8  # [s] ahead of a contact with somebody alongside, one brakes
COOLNESS = 0.95  # weight of the constant-acceleration heuristic
EXPONENT = 4.0
SIGHT_S, SIGHT_M = 5.0, 25.0  # [s], [m] how far ahead it matters
FAR_OFF = 6.0  # [m] from the extent of a path: beyond, nobody is in the way
WIDEST = 1.5 * DS  # [m] between nodes, at most
COARSE = 3  # nodes skipped in the first search
Extent = tuple[float, float, float, float]  # x0, y0, x1, y1
EGO_X, EGO_Y, EGO_H, EGO_VX, EGO_VY, EGO_HALF, EGO_SIDE, EGO_V, EGO_STOOD = range(
    9
)  # the ego as a box


@lean_kernel
def free_acceleration(v: float, v0: float, a: float, b: float) -> float:
    """On an empty road."""
    if v <= v0:
        return float(a * (1.0 - (v / v0) ** EXPONENT))
    return float(-b * (1.0 - (v0 / v) ** (a * EXPONENT / b)))


@lean_kernel
def following(
    v: float, v0: float, gap: float, u: float, lead_a: float,
    a: float, b: float, headway: float, s0: float,
) -> float:  # fmt: skip
    """dv/dt [m/s²] behind something `gap` ahead that moves with u and accelerates with lead_a."""
    free, s = free_acceleration(v, max(v0, 0.1), a, b), max(gap, 0.05)
    wanted = s0 + max(0.0, v * headway + v * (v - u) / (2.0 * math.sqrt(a * b)))
    z = wanted / s
    if v <= v0:
        own = a * (1.0 - z * z) if z >= 1.0 or free <= 1e-9 else free * (1.0 - z ** (2 * a / free))
    else:
        own = free + a * (1.0 - z * z) if z >= 1.0 else free
    limited = min(lead_a, a)
    if u * (v - u) <= -2.0 * s * limited and u * u - 2.0 * s * limited > 1e-9:
        constant = v * v * limited / (u * u - 2.0 * s * limited)
    else:
        constant = limited - (v - u) * max(v - u, 0.0) / (2.0 * s)
    if own >= constant:
        return own
    return (1.0 - COOLNESS) * own + COOLNESS * (constant + b * math.tanh((own - constant) / b))


@lean_kernel
def stopping(v: float, v0: float, distance: float, a: float, b: float) -> float:
    """dv/dt [m/s²] to stand still at a line `distance` ahead."""
    return following(v, v0, distance + 0.5, 0.0, 0.0, a, b, 0.6, 0.7)


@lean_kernel
def nearest_node(fleet: Fleet, i: int, x: float, y: float, low: int, high: int) -> int:
    """The node of path i in low..high that is nearest to a point."""
    best, found, k = math.inf, low, low
    while k <= high:
        square = (fleet.xy[i, k, 0] - x) ** 2 + (fleet.xy[i, k, 1] - y) ** 2
        if square < best:
            best, found = square, k
            k += COARSE
        else:  # nodes that are too far from this one to be nearer than the best are passed over
            k += COARSE * (1 + int((math.sqrt(square) - math.sqrt(best)) / (COARSE * WIDEST)))
    for k in range(max(found - COARSE + 1, low), min(found + COARSE, high + 1)):
        square = (fleet.xy[i, k, 0] - x) ** 2 + (fleet.xy[i, k, 1] - y) ** 2
        if square < best:
            best, found = square, k
    return found


@lean_kernel
def meet_disc(
    fleet: Fleet, i: int, x: float, y: float, radius: float, low: int, high: int, k: int
) -> tuple[bool, float, float, float, float]:
    """Whether a disc lies in the way of mover i; gap to it, tangent there, distance from the path.
    low, high: nodes that matter; k: the nearest of them."""
    f = fleet.f
    tx, ty = fleet.xy[i, k + 1, 0] - fleet.xy[i, k, 0], fleet.xy[i, k + 1, 1] - fleet.xy[i, k, 1]
    norm = math.sqrt(tx * tx + ty * ty)
    tx, ty = tx / norm, ty / norm
    dx, dy = x - fleet.xy[i, k, 0], y - fleet.xy[i, k, 1]
    along, across = dx * tx + dy * ty, dy * tx - dx * ty
    if (k == low and along < -1.0) or (k == high and along > 1.5):
        return False, FAR, tx, ty, across
    gap = k * DS + along - radius - (f[i, S] + f[i, NOSE])
    return bool(abs(across) < f[i, WIDTH] / 2.0 + radius), gap, tx, ty, across


@lean_kernel
def first_node(fleet: Fleet, i: int) -> int:
    """The first node of path i where something may be ahead."""
    f = fleet.f
    return int(min(int((f[i, S] + 0.6 * f[i, BASE]) / DS), fleet.g[i, COUNT] - 2))


@lean_kernel
def last_node(fleet: Fleet, i: int, reach: float) -> int:
    """The last node of path i that matters, `reach` ahead of the nose."""
    f = fleet.f
    return int(min(int((f[i, S] + f[i, NOSE] + reach) / DS) + 1, fleet.g[i, COUNT] - 2))


@lean_kernel
def extent(fleet: Fleet, i: int, low: int, high: int) -> Extent:
    """Least x and y, greatest x and y of nodes low..high of path i."""
    x0, y0 = fleet.xy[i, low, 0], fleet.xy[i, low, 1]
    x1, y1 = x0, y0
    for k in range(low + 1, high + 1):
        x, y = fleet.xy[i, k, 0], fleet.xy[i, k, 1]
        x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
    return x0, y0, x1, y1


@lean_kernel
def is_near(box: Extent, x: float, y: float, most: float) -> bool:
    """Whether a point lies within `most` of an extent along either axis."""
    return bool(
        box[0] - most <= x <= box[2] + most and box[1] - most <= y <= box[3] + most
    )  # fmt: skip


@lean_kernel
def meet_box(
    fleet: Fleet, i: int, box: F64, half: float, side: float, low: int, high: int
) -> tuple[bool, float, float]:
    """Whether a box (x, y, heading, ..) is in the way; gap and speed along the path."""
    middle = nearest_node(fleet, i, box[0], box[1], low, high)
    dx, dy = fleet.xy[i, middle, 0] - box[0], fleet.xy[i, middle, 1] - box[1]
    most = half + side + fleet.f[i, WIDTH] / 2.0 + 1.0
    if dx * dx + dy * dy > most * most:
        return False, FAR, 0.0
    c, s = math.cos(box[2]), math.sin(box[2])
    span, found = half - side, False
    parts = max(math.ceil(span), 1) if span > 0.05 else 0
    local, nearest, speed = int(half) + 2, FAR, 0.0
    for p in range(parts + 5):  # discs along its axis, then its corners
        t = -span + 2.0 * span * min(p, parts) / parts if parts else 0.0
        across, radius = 0.0, side + MARGIN
        if p > parts:
            t = half if p % 2 == 0 else -half
            across, radius = side if p < parts + 3 else -side, MARGIN
        x, y = box[0] + t * c - across * s, box[1] + t * s + across * c
        k = nearest_node(fleet, i, x, y, max(middle - local, low), min(middle + local, high))
        hit, gap, tx, ty, _ = meet_disc(fleet, i, x, y, radius, low, high, k)
        gap += MARGIN
        if hit and gap > -1.0 and (not found or gap < nearest):
            found, nearest, speed = True, gap, box[3] * tx + box[4] * ty
    return found, nearest, speed


@lean_kernel
def look_ahead(fleet: Fleet, walkers: Walkers, ego: F64, i: int) -> float:
    """Finds the nearest thing on the path of mover i -> GAP, GAP_V, LEAD (actor, -2 the ego, -1
    nothing); returns the acceleration of what was found."""
    f, g = fleet.f, fleet.g
    state, lead_a = fleet.states[i], 0.0
    reach = SIGHT_M + SIGHT_S * f[i, V]
    c, s = math.cos(state[2]), math.sin(state[2])
    f[i, GAP], f[i, GAP_V], g[i, LEAD] = FAR, 0.0, -1
    low, high = first_node(fleet, i), last_node(fleet, i, reach)
    around = extent(fleet, i, low, high)
    for j in range(-1, len(f)):
        if j == i or (j >= 0 and g[j, ALIVE] == 0):
            continue
        box = ego if j < 0 else fleet.states[j]
        dx, dy = box[0] - state[0], box[1] - state[1]
        if dx * dx + dy * dy > (reach + 8.0) ** 2 or dx * c + dy * s < -12.0:
            continue
        half = ego[EGO_HALF] if j < 0 else fleet.half[j, 0]
        side = ego[EGO_SIDE] if j < 0 else fleet.half[j, 1]
        if not is_near(around, box[0], box[1], half + side + f[i, WIDTH] / 2.0 + 1.01):
            continue
        found, gap, speed = meet_box(fleet, i, box, half, side, low, high)
        if found and gap < f[i, GAP]:
            f[i, GAP], f[i, GAP_V], g[i, LEAD] = gap, speed, j if j >= 0 else -2
            lead_a = f[j, A] if j >= 0 else 0.0
    if see_walkers(fleet, walkers, i, low, high, around):
        lead_a = 0.0
    f[i, GAP_V] = max(f[i, GAP_V], -2.0)
    return lead_a


@lean_kernel
def see_walkers(
    fleet: Fleet, walkers: Walkers, i: int, low: int, high: int, around: Extent
) -> bool:
    """People on the road who are or will be in the way, where they are nearer than what was found
    before. around: extent of the nodes low..high"""
    f, g, found = fleet.f, fleet.g, False
    for p in range(len(walkers.mode)):
        if walkers.mode[p] < CROSSING:
            continue
        j = walkers.first + p
        who, radius = fleet.states[j], fleet.half[j, 1] + MARGIN_WALKER
        for later in range(3):
            t = 0.5 * WALKER_AHEAD_S * later
            x, y = who[0] + t * who[3], who[1] + t * who[4]
            if not is_near(around, x, y, radius + f[i, WIDTH] / 2.0 + FAR_OFF):
                continue
            k = nearest_node(fleet, i, x, y, low, high)
            hit, gap, _, _, across = meet_disc(fleet, i, x, y, radius, low, high, k)
            near = abs(across) < f[i, WIDTH] / 2.0 + fleet.half[j, 1] + 0.25
            hit = hit and (gap > -0.5 or (near and gap > -BESIDE_NOSE))
            if hit and gap < f[i, GAP]:
                f[i, GAP], f[i, GAP_V], g[i, LEAD], found = gap, 0.0, j, True
    return found


@lean_kernel
def will_scrape(fleet: Fleet, ego: F64, i: int) -> bool:
    """Whether mover i, if it goes on, soon touches somebody beside it whose middle is ahead."""
    f, state = fleet.f, fleet.states[i]
    if f[i, V] < 0.3:
        return False
    c, s = math.cos(state[2]), math.sin(state[2])
    half, side = fleet.half[i, 0] + 0.1, fleet.half[i, 1] + 0.1
    for j in range(-1, len(f)):
        if j == i or (j >= 0 and fleet.g[j, ALIVE] == 0):
            continue
        box = ego if j < 0 else fleet.states[j]
        dx, dy = box[0] - state[0], box[1] - state[1]
        half_j = ego[EGO_HALF] if j < 0 else fleet.half[j, 0]
        side_j = ego[EGO_SIDE] if j < 0 else fleet.half[j, 1]
        if dx * dx + dy * dy > (half + half_j + 2.0) ** 2 or dx * c + dy * s <= 0.0:
            continue
        if j < 0:
            x, y, heading = box[0] + SCRAPE_S * box[3], box[1] + SCRAPE_S * box[4], box[2]
        else:  # the tail of who turns swings out
            x, y, heading, _, _ = state_at(fleet, j, f[j, S] + f[j, V] * SCRAPE_S)
        own = state_at(fleet, i, f[i, S] + f[i, V] * SCRAPE_S)
        if boxes_touch(own[0], own[1], own[2], half, side, x, y, heading, half_j, side_j):
            return True
    return False


@kernel
def boxes_touch(
    ax: float, ay: float, a_heading: float, a_half: float, a_side: float,
    bx: float, by: float, b_heading: float, b_half: float, b_side: float,
) -> bool:  # fmt: skip
    """Whether two boxes touch. half, side: half their lengths and widths."""
    return bool(touch(
        np.array([ax, ay, math.cos(a_heading), math.sin(a_heading)]), np.array([a_half, a_side]),
        np.array([bx, by, math.cos(b_heading), math.sin(b_heading)]), np.array([b_half, b_side]),
    ))  # fmt: skip
