"""From plans to simulated states: sample the reference, track it, drive the kinematic bicycle.

    reference = sample_plans(trajectories, initial, t0_us)       (P, 8, 3) -> (P, 41, 3) global
    states = simulate(initial, reference, wheel_base)             -> (P, 41, 11)

`simulate` also takes reference poses that were sampled elsewhere (the PDM-Closed proposals: 41
global rear-axle poses every 0.1 s; only x, y, heading matter and the first need not be the ego's).
May import: scoring.geometry, types, scoring.compiled, scoring.scene, scoring.tracker.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from irl_vla.scoring.compiled import kernel, plain
from irl_vla.scoring.geometry import wrap
from irl_vla.scoring.scene import PLAN_POSES, SIM_DT_S, STEPS
from irl_vla.scoring.tracker import DT, N, command, fit_curvature, fit_speed
from irl_vla.types import F64, PLAN_DT_S, InputError
from irl_vla.vehicle import PACIFICA, Vehicle

ACCELERATION_LAG = DT / (DT + 0.2)  # first-order low pass of the commanded acceleration
STEER_LAG = DT / (DT + 0.05)  # of the commanded steering angle
MAX_STEER = math.pi / 3.0  # [rad]
US = 1e6  # [us/s]


FARTHEST = 1e6  # [m], [rad] of a plan in its ego frame; more is a fault, and squares overflow


@lru_cache(maxsize=64)
def sample_times(t0_us: int) -> tuple[F64, F64]:
    """Knots (9,) of a plan and the 41 instants it is sampled at, both in us after t0.

    Quirk: both are float seconds truncated to integer microseconds, so that single samples lie
    1 us early: 1e-5 m.
    """
    t0_s = t0_us * 1e-6
    plan_s = np.arange(PLAN_POSES) * PLAN_DT_S + PLAN_DT_S + t0_s
    knots = np.array([t0_us, *(int(t * US) for t in plan_s)], np.int64)
    instants = np.array([int(t * US) for t in np.arange(STEPS) * SIM_DT_S + t0_s], np.int64)
    instants = np.clip(instants, knots[0], knots[-1])
    return (knots - t0_us).astype(np.float64), (instants - t0_us).astype(np.float64)


@kernel
def over_centre(pose: F64, centre: float) -> None:
    """Move pose (3,) from the rear axle to the box centre and back, in place.

    Quirk: the original stores every ego state by its box centre. The rounding that this leaves in
    the positions (1e-14 m) is all that a standing plan with a turned heading moves, and the
    curvature fit, which divides by 1e-10 there, makes a visible steering angle of it.
    """
    forward_x, forward_y = centre * math.cos(pose[2]), centre * math.sin(pose[2])
    pose[0] = (pose[0] + forward_x) - forward_x
    pose[1] = (pose[1] + forward_y) - forward_y


@kernel
def place_knots(plan: F64, initial: F64, centre: float, at: F64) -> None:
    """Plan (8, 3) in the ego frame of initial (11,) -> at (9, 3) global, headings unwrapped; the
    initial pose stands in front."""
    at[0] = initial[:3]
    over_centre(at[0], centre)
    x0, y0 = at[0, 0], at[0, 1]
    c, s = math.cos(at[0, 2]), math.sin(at[0, 2])
    turns, last = 0.0, at[0, 2]
    for i in range(PLAN_POSES):
        c1, s1 = math.cos(plan[i, 2]), math.sin(plan[i, 2])
        at[i + 1, 0] = c * plan[i, 0] - s * plan[i, 1] + x0
        at[i + 1, 1] = s * plan[i, 0] + c * plan[i, 1] + y0
        at[i + 1, 2] = math.atan2(s * c1 + c * s1, c * c1 - s * s1)
        over_centre(at[i + 1], centre)
        step = at[i + 1, 2] - last
        last = at[i + 1, 2]
        if abs(step) >= math.pi:
            turns += wrap(step) - step
        at[i + 1, 2] += turns


@kernel
def sample_plan(
    plan: F64, initial: F64, knots: F64, instants: F64, centre: float, at: F64, ref: F64
) -> None:
    """One plan (8, 3) in the ego frame of state initial (11,) -> ref (41, 3), global, every 0.1 s.

    x, y and the unwrapped heading are linear in time. at: scratch (9, 3).
    """
    place_knots(plan, initial, centre, at)
    i = 0
    for k in range(STEPS):
        while i < PLAN_POSES - 1 and instants[k] > knots[i + 1]:
            i += 1
        span, past = knots[i + 1] - knots[i], instants[k] - knots[i]
        for j in range(3):
            ref[k, j] = (at[i + 1, j] - at[i, j]) / span * past + at[i, j]
        ref[k, 2] = wrap(ref[k, 2])
        over_centre(ref[k], centre)


@kernel
def drive(initial: F64, ref: F64, wheel_base: float, states: F64) -> None:
    """Follow ref (41, 3) from initial (11,); writes states (41, 11).

    Explicit Euler: position, heading and steering move with the old speed, heading and angle.
    """
    v, kappa = np.empty(N), np.empty(N)
    fit_speed(ref, v)
    fit_curvature(ref, v, kappa)
    states[0] = initial
    for k in range(N):
        now, new = states[k], states[k + 1]
        acceleration, rate = command(k, ref, v, kappa, now, wheel_base)
        heading, vx, steer = now[2], now[3], now[7]
        ax = now[5] + ACCELERATION_LAG * (acceleration - now[5])
        applied = STEER_LAG * rate
        new[0] = now[0] + vx * math.cos(heading) * DT
        new[1] = now[1] + vx * math.sin(heading) * DT
        new[2] = wrap(heading + vx * math.tan(steer) / wheel_base * DT)
        new[3] = vx + ax * DT
        new[4] = 0.0
        new[5] = ax
        new[6] = 0.0
        new[7] = min(max(steer + applied * DT, -MAX_STEER), MAX_STEER)
        new[8] = applied
        new[9] = new[3] * math.tan(new[7]) / wheel_base
        new[10] = (new[9] - now[9]) / DT


@kernel
def sample_many(
    plans: F64, initial: F64, knots: F64, instants: F64, centre: float, refs: F64
) -> None:
    """plans (P, 8, 3) -> refs (P, 41, 3)."""
    at = np.empty((PLAN_POSES + 1, 3))
    for p in range(len(plans)):
        sample_plan(plans[p], initial, knots, instants, centre, at, refs[p])


@kernel
def drive_many(initial: F64, refs: F64, wheel_base: float, states: F64) -> None:
    """refs (P, 41, 3) -> states (P, 41, 11)."""
    for p in range(len(refs)):
        drive(initial, refs[p], wheel_base, states[p])


def as_plans(trajectories: F64, where: str = "trajectories") -> F64:
    """Check plans and make them (P, 8, 3) float64, contiguous; one plan (8, 3) becomes P = 1."""
    plans = plain(trajectories)
    if plans.ndim == 2:
        plans = plans[None]
    if plans.ndim != 3 or plans.shape[1:] != (PLAN_POSES, 3):
        raise InputError(
            f"{where}: expected {PLAN_POSES} poses (x, y, heading) {PLAN_DT_S} s apart, shape "
            f"(P, {PLAN_POSES}, 3), got shape {np.shape(trajectories)}"
        )
    low, high = plans.min(initial=0.0), plans.max(initial=0.0)  # NaN where one is
    if not -FARTHEST < low <= high < FARTHEST:  # only a failure looks for the culprit
        bad = ~(np.abs(plans) < FARTHEST).all(axis=2)
        if bad.any():
            plan, pose = np.argwhere(bad)[0]
            raise InputError(
                f"{where}: plan {plan}, pose {pose}: expected finite numbers below "
                f"{FARTHEST:g}, got {plans[plan, pose].tolist()}"
            )
    return plans


def sample_plans(trajectories: F64, initial: F64, t0_us: int, vehicle: Vehicle = PACIFICA) -> F64:
    """Plans (P, 8, 3) in the ego frame of initial (11,) -> global reference poses (P, 41, 3)."""
    plans = as_plans(trajectories)
    refs = np.empty((len(plans), STEPS, 3))
    sample_many(plans, plain(initial), *sample_times(t0_us), vehicle.centre, refs)
    return refs


def simulate(initial: F64, reference_poses: F64, wheel_base: float = PACIFICA.wheel_base) -> F64:
    """Track reference_poses (P, 41, 3) or (41, 3), global, from state initial (11,).

    Returns states (P, 41, 11), columns scene.STATE_COLUMNS; state 0 is `initial` itself.
    """
    refs = plain(reference_poses)
    refs = refs[None] if refs.ndim == 2 else refs
    if refs.ndim != 3 or refs.shape[1:] != (STEPS, 3):
        raise InputError(f"reference poses: expected (P, {STEPS}, 3), got {refs.shape}")
    states = np.empty((len(refs), STEPS, 11))
    drive_many(plain(initial), refs, wheel_base, states)
    return states
