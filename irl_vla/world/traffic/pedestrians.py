"""People on foot: along the footpaths, over crosswalks, and sometimes straight over the road.

Each walks up and down a line of its own. A gate on that line is where the road begins: there it
waits for the light, or for a gap and for drivers who give way.
May import: scoring.compiled, scoring.geometry, types, world.episode, world.town.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.types import F64
from irl_vla.world.episode import I8, I64
from irl_vla.world.town import Light

STANDING, WALKING, WAITING, CROSSING = range(4)  # modes; CROSSING and more: on the road
NODES = 80  # of a line, at most
KEEP_RIGHT = 0.5  # [m] beside the line
ARM = 0.87  # [m] distance kept between middles: boxes cannot touch however they turn
PACE_UP = 1.5  # [m/s²]
SAFE_S = 1.5  # [s] left to vehicles behind one's back when there is no light
RADIUS = 0.3  # [m] half the box
TURN_RATE = 2.5  # [rad/s]
TURNS_AFTER_S = 4.0  # [s] standing before one turns back
FASTEST = 3.0  # [m/s]
YIELD_BRAKING, YIELD_BRAKING_EGO = 1.7, 1.3  # [m/s²] people trust a driver to give way with
JAYWALKER = -2  # in Walkers.walk
RED = int(Light.RED)
Point = tuple[float, float]


class Walkers(NamedTuple):
    """P people, actors first .. first + P - 1.

    mode, walk (P,): see above; crosswalk of the gate, -1 none, -2 jaywalker; signal (P,): the
    vehicles' light that must be red, -1 none; line (P, NODES, 2), points (P,); gate (P, 2): arcs
    where the road begins and ends, inf where it never does; s, pace, way, speed, side (P,):
    arc, desired speed, direction +1 or -1, speed, distance to the right of the line; held (P,):
    how long it could not go on [s]; starts (P,): jaywalkers wait for this time [s]
    """

    first: int
    mode: I64
    walk: I64
    signal: I64
    line: F64
    arc: F64
    points: I64
    gate: F64
    s: F64
    pace: F64
    way: F64
    speed: F64
    side: F64
    held: F64
    starts: F64


def no_walkers(first: int, people: int) -> Walkers:
    """Nobody yet; `first` is the actor index of the first."""
    zeros = [np.zeros(people) for _ in range(7)]
    return Walkers(
        first, np.zeros(people, np.int64), np.full(people, -1, np.int64),
        np.full(people, -1, np.int64), np.zeros((people, NODES, 2)), np.zeros((people, NODES)),
        np.zeros(people, np.int64), np.full((people, 2), math.inf), *zeros,
    )  # fmt: skip


@lean_kernel
def on_line(walkers: Walkers, p: int, s: float) -> tuple[float, float, float, float]:
    """Point and unit direction of a line at an arc."""
    last, k = walkers.points[p] - 2, 0
    while k < last and walkers.arc[p, k + 1] <= s:
        k += 1
    dx = walkers.line[p, k + 1, 0] - walkers.line[p, k, 0]
    dy = walkers.line[p, k + 1, 1] - walkers.line[p, k, 1]
    span = max(math.sqrt(dx * dx + dy * dy), 1e-6)
    r = min(max(s - walkers.arc[p, k], 0.0), span)
    x, y = walkers.line[p, k, 0] + r * dx / span, walkers.line[p, k, 1] + r * dy / span
    return x, y, dx / span, dy / span


@lean_kernel
def gap_is_safe(
    x: float, y: float, vx: float, vy: float, half: float, a: Point, b: Point, crossing_s: float,
    braking: float,
) -> bool:  # fmt: skip
    """Whether a vehicle leaves time to walk from a to b, or could stop before with `braking`."""
    v = math.sqrt(vx * vx + vy * vy)
    if v < 0.7:
        return True
    cx, cy = vx / v, vy / v
    ux, uy = b[0] - a[0], b[1] - a[1]
    across = cx * uy - cy * ux  # cross product of its course and the way over
    if abs(across) < 0.2 * math.sqrt(ux * ux + uy * uy):
        return True
    dx, dy = a[0] - x, a[1] - y
    distance = (dx * uy - dy * ux) / across - half
    share = (dx * cy - dy * cx) / across
    if distance < -2.0 * half - 1.0 or share < -0.2 or share > 1.2:
        return True
    if distance / v > crossing_s + SAFE_S:
        return True
    return bool(v * v / (2.0 * max(distance - 2.5, 0.1)) < braking)


@lean_kernel
def may_cross(
    walkers: Walkers, p: int, fleet_states: F64, present: F64, half: F64, ego: F64, lights: I8,
    red_left: F64, begin: Point, end: Point,
) -> bool:  # fmt: skip
    """Whether person p, who waits at the road, may go. present: (M,) 1 where a mover is there;
    begin, end: of the way over."""
    length = math.sqrt((end[0] - begin[0]) ** 2 + (end[1] - begin[1]) ** 2)
    lasts = length / walkers.pace[p] + 0.5
    signal = walkers.signal[p]
    if signal >= 0 and (lights[signal] != RED or red_left[signal] < lasts):
        return False
    for j in range(len(present)):
        if present[j] == 0.0:
            continue
        who = fleet_states[j]
        if (who[0] - begin[0]) ** 2 + (who[1] - begin[1]) ** 2 > 80.0**2:
            continue
        if not gap_is_safe(
            who[0], who[1], who[3], who[4], half[j, 0], begin, end, lasts, YIELD_BRAKING
        ):
            return False
    return gap_is_safe(ego[0], ego[1], ego[3], ego[4], ego[5], begin, end, lasts, YIELD_BRAKING_EGO)


@lean_kernel
def decide(
    walkers: Walkers, p: int, states: F64, there: F64, half: F64, ego: F64, lights: I8,
    red_left: F64, time: float, dt: float,
) -> None:  # fmt: skip
    """The mode of person p, from where it is on its line."""
    way = walkers.way[p]
    begin, end = walkers.gate[p, 0], walkers.gate[p, 1]
    if way < 0.0:
        begin, end = end, begin
    if walkers.mode[p] == STANDING:
        if walkers.starts[p] > time or walkers.walk[p] == JAYWALKER:
            return
        walkers.held[p] += dt
        if walkers.held[p] > TURNS_AFTER_S:
            ends_here = walkers.s[p] > 0.5 * walkers.arc[p, walkers.points[p] - 1]
            walkers.way[p], walkers.held[p] = -1.0 if ends_here else 1.0, 0.0
            walkers.mode[p] = WALKING
    elif walkers.mode[p] == WALKING:
        if 0.0 <= (begin - walkers.s[p]) * way < 0.3:
            walkers.mode[p] = WAITING
    elif walkers.mode[p] == WAITING:
        here, yonder = on_line(walkers, p, begin)[:2], on_line(walkers, p, end)[:2]
        if walkers.walk[p] == JAYWALKER or may_cross(
            walkers, p, states, there, half, ego, lights, red_left, here, yonder
        ):
            walkers.mode[p] = CROSSING
    elif (walkers.s[p] - end) * way > 0.2:
        walkers.mode[p] = WALKING
    elif walkers.held[p] > TURNS_AFTER_S:  # somebody stands in the way: back again
        walkers.way[p], walkers.held[p] = -way, 0.0


@lean_kernel
def hindered(
    walkers: Walkers, p: int, x: float, y: float, states: F64, there: F64, half: F64, ego: F64
) -> bool:
    """Whether somebody stands where person p would step to."""
    me = states[walkers.first + p]
    for q in range(len(walkers.mode)):
        if q == p or walkers.points[q] == 0:
            continue
        who = states[walkers.first + q]
        square = (who[0] - x) ** 2 + (who[1] - y) ** 2
        arm = ARM if q > p else ARM + 0.25
        if square < arm * arm and square < (who[0] - me[0]) ** 2 + (who[1] - me[1]) ** 2:
            return True
    if walkers.mode[p] < CROSSING:
        return False
    for j in range(-1, len(there)):
        if j >= 0 and there[j] == 0.0:
            continue
        who = ego if j < 0 else states[j]
        long = (ego[5] if j < 0 else half[j, 0]) + RADIUS + 0.35
        wide = (ego[6] if j < 0 else half[j, 1]) + RADIUS + 0.35
        if (who[0] - x) ** 2 + (who[1] - y) ** 2 > (long + wide) ** 2:
            continue
        c, s = math.cos(who[2]), math.sin(who[2])
        u, w = (x - who[0]) * c + (y - who[1]) * s, (y - who[1]) * c - (x - who[0]) * s
        v = who[3] * c + who[4] * s
        if -long < u < long + max(v, 0.0) * 0.8 and abs(w) < wide:
            before = (me[1] - who[1]) * c - (me[0] - who[0]) * s
            if abs(w) < abs(before) or v < 0.5:
                return True
    return False


@lean_kernel
def step_walkers(
    walkers: Walkers, states: F64, there: F64, half: F64, ego: F64, lights: I8, red_left: F64,
    time: float, dt: float,
) -> None:  # fmt: skip
    """Moves everybody on foot on by dt. states (A, 5), half (A, 2) of all actors; there (M,) 1
    where a mover is present; ego (8,) box; red_left (S,) [s] until a red light changes."""
    for p in range(len(walkers.mode)):
        if walkers.points[p] == 0:
            continue
        decide(walkers, p, states, there, half, ego, lights, red_left, time, dt)
        mode, total = walkers.mode[p], walkers.arc[p, walkers.points[p] - 1]
        goal = walkers.pace[p] if mode in (WALKING, CROSSING) else 0.0
        v = walkers.speed[p]
        v += min(max(goal - v, -2.0 * PACE_UP * dt), PACE_UP * dt)
        s = min(max(walkers.s[p] + walkers.way[p] * v * dt, 0.0), total)
        wanted = walkers.way[p] * (KEEP_RIGHT + (0.5 if walkers.held[p] > 1.0 else 0.0))
        side = walkers.side[p]
        side += min(max(wanted - side, -0.4 * dt), 0.4 * dt) if v > 0.2 else 0.0
        x, y, along, up = on_line(walkers, p, s)
        x, y = x + side * up, y - side * along
        step_to(walkers, p, states, there, half, ego, x, y, s, side, v, dt)
        at_end = (s <= 0.0 or s >= total) and (s - 0.5 * total) * walkers.way[p] > 0.0
        if mode in (WALKING, CROSSING) and at_end:
            walkers.mode[p], walkers.speed[p], walkers.held[p] = STANDING, 0.0, 0.0


@lean_kernel
def step_to(
    walkers: Walkers, p: int, states: F64, there: F64, half: F64, ego: F64,
    x: float, y: float, s: float, side: float, v: float, dt: float,
) -> None:  # fmt: skip
    """Person p goes to (x, y), or stands where somebody is in the way."""
    who = states[walkers.first + p]
    dx, dy = x - who[0], y - who[1]
    far = math.sqrt(dx * dx + dy * dy)
    if far > FASTEST * dt:  # a corner of the line: cut it
        dx, dy = dx * FASTEST * dt / far, dy * FASTEST * dt / far
    if v > 0.0 and hindered(walkers, p, who[0] + dx, who[1] + dy, states, there, half, ego):
        walkers.speed[p], who[3], who[4] = 0.0, 0.0, 0.0
        walkers.held[p] += dt
        if walkers.mode[p] == WALKING and walkers.held[p] > TURNS_AFTER_S:
            walkers.way[p], walkers.held[p] = -walkers.way[p], 0.0
        return
    if v > 0.0:
        walkers.held[p] = max(walkers.held[p] - 0.5 * dt, 0.0)
    walkers.s[p], walkers.side[p], walkers.speed[p] = s, side, v
    who[0] += dx
    who[1] += dy
    who[3], who[4] = dx / dt, dy / dt
    if far > 0.2 * dt:
        turn = wrap(math.atan2(dy, dx) - who[2])
        who[2] += min(max(turn, -TURN_RATE * dt), TURN_RATE * dt)
