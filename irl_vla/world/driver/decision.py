"""One decision of the expert: where to be on the road, how fast, and the next 0.1 s.

May import: scoring.geometry, world.signals, scoring.compiled, scoring.scene, types, world.driver,
episode, route_lanes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.scoring.scene import BICYCLE, I8, I64, PEDESTRIAN, VEHICLE, Mask
from irl_vla.types import F64, U8
from irl_vla.world.driver.knowledge import ConflictStreams, PathProfile, StopPoints
from irl_vla.world.driver.motion import ASTRAY, DT, accelerate, curvature_wish, roll_on, sideways
from irl_vla.world.driver.observation import (
    ACROSS,
    ALONG,
    MOVING,
    NOTHING,
    ODD,
    VS,
    D,
    DrivingParameters,
    EgoExtents,
    S,
    V,
    crossing,
    halt,
    lane_free,
    leader,
    look,
    time_for,
)
from irl_vla.world.driver.stop_points import STOP_GAP, stopping, until_red
from irl_vla.world.route_lanes import nearest
from irl_vla.world.signals import Cycles, shown

PLACE, ASIDE, ASIDE_SPEED, ACCEL, FRESH, BOUND = range(6)  # columns of the memory
MEMORY = 6
FREE, LEADER, CROSSING, STOPPING, ENDING, WAITING = range(6)  # what bounds the speed
BACK_M, ON_M = 15.0, 45.0  # [m] around the last place in which the ego is looked for
NEAR_M = 6.0  # [m] farther from the path: it is looked for on all of it
SPEED_S = 0.8  # [s] in which a lower speed is reached
EASY = -2.6  # [m/s²] for limits alone
EASY_SPEED = 5.0  # [m/s] above it one slows down when headed elsewhere
EDGE = 3.6  # [m/s²] lateral acceleration that must not be exceeded
PREVIEW_S = 0.32  # [s] of steering ahead: its lag
CHANGE_EARLY_M = 3.0  # [m] before a lane change begins it is decided
LANE_BAND = 0.35  # [m] kept free beside the ego in the lane it moves to
PASS_STILL, PASS_BICYCLE = 0.55, 0.95  # [m] kept to those one passes
ASKEW = 0.7  # [m] off the path: a standing vehicle that far off is parked, not waiting
SEAM_M = 0.3  # [m] that the middle keeps from the edge between lanes
PASS_FROM_M = 8.0  # [m] and 2 s: where passing a cyclist begins
SLOWER = 2.5  # [m/s] slower than wished: a cyclist is worth passing
IN_LANE = 0.75  # [m] of moving aside needs no look at the next lane
ROOM_M = 60.0  # [m] of path that must lie ahead at the end of an episode
SLOW_HOLD = 0.85  # of the speed while a lane change has to wait


class WorldArrays(NamedTuple):
    """Everybody: WorldState and Actors as the kernels take them. before: (A,) headings 0.1 s
    ago."""

    time_s: float
    states: F64
    before: F64
    present: Mask
    blink: U8
    lights: I8
    types: I8
    sizes: F64


class LateralDrift(NamedTuple):
    """Small drift about the path: amplitudes [m], wave numbers [rad/m], phases [rad]; (w,)."""

    size: F64
    wave: F64
    phase: F64


@lean_kernel
def find(profile: PathProfile, ego: F64, memory: F64) -> tuple[float, float]:
    """(s, d) of the ego (11,): near its last place, or anywhere."""
    n = len(profile.arcs)
    spacing = profile.arcs[n - 1] / (n - 1)
    if memory[FRESH] == 0.0:
        low = max(int((memory[PLACE] - BACK_M) / spacing), 0)
        high = min(int((memory[PLACE] + ON_M) / spacing) + 1, n - 1)
        s, d = nearest(
            profile.xy, profile.arcs, profile.heading, low, high, ego[0], ego[1], ego[2], 4.0
        )
        if abs(d) < NEAR_M:
            return s, d
    return nearest(
        profile.xy, profile.arcs, profile.heading, 0, n - 1, ego[0], ego[1], ego[2], 12.0
    )


@lean_kernel
def along(profile: PathProfile, s: float) -> int:
    """Index of the path point at s."""
    n = len(profile.arcs)
    return int(min(max(int(s / profile.arcs[n - 1] * (n - 1) + 0.5), 0), n - 1))


@lean_kernel
def free_road(
    profile: PathProfile, s: float, v: float, pace: float, params: DrivingParameters
) -> float:
    """Acceleration for limits and bends alone."""
    ahead = profile.speed[along(profile, s + SPEED_S * v)] * pace
    here = profile.speed[along(profile, s + 0.3 * v)] * pace
    wish = max(min(ahead, here), 0.0)
    a = max((wish - v) / SPEED_S, EASY)
    a = min(a, params.accelerate)
    for i in range(along(profile, s), min(along(profile, s) + 40, len(profile.arcs)), 2):
        bend = abs(profile.kappa[i])
        if v * v * bend > EDGE:
            way = max(profile.arcs[i] - s, 2.0)
            a = min(a, -min((v * v - EDGE / bend) / (2.0 * way), 6.0))
    return float(a)


@lean_kernel
def first_ahead(s: float, bicycle: F64, body: EgoExtents, seen: F64) -> bool:
    """Whether nobody else goes on the path between the ego and a cyclist."""
    for a in range(len(seen)):
        row = seen[a]
        if s < row[S] < bicycle[S] and abs(row[D]) < body.half + row[ACROSS]:
            return False
    return True


@lean_kernel
def pass_by(
    profile: PathProfile, s: float, v: float, body: EgoExtents, types: I8, seen: F64
) -> float:
    """Where to the side of the path those who stand or ride in the way are passed, 0: nobody."""
    goal, found = 0.0, False
    for a in range(len(seen)):
        row = seen[a]
        if math.isnan(row[S]) or row[S] + row[ALONG] < s - body.rear - 1.0:
            continue
        gap = row[S] - row[ALONG] - s - body.front
        if gap > 10.0 + 3.5 * v or abs(row[ODD]) > 0.15:
            continue
        if types[a] == PEDESTRIAN and abs(row[D]) < body.half + row[ACROSS]:
            continue  # in the way: it is waited for
        i = along(profile, row[S])
        still = row[V] < MOVING
        slow = types[a] == BICYCLE and -0.5 < row[VS] < profile.speed[i] - SLOWER
        if not slow and not (still and (types[a] != VEHICLE or abs(row[D]) > ASKEW)):
            continue
        if slow and (gap > PASS_FROM_M + 2.0 * v or not first_ahead(s, row, body, seen)):
            continue
        keep = PASS_BICYCLE if slow else PASS_STILL
        left = row[D] + row[ACROSS] + body.half + keep
        right = row[D] - row[ACROSS] - body.half - keep
        if left <= 0.0 or right >= 0.0:
            continue
        edge = 0.5 * profile.width[i]
        if abs(left - edge) < SEAM_M:
            left = edge + SEAM_M  # the vehicle's middle does not run along a lane's edge
        most, least = profile.room[i, 1] - body.half, profile.room[i, 0] + body.half
        if left <= most and (left <= -right or right < least or slow):
            wish = left
        elif right >= least and not slow:
            wish = right
        else:
            continue
        if found and wish * goal < 0.0:
            continue
        far = gap + 2.0 * (row[ALONG] + body.front)
        until = s + far * v / max(v - row[VS], 1.0)
        if abs(wish) > IN_LANE:
            low = min(body.half, wish - body.half) if wish > 0 else wish - body.half - LANE_BAND
            high = wish + body.half + LANE_BAND if wish > 0 else max(-body.half, wish + body.half)
            if not lane_free(low, high, s, v, until, a, body, seen):
                continue
        if abs(wish) > abs(goal):
            goal, found = wish, True
    return goal


@lean_kernel
def aim(
    profile: PathProfile,
    s: float,
    d: float,
    v: float,
    body: EgoExtents,
    types: I8,
    seen: F64,
    memory: F64,
    changed: I64,
) -> tuple[float, bool, float]:
    """Where to be to the left of the path, whether a lane change has to wait, and s where waiting
    for it must end at a standstill."""
    for c in range(len(profile.changes)):
        begin, end, side = profile.changes[c]
        if s < begin - CHANGE_EARLY_M or changed[c] == 1:
            continue
        shift = profile.shift[along(profile, s)]
        width = 2.0 * profile.room[along(profile, end), 1]
        width = abs(profile.shift[along(profile, end)])
        if s > end + 55.0 or (s > begin and abs(shift) > 0.5 * width and abs(d) < 1.2):
            changed[c] = 1
            continue
        goal = side * width - shift
        if goal > d:
            free = lane_free(
                d + body.half, goal + body.half + LANE_BAND, s, v, end + 5.0, -1, body, seen
            )
        else:
            free = lane_free(
                goal - body.half - LANE_BAND, d - body.half, s, v, end + 5.0, -1, body, seen
            )
        if free:
            changed[c] = 1
            continue
        return -shift, True, end + 40.0
    goal = pass_by(profile, s, v, body, types, seen)
    if abs(goal - d) > 1.3 and abs(memory[ASIDE] - goal) > 1.3:
        if goal > d:
            low, high = d + body.half, goal + body.half
        else:
            low, high = goal - body.half, d - body.half
        if not lane_free(low, high, s, v, s + 3.0 * v, -1, body, seen):
            return memory[ASIDE], False, NOTHING
    return goal, False, NOTHING


@lean_kernel
def bound_by(
    wish: float, free: float, ahead: float, across: float, line: float, waits: bool
) -> int:
    """Which of the wishes is the least, FREE where nothing else is."""
    if free <= wish:
        return WAITING if waits else FREE
    if ahead <= wish:
        return LEADER
    if across <= wish:
        return CROSSING
    if line <= wish:
        return STOPPING
    return WAITING if waits else ENDING


@lean_kernel
def decide(
    profile: PathProfile,
    stop_points: StopPoints,
    streams: ConflictStreams,
    cycles: Cycles,
    walks: F64,
    world: WorldArrays,
    ego: F64,
    body: EgoExtents,
    params: DrivingParameters,
    lateral_drift: LateralDrift,
    memory: F64,
    changed: I64,
    going: I64,
    seen: F64,
    new: F64,
) -> None:
    """The ego's next state (11,) -> new; memory, changed and going go on."""
    s, d = find(profile, ego, memory)
    v, heading = ego[3], profile.heading[along(profile, s)]
    psi = wrap(ego[2] - heading)
    if memory[FRESH] == 1.0:
        memory[ASIDE], memory[ASIDE_SPEED] = d, v * math.sin(psi)
        memory[ACCEL] = ego[5]
    memory[PLACE], memory[FRESH] = s, 0.0
    look(profile, s, ego[0], ego[1], world.states, world.before, world.present, world.sizes, seen)
    goal, waits, holds = aim(profile, s, d, v, body, world.types, seen, memory, changed)
    free = free_road(profile, s, v, SLOW_HOLD if waits else 1.0, params)
    ahead = leader(profile, s, v, d, goal, body, world.types, seen, params)
    across = crossing(profile, s, v, d, body, world.types, world.states, seen, walks, params)
    line = stopping(
        profile,
        stop_points,
        streams,
        cycles,
        world.time_s,
        s,
        v,
        d,
        body,
        world.states,
        world.present,
        world.types,
        world.sizes,
        world.blink,
        world.lights,
        seen,
        params,
        going,
    )
    end = min(profile.arcs[-1] - 3.0, holds)
    ending = halt(v, end - s - body.front, params)
    wish = min(free, ahead, across, line, ending)
    memory[BOUND] = bound_by(wish, free, ahead, across, line, waits or holds < profile.arcs[-1])
    o, od = memory[ASIDE], memory[ASIDE_SPEED]
    if waits:  # the old lane runs straight on beside the path
        o, od = goal, -profile.shift[along(profile, s + 1.0)] + profile.shift[along(profile, s)]
        od *= v
    else:
        drift = 0.0
        for w in range(len(lateral_drift.size)):
            drift += lateral_drift.size[w] * math.sin(
                lateral_drift.wave[w] * s + lateral_drift.phase[w]
            )
        o, od = sideways(o, od, goal + drift, v)
    memory[ASIDE], memory[ASIDE_SPEED] = o, od
    if abs(psi - math.atan2(od, max(v, 1.0))) > ASTRAY / 2.0 and v > EASY_SPEED:
        wish = min(wish, EASY)
    memory[ACCEL] = accelerate(memory[ACCEL], wish, v, params.swift)
    bend = profile.kappa[along(profile, s + PREVIEW_S * v + 0.3)]
    curvature = curvature_wish(d, psi, o, od, bend, v)
    roll_on(ego, memory[ACCEL], curvature, body.base, new)
    if new[3] == 0.0:
        memory[ACCEL] = max(memory[ACCEL], -0.3)


@lean_kernel
def empty_drive(
    profile: PathProfile,
    stop_points: StopPoints,
    cycles: Cycles,
    start: float,
    v: float,
    time_s: float,
    steps: int,
    body: EgoExtents,
    params: DrivingParameters,
) -> float:
    """Share of `steps` of 0.1 s from path place `start` at speed v that would be stood at lights,
    or at the path's end, if nobody else were there."""
    s, a, still = start, 0.0, 0
    for step in range(steps):
        now, wish = time_s + step * DT, free_road(profile, s, v, 1.0, params)
        for g in range(len(stop_points.s)):
            gap = stop_points.s[g] - STOP_GAP - s - body.front
            if stop_points.signal[g] < 0 or stop_points.crosswalk[g] >= 0 or gap < -3.0:
                continue
            red = until_red(
                cycles, stop_points.signal[g], now, shown(cycles, stop_points.signal[g], now)
            )
            top = max(
                profile.speed[along(profile, 0.5 * (stop_points.s[g] + stop_points.end[g]))], 2.0
            )
            if red < time_for(v, top, 1.1, stop_points.end[g] - s + body.rear):
                wish = min(wish, halt(v, gap, params))
            break
        a = accelerate(a, wish, v, params.swift)
        s, v = s + v * DT, max(v + a * DT, 0.0)
        still += 1 if v < MOVING or s > profile.arcs[-1] - ROOM_M else 0
    return float(still / steps)
