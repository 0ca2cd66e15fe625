"""What is out of the ordinary: cut-ins, hard brakers, jaywalkers, red light runners, pulling out.

An agenda says what is wanted from when on; a script starts as soon as the moment suits: an
attentive driver of the ego can still react without an emergency stop. Each is named in a note.
May import: frames, types, world.episode, world.traffic, world.town.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from irl_vla.frames import wrap_angle
from irl_vla.types import F64
from irl_vla.world.episode import I8, I64, Note
from irl_vla.world.town import Light
from irl_vla.world.traffic.car_following import EGO_H, EGO_HALF, EGO_V, EGO_X, EGO_Y
from irl_vla.world.traffic.fleet import (
    ALIVE,
    BASE,
    BIKE,
    BLEND_FROM,
    BLEND_LENGTH,
    COMMIT,
    CON_IN,
    CON_OUT,
    COUNT,
    DS,
    GAP,
    NOSE,
    ORDER_A,
    ORDER_UNTIL,
    RUNNER,
    STILL,
    Fleet,
    S,
    V,
)
from irl_vla.world.traffic.footpaths import give_line
from irl_vla.world.traffic.lane_network import LaneNetwork
from irl_vla.world.traffic.lanes import (
    FROM_BEGIN,
    begin_change,
    beside_lane,
    forced_end,
    may_use,
    neighbours,
)
from irl_vla.world.traffic.pedestrians import CROSSING, JAYWALKER, WALKING, Walkers, gap_is_safe
from irl_vla.world.traffic.right_of_way import EGO, all_claims, must_wait

SHARES = (
    ("cut-in", 0.32), ("hard brake", 0.25), ("jaywalk", 0.25), ("pull out", 0.15),
    ("red light run", 0.03),
)  # fmt: skip
AGENDA_S = 3600.0  # [s] that are planned
REST_S = 5.0  # [s] between two scripts
TIRED_S = 40.0  # [s] after which a script that never suited is given up
TRIED_EVERY = 3  # steps
REACTION_S = 0.8  # [s] of the ego's driver
FIRM, JAYWALK_BRAKING = 3.5, 2.0  # [m/s²] the ego may need at most
CUT_IN_S = (2.6, 3.6)  # [s] a cut-in takes
BRAKING, BRAKING_S = (3.5, 5.5), (1.0, 2.5)  # [m/s²], [s] of hard brakers
PARKED = 2  # Fleet.g[:, STILL] of a car that waits in its parking place; 1: stands on the road
BIG_GAP_S = 4.5  # [s] to those behind, for pulling out
OTHERS_BRAKING = 2.2  # [m/s²] jaywalkers ask of other drivers at most
PASSING_M = 1.2  # [m] left between jaywalkers and what stands about
WIDEST_ROAD = 24.0  # [m] jaywalkers cross


@dataclass(frozen=True)
class ScriptRequest:
    """From time_s on `what` is wanted; dice: two random numbers for its details."""

    what: str
    time_s: float
    dice: tuple[float, float]


@dataclass(frozen=True)
class ScriptContext:
    """All that a script needs to know of now. lights (S,); footpaths: points (n, 2)."""

    net: LaneNetwork
    fleet: Fleet
    walkers: Walkers
    ego: F64
    lights: I8
    time: float
    claims: I64
    places: F64
    footpaths: F64

    def ego_frame(self) -> F64:
        """(A, 3) x ahead, y left, heading of everybody, seen from the middle of the ego."""
        states, ego = self.fleet.states, self.ego
        c, s = math.cos(ego[EGO_H]), math.sin(ego[EGO_H])
        dx, dy = states[:, 0] - ego[EGO_X], states[:, 1] - ego[EGO_Y]
        turned = wrap_angle(states[:, 2] - ego[EGO_H])
        return np.stack([dx * c + dy * s, dy * c - dx * s, turned], axis=-1)

    def drivers(self) -> list[int]:
        """Cars and the like that drive."""
        g = self.fleet.g
        drives = (g[:, ALIVE] == 1) & (g[:, STILL] == 0) & (g[:, BIKE] == 0)
        return list(np.flatnonzero(drives).tolist())


def agenda(rng: np.random.Generator, events: float, begin_s: float) -> tuple[ScriptRequest, ...]:
    """Wishes for the next hour. events: expected number in 20 s."""
    if events <= 0.0:
        return ()
    bounds = np.cumsum([share for _, share in SHARES])
    bounds /= bounds[-1]
    requests, time = [], begin_s
    while time < begin_s + AGENDA_S:
        time += rng.exponential(20.0 / events)
        what = SHARES[np.searchsorted(bounds, rng.random(), side="right")][0]
        requests.append(ScriptRequest(what, time, (rng.random(), rng.random())))
    return tuple(requests)


def perform(
    context: ScriptContext, requests: tuple[ScriptRequest, ...]
) -> tuple[tuple[ScriptRequest, ...], tuple[Note, ...]]:
    """Starts what suits now -> the requests that remain, and notes of what began."""
    notes: list[Note] = []
    while requests and requests[0].time_s + TIRED_S < context.time:
        requests = requests[1:]
    kept: list[ScriptRequest] = []
    for k, request in enumerate(requests):
        if request.time_s > context.time:
            kept += requests[k:]
            break
        actor = SCRIPTS[request.what](context, *request.dice)
        if actor < 0:
            kept.append(request)
            continue
        notes.append(Note(request.what, context.time, (int(actor),)))
        rest = context.time + REST_S
        kept += [replace(later, time_s=max(later.time_s, rest)) for later in requests[k + 1 :]]
        kept = [replace(early, time_s=max(early.time_s, rest)) for early in kept]
        break
    return tuple(kept), tuple(notes)


def cut_in(context: ScriptContext, dice: float, _: float) -> int:
    """Somebody in the next lane, a little ahead, changes into the ego's; -1 where nobody can."""
    net, fleet, ego = context.net, context.fleet, context.ego
    seen, v, f = context.ego_frame(), ego[EGO_V], fleet.f
    if v < 3.0:
        return -1
    for i in context.drivers():
        gap = seen[i, 0] - ego[EGO_HALF] - fleet.half[i, 0]
        closing = max(v - f[i, V], 0.0)
        needed = 2.0 + 0.3 * v + closing * REACTION_S + closing * closing / (2.0 * FIRM)
        if not (needed < gap < 22.0 and 2.0 < abs(seen[i, 1]) < 5.0 and abs(seen[i, 2]) < 0.25):
            continue
        front = f[i, S] + f[i, BASE]
        k = min(int(front / DS), fleet.g[i, COUNT] - 1)
        lane, arc = fleet.lane[i, k], fleet.sl[i, k]
        busy = front < f[i, BLEND_FROM] + f[i, BLEND_LENGTH] + 2.0
        if busy or net.junction[lane] >= 0 or arc < FROM_BEGIN or f[i, V] < 2.0:
            continue
        target = net.right[lane] if seen[i, 1] > 0.0 else net.left[lane]
        if target < 0 or not may_use(net, target, arc, True):
            continue
        _, away = beside_lane(net, target, ego[EGO_X], ego[EGO_Y])
        near = neighbours(net, fleet, ego, i, target)
        slower = max(f[i, V] - near.ahead_v, 0.0)
        if near.behind_who != EGO or near.behind_gap < 1.5:
            continue
        if away > 1.2 or near.ahead_gap < 5.0 + slower * slower / 3.0 + 0.6 * f[i, V]:
            continue
        duration = CUT_IN_S[0] + dice * (CUT_IN_S[1] - CUT_IN_S[0])
        ends = forced_end(net, fleet, i)
        if begin_change(net, fleet, i, target, lane, arc, duration, ends - front):
            return int(i)
    return -1


def hard_brake(context: ScriptContext, dice: float, other: float) -> int:
    """Whoever drives ahead of the ego brakes hard."""
    fleet, ego = context.fleet, context.ego
    seen, v, f = context.ego_frame(), ego[EGO_V], fleet.f
    braking = BRAKING[0] + dice * (BRAKING[1] - BRAKING[0])
    for i in context.drivers():
        gap, u = seen[i, 0] - ego[EGO_HALF] - fleet.half[i, 0], f[i, V]
        if not (6.0 < gap < 40.0 and abs(seen[i, 1]) < 1.3 and abs(seen[i, 2]) < 0.2):
            continue
        stop = v * REACTION_S + v * v / (2.0 * FIRM)
        if u > 5.0 and v > 4.0 and gap + u * u / (2.0 * braking) > stop + 2.0:
            lasts = BRAKING_S[0] + other * (BRAKING_S[1] - BRAKING_S[0])
            f[i, ORDER_A], f[i, ORDER_UNTIL] = -braking, context.time + min(lasts, u / braking)
            return int(i)
    return -1


def jaywalk(context: ScriptContext, _: float, __: float) -> int:
    """Somebody on the footpath ahead walks straight over the road."""
    walkers, ego = context.walkers, context.ego
    seen, v = context.ego_frame(), ego[EGO_V]
    if len(context.footpaths) == 0:
        return -1
    c, s = math.cos(ego[EGO_H]), math.sin(ego[EGO_H])
    points = context.footpaths - ego[[EGO_X, EGO_Y]]
    ahead, left = points[:, 0] * c + points[:, 1] * s, points[:, 1] * c - points[:, 0] * s
    for p in np.flatnonzero((walkers.mode <= WALKING) & (walkers.walk != JAYWALKER)).tolist():
        x, y, _turned = seen[walkers.first + p]
        distance = x - ego[EGO_HALF]
        if not (12.0 < distance < 60.0 and 2.5 < abs(y) < 14.0):
            continue
        if v * v / (2.0 * (distance - 4.0)) > JAYWALK_BRAKING or distance < 2.2 * v:
            continue
        over = (np.abs(ahead - x) < 5.0) & (left * y < 0.0) & (np.abs(left - y) < WIDEST_ROAD)
        over &= np.abs(left - y) > 7.0
        if not over.any():
            continue
        aim = np.flatnonzero(over)[np.argmin(np.abs(left[over] - y))]
        goal = context.footpaths[aim]
        if _way_is_free(context, p, goal):
            _send_over(walkers, p, context.fleet.states[walkers.first + p, :2].copy(), goal)
            return int(walkers.first + p)
    return -1


def _way_is_free(context: ScriptContext, p: int, goal: F64) -> bool:
    """Whether nothing stands between person p and its goal, and all drivers could still stop."""
    fleet, walkers = context.fleet, context.walkers
    start = fleet.states[walkers.first + p, :2].copy()
    way = goal - start
    length = float(np.hypot(*way))
    standing = fleet.present & ~np.isnan(fleet.states[:, 0])
    standing &= np.hypot(*np.nan_to_num(fleet.states[:, 3:]).T) < 0.5
    standing[walkers.first + p] = False
    gaps = fleet.states[standing, :2] - start
    share = np.clip(gaps @ way / (length * length), 0.0, 1.0)
    off = np.hypot(*(gaps - share[:, None] * way).T)
    if (off < np.hypot(*fleet.half[standing].T) + PASSING_M).any():
        return False
    lasts = length / walkers.pace[p]
    begin, end = (float(start[0]), float(start[1])), (float(goal[0]), float(goal[1]))
    for i in np.flatnonzero(fleet.g[:, ALIVE] == 1):
        x, y, _, vx, vy = fleet.states[i].tolist()
        half = float(fleet.half[i, 0])
        if not gap_is_safe(x, y, vx, vy, half, begin, end, lasts, OTHERS_BRAKING):
            return False
    return True


def _send_over(walkers: Walkers, p: int, start: F64, goal: F64) -> None:
    """Person p sets out, and stays on the other side."""
    way = goal - start
    length = float(np.hypot(*way))
    line = np.stack([start, goal, goal + 0.5 * way / length])
    give_line(walkers, p, line, 0.0, length)
    walkers.s[p], walkers.side[p], walkers.way[p], walkers.walk[p] = 0.0, 0.0, 1.0, JAYWALKER
    walkers.mode[p] = CROSSING


def pull_out(context: ScriptContext, _: float, __: float) -> int:
    """A parked car leaves its place when the gap is big."""
    net, fleet = context.net, context.fleet
    waiting = (fleet.g[:, ALIVE] == 1) & (fleet.g[:, STILL] == PARKED)
    for i in np.flatnonzero(waiting).tolist():
        lane = fleet.lane[i, 0]
        near = neighbours(net, fleet, context.ego, i, lane)
        big = near.behind_gap > 6.0 + BIG_GAP_S * max(near.behind_v, 0.0)
        if big and near.ahead_gap > 12.0:
            fleet.g[i, STILL] = 0
            return int(i)
    return -1


def red_light_run(context: ScriptContext, _: float, __: float) -> int:
    """Somebody does not stop at a red light, while nobody is in the way."""
    net, fleet, ego, f = context.net, context.fleet, context.ego, context.fleet.f
    count = all_claims(net, fleet, ego, context.lights, context.claims, context.places)
    for i in context.drivers():
        lane = fleet.con[i, 0]
        if lane < 0 or net.signal[lane] < 0 or context.lights[net.signal[lane]] != Light.RED:
            continue
        begin = fleet.con_s[i, 0, CON_IN]
        ahead = begin - f[i, S] - f[i, NOSE]
        if not (4.0 < ahead < 28.0) or f[i, V] < 5.0 or f[i, GAP] < ahead + 25.0:
            continue
        middle = net.xy[(net.first[lane] + net.first[lane + 1]) // 2]
        far = math.hypot(middle[0] - ego[EGO_X], middle[1] - ego[EGO_Y])
        if far < 18.0 + 3.5 * ego[EGO_V]:
            continue
        if not must_wait(net, fleet, context.claims, context.places, count, i, 0):
            fleet.g[i, RUNNER] = lane + 1
            f[i, COMMIT] = fleet.con_s[i, 0, CON_OUT]
            return int(i)
    return -1


SCRIPTS = {
    "cut-in": cut_in, "hard brake": hard_brake, "jaywalk": jaywalk, "pull out": pull_out,
    "red light run": red_light_run,
}  # fmt: skip
