"""Stops at many brakings against the agents around, compiled.

A stop goes along a path (n, 3) whose arc length at each pose is `length` (n,), beyond its end
straight on. It begins after `begin` rows of the plan before it; there `lead` (B, 2) says how far
[m] the car has come and how fast [m/s] it is in each row. Then it brakes steadily to a halt.
May import: types, scoring.compiled, check_kernels.
"""

from __future__ import annotations

import math

from irl_vla.drive.check_kernels import FINE, NONE, EgoBox, first_touch, place
from irl_vla.scoring.compiled import lean_kernel
from irl_vla.types import F64, PLAN_DT_S

ROW_S = PLAN_DT_S / FINE  # [s] between the rows of a stop


@lean_kernel
def stop_at(lead: F64, begin: int, row: int, braking: float) -> tuple[float, float]:
    """How far the car has come [m] and how fast it is [m/s] in a row of a stop."""
    if row <= begin:
        return lead[row, 0], lead[row, 1]
    speed = lead[begin, 1]
    since = min((row - begin) * ROW_S, speed / braking)
    return (
        lead[begin, 0] + (speed - 0.5 * braking * since) * since,
        max(speed - braking * since, 0.0),
    )


@lean_kernel
def lay_stop(
    path: F64, length: F64, lead: F64, begin: int, braking: float, rows: int, fine: F64, speeds: F64
) -> None:
    """Poses of a stop -> fine (rows, 5) as in check_kernels, its speeds -> speeds (rows,)."""
    last, k = len(path) - 1, 0
    for row in range(rows):
        s, speeds[row] = stop_at(lead, begin, row, braking)
        while k < last - 1 and s > length[k + 1]:
            k += 1
        beyond = max(s - length[last], 0.0)
        if last == 0 or beyond > 0.0:
            yaw = path[last, 2]
            x, y = path[last, 0] + beyond * math.cos(yaw), path[last, 1] + beyond * math.sin(yaw)
        else:
            span = length[k + 1] - length[k]
            share = (s - length[k]) / span if span > 0.0 else 0.0
            x = path[k, 0] + share * (path[k + 1, 0] - path[k, 0])
            y = path[k, 1] + share * (path[k + 1, 1] - path[k, 1])
            yaw = path[k, 2] + share * (path[k + 1, 2] - path[k, 2])
        place(fine, row, x, y, yaw)


@lean_kernel
def is_behind(row: F64, box: F64, time_s: float) -> bool:
    """Whether the middle of an agent is behind the rear axle of the ego at a row, after a time."""
    x, y = box[0] + time_s * box[7] - row[0], box[1] + time_s * box[8] - row[1]
    return bool(x * row[3] + y * row[4] < 0.0)


@lean_kernel
def first_blow(fine: F64, rows: int, body: EgoBox, box: F64) -> int:
    """First row in which an agent that keeps its velocity touches the stopping car; NONE where it
    never does, overlaps the car already, or follows and touches it from behind: who follows sees
    the brake lights. box: (9,) as in check_kernels."""
    row = first_touch(fine, rows, PLAN_DT_S, body, box)
    follows = (
        row != NONE and is_behind(fine[0], box, 0.0) and is_behind(fine[row], box, row * ROW_S)
    )
    return NONE if follows else row


@lean_kernel
def soonest_blow(boxes: F64, fine: F64, rows: int, body: EgoBox) -> tuple[int, int]:
    """(agent, row) of the first blow of a stop, NONE, 0 without one."""
    agent, first = NONE, rows
    for n in range(len(boxes)):
        row = first_blow(fine, first, body, boxes[n])
        if row != NONE:
            agent, first = n, row
    return agent, first if agent != NONE else 0


@lean_kernel
def rows_of(lead: F64, begin: int, braking: float, horizon_s: float) -> int:
    """Rows from the anchor until the car stands, and at least until the horizon."""
    until_s: float = max(begin * ROW_S + lead[begin, 1] / braking, horizon_s)
    return math.ceil(until_s / ROW_S - 1e-9) + 1


@lean_kernel
def softest_free(
    path: F64, length: F64, lead: F64, brakings: F64, horizon_s: float, body: EgoBox, boxes: F64,
    fine: F64, speeds: F64, blows: F64,
) -> int:  # fmt: skip
    """Index of the first braking with which no agent is touched whenever the stop begins; NONE
    where there is none.

    blows: (L, 3) the worst over all begins for each braking up to that one: agent (NONE: free),
    the car's speed [m/s] and the time [s] of the blow. Faster is worse, then sooner.
    """
    for level in range(len(brakings)):
        worst, hit, hit_s = NONE, -1.0, 0.0
        for begin in range(len(lead)):
            rows = rows_of(lead, begin, brakings[level], horizon_s)
            lay_stop(path, length, lead, begin, brakings[level], rows, fine, speeds)
            agent, row = soonest_blow(boxes, fine, rows, body)
            if agent != NONE and (
                speeds[row] > hit or (speeds[row] == hit and row * ROW_S < hit_s)
            ):
                worst, hit, hit_s = agent, speeds[row], row * ROW_S
        blows[level, 0], blows[level, 1], blows[level, 2] = worst, hit, hit_s
        if worst == NONE:
            return level
    return NONE
