"""One step of all movers: look, decide, accelerate, move.

May import: scoring.compiled, types, world.episode, world.town, world.traffic.
"""

from __future__ import annotations

import math

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.types import F64
from irl_vla.world.episode import BRAKE, I8, I64, LEFT_INDICATOR, RIGHT_INDICATOR
from irl_vla.world.traffic.car_following import (
    following,
    free_acceleration,
    look_ahead,
    stopping,
    will_scrape,
)
from irl_vla.world.traffic.fleet import (
    A_MAX,
    ALIVE,
    BASE,
    BIKE,
    BLEND_ASIDE,
    BLEND_FROM,
    BLEND_LENGTH,
    CON_IN,
    CONNECTORS,
    COUNT,
    DS,
    FAR,
    GAP,
    GAP_V,
    LEAD,
    NOSE,
    ORDER_A,
    ORDER_UNTIL,
    S0,
    SPENT,
    STILL,
    STOOD,
    WISH,
    A,
    B,
    Fleet,
    S,
    T,
    V,
)
from irl_vla.world.traffic.lane_network import LaneNetwork
from irl_vla.world.traffic.lanes import consider, courtesy, forced_end
from irl_vla.world.traffic.path import forget_behind, place
from irl_vla.world.traffic.pedestrians import Walkers
from irl_vla.world.traffic.right_of_way import all_claims, stop_for_junction, stop_for_people

HARDEST, STRONGEST = -8.0, 3.0  # [m/s²] what tyres and engines give
JERK_DOWN, JERK_UP = 12.0, 4.0  # [m/s³]
DECIDE_EVERY = 4  # ticks between thoughts about lane changes
ROOM_AT_END, ROOM_SHARE = 9.0, 0.7  # [m] kept before a lane's end, plus a share of the length
FORESIGHT_S = 0.8  # [s] ahead of itself a driver minds bends and limits
FIRM_BRAKING = 3.0  # [m/s²] at most for them
SCRAPE_BRAKING = -6.0  # [m/s²] before a contact with somebody alongside
CREEP = 1.2  # [m/s] least desired speed
SHOWN_BRAKING = -0.5  # [m/s²] brake lamps
SHOWN_TURN = 30.0  # [m] before a turn


@lean_kernel
def step_movers(
    net: LaneNetwork, fleet: Fleet, walkers: Walkers, ego: F64, lights: I8, time: float, dt: float,
    tick: int, claims: I64, places: F64,
) -> None:  # fmt: skip
    """Moves everybody on wheels on by dt. ego: (8,) box, see traffic_sense; tick: steps so far."""
    for i in range(len(fleet.f)):
        if fleet.g[i, ALIVE] == 1 and fleet.g[i, STILL] == 0:
            forget_behind(net, fleet, i)
    count = all_claims(net, fleet, ego, lights, claims, places)
    for i in range(len(fleet.f)):
        if fleet.g[i, ALIVE] == 1 and fleet.g[i, STILL] == 0:
            wanted = acceleration(
                net, fleet, walkers, ego, lights, time, tick, claims, places, count, i
            )
            low, high = fleet.f[i, A] - JERK_DOWN * dt, fleet.f[i, A] + JERK_UP * dt
            if fleet.f[i, V] < 0.5:
                high = max(high, 0.6)
            fleet.f[i, A] = min(max(wanted, low, HARDEST), max(high, low), STRONGEST)
    for i in range(len(fleet.f)):
        if fleet.g[i, ALIVE] == 1:
            if fleet.g[i, STILL] == 0:
                move(fleet, i, dt)
                leave_town(net, fleet, i)
            fleet.lamps[i] = lamps_of(net, fleet, i)


@lean_kernel
def acceleration(
    net: LaneNetwork, fleet: Fleet, walkers: Walkers, ego: F64, lights: I8, time: float, tick: int,
    claims: I64, places: F64, count: int, i: int,
) -> float:  # fmt: skip
    """What mover i wants [m/s²]; also decides about its lane."""
    f, g = fleet.f, fleet.g
    v, a, b = f[i, V], f[i, A_MAX], f[i, B]
    front = f[i, S] + f[i, BASE]
    k = min(int(front / DS), g[i, COUNT] - 2)
    r = min(max(front / DS - k, 0.0), 1.0)
    v0 = max(fleet.vc[i, k] * (1.0 - r) + fleet.vc[i, k + 1] * r, CREEP)
    lead_a = look_ahead(fleet, walkers, ego, i)
    soon = min(int((front + FORESIGHT_S * v) / DS) + 1, g[i, COUNT] - 1)
    allowed = max((max(fleet.vc[i, soon], CREEP) - v) / FORESIGHT_S, -FIRM_BRAKING)
    wanted = free_acceleration(v, v0, a, b)
    if f[i, GAP] < FAR:
        wanted = following(v, v0, f[i, GAP], f[i, GAP_V], lead_a, a, b, f[i, T], f[i, S0])
    wanted = min(wanted, allowed)
    line = stop_for_junction(net, fleet, lights, claims, places, count, i)
    line = min(line, stop_for_people(net, fleet, walkers, i))
    if 0 <= g[i, LEAD] < len(f) and g[g[i, LEAD], STILL] == 1:
        line = min(line, max(f[i, GAP] - ROOM_AT_END - fleet.half[i, 0], 0.05))
    ends = forced_end(net, fleet, i)
    if ends < FAR:
        room = ROOM_AT_END + ROOM_SHARE * 2.0 * fleet.half[i, 0]
        line = min(line, max(ends - room - f[i, S] - f[i, NOSE], 0.05))
    if line < FAR:
        wanted = min(wanted, stopping(v, v0, line, a, b))
    if (tick + i) % DECIDE_EVERY == 0:
        consider(net, fleet, ego, i, v0, ends, time)
    wanted = min(wanted, courtesy(net, fleet, i, v0))
    if will_scrape(fleet, ego, i):
        wanted = min(wanted, SCRAPE_BRAKING)
    if time < f[i, ORDER_UNTIL]:
        wanted = min(wanted, f[i, ORDER_A])
    return float(wanted)


@lean_kernel
def move(fleet: Fleet, i: int, dt: float) -> None:
    """Constant acceleration over dt, never backwards."""
    f = fleet.f
    v, a = f[i, V], f[i, A]
    faster = v + a * dt
    if faster <= 0.0:
        f[i, S] += v * v / (-2.0 * a) if a < 0.0 else 0.0
        faster = 0.0
    else:
        f[i, S] += 0.5 * (v + faster) * dt
    f[i, V], f[i, A] = faster, (faster - v) / dt
    f[i, STOOD] = f[i, STOOD] + dt if faster < 0.3 else 0.0
    place(fleet, i)


@lean_kernel
def leave_town(net: LaneNetwork, fleet: Fleet, i: int) -> None:
    """Whoever comes to the end of a lane that leads out of town is gone."""
    last = fleet.g[i, COUNT] - 1
    lane = fleet.lane[i, last]
    if fleet.f[i, S] + fleet.f[i, NOSE] >= last * DS and net.border[lane] == 1:
        remove(fleet, i)


@lean_kernel
def remove(fleet: Fleet, i: int) -> None:
    """Takes a mover off the road, for good."""
    fleet.g[i, ALIVE], fleet.g[i, SPENT], fleet.present[i] = 0, 1, False
    fleet.lamps[i], fleet.con[i, :] = 0, -1
    fleet.states[i, :] = math.nan


@lean_kernel
def lamps_of(net: LaneNetwork, fleet: Fleet, i: int) -> int:
    """What mover i shows."""
    f, g = fleet.f, fleet.g
    if g[i, BIKE] == 1:
        return 0
    if g[i, STILL] == 2:
        return 0
    if g[i, STILL] == 1:
        return LEFT_INDICATOR | RIGHT_INDICATOR
    shown = 0
    if f[i, A] < SHOWN_BRAKING or (f[i, V] < 0.2 and f[i, GAP] < 30.0) or f[i, STOOD] > 0.5:
        shown = BRAKE
    front = f[i, S] + f[i, BASE]
    if front < f[i, BLEND_FROM] + f[i, BLEND_LENGTH] and abs(f[i, BLEND_ASIDE]) > 1.0:
        return shown | (RIGHT_INDICATOR if f[i, BLEND_ASIDE] > 0.0 else LEFT_INDICATOR)
    if g[i, WISH] > 0:
        lane = fleet.lane[i, min(int(front / DS), g[i, COUNT] - 1)]
        return shown | (LEFT_INDICATOR if net.left[lane] == g[i, WISH] - 1 else RIGHT_INDICATOR)
    for c in range(CONNECTORS):
        lane = fleet.con[i, c]
        if lane >= 0 and net.turn[lane] > 0:
            if fleet.con_s[i, c, CON_IN] - f[i, S] - f[i, NOSE] < SHOWN_TURN:
                return shown | (LEFT_INDICATOR if net.turn[lane] == 1 else RIGHT_INDICATOR)
            break
    return shown
