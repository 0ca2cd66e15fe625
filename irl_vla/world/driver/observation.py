"""What the expert sees of the others, in terms of its own path.

s, d: arc length and offset to the left of the path [m]; front: s of the ego's bumper; a negative
acceleration is how hard the ego has to brake for something.
Following: z = s*/s with s* = s0 + v·T + v·(v - u) / (2·sqrt(a·b)), dv/dt = a·(1 - z²) (Intelligent
Driver Model, interaction part), tempered by what is needed if nobody changes speed when somebody
cuts in (Treiber and Kesting, Traffic Flow Dynamics, 2013, chapter 11).
May import: scoring.compiled, scoring.geometry, scoring.scene, types, world.driver,
world.route_lanes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.scoring.scene import I8, PEDESTRIAN, Mask
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle
from irl_vla.world.driver.knowledge import PathProfile
from irl_vla.world.route_lanes import nearest

S, D, REL, V, VS, VD, ALONG, ACROSS, TURN, AT, ODD = range(11)  # columns of what is seen
COLUMNS = 11
AHEAD_M, BEHIND_M = 90.0, 30.0  # [m] of path in which others matter
BESIDE_M = 45.0  # [m] others farther from the path do not matter
COARSE = 6  # path points skipped in the first search
WINDOW = 8  # path points to either side of the second
FORWARD = 0.80  # cosine of the angle to the path within which one drives along it
CLEAR = 0.35  # [m] kept to either side of somebody ahead
CLEAR_WALKER = 0.7  # [m] the same for people
CLEAR_WAITING = 0.15  # [m] to people who stand: `pass_by` keeps more where there is room
MOVING = 0.3  # [m/s] slower ones stand
MERGE_S = 2.0  # [s] how far ahead somebody is expected to come into the way
ONCOMING_S = 0.6  # [s] the same for those who come towards the ego
LONG, SWINGS, MOST_SWING = 3.2, 0.06, 1.2  # [m], [rad/s], [m] long vehicles as they turn away
ODD_TURN = 0.15  # [rad/s] turning that the path's own bend does not explain
LOOK_S, LOOK_STEP_S = 4.4, 0.4  # [s] how far ahead others' ways are followed
BEFORE_S, AFTER_S = 1.0, 0.7  # [s] kept when passing in front of, and behind somebody
TURN_LIMIT = 0.7  # [rad/s] of others' turning
GIVE_WAY_M = 2.0  # [m] kept to the place where somebody crosses
CREEP, CREEP_BRAKING = 0.35, 0.6  # [m/s], [m/s²] the last of a stop behind somebody
START_ACCEL = 0.6  # [m/s²] less is not worth moving off for
AWAY_BRAKING = 1.2  # [m/s²] behind somebody near who draws away
MAX_BRAKING = 7.0  # [m/s²]
COOLNESS = 0.9  # weight of "nobody changes speed"
NOTHING = 1e9


class EgoExtents(NamedTuple):
    """The ego: front, rear [m] from the rear axle, half width, wheel base [m]."""

    front: float
    rear: float
    half: float
    base: float

    @staticmethod
    def of(vehicle: Vehicle) -> EgoExtents:
        """The outline of a vehicle."""
        return EgoExtents(
            vehicle.front_length, vehicle.rear_length, vehicle.width / 2.0, vehicle.wheel_base
        )


class DrivingParameters(NamedTuple):
    """How somebody drives. headway [s]; gap at a standstill [m]; accelerate, brake [m/s²]
    comfortable; swift: factor on the changes of acceleration"""

    headway: float
    gap: float
    accelerate: float
    brake: float
    swift: float


@lean_kernel
def look(
    profile: PathProfile, s: float, x: float, y: float, states: F64, before: F64, present: Mask,
    sizes: F64, seen: F64,
) -> None:  # fmt: skip
    """Others (A, 5) near the path ahead -> seen (A, 11); S is NaN for those that do not matter.
    before: (A,) headings 0.1 s ago, NaN unknown."""
    n = len(profile.arcs)
    spacing = profile.arcs[n - 1] / (n - 1)
    low = max(int((s - BEHIND_M) / spacing), 0)
    high = min(int((s + AHEAD_M) / spacing) + 1, n - 1)
    reach = AHEAD_M + 20.0
    for a in range(len(states)):
        seen[a, S] = math.nan
        ax, ay = states[a, 0], states[a, 1]
        if not present[a] or abs(ax - x) > reach or abs(ay - y) > reach:
            continue
        best, at = BESIDE_M * BESIDE_M, -1
        for i in range(low, high + 1, COARSE):
            away = (profile.xy[i, 0] - ax) ** 2 + (profile.xy[i, 1] - ay) ** 2
            if away < best:
                best, at = away, i
        if at >= 0:
            note(profile, at, low, high, a, states[a], before[a], sizes[a], seen[a])


@lean_kernel
def note(
    profile: PathProfile,
    at: int,
    low: int,
    high: int,
    a: int,
    state: F64,
    before: float,
    size: F64,
    row: F64,
) -> None:
    """One of them, near path point `at`."""
    first, last = max(at - WINDOW, low), min(at + WINDOW, high)
    if last <= first:
        return
    heading = state[2]
    row[S], row[D] = nearest(
        profile.xy, profile.arcs, profile.heading, first, last, state[0], state[1], heading, 0.0
    )
    spacing = profile.arcs[-1] / (len(profile.arcs) - 1)
    i = min(max(int(row[S] / spacing + 0.5), 0), len(profile.arcs) - 1)
    along = profile.heading[i]
    cos, sin = math.cos(along), math.sin(along)
    row[AT] = i
    row[REL] = wrap(heading - along)
    row[V] = math.hypot(state[3], state[4])
    row[VS], row[VD] = cos * state[3] + sin * state[4], cos * state[4] - sin * state[3]
    c, q = abs(math.cos(row[REL])), abs(math.sin(row[REL]))
    row[ALONG] = (c * size[0] + q * size[1]) / 2.0
    row[ACROSS] = (q * size[0] + c * size[1]) / 2.0
    turn = 0.0
    if not math.isnan(before) and row[V] > 0.5:
        turn = wrap(heading - before) / 0.1
    row[TURN] = min(max(turn, -TURN_LIMIT), TURN_LIMIT)
    row[ODD] = row[TURN] - profile.kappa[i] * row[VS] / max(1.0 - profile.kappa[i] * row[D], 0.4)
    if row[S] <= profile.arcs[low] + 0.01 or row[S] >= profile.arcs[high] - 0.01:
        row[S] = math.nan  # beyond the ends: its offset means nothing


@lean_kernel
def follow(v: float, gap: float, u: float, params: DrivingParameters) -> float:
    """Acceleration behind something `gap` [m] ahead that moves with u."""
    a, b = params.accelerate, params.brake
    if gap < 0.2:
        return -MAX_BRAKING if v > u else -AWAY_BRAKING
    wish = params.gap + max(0.0, v * params.headway + v * (v - u) / (2.0 * math.sqrt(a * b)))
    own = a * (1.0 - (wish / gap) ** 2)
    if v < CREEP and own < START_ACCEL and u < MOVING:
        return -CREEP_BRAKING
    if u >= v:
        return max(own, -AWAY_BRAKING)
    closing = v - u
    room = max(gap - 0.5 * params.gap, 0.3)
    constant = -closing * closing / (2.0 * room)
    if own < constant:
        own = (1.0 - COOLNESS) * own + COOLNESS * (constant + b * math.tanh((own - constant) / b))
    return max(own, -MAX_BRAKING)


@lean_kernel
def halt(v: float, gap: float, params: DrivingParameters) -> float:
    """Acceleration that ends at a standstill `gap` [m] ahead; brakes late and evenly."""
    if gap < 0.3:
        return -max(min(v / 0.5, MAX_BRAKING), 0.8)
    needed = v * v / (2.0 * gap)
    if needed > 2.5:
        return -min(1.1 * needed, MAX_BRAKING)
    limit = 0.6 * gap if v < 1.5 else NOTHING  # creep up to the line
    return min(params.accelerate - needed * needed * params.accelerate / (0.8 * params.brake) ** 2
               - needed * 0.2, limit - v)  # fmt: skip


@lean_kernel
def way_in(v: float, top: float, a: float, t: float) -> float:
    """Metres made in t [s] from speed v, accelerating with a up to `top`, or slowing down to it."""
    if v >= top:
        return v * t if t < 1.0 else v + (v + top) / 2.0 * (t - 1.0)
    rise = min((top - v) / a, t)
    return v * rise + 0.5 * a * rise * rise + top * (t - rise)


@lean_kernel
def time_for(v: float, top: float, a: float, way: float) -> float:
    """Seconds that a way takes; undoes `way_in` for v <= top."""
    if way <= 0.0:
        return 0.0
    top = max(top, 0.5)
    if v >= top:
        return way / max(0.5 * (v + top), 0.1)
    rise = (top - v) / a
    made = v * rise + 0.5 * a * rise * rise
    if way <= made:
        return (-v + math.sqrt(v * v + 2.0 * a * way)) / a
    return rise + (way - made) / top


@lean_kernel
def leader(
    profile: PathProfile,
    s: float,
    v: float,
    aside: float,
    goal: float,
    body: EgoExtents,
    types: I8,
    seen: F64,
    params: DrivingParameters,
) -> float:
    """Acceleration for those who go ahead on the path, or are about to come into it. aside, goal:
    lateral place of the ego, now and soon."""
    least = NOTHING
    front = s + body.front
    for a in range(len(seen)):
        row = seen[a]
        if math.isnan(row[S]) or row[S] < s:
            continue
        forward = math.cos(row[REL])
        if row[V] > MOVING and abs(forward) < FORWARD:
            continue  # crosses: another matter
        if row[VS] < -MOVING and abs(row[ODD]) >= ODD_TURN:
            continue  # turns off across the path, too
        keep = CLEAR
        if types[a] == PEDESTRIAN:
            keep = CLEAR_WALKER if row[V] > MOVING else CLEAR_WAITING
        clear = body.half + row[ACROSS] + keep
        if row[ALONG] > LONG and abs(row[ODD]) > SWINGS:  # its tail swings out
            clear += min(row[ALONG] * abs(row[ODD]), MOST_SWING)
        gap = row[S] - row[ALONG] - front
        lateral = row[VD] if row[V] > MOVING else 0.0
        soon = row[D] + lateral * (MERGE_S if row[VS] > -MOVING else ONCOMING_S)
        mine = aside if gap < 1.2 * v + 2.0 else goal
        blocked = min(abs(row[D] - mine), abs(row[D] - goal)) < clear
        if gap < 1.2 * v + 2.0:
            blocked = blocked or abs(row[D] - aside) < clear
        if not blocked and abs(lateral) > 0.25:
            blocked = abs(soon - goal) < clear - 0.2 and (row[D] - goal) * lateral < 0.0
        if not blocked or gap < -body.front - row[ALONG]:
            continue
        speed = row[VS]
        if speed < -MOVING:  # comes towards us
            meet = max(gap, 0.1) * v / max(v - speed, 0.1)
            least = min(least, halt(v, meet - 3.0, params))
        else:
            least = min(least, follow(v, gap, max(speed, 0.0), params))
    return least


@lean_kernel
def crossing(
    profile: PathProfile,
    s: float,
    v: float,
    aside: float,
    body: EgoExtents,
    types: I8,
    states: F64,
    seen: F64,
    halts: F64,
    params: DrivingParameters,
) -> float:
    """Acceleration for those whose way crosses the path. halts: (g, 2) begin and end of crosswalks:
    the ego waits before them."""
    least = NOTHING
    n = len(profile.arcs)
    spacing = profile.arcs[n - 1] / (n - 1)
    top = max(profile.speed[min(int((s + 8.0) / spacing), n - 1)], 2.0)
    for a in range(len(seen)):
        row = seen[a]
        if math.isnan(row[S]) or row[V] <= MOVING:
            continue
        forward = math.cos(row[REL])
        if abs(forward) > FORWARD and (types[a] == PEDESTRIAN or abs(row[ODD]) < ODD_TURN):
            continue  # goes along the path: `leader` sees it
        if forward > FORWARD and row[S] + row[ALONG] < s:
            continue  # behind: it sees us
        block = meeting(profile, s, v, top, aside, body, types[a], states[a], row)
        if block < NOTHING:
            for g in range(len(halts)):
                if halts[g, 0] - 1.0 < block < halts[g, 1] + 2.0:
                    block = min(block, halts[g, 0])
            gap = block - GIVE_WAY_M - s - body.front
            if gap > -2.5:
                least = min(least, halt(v, gap, params))
    return least


@lean_kernel
def meeting(
    profile: PathProfile,
    s: float,
    v: float,
    top: float,
    aside: float,
    body: EgoExtents,
    kind: int,
    state: F64,
    row: F64,
) -> float:
    """s of the rear edge of somebody the ego would meet if it went on, or NOTHING."""
    at, last = int(row[AT]), len(profile.arcs) - 1
    x, y, heading = state[0], state[1], state[2]
    clear = body.half + row[ACROSS] + (CLEAR_WALKER if kind == PEDESTRIAN else CLEAR)
    long = row[ALONG] + CLEAR
    drift = math.atan2(state[4], state[3])
    t = 0.0
    while t < LOOK_S:
        if t > 0.0:
            turned = drift + (row[TURN] * min(t, 2.0) if kind != PEDESTRIAN else 0.0)
            x += row[V] * math.cos(turned) * LOOK_STEP_S
            y += row[V] * math.sin(turned) * LOOK_STEP_S
        first, end = max(at - WINDOW, 0), min(at + WINDOW, last)
        its, d = nearest(profile.xy, profile.arcs, profile.heading, first, end, x, y, heading, 0.0)
        at = min(max(int(its / profile.arcs[last] * last + 0.5), 0), last)
        if abs(d - aside) < clear and its > s:
            earliest = s - body.rear + way_in(v, top, 1.2, max(t - AFTER_S, 0.0))
            latest = s + body.front + way_in(v, top, 1.2, t + BEFORE_S)
            if latest > its - long and earliest < its + long:
                return float(its - row[ALONG])
        t += LOOK_STEP_S
    return NOTHING


@lean_kernel
def lane_free(
    low: float,
    high: float,
    s: float,
    v: float,
    until: float,
    skip: int,
    body: EgoExtents,
    seen: F64,
) -> bool:
    """Whether the ego may move into the band of offsets low..high from now until s = `until`."""
    for a in range(len(seen)):
        row = seen[a]
        if a == skip or math.isnan(row[S]):
            continue
        if row[D] + row[ACROSS] < low or row[D] - row[ACROSS] > high:
            continue
        front, rear = row[S] - row[ALONG] - s - body.front, s - body.rear - row[S] - row[ALONG]
        closing = v - row[VS]
        if front > 0.0:
            if row[VS] < -MOVING:  # comes towards us
                reach = (until - s + 12.0) / max(v, 3.0) * (v - row[VS])
                if front < reach + 8.0:
                    return False
            elif front < 1.5 + max(0.5 * v, 0.5) + max(closing, 0.0) * 3.0 and row[S] < until + 5.0:
                return False
        elif rear > 0.0:
            if row[VS] > 0.0 and rear < 2.0 + 0.5 * row[VS] + max(-closing, 0.0) * 3.0:
                return False
        else:
            return False  # beside us
    return True


def nothing_seen(actors: int) -> F64:
    """Room for what is seen of A others."""
    return np.full((actors, COLUMNS), math.nan)
