"""Where the expert has to stop: lights, junctions where others go first, and full ones.

May import: scoring.compiled, scoring.scene, types, world.driver, episode, route_lanes, signals,
town.
"""

from __future__ import annotations

import math

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.scene import I8, I64, PEDESTRIAN, Mask
from irl_vla.types import F64, U8
from irl_vla.world.driver.knowledge import ConflictStreams, PathProfile, StopPoints
from irl_vla.world.driver.observation import (
    ACROSS,
    ALONG,
    CLEAR,
    FORWARD,
    MOVING,
    NOTHING,
    REL,
    VS,
    D,
    DrivingParameters,
    EgoExtents,
    S,
    V,
    halt,
    time_for,
)
from irl_vla.world.route_lanes import nearest
from irl_vla.world.signals import RED, Cycles, seconds_to_red

AMBER = 2  # town.Light
LEFT_LAMP, RIGHT_LAMP = 2, 4  # episode's bits
STOP_GAP = 1.7  # [m] kept to a stop line
WALK_BEFORE = 14.0  # [m] a crosswalk so near before a junction has the stop line
TOO_LATE = 3.2  # [m/s²] harder braking than this for a line is not attempted before red
HARD_STOP = 6.0  # [m/s²] the same once the ego has begun to stop
RED_MARGIN_S = 1.0  # [s] before red the junction must be left
AMBER_UNKNOWN_S = 2.0  # [s] until red where the phases are not known
GAP_BEFORE_S, GAP_AFTER_S = 1.3, 0.4  # [s] to somebody who comes later, who came before
GAP_MERGE_S = 1.6  # [s] to somebody who comes later into the same lane
FULL_SPEED = 1.5  # [m/s] slower ones behind a junction may leave no room there
USUAL_SPEED = 5.0  # [m/s] at which a junction is driven
SURE_M = 2.0  # [m] beyond the stop line the ego goes on
CLEARING = 0.9  # [m/s²] expected while a junction is left
PULL_AWAY = 1.4  # [m/s²]


@lean_kernel
def until_red(cycles: Cycles, signal: int, time_s: float, colour: int) -> float:
    """Seconds until a signal that shows `colour` turns red, 0 while it is."""
    if colour == RED:
        return 0.0
    left = seconds_to_red(cycles, signal, time_s)
    if math.isinf(left):
        return AMBER_UNKNOWN_S if colour == AMBER else NOTHING
    return max(left, 0.05)


@lean_kernel
def others_first(
    profile: PathProfile,
    streams: ConflictStreams,
    k0: int,
    k1: int,
    s: float,
    v: float,
    body: EgoExtents,
    states: F64,
    present: Mask,
    types: I8,
    sizes: F64,
    lamps: U8,
    lights: I8,
    eased: float,
) -> bool:
    """Whether somebody on streams k0..k1-1 would be hindered if the ego went on."""
    n = len(profile.arcs)
    for k in range(k0, k1):
        first, last = streams.first[k], streams.first[k + 1] - 1
        shut = streams.signal[k] >= 0 and lights[streams.signal[k]] == RED
        here = profile.speed[min(int(streams.mine[k, 0]), n - 1)]
        top = max(min(here, profile.speed[min(int(s + 5.0), n - 1)] + 3.0), 2.5)
        enter = time_for(v, top, PULL_AWAY, streams.mine[k, 0] - s - body.front)
        leave = time_for(v, top, PULL_AWAY, streams.mine[k, 1] - s + body.rear)
        middle = (first + last) // 2
        mx, my = streams.points[middle, 0], streams.points[middle, 1]
        for a in range(len(states)):
            x, y = states[a, 0], states[a, 1]
            if not present[a] or types[a] > 2 or abs(x - mx) + abs(y - my) > 110.0:
                continue
            speed = math.hypot(states[a, 3], states[a, 4])
            if types[a] == 1:
                continue
            at, d = nearest(
                streams.points, streams.arcs, streams.heading, first, last, x, y, states[a, 2], 8.0
            )
            lean = math.cos(states[a, 2] - streams.heading[first + int((at / streams.arcs[last])
                * (last - first))])  # fmt: skip
            if abs(d) > 2.2 or lean < 0.6 or (at < 0.5 and abs(d) > 1.0):
                continue
            half = sizes[a, 0] / 2.0
            if at - half > streams.end[k]:
                continue
            if at + half < streams.own[k] + 1.0:  # not yet on its way through
                if shut or speed < MOVING:
                    continue
                if lamps[a] & LEFT_LAMP and streams.turn[k] != 1:
                    continue
                if lamps[a] & RIGHT_LAMP and streams.turn[k] != 2:
                    continue
            inside = at + half > streams.begin[k]
            fast = max(speed + 0.5, 2.0)
            comes = 0.0 if inside else (streams.begin[k] - at - half) / fast
            gone = (streams.end[k] - at + half) / max(speed, 0.7)
            wait = GAP_BEFORE_S
            if streams.merges[k] == 1:
                wait = GAP_MERGE_S + max(speed - here, 0.0) / 2.0
            if enter < gone + GAP_AFTER_S * eased and comes < leave + wait * eased:
                return True
    return False


@lean_kernel
def is_full(
    s: float,
    v: float,
    stop: float,
    end: float,
    aside: float,
    body: EgoExtents,
    types: I8,
    seen: F64,
) -> bool:
    """Whether somebody on the path will leave no room behind a junction stop..end when the ego
    comes there."""
    room = end + body.front + body.rear + 2.0
    takes = (end - s) / max(v, USUAL_SPEED)
    for a in range(len(seen)):
        row = seen[a]
        if math.isnan(row[S]) or types[a] == PEDESTRIAN or row[S] - row[ALONG] < stop + 1.0:
            continue
        if row[V] > MOVING and abs(math.cos(row[REL])) < FORWARD:
            continue  # crosses
        blocked = abs(row[D] - aside) < body.half + row[ACROSS] + CLEAR
        gone = max(row[VS], 0.0) * takes
        if blocked and row[S] - row[ALONG] + gone < room and abs(row[VS]) < FULL_SPEED:
            return True
    return False


@lean_kernel
def stopping(
    profile: PathProfile,
    stop_points: StopPoints,
    streams: ConflictStreams,
    cycles: Cycles,
    time_s: float,
    s: float,
    v: float,
    aside: float,
    body: EgoExtents,
    states: F64,
    present: Mask,
    types: I8,
    sizes: F64,
    blink: U8,
    lights: I8,
    seen: F64,
    params: DrivingParameters,
    going: I64,
) -> float:
    """Acceleration for the next stop lines. going: (g,) 1 where the ego has decided to go."""
    least, front = NOTHING, s + body.front
    n = len(profile.arcs)
    for g in range(len(stop_points.s)):
        line = stop_points.s[g]
        if stop_points.crosswalk[g] >= 0 or line + SURE_M < front:
            continue
        if line - front > v * v / 2.0 + 25.0:
            break
        for h in range(g):  # a crosswalk just before the junction has the stop line
            before = stop_points.s[g] - WALK_BEFORE < stop_points.s[h] < stop_points.s[g] - 1.0
            if stop_points.crosswalk[h] >= 0 and before and front < stop_points.s[h] + 1.0:
                line = min(line, stop_points.s[h])
        gap = line - STOP_GAP - front
        needed = v * v / (2.0 * max(gap + 0.8 * STOP_GAP, 0.1))
        stop = False
        if stop_points.signal[g] >= 0:
            red = until_red(cycles, stop_points.signal[g], time_s, lights[stop_points.signal[g]])
            top = max(
                profile.speed[min(int(0.5 * (stop_points.s[g] + stop_points.end[g])), n - 1)], 2.0
            )
            clear = time_for(v, top, CLEARING, stop_points.end[g] - s + body.rear + 0.5)
            most = TOO_LATE if going[g] == 1 else HARD_STOP  # what was decided stays decided
            stop = red < clear + RED_MARGIN_S and (needed < most or red <= 0.0)
        if not stop and needed < TOO_LATE:
            stop = is_full(s, v, stop_points.s[g], stop_points.end[g], aside, body, types, seen)
        first, last = stop_points.streams[g], stop_points.streams[g + 1]
        if not stop and last > first and stop_points.s[g] - front < 35.0:
            eased = 0.6 if going[g] == 1 and stop_points.s[g] - front < 6.0 else 1.0
            stop = others_first(
                profile, streams, first, last, s, v, body, states, present, types, sizes, blink,
                lights, eased,
            ) and needed < 4.5  # fmt: skip
        going[g] = 0 if stop else 1
        if stop:
            least = min(least, halt(v, gap, params))
    return least
