"""Right of way: who may enter a junction lane, and where a mover has to wait.

A claim says that somebody is on a junction lane or comes to it. A mover's way in is granted once
and for all when nobody it must let go is in its way; from then on others wait for it. The ego's
way is unknown: it claims every lane it may be heading for.
May import: scoring.compiled, scoring.geometry, types, world.episode, world.town, world.traffic.
"""

from __future__ import annotations

import math

import numpy as np

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.types import F64
from irl_vla.world.episode import I8, I64
from irl_vla.world.town import Light
from irl_vla.world.traffic.car_following import (
    EGO_H,
    EGO_HALF,
    EGO_STOOD,
    EGO_V,
    EGO_X,
    EGO_Y,
    nearest_node,
)
from irl_vla.world.traffic.fleet import (
    A_MAX,
    ALIVE,
    COMMIT,
    CON_IN,
    CON_OUT,
    CONNECTORS,
    COUNT,
    DS,
    FAR,
    GAP,
    GAP_V,
    LEAD,
    LENGTH,
    NOSE,
    RUNNER,
    STILL,
    STOOD,
    WIDTH,
    Fleet,
    S,
    V,
)
from irl_vla.world.traffic.lane_network import STOP_BEFORE_WALK, LaneNetwork
from irl_vla.world.traffic.path import find_connectors
from irl_vla.world.traffic.pedestrians import CROSSING, WAITING, Walkers

RED, AMBER = int(Light.RED), int(Light.AMBER)
EGO = -2  # owner of the ego's claims
OWNER, ON, GRANTED = range(3)  # columns of a claim's integers
FRONT, TAIL, SPEED, WAITED = range(4)  # columns of a claim's numbers: bumpers as arcs on the lane
HORIZON = 60.0  # [m] ahead of the nose within which junctions are looked at
AMBER_BRAKING = 3.0  # [m/s²] who would have to brake harder than that drives through amber
GRANT_BRAKING = 2.0  # [m/s²] the way is granted where a stop would need more
CLEAR_S, AFTER_S, IMPATIENT_S = 1.6, 0.7, 0.8  # [s] left free before and behind others
PATIENCE_S = 6.0  # [s] who stood longer takes smaller gaps
GIVES_UP_S = 2.5  # [s] who has priority, but stands so long without a light, is not waited for
EXIT_SPEED = 2.5  # [m/s] the way out is free when the one ahead is faster
COURTESY_BRAKING = 2.0  # [m/s²] for people who wait at a crosswalk
EGO_BESIDE, EGO_TURNED = 1.7, 0.8  # [m], [rad] the ego may be on a lane that near
EGO_BRAKING, EGO_REACTION_S = 3.0, 0.4  # [m/s²], [s] what the ego is trusted to do


@lean_kernel
def travel_time(distance: float, v: float, a: float, top: float) -> float:
    """[s] to cover a distance from speed v, accelerating with a up to the speed `top`."""
    if distance <= 0.0:
        return 0.0
    if v >= top:
        return distance / max(v, 0.1)
    speeding_up = (top * top - v * v) / (2.0 * a)
    if distance <= speeding_up:
        return (math.sqrt(v * v + 2.0 * a * distance) - v) / a
    return (top - v) / a + (distance - speeding_up) / top


@lean_kernel
def claim(
    claims: I64, places: F64, n: int, owner: int, lane: int, granted: bool,
    front: float, length: float, v: float, waited: float,
) -> int:  # fmt: skip
    """Writes one claim; returns how many there are now."""
    if n == len(claims):
        return n
    claims[n, OWNER], claims[n, ON], claims[n, GRANTED] = owner, lane, 1 if granted else 0
    places[n, FRONT], places[n, TAIL] = front, front - length
    places[n, SPEED], places[n, WAITED] = v, waited
    return n + 1


@lean_kernel
def all_claims(
    net: LaneNetwork, fleet: Fleet, ego: F64, lights: I8, claims: I64, places: F64
) -> int:
    """Claims of the ego and of all movers; returns how many."""
    n, f = ego_claims(net, ego, lights, claims, places, 0), fleet.f
    for i in range(len(f)):
        if fleet.g[i, ALIVE] == 0 or fleet.g[i, STILL] != 0:
            continue
        find_connectors(net, fleet, i, HORIZON)
        nose = f[i, S] + f[i, NOSE]
        for c in range(CONNECTORS):
            lane = fleet.con[i, c]
            if lane < 0:
                break
            begin = fleet.con_s[i, c, CON_IN]
            granted = begin < f[i, COMMIT] - 0.01 or nose > begin + 0.5
            signal = net.signal[lane]
            if not granted and signal >= 0 and lights[signal] == RED:
                continue
            n = claim(
                claims, places, n, i, lane, granted, nose - begin, f[i, LENGTH], f[i, V],
                f[i, STOOD],
            )  # fmt: skip
    return n


@lean_kernel
def ego_claims(net: LaneNetwork, ego: F64, lights: I8, claims: I64, places: F64, n: int) -> int:
    """Claims of the ego on every junction lane that it is on or may come to."""
    v, length = ego[EGO_V], 2.0 * ego[EGO_HALF]
    for lane in range(len(net.length)):
        first, last = net.first[lane], net.first[lane + 1]
        dx, dy = net.xy[first, 0] - ego[EGO_X], net.xy[first, 1] - ego[EGO_Y]
        if dx * dx + dy * dy > (net.length[lane] + 5.0) ** 2:
            continue
        best, found = EGO_BESIDE * EGO_BESIDE, -1
        for k in range(first, last):
            square = (net.xy[k, 0] - ego[EGO_X]) ** 2 + (net.xy[k, 1] - ego[EGO_Y]) ** 2
            if square < best:
                best, found = square, k
        if found < 0:
            continue
        turned = wrap(net.heading[found] - ego[EGO_H])
        if abs(turned) > EGO_TURNED:
            continue
        front = net.arc[found] + ego[EGO_HALF]
        if net.junction[lane] >= 0:
            n = claim(claims, places, n, EGO, lane, True, front, length, v, ego[EGO_STOOD])
        if front - net.length[lane] < -HORIZON:
            continue
        for k in range(net.succ_first[lane], net.succ_first[lane + 1]):
            follower, beyond = net.succ[k], front - net.length[lane]
            if net.junction[follower] < 0:
                continue
            stop = v * v / (2.0 * EGO_BRAKING) + EGO_REACTION_S * v
            granted = beyond > 0.5 or (v > 0.5 and beyond + stop > 0.0)
            signal = net.signal[follower]
            if not granted and ((signal >= 0 and lights[signal] == RED) or v < 0.5):
                continue
            n = claim(
                claims, places, n, EGO, follower, granted, beyond, length, v, ego[EGO_STOOD]
            )  # fmt: skip
    return n


@lean_kernel
def must_wait(
    net: LaneNetwork, fleet: Fleet, claims: I64, places: F64, count: int, i: int, c: int
) -> bool:
    """Whether somebody who goes first is in the way of mover i on its junction lane c."""
    f, lane, begin = fleet.f, fleet.con[i, c], fleet.con_s[i, c, CON_IN]
    to_begin = begin - f[i, S] - f[i, NOSE]
    top = max(min(net.limit[lane], 10.0), f[i, V])
    spare = IMPATIENT_S if f[i, STOOD] > PATIENCE_S else CLEAR_S
    for k in range(net.meet_first[lane], net.meet_first[lane + 1]):
        other, where = net.meet[k], net.meet_s[k]
        joins = where[3] > net.length[other] - 1.0 and where[1] > net.length[lane] - 1.0
        theirs_out = min(where[3], where[2] + 6.0) if joins else where[3]
        mine_in = travel_time(to_begin + where[0], f[i, V], f[i, A_MAX], top)
        mine_out = travel_time(to_begin + where[1] + f[i, LENGTH], f[i, V], 1.0, top)
        for r in range(count):
            if claims[r, ON] != other or claims[r, OWNER] == i or places[r, TAIL] > theirs_out:
                continue
            v = places[r, SPEED]
            stands = claims[r, OWNER] == EGO and places[r, WAITED] > GIVES_UP_S
            if stands and places[r, FRONT] < where[2]:  # before the place where ways meet
                continue
            fast = max(v, min(net.limit[other], 12.0))
            their_in = travel_time(where[2] - places[r, FRONT], v, 1.2, fast)
            if claims[r, GRANTED] == 1:
                out = FAR
                if v > 1.0:
                    out = travel_time(theirs_out - places[r, TAIL], v, 0.5, max(v, 4.0))
                if mine_in < out + AFTER_S and mine_out + spare > their_in:
                    return True
            elif net.meet_yield[k] == 1:
                asleep = net.signal[other] < 0 and v < 0.5 and places[r, WAITED] > GIVES_UP_S
                if not asleep and mine_out + spare > their_in:
                    return True
    return False


@lean_kernel
def way_out_full(net: LaneNetwork, fleet: Fleet, i: int, c: int) -> bool:
    """Whether mover i would have to stop on its junction lane c, which must be kept clear."""
    f = fleet.f
    if net.crossing[fleet.con[i, c]] == 0 or fleet.g[i, LEAD] == -1:
        return False
    tail = f[i, S] + f[i, NOSE] + f[i, GAP]
    needed = fleet.con_s[i, c, CON_OUT] + f[i, LENGTH] + 1.5
    return bool(tail < needed and f[i, GAP_V] < EXIT_SPEED)


@lean_kernel
def stop_for_junction(
    net: LaneNetwork, fleet: Fleet, lights: I8, claims: I64, places: F64, count: int, i: int
) -> float:
    """[m] from the nose of mover i to where it has to wait, FAR where the way in is granted."""
    f = fleet.f
    nose, v = f[i, S] + f[i, NOSE], f[i, V]
    for c in range(CONNECTORS):
        lane = fleet.con[i, c]
        if lane < 0:
            return FAR
        begin = fleet.con_s[i, c, CON_IN]
        signal, running = net.signal[lane], fleet.g[i, RUNNER] == lane + 1
        light = lights[signal] if signal >= 0 and not running else 0
        ahead = begin - 0.5 - nose
        waits = light in (RED, AMBER) and (  # it was held up: the light has changed
            v * v < 2.0 * AMBER_BRAKING * ahead or (v < 1.0 and nose < begin)
        )
        if nose > begin + 0.5 or (begin < f[i, COMMIT] - 0.01 and not waits):
            continue
        if waits:
            f[i, COMMIT] = min(f[i, COMMIT], begin)
        line = begin - 0.5
        k = math.ceil(begin / DS) - 1
        if k >= 0 and net.junction[fleet.lane[i, k]] < 0:
            street = fleet.lane[i, k]
            early = begin - (net.length[street] - net.stop[street])
            if nose < early + 0.7:
                line = early
        distance = line - nose
        if distance > v * v / 2.0 + 20.0:
            return FAR
        needed = v * v / (2.0 * max(distance, 0.1))
        closed = light == RED or (light == AMBER and (needed < AMBER_BRAKING or v < 1.0))
        if not closed and not running:
            closed = way_out_full(net, fleet, i, c)
        if not closed:
            closed = must_wait(net, fleet, claims, places, count, i, c)
        if closed:
            return float(max(distance, 0.05))
        if needed > GRANT_BRAKING or distance < 1.0:
            f[i, COMMIT] = fleet.con_s[i, c, CON_OUT]
        return FAR
    return FAR


@lean_kernel
def stop_for_people(net: LaneNetwork, fleet: Fleet, walkers: Walkers, i: int) -> float:
    """[m] from the nose of mover i to the crosswalk where it has to let people pass, or FAR."""
    f, v = fleet.f, fleet.f[i, V]
    nose = f[i, S] + f[i, NOSE]
    k = int(nose / DS)
    last = min(fleet.g[i, COUNT] - 1, int((nose + v * v / 3.0 + 12.0) / DS))
    while k <= last:
        lane = fleet.lane[i, k]
        begin = k * DS - fleet.sl[i, k]
        for w in range(net.walk_first[lane], net.walk_first[lane + 1]):
            line = begin + net.walk_s[w, 0] - STOP_BEFORE_WALK
            if nose > line + 0.8 or line > nose + v * v / 3.0 + 12.0:
                continue
            past = begin + net.walk_s[w, 1] + f[i, LENGTH]
            if somebody_crosses(fleet, walkers, i, net.walk[w], line - nose, past - nose):
                return float(max(line - nose, 0.05))
        k = max(k + 1, math.ceil((begin + net.length[lane]) / DS))
    return FAR


@lean_kernel
def somebody_crosses(
    fleet: Fleet, walkers: Walkers, i: int, walk: int, distance: float, past: float
) -> bool:
    """Whether mover i has to stop for people on or at a crosswalk that begins `distance` ahead."""
    f, v = fleet.f, fleet.f[i, V]
    needed = v * v / (2.0 * max(distance, 0.1))
    for p in range(len(walkers.mode)):
        if walkers.walk[p] != walk:
            continue
        if walkers.mode[p] == WAITING:
            if walkers.signal[p] < 0 and needed < COURTESY_BRAKING:
                return True
        elif walkers.mode[p] == CROSSING:
            who = fleet.states[walkers.first + p]
            low = int((f[i, S] + f[i, NOSE]) / DS)
            high = min(fleet.g[i, COUNT] - 2, low + int(past) + 2)
            if high < low:
                continue
            k = nearest_node(fleet, i, who[0], who[1], low, high)
            tx = fleet.xy[i, k + 1, 0] - fleet.xy[i, k, 0]
            ty = fleet.xy[i, k + 1, 1] - fleet.xy[i, k, 1]
            aside = (who[1] - fleet.xy[i, k, 1]) * tx - (who[0] - fleet.xy[i, k, 0]) * ty
            rate = who[4] * tx - who[3] * ty
            free = abs(aside) - f[i, WIDTH] / 2.0 - 1.0
            if free > 0.0 and aside * rate >= 0.0:
                continue
            arrives = free / max(abs(rate), 0.3)
            if free > 0.0 and arrives > travel_time(past, v, 0.8, max(v, 8.0)) + 1.0:
                continue
            return True
    return False


def no_claims(movers: int) -> tuple[I64, F64]:
    """Room for the claims of a step."""
    return np.zeros((3 * movers + 16, 3), np.int64), np.zeros((3 * movers + 16, 4))
