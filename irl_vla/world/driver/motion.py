"""How the expert moves: sideways on its path, along it, and the bicycle that does it.

o, od: where to the left of the path the ego wants to be now [m], and how fast that changes [m/s].
The bicycle is that of scoring.simulate: rear axle, explicit Euler, 0.1 s.
May import: scoring.compiled, scoring.geometry, scoring.scene, types.
"""

from __future__ import annotations

import math

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.types import F64

DT = 0.1  # [s]
SIDE_ACCEL, SIDE_SPEED = 0.9, 1.1  # [m/s²], [m/s] of moves to the side
SIDE_LEAN = 0.18  # of the speed: how fast one moves sideways at most
SIDE_HASTE = 1.1  # [1/s] of the critically damped move
MAX_STEER, MAX_STEER_RATE = 0.58, 0.65  # [rad], [rad/s]
STEER_S = 0.2  # [s] in which the steering reaches its goal
TURN_JERK = 1.3  # [rad/s²] how fast the yaw rate may change by steering
PULL = 2.2  # [m/s²] lateral acceleration with which errors are mended
ASTRAY, PULL_ASTRAY = 0.25, 2.0  # [rad] off the way, and [m/s²] on top of it then
STEEP = 0.32  # [rad] to the path at most while getting back to it
UP_JERK, DOWN_JERK, HARD_JERK = 1.5, 2.2, 12.0  # [m/s³]
HARD = -3.0  # [m/s²] braking harder than this is an emergency


@lean_kernel
def sideways(o: float, od: float, goal: float, v: float) -> tuple[float, float]:
    """o and od 0.1 s later on the way to `goal`."""
    wish = SIDE_HASTE * SIDE_HASTE * (goal - o) - 2.0 * SIDE_HASTE * od
    od += min(max(wish, -SIDE_ACCEL), SIDE_ACCEL) * DT
    most = min(SIDE_SPEED, SIDE_LEAN * v)
    od = min(max(od, -most), most)
    return o + od * DT, od


@lean_kernel
def curvature_wish(d: float, psi: float, o: float, od: float, kappa: float, v: float) -> float:
    """Curvature [1/m] to drive at offset d and heading error psi of a path that bends by kappa."""
    scale = max(5.5, 0.95 * v)  # [m] in which errors shrink
    lean = math.atan2(od, max(v, 1.0))
    back = min(max((o - d) / (2.0 * scale), -STEEP), STEEP)
    mend = (lean + back - psi) * 2.0 / scale
    astray = min(abs(lean - psi) / ASTRAY, 1.0)
    limit = (PULL + PULL_ASTRAY * astray) / max(v * v, 4.0)
    return kappa / max(1.0 - kappa * d, 0.4) + min(max(mend, -limit), limit)


@lean_kernel
def accelerate(a: float, wish: float, v: float, swift: float) -> float:
    """Acceleration 0.1 s later on the way to the wished one."""
    if wish < HARD:
        down = HARD_JERK
    else:
        down = DOWN_JERK * swift
        if wish < -1.5:
            down *= 1.5
    up = UP_JERK * swift * (2.0 if a < -0.3 else 1.0)
    return min(max(wish, a - down * DT), a + up * DT)


@lean_kernel
def roll_on(state: F64, a: float, curvature: float, base: float, new: F64) -> None:
    """The bicycle: state (11,) -> new (11,) with acceleration a towards a curvature."""
    heading, v, steer = state[2], state[3], state[7]
    goal = min(max(math.atan(base * curvature), -MAX_STEER), MAX_STEER)
    most = MAX_STEER_RATE
    if v > 0.5:
        most = min(most, TURN_JERK * base / v * math.cos(steer) ** 2)
    rate = min(max((goal - steer) / STEER_S, -most), most)
    if v < 0.05:
        rate = 0.0
    new[0] = state[0] + v * math.cos(heading) * DT
    new[1] = state[1] + v * math.sin(heading) * DT
    new[2] = wrap(heading + v * math.tan(steer) / base * DT)
    new[3] = v + a * DT
    if new[3] < 0.02 and a <= 0.0:
        new[3] = 0.0
        a = -v / DT if v > 0.05 else 0.0
    new[4] = 0.0
    new[5] = a
    new[7] = min(max(steer + rate * DT, -MAX_STEER), MAX_STEER)
    new[8] = rate
    new[9] = new[3] * math.tan(new[7]) / base
    new[10] = (new[9] - state[9]) / DT
    new[6] = 0.0
