"""Lane changes: because a lane ends, or because the other one is faster.

A change is decided, shown for a moment, and made when both gaps are safe (MOBIL: Kesting, Treiber,
Helbing 2007). May import: scoring.compiled, types, world.episode, world.traffic.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.types import F64
from irl_vla.world.traffic.car_following import EGO_HALF, EGO_V, following
from irl_vla.world.traffic.fleet import (
    A_MAX,
    ALIVE,
    BASE,
    BIKE,
    BLEND_FROM,
    BLEND_LENGTH,
    COUNT,
    DS,
    FAR,
    GAP,
    GAP_V,
    LEAD,
    LENGTH,
    MUST,
    NOSE,
    POLITE,
    REAR,
    S0,
    SIGNAL_SINCE,
    STILL,
    STOOD,
    WISH,
    B,
    Fleet,
    S,
    T,
    V,
)
from irl_vla.world.traffic.lane_network import LaneNetwork
from irl_vla.world.traffic.path import change_to

SHOWN_S = 0.8  # [s] the indicator blinks before the change begins
CHANGE_S = 4.0  # [s] a change takes
ASKING_BRAKING, COMING_BRAKING = -1.3, -4.0  # [m/s²] for those who want in, who come in
FREE_SHARE = 0.72  # of a change is driven before what stands in the old lane
QUICKEST_S = 2.4  # [s] no change is quicker
SHORTEST = 11.0  # [m] of a change, plus the share of the own length below
SHORTEST_SHARE = 0.5
ENDS_AHEAD = 130.0  # [m] from which a lane's end matters
NEAR = 70.0  # [m] whom a change may concern
IN_LANE = 2.0  # [m] from the middle of a lane: in it
SAFE_BRAKING, SAFE_BRAKING_MUST = 1.5, 2.8  # [m/s²] that may be asked of those behind, and of me
GAIN = 0.35  # [m/s²] worth a change
FROM_BEGIN, TO_END = 12.0, 8.0  # [m] of a lane without changes


class Neighbours(NamedTuple):
    """Gaps [m] to those ahead and behind in another lane, FAR where nobody is, and their speeds
    [m/s]; behind_who: mover, -2 the ego, -1 nobody."""

    ahead_gap: float
    ahead_v: float
    behind_gap: float
    behind_v: float
    behind_who: int


@lean_kernel
def forced_end(net: LaneNetwork, fleet: Fleet, i: int) -> float:
    """s where the lanes of the path end for mover i: a work zone, or a lane that merges; or FAR."""
    f = fleet.f
    nose = f[i, S] + f[i, NOSE]
    k = int((f[i, S] + f[i, BASE]) / DS)
    last = min(fleet.g[i, COUNT] - 1, int((nose + ENDS_AHEAD) / DS))
    while k <= last:
        lane = fleet.lane[i, k]
        begin = k * DS - fleet.sl[i, k]
        if begin + net.close[lane, 0] > nose - 3.0 and net.close[lane, 0] < FAR:
            return float(begin + net.close[lane, 0])
        if net.merging[lane] == 1:
            return float(begin + net.length[lane])
        k = max(k + 1, math.ceil((begin + net.length[lane]) / DS))
    return FAR


@lean_kernel
def beside_lane(net: LaneNetwork, lane: int, x: float, y: float) -> tuple[float, float]:
    """Arc on a lane and distance from it of a point; beyond the ends straight on."""
    first, last = net.first[lane], net.first[lane + 1] - 1
    best, k = math.inf, first
    for j in range(first, last + 1):
        square = (net.xy[j, 0] - x) ** 2 + (net.xy[j, 1] - y) ** 2
        if square < best:
            best, k = square, j
    c, s = math.cos(net.heading[k]), math.sin(net.heading[k])
    dx, dy = x - net.xy[k, 0], y - net.xy[k, 1]
    return net.arc[k] + dx * c + dy * s, abs(dy * c - dx * s)


@lean_kernel
def arc_ahead(fleet: Fleet, j: int, lane: int) -> float:
    """Arc of mover j's rear axle on a lane that its path leads to, negative before its begin;
    -FAR where the path does not lead there."""
    now = fleet.f[j, S] / DS
    for k in range(int(now), min(int(now + NEAR), fleet.g[j, COUNT]), 3):
        if fleet.lane[j, k] == lane:
            return float(fleet.sl[j, k] - (k - now) * DS)
    return -FAR


@lean_kernel
def neighbours(net: LaneNetwork, fleet: Fleet, ego: F64, i: int, lane: int) -> Neighbours:
    """Who would be ahead of and behind mover i, were it in that lane."""
    ahead_gap, ahead_v, behind_gap, behind_v, who = FAR, 0.0, FAR, 0.0, -1
    state, half = fleet.states[i], fleet.f[i, LENGTH] / 2.0
    arc = beside_lane(net, lane, state[0], state[1])[0]
    for j in range(-1, len(fleet.f)):
        if j == i or (j >= 0 and fleet.g[j, ALIVE] == 0):
            continue
        box = ego if j < 0 else fleet.states[j]
        half_j = ego[EGO_HALF] if j < 0 else fleet.half[j, 0]
        v = ego[EGO_V] if j < 0 else fleet.f[j, V]
        if (box[0] - state[0]) ** 2 + (box[1] - state[1]) ** 2 > NEAR * NEAR:
            continue
        there, away = beside_lane(net, lane, box[0], box[1])
        inside = away < IN_LANE and 0.0 <= there <= net.length[lane]
        if inside:
            v *= math.cos(box[2] - state[2])
        elif j >= 0 and fleet.g[j, STILL] == 0:
            there = arc_ahead(fleet, j, lane) + (fleet.f[j, NOSE] - fleet.f[j, REAR]) / 2.0
            inside = there > -NEAR
        if not inside:
            continue
        gap = abs(there - arc) - half - half_j
        if there >= arc and gap < ahead_gap:
            ahead_gap, ahead_v = gap, v
        elif there < arc and gap < behind_gap:
            behind_gap, behind_v, who = gap, v, j if j >= 0 else -2
    return Neighbours(ahead_gap, ahead_v, behind_gap, behind_v, who)


@lean_kernel
def gain_of(
    net: LaneNetwork, fleet: Fleet, i: int, v0: float, near: Neighbours, must: bool
) -> float:
    """Advantage [m/s²] of a change between these neighbours, -FAR where it is not safe."""
    f = fleet.f
    limit = SAFE_BRAKING_MUST if must else SAFE_BRAKING
    room = 1.5 if must else 3.0
    if near.ahead_gap < room or near.behind_gap < room:
        return -FAR
    v = f[i, V]
    mine = following(
        v, v0, near.ahead_gap, near.ahead_v, 0.0, f[i, A_MAX], f[i, B], f[i, T], f[i, S0]
    )
    theirs = 0.0
    if near.behind_who != -1:
        u = near.behind_v
        theirs = following(u, max(u, v0), near.behind_gap, v, 0.0, 1.5, 2.0, 1.0, 2.0)
        if near.behind_who == -2 and near.behind_gap < 0.9 * u + 2.0:
            return -FAR
    if mine < -limit or theirs < -limit:
        return -FAR
    now = following(v, v0, f[i, GAP], f[i, GAP_V], 0.0, f[i, A_MAX], f[i, B], f[i, T], f[i, S0])
    return float(mine - now + f[i, POLITE] * min(theirs, 0.0))


@lean_kernel
def consider(
    net: LaneNetwork, fleet: Fleet, ego: F64, i: int, v0: float, ends: float, time: float
) -> None:
    """Decides about a lane change of mover i, and begins it. ends: s of `forced_end`."""
    f, g = fleet.f, fleet.g
    front = f[i, S] + f[i, BASE]
    k = min(int(front / DS), g[i, COUNT] - 1)
    lane, arc = fleet.lane[i, k], fleet.sl[i, k] + front - k * DS
    busy = front < f[i, BLEND_FROM] + f[i, BLEND_LENGTH] + 2.0
    g[i, MUST] = 0
    if g[i, BIKE] == 1 or busy or net.junction[lane] >= 0 or arc < FROM_BEGIN:
        g[i, WISH] = 0
        return
    blocked = 0 <= g[i, LEAD] < len(f) and g[g[i, LEAD], STILL] == 1 and f[i, GAP] < 60.0
    must = blocked or (ends < FAR and ends - front < ENDS_AHEAD)
    slow = f[i, GAP] < 15.0 + 2.0 * f[i, V] and f[i, GAP_V] < v0 - 1.5
    if not (must or slow):
        g[i, WISH] = 0
        return
    best, chosen = (-FAR if must else GAIN), -1
    safe = False
    for side in range(2):
        target = net.left[lane] if side == 0 else net.right[lane]
        if target < 0 or not may_use(net, target, arc, must):
            continue
        near = neighbours(net, fleet, ego, i, target)
        gain = gain_of(net, fleet, i, v0, near, must)
        if gain > best or (must and chosen < 0):
            best, chosen, safe = gain, target, gain > -FAR
    g[i, MUST] = 1 if must and chosen >= 0 else 0
    if chosen < 0:
        g[i, WISH] = 0
    elif g[i, WISH] != chosen + 1:
        g[i, WISH], f[i, SIGNAL_SINCE] = chosen + 1, time
    elif safe and time - f[i, SIGNAL_SINCE] > SHOWN_S:
        begin_change(net, fleet, i, chosen, lane, arc, CHANGE_S, ends - front)


@lean_kernel
def may_use(net: LaneNetwork, lane: int, arc: float, must: bool) -> bool:
    """Whether it makes sense to change into a lane at an arc of it."""
    if net.close[lane, 0] < FAR and arc < net.close[lane, 1] + 5.0:
        return False
    if net.merging[lane] == 1:
        return False
    room = net.length[lane] - arc
    return bool(room > (14.0 if must else 45.0))


@lean_kernel
def begin_change(
    net: LaneNetwork, fleet: Fleet, i: int, target: int, lane: int, arc: float, duration: float,
    room: float,
) -> bool:  # fmt: skip
    """Starts mover i towards a neighbour lane, if there is room before the lane ends."""
    f = fleet.f
    shortest = max(SHORTEST + SHORTEST_SHARE * f[i, LENGTH], QUICKEST_S * f[i, V])
    length = max(f[i, V] * duration, shortest)
    left = min(net.length[target] - arc - TO_END, room - f[i, NOSE] + f[i, BASE])
    if length > left:
        length = max(left, shortest)
        if length > left + 6.0:
            return False
    close_by = f[i, GAP] + f[i, NOSE] - f[i, BASE]
    if f[i, GAP_V] < 1.0 and close_by < FREE_SHARE * length:
        length = max(shortest, close_by / FREE_SHARE)
        if close_by < FREE_SHARE * shortest:
            return False
    k = int((f[i, S] + f[i, BASE]) / DS) + 1
    if k >= fleet.g[i, COUNT]:
        return False
    arc, _ = beside_lane(net, target, fleet.xy[i, k, 0], fleet.xy[i, k, 1])
    change_to(net, fleet, i, target, min(max(arc, 0.0), net.length[target]), length)
    fleet.g[i, WISH] = 0
    f[i, STOOD] = 0.0
    return True


@lean_kernel
def courtesy(net: LaneNetwork, fleet: Fleet, i: int, v0: float) -> float:
    """dv/dt [m/s²] that lets in one who changes, or must change, into mover i's lane; FAR where
    nobody does."""
    f, g, state = fleet.f, fleet.g, fleet.states[i]
    lane = fleet.lane[i, min(int((f[i, S] + f[i, BASE]) / DS), g[i, COUNT] - 1)]
    c, s, wanted = math.cos(state[2]), math.sin(state[2]), FAR
    for j in range(len(f)):
        if j == i or g[j, ALIVE] == 0 or g[j, STILL] != 0:
            continue
        asks = g[j, MUST] == 1 and g[j, WISH] == lane + 1
        front = f[j, S] + f[j, BASE]
        comes = front < f[j, BLEND_FROM] + 0.8 * f[j, BLEND_LENGTH]
        comes = comes and fleet.lane[j, min(int(front / DS) + 1, g[j, COUNT] - 1)] == lane
        if not (asks or comes):
            continue
        dx, dy = fleet.states[j, 0] - state[0], fleet.states[j, 1] - state[1]
        gap = dx * c + dy * s - fleet.half[j, 0] - fleet.half[i, 0]
        if gap < (0.5 if comes else 2.0) or gap > 40.0 or abs(dy * c - dx * s) > 6.0:
            continue
        own = following(f[i, V], v0, gap, f[j, V], 0.0, f[i, A_MAX], f[i, B], f[i, T], f[i, S0])
        wanted = min(wanted, max(own, COMING_BRAKING if comes else ASKING_BRAKING))
    return float(wanted)
