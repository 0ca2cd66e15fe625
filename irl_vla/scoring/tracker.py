"""The benchmark's path tracker: velocity and curvature profiles, then LQR commands step by step.

Symbols: p_i, h_i reference position and heading (i = 0..40); d_i = p_{i+1} - p_i;
q_i = wrap(h_{i+1} - h_i); v_i, kappa_i fitted speed and curvature (i = 0..39); L wheel base;
e, psi lateral and heading error. All compiled; SI units.
Source: nuPlan's LQR tracker as used by NAVSIM, with its quirks (docs/epdms.md).
May import: scoring.compiled, scoring.geometry, scoring.scene.
"""

from __future__ import annotations

import math

import numpy as np

from irl_vla.scoring.compiled import kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.scoring.scene import SIM_DT_S, STEPS
from irl_vla.types import F64

DT = SIM_DT_S
N = STEPS - 1  # displacements, fitted speeds and commands
HORIZON = 10  # steps the LQR looks ahead and holds its input: 1 s
ACCELERATION_PENALTY = 1e-4  # meant for jerk, see fit_speed
CURVATURE_RATE_PENALTY = 1e-2
INITIAL_CURVATURE_PENALTY = 1e-10
STOPPING_SPEED = 0.2  # [m/s] at or below: the proportional stopping law
STOPPING_GAIN = 0.5  # [1/s]
SPEED_GAIN = 10.0 / 11.0  # [1/s] Q = 10, R = 1, input held for 1 s: Q·T / (Q·T² + R)
LATERAL_Q = 1.0  # weight of e
HEADING_Q = 10.0  # weight of psi; the steering angle has none
STEER_RATE_R = 1.0


@kernel
def fit_speed(ref: F64, v: F64) -> None:
    """ref (41, 3) -> v (40,): min sum |d_i - dt·v_i·(cos h_i, sin h_i)|² + 1e-4·R(a).

    Quirk: the original means to penalise jerk, but its difference matrix overwrites its own
    diagonal, so that R = sum_{j<=36} a_j² + (a_38 - a_37)² with a_j = (v_{j+1} - v_j) / dt.
    In the speeds the normal equations are tridiagonal but for the last row: solved in O(n).
    """
    w = ACCELERATION_PENALTY / (DT * DT)
    pivot = np.empty(N)
    for i in range(N):
        c, s = math.cos(ref[i, 2]), math.sin(ref[i, 2])
        v[i] = DT * ((ref[i + 1, 0] - ref[i, 0]) * c + (ref[i + 1, 1] - ref[i, 1]) * s)
    pivot[0] = DT * DT + w
    for i in range(1, N - 2):  # a_0..a_36 couple v_0..v_37
        pivot[i] = DT * DT + (2.0 * w if i < N - 3 else w) - w * w / pivot[i - 1]
        v[i] += w / pivot[i - 1] * v[i - 1]
    pivot[N - 3] += w  # (a_38 - a_37)² is w·(v_37 - 2·v_38 + v_39)²
    ratio = -2.0 * w / pivot[N - 3]
    mid = DT * DT + 4.0 * w + ratio * 2.0 * w
    off = -2.0 * w - ratio * w
    b = v[N - 2] - ratio * v[N - 3]
    ratio_last = w / pivot[N - 3]
    last = DT * DT + w - ratio_last * w
    v[N - 1] = (v[N - 1] - ratio_last * v[N - 3] - off / mid * b) / (last - off / mid * off)
    v[N - 2] = (b - off * v[N - 1]) / mid
    v[N - 3] = (v[N - 3] + 2.0 * w * v[N - 2] - w * v[N - 1]) / pivot[N - 3]
    for i in range(N - 4, -1, -1):
        v[i] = (v[i] + w * v[i + 1]) / pivot[i]


@kernel
def fit_curvature(ref: F64, v: F64, kappa: F64) -> None:
    """ref (41, 3), v (40,) -> kappa (40,):
    min sum (q_i - dt·v_i·kappa_i)² + 1e-2·sum r_j² + 1e-10·kappa_0², r_j the curvature's rate.

    Tridiagonal with off-diagonal -c and row sums s_i >= 0. Eliminating row sums instead of
    diagonals never subtracts, so a standing plan (all v ~ 0, condition 1e10) stays accurate.
    """
    c = CURVATURE_RATE_PENALTY / (DT * DT)
    pivot = np.empty(N)
    rest = INITIAL_CURVATURE_PENALTY
    for i in range(N):
        x = DT * v[i]
        kappa[i] = x * wrap(ref[i + 1, 2] - ref[i, 2])
        rest = rest + x * x
        if i > 0:
            kappa[i] += c / pivot[i - 1] * kappa[i - 1]
        pivot[i] = c + rest if i < N - 1 else rest
        rest = c * rest / (c + rest)
    kappa[N - 1] /= pivot[N - 1]
    for i in range(N - 2, -1, -1):
        kappa[i] = (kappa[i] + c * kappa[i + 1]) / pivot[i]


@kernel
def command(
    k: int, ref: F64, v: F64, kappa: F64, state: F64, wheel_base: float
) -> tuple[float, float]:
    """Acceleration [m/s²] and steering rate [rad/s] commanded in step k from state (11,).

    No limits on either. Both stopping bounds are inclusive.
    """
    m = min(k + HORIZON, N - 1)
    speed, speed_ref = state[3], v[m]
    if speed_ref <= STOPPING_SPEED and speed <= STOPPING_SPEED:
        return -STOPPING_GAIN * (speed - speed_ref), 0.0
    acceleration = -SPEED_GAIN * (speed - speed_ref)
    dx, dy = state[0] - ref[k, 0], state[1] - ref[k, 1]
    e = -dx * math.sin(ref[k, 2]) + dy * math.cos(ref[k, 2])
    psi = wrap(state[2] - ref[k, 2])
    steer = state[7]
    e_u, psi_u, steer_u = 0.0, 0.0, 0.0  # response of the three errors to a unit steering rate
    for j in range(HORIZON):
        w = speed + j * DT * acceleration
        bend = kappa[k + j] if k + j < m else kappa[m]
        e, psi = e + w * DT * psi, psi + w * DT * steer / wheel_base - w * bend * DT
        e_u, psi_u = e_u + w * DT * psi_u, psi_u + w * DT * steer_u / wheel_base
        steer_u += DT
    psi = wrap(psi)
    gain = LATERAL_Q * e_u * e_u + HEADING_Q * psi_u * psi_u + STEER_RATE_R
    return acceleration, -(LATERAL_Q * e_u * e + HEADING_Q * psi_u * psi) / gain
