"""How the ride feels: history comfort (HC), extended comfort (EC), and the v1 comfort term.

Signals are filtered by Savitzky-Golay filters (edge mode 'interp') and rounded to 8 decimals. A
filter is a linear map, so it is taken once from scipy as a banded matrix and applied by kernels.
Source: docs/epdms.md, "Comfort". May import: frames, scoring.compiled, scoring.scene.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.signal import savgol_filter

from irl_vla.frames import wrap_angle
from irl_vla.scoring.compiled import kernel
from irl_vla.scoring.scene import ALPHA, AX, AY, HEADING, I64, OMEGA, SIM_DT_S, STEP_US, STEPS, Ego
from irl_vla.types import F64

MAX_LON_ACCEL, MIN_LON_ACCEL = 2.40, -4.05  # [m/s²] all bounds strict; nuPlan's expert statistics
MAX_LAT_ACCEL = 4.89  # [m/s²]
MAX_JERK = 8.37  # [m/s³] of the acceleration's magnitude
MAX_LON_JERK = 4.13  # [m/s³]
MAX_YAW_RATE = 0.95  # [rad/s]
MAX_YAW_ACCEL = 1.93  # [rad/s²]
LON_ACCEL, LAT_ACCEL, JERK, LON_JERK, YAW_ACCEL, YAW_RATE = 1, 2, 4, 8, 16, 32  # bits: violated
EC_LIMITS = (0.7, 0.5, 0.1, 0.1)  # RMS of acceleration, jerk, yaw rate, yaw acceleration; inclusive
ROUND = 1e8  # signals are rounded to 8 decimals
# Windows. Quirks: 8 is even; the yaw functions ignore the window they are given and always use 5;
# yaw acceleration is a cubic in HC but a parabola in EC.
ACCEL_WINDOW, JERK_WINDOW, YAW_WINDOW = 8, 15, 5


class Filter(NamedTuple):
    """y[i] = sum_j weights[i, j] · x[starts[i] + j]."""

    starts: I64
    weights: F64


class ComfortFilters(NamedTuple):
    """Smoothing of accelerations, derivative of those, first and second derivative of heading."""

    smooth: Filter
    jerk: Filter
    yaw_rate: Filter
    yaw_accel: Filter


class Past(NamedTuple):
    """Signals before the first simulated state, all (n,): longitudinal acceleration, magnitude of
    the acceleration, heading; lateral: 0 or LAT_ACCEL; centre: from the rear axle to where the
    longitudinal acceleration is felt [m]; on: whether HC is evaluated at all."""

    lon: F64
    magnitude: F64
    heading: F64
    lateral: int
    centre: float
    on: bool


@lru_cache(maxsize=64)
def filter_matrix(samples: int, window: int, order: int, derivative: int) -> Filter:
    """The Savitzky-Golay filter over `samples` equidistant samples as a banded matrix."""
    window = min(window, samples)
    matrix = savgol_filter(
        np.eye(samples), window, order, deriv=derivative, delta=SIM_DT_S, axis=0, mode="interp"
    )
    used = np.abs(matrix) > 0.0
    starts = np.minimum(used.argmax(axis=1), samples - window).astype(np.int64)
    weights = np.stack([row[s : s + window] for row, s in zip(matrix, starts, strict=True)])
    assert np.count_nonzero(weights) == np.count_nonzero(matrix)
    return Filter(starts, np.ascontiguousarray(weights))


def history_filters(samples: int) -> ComfortFilters:
    """Filters of HC over past and simulated states."""
    return ComfortFilters(
        filter_matrix(samples, ACCEL_WINDOW, 2, 0), filter_matrix(samples, JERK_WINDOW, 2, 1),
        filter_matrix(samples, YAW_WINDOW, 2, 1), filter_matrix(samples, YAW_WINDOW, 3, 2),
    )  # fmt: skip


def extended_filters(samples: int) -> ComfortFilters:
    """Filters of EC over the overlap of two frames."""
    return history_filters(samples)._replace(yaw_accel=filter_matrix(samples, YAW_WINDOW, 2, 2))


def v1_filters() -> ComfortFilters:
    """Filters of the v1 comfort term: the whole sequence is one window but for the yaw signals."""
    return ComfortFilters(
        filter_matrix(STEPS, STEPS, 2, 0), filter_matrix(STEPS, STEPS, 2, 1),
        filter_matrix(STEPS, YAW_WINDOW, 2, 1), filter_matrix(STEPS, YAW_WINDOW, 3, 2),
    )  # fmt: skip


def past_states(ego: Ego) -> F64:
    """(n, 11) states before t0, every 0.1 s from the first sample of the history.

    Quirk: the end is excluded and then the last one is dropped: 14 states where the history spans
    1.5 s, 15 where it spans some microseconds more. Angular velocity and acceleration are 0.
    """
    times = np.arange(ego.history_us[0], ego.history_us[-1], STEP_US)[:-1]
    states = ego.history.copy()
    states[:, HEADING] = np.unwrap(states[:, HEADING])
    past = np.stack(
        [np.interp(times, ego.history_us, states[:, c]) for c in range(11)], axis=-1
    ).reshape(len(times), 11)
    past[:, HEADING] = wrap_angle(past[:, HEADING])
    past[:, [OMEGA, ALPHA]] = 0.0
    return past


def pack_past(ego: Ego, centre: float) -> Past:
    """The candidate-independent part of HC. Simulated states have no lateral acceleration, so only
    the past and state 0 can violate it."""
    past = past_states(ego)
    lateral = np.concatenate([past[:, AY], ego.initial[[AY]], np.zeros(STEPS - 1)])
    smooth = np.empty(len(lateral))
    apply_filter(filter_matrix(len(lateral), ACCEL_WINDOW, 2, 0), lateral, smooth)
    lon = past[:, AX] + centre * (past[:, OMEGA] ** 2 + past[:, ALPHA])
    return Past(
        lon, np.hypot(past[:, AX], past[:, AY]), past[:, HEADING].copy(),
        LAT_ACCEL if np.abs(smooth).max() >= MAX_LAT_ACCEL else 0, centre, True,
    )  # fmt: skip


@kernel
def apply_filter(by: Filter, x: F64, out: F64) -> None:
    """Filter x (n,) and round -> out (n,)."""
    width = by.weights.shape[1]
    for i in range(len(x)):
        total, start = 0.0, by.starts[i]
        for j in range(width):
            total += by.weights[i, j] * x[start + j]
        out[i] = np.rint(total * ROUND) / ROUND


@kernel
def unwrap(angles: F64) -> None:
    """Remove jumps of 2·pi in place."""
    turns, last = 0.0, angles[0]
    for i in range(1, len(angles)):
        now = angles[i]
        turns += np.rint((now - last) / (2.0 * math.pi))
        last = now
        angles[i] = now - 2.0 * math.pi * turns


@kernel
def beyond(x: F64, low: float, high: float) -> bool:
    """Whether any sample is not strictly between the bounds."""
    for value in x:  # noqa: SIM110 - compiled
        if not low < value < high:
            return True
    return False


@kernel
def violations(
    by: ComfortFilters, lon: F64, magnitude: F64, heading: F64, smooth: F64, rate: F64
) -> int:
    """Bits of the violated bounds, all but the lateral one. Signals (n,), heading unwrapped; smooth
    and rate: scratch (n,)."""
    bits = 0
    apply_filter(by.smooth, lon, smooth)
    if beyond(smooth, MIN_LON_ACCEL, MAX_LON_ACCEL):
        bits |= LON_ACCEL
    apply_filter(by.jerk, smooth, rate)
    if beyond(rate, -MAX_LON_JERK, MAX_LON_JERK):
        bits |= LON_JERK
    apply_filter(by.smooth, magnitude, smooth)
    apply_filter(by.jerk, smooth, rate)
    if beyond(rate, -MAX_JERK, MAX_JERK):
        bits |= JERK
    apply_filter(by.yaw_rate, heading, rate)
    if beyond(rate, -MAX_YAW_RATE, MAX_YAW_RATE):
        bits |= YAW_RATE
    apply_filter(by.yaw_accel, heading, rate)
    if beyond(rate, -MAX_YAW_ACCEL, MAX_YAW_ACCEL):
        bits |= YAW_ACCEL
    return bits


@kernel
def history_violations(states: F64, past: Past, by: ComfortFilters, signals: F64) -> int:
    """Bits of the bounds that past and simulated states (41, 11) violate. signals: scratch (5, n).

    Quirk: the acceleration "at the centre" adds c·(omega² + alpha) to the longitudinal one.
    """
    if not past.on:
        return 0
    before = len(past.lon)
    lon, magnitude, heading = signals[0], signals[1], signals[2]
    lon[:before], magnitude[:before], heading[:before] = past.lon, past.magnitude, past.heading
    for k in range(STEPS):
        omega, ax = states[k, OMEGA], states[k, AX]
        lon[before + k] = ax + past.centre * omega * omega + past.centre * states[k, ALPHA]
        magnitude[before + k] = math.hypot(ax, states[k, AY])
        heading[before + k] = states[k, HEADING]
    unwrap(heading)
    return violations(by, lon, magnitude, heading, signals[3], signals[4]) | past.lateral


@kernel
def features(states: F64, first: int, by: ComfortFilters, signals: F64, out: F64) -> None:
    """EC features (4, n) of states[first:first + n]. signals: scratch (2, n)."""
    n = out.shape[1]
    for i in range(n):
        signals[0, i] = math.hypot(states[first + i, AX], states[first + i, AY])
        signals[1, i] = states[first + i, HEADING]
    unwrap(signals[1])
    apply_filter(by.smooth, signals[0], out[0])
    apply_filter(by.jerk, out[0], out[1])
    apply_filter(by.yaw_rate, signals[1], out[2])
    apply_filter(by.yaw_accel, signals[1], out[3])


@kernel
def extended_rms(
    now: F64, before: F64, shift: int, by: ComfortFilters, scratch: F64, out: F64
) -> None:
    """RMS differences (4,) of the EC features of two frames whose plans overlap: now[0..40-shift]
    against before[shift..40]. scratch: (10, 41 - shift)."""
    features(now, 0, by, scratch[8:10], scratch[0:4])
    features(before, shift, by, scratch[8:10], scratch[4:8])
    n = scratch.shape[1]
    for f in range(4):
        total = 0.0
        for i in range(n):
            total += (scratch[f, i] - scratch[4 + f, i]) ** 2
        out[f] = math.sqrt(total / n)


@kernel
def extended_comfort(rms: F64) -> float:
    """EC from the RMS differences (4,)."""
    for f in range(4):
        if not rms[f] <= EC_LIMITS[f]:
            return 0.0
    return 1.0
