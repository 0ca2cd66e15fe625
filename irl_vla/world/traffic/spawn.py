"""Who drives in a town, and where everybody is put down.

May import: scoring.compiled, scoring.scene, types, world.episode, world.town, world.traffic.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import kernel, lean_kernel
from irl_vla.types import F64
from irl_vla.world.episode import I64, MODELS
from irl_vla.world.traffic.car_following import EGO_HALF, EGO_V, EGO_X, EGO_Y
from irl_vla.world.traffic.fleet import (
    A_LAT,
    A_MAX,
    ALIVE,
    BASE,
    BIKE,
    FACTOR,
    FAR,
    LENGTH,
    NOSE,
    OFFSET,
    POLITE,
    REAR,
    S0,
    SPENT,
    STILL,
    STOOD,
    WIDTH,
    A,
    B,
    Fleet,
    T,
    V,
    draw,
)
from irl_vla.world.traffic.lane_network import LaneNetwork
from irl_vla.world.traffic.path import find_connectors, lay, place
from irl_vla.world.traffic.step import remove

GONE = 200.0  # [m] from the ego: nobody is missed there
ENTER_NEAR, ENTER_FAR = 110.0, 190.0  # [m] from the ego, where new ones come in
ENTRIES = 40  # places tried for a new one
SPAWN_GAP, SPAWN_HEADWAY = 7.0, 1.0  # [m], [s] left free around a new one
AWAY = 14.0  # [m] from people on foot
STOP_ROOM = 6.0  # [m] to the end of the lane, beyond a gentle stop
KERB = 0.75  # [m] from the edge of the lane to the middle of a bicycle
FREE_OF_END = 25.0  # [m] no one starts nearer to the end of a lane that merges or closes
ASIDE = 2.4  # [m] apart: not in the same lane
ABREAST = 5.5  # [m] the same for those who would be side by side


class VehicleClass(NamedTuple):
    """Ranges of a kind of vehicle: share of the traffic, sizes [m], IDM acceleration [m/s²]."""

    model: str
    share: float
    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    a_max: tuple[float, float]
    a_lat: tuple[float, float]


KINDS = (
    VehicleClass("car", 0.52, (4.0, 4.9), (1.75, 1.9), (1.42, 1.55), (1.2, 2.0), (1.8, 2.8)),
    VehicleClass("suv", 0.24, (4.5, 5.1), (1.88, 2.0), (1.65, 1.85), (1.1, 1.9), (1.7, 2.5)),
    VehicleClass("van", 0.13, (5.1, 6.0), (1.95, 2.08), (2.0, 2.6), (1.0, 1.5), (1.4, 2.1)),
    VehicleClass("truck", 0.07, (6.8, 9.0), (2.3, 2.5), (2.8, 3.6), (0.7, 1.1), (1.1, 1.6)),
    VehicleClass("bus", 0.04, (8.2, 9.4), (2.45, 2.55), (3.0, 3.2), (0.8, 1.1), (1.0, 1.4)),
)
SHARES = np.cumsum([kind.share for kind in KINDS])
BICYCLE = VehicleClass(
    "bicycle", 0.0, (1.7, 1.9), (0.55, 0.7), (1.65, 1.85), (0.8, 1.2), (1.2, 1.8)
)
BASE_SHARE, REAR_SHARE = 0.6, 0.21  # of the length: wheel base, rear overhang
BRAKING, HEADWAY, GAP = (1.5, 2.4), (0.9, 1.7), (1.8, 3.0)  # IDM: b [m/s²], T [s], s0 [m]
SPEEDING = (0.85, 1.08)  # share of the speed limit
POLITENESS = 0.6  # MOBIL, at most
CYCLING = (0.33, 0.58)  # share of 12 m/s that cyclists ride


def equip(fleet: Fleet, dice: F64, i: int, kind: VehicleClass) -> tuple[int, float]:
    """Sizes and manners of mover i from 9 random numbers; returns its index into MODELS and its
    height [m]."""
    f, bike = fleet.f, kind.model == "bicycle"
    ranges = np.array([
        kind.length, kind.width, kind.height, kind.a_max, kind.a_lat, BRAKING, HEADWAY, GAP,
        CYCLING if bike else SPEEDING,
    ])  # fmt: skip
    drawn = ranges[:, 0] + dice * (ranges[:, 1] - ranges[:, 0])
    length, width, height = drawn[:3]
    f[i, LENGTH], f[i, WIDTH], f[i, BASE] = length, width, BASE_SHARE * length
    f[i, REAR], f[i, NOSE] = REAR_SHARE * length, (1.0 - REAR_SHARE) * length
    f[i, A_MAX], f[i, A_LAT], f[i, B], f[i, T], f[i, S0], f[i, FACTOR] = drawn[3:]
    f[i, POLITE] = POLITENESS * dice[6]
    fleet.g[i, BIKE] = bike
    fleet.half[i] = length / 2.0, width / 2.0
    return MODELS.index(kind.model), float(height)


@lean_kernel
def room_for(net: LaneNetwork, fleet: Fleet, ego: F64, i: int, lane: int, arc: float) -> bool:
    """Whether mover i may be put down with its rear axle at an arc of a lane."""
    if net.merging[lane] == 1 and arc > net.length[lane] - FREE_OF_END:
        return False
    if net.close[lane, 0] < FAR and arc > net.close[lane, 0] - FREE_OF_END:
        return bool(arc > net.close[lane, 1] + 5.0)
    return True


@lean_kernel
def put_down(
    net: LaneNetwork, fleet: Fleet, ego: F64, i: int, lane: int, arc: float, people: int
) -> bool:
    """Puts mover i on a lane, moving with the traffic; False where there is no room.
    people: how many actors after the movers walk"""
    if not room_for(net, fleet, ego, i, lane, arc):
        return False
    f = fleet.f
    if fleet.g[i, BIKE] == 1:
        f[i, OFFSET] = KERB - net.width[lane] / 2.0
    lay(net, fleet, i, lane, arc, 0.0, 1.0)
    f[i, V] = 0.85 * fleet.vc[i, 0]
    f[i, A], f[i, STOOD] = 0.0, 0.0
    if net.length[lane] - arc < f[i, NOSE] + STOP_ROOM + f[i, V] * f[i, V] / 3.0:
        return False
    place(fleet, i)
    state, reach = fleet.states[i], SPAWN_GAP + SPAWN_HEADWAY * f[i, V]
    c, s = math.cos(state[2]), math.sin(state[2])
    for j in range(-1, len(f)):
        if j == i or (j >= 0 and fleet.g[j, ALIVE] == 0):
            continue
        x, y = (ego[EGO_X], ego[EGO_Y]) if j < 0 else (fleet.states[j, 0], fleet.states[j, 1])
        half, v = (ego[EGO_HALF], ego[EGO_V]) if j < 0 else (fleet.half[j, 0], f[j, V])
        dx, dy = x - state[0], y - state[1]
        along, aside = abs(dx * c + dy * s), abs(dy * c - dx * s)
        apart = max(reach, SPAWN_GAP + SPAWN_HEADWAY * v) + half + fleet.half[i, 0]
        if along < apart and aside < (ABREAST if along < apart / 2.0 else ASIDE + 0.05 * along):
            fleet.states[i, :] = math.nan
            return False
    for j in range(len(f), len(f) + people):
        if (fleet.states[j, 0] - state[0]) ** 2 + (fleet.states[j, 1] - state[1]) ** 2 < AWAY**2:
            fleet.states[i, :] = math.nan
            return False
    fleet.g[i, ALIVE], fleet.present[i] = 1, True
    find_connectors(net, fleet, i, 60.0)
    return True


@kernel
def populate(
    net: LaneNetwork, fleet: Fleet, ego: F64, lanes: I64, arcs: F64, wanted: int, people: int
) -> int:
    """Puts movers 0, 1, .. down at the first places that suit; returns how many stand."""
    done, used = 0, np.zeros(len(lanes), np.bool_)
    for i in range(wanted):
        for k in range(len(lanes)):
            if used[k] or (fleet.g[i, BIKE] == 1 and net.right[lanes[k]] >= 0):
                continue
            used[k] = True
            if put_down(net, fleet, ego, i, lanes[k], arcs[k], people):
                done += 1
                break
    return done


@lean_kernel
def recycle(
    net: LaneNetwork, fleet: Fleet, ego: F64, lanes: I64, dice: I64, wanted: int, people: int
) -> None:
    """Takes away who is far from the ego, and lets new ones in, out of its sight."""
    there, fresh = 0, -1
    for i in range(len(fleet.f)):
        if fleet.g[i, ALIVE] == 1:
            dx, dy = fleet.states[i, 0] - ego[EGO_X], fleet.states[i, 1] - ego[EGO_Y]
            if dx * dx + dy * dy > GONE * GONE:
                remove(fleet, i)
            else:
                there += 1
        elif fleet.g[i, SPENT] == 0 and fresh < 0:
            fresh = i
    if there >= wanted or fresh < 0 or len(lanes) == 0:
        return
    for _ in range(ENTRIES):
        lane = lanes[min(int(draw(dice, 0) * len(lanes)), len(lanes) - 1)]
        arc = draw(dice, 0) * max(net.length[lane] - 10.0, 0.0)
        k = net.first[lane]
        while k < net.first[lane + 1] - 1 and net.arc[k] < arc:
            k += 1
        far = math.sqrt((net.xy[k, 0] - ego[EGO_X]) ** 2 + (net.xy[k, 1] - ego[EGO_Y]) ** 2)
        if far < ENTER_NEAR or far > ENTER_FAR:
            continue
        if fleet.g[fresh, BIKE] == 1 and net.right[lane] >= 0:
            continue
        if put_down(net, fleet, ego, fresh, lane, arc, people):
            return


@lean_kernel
def clear_for_ego(net: LaneNetwork, fleet: Fleet, ego: F64, kept: float, hardest: float) -> None:
    """Takes away whom the ego or whose driver would have to brake hard for at the very start."""
    c, s = math.cos(ego[2]), math.sin(ego[2])
    for i in range(len(fleet.f)):
        if fleet.g[i, ALIVE] == 0 or fleet.g[i, STILL] != 0:
            continue
        dx, dy = fleet.states[i, 0] - ego[EGO_X], fleet.states[i, 1] - ego[EGO_Y]
        along, aside = dx * c + dy * s, abs(dy * c - dx * s)
        gap = abs(along) - ego[EGO_HALF] - fleet.half[i, 0]
        ahead = fleet.states[i, 3] * c + fleet.states[i, 4] * s
        closing = ego[EGO_V] - ahead if along > 0.0 else ahead - ego[EGO_V]
        closing = max(closing, 0.0)
        if aside < 2.4 + 0.04 * abs(along) and gap < kept + closing * closing / (2.0 * hardest):
            remove(fleet, i)


def street_places(
    net: LaneNetwork, near: F64, reach: float, spacing: float
) -> tuple[I64, F64, F64]:
    """Places on street lanes within `reach` of any of the points near (n, 2): lane, arc, distance
    to the points."""
    owner = np.repeat(np.arange(len(net.length)), np.diff(net.first))
    pick = np.flatnonzero((net.junction[owner] < 0) & (net.length[owner] > 25.0))
    cells = np.floor(net.arc[pick] / spacing)
    head = np.concatenate([[True], (np.diff(cells) != 0) | (np.diff(owner[pick]) != 0)])
    pick = pick[head]
    gaps = net.xy[pick][:, None, :] - near[None]
    far = np.sqrt((gaps**2).sum(axis=-1).min(axis=1))
    keep = far < reach
    pick, far = pick[keep], far[keep]
    keep = net.arc[pick] < net.length[owner[pick]] - 8.0
    return owner[pick][keep], net.arc[pick][keep].copy(), far[keep]


def warm_up_ego(net: LaneNetwork, lane: int, arc: float, back: float) -> F64:
    """(3,) pose on a lane, `back` metres behind an arc of it along its predecessors."""
    arc -= back
    while arc < 0.0 and net.before[lane] >= 0:
        lane = int(net.before[lane])
        arc += net.length[lane]
    first, last = net.first[lane], net.first[lane + 1]
    arcs = net.arc[first:last]
    return np.array([
        np.interp(arc, arcs, net.xy[first:last, 0]), np.interp(arc, arcs, net.xy[first:last, 1]),
        np.interp(arc, arcs, net.heading[first:last]),
    ])  # fmt: skip
