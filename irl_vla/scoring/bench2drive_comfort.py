"""Comfort ("smoothness") of a Bench2Drive route, as published and as meant.

A route is cut into chunks; a chunk is comfortable if all its filtered signals stay strictly inside
their bounds; the route's comfort is the share of comfortable chunks. Published and corrected differ
in four places, all named in `Reading`.
Source: docs/paper_map.md, "Bench2Drive". May import: types, scoring.comfort,
scoring.bench2drive_files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import savgol_filter

from irl_vla.scoring.bench2drive_files import Motion
from irl_vla.scoring.comfort import (
    MAX_JERK,
    MAX_LAT_ACCEL,
    MAX_LON_ACCEL,
    MAX_LON_JERK,
    MAX_YAW_ACCEL,
    MAX_YAW_RATE,
    MIN_LON_ACCEL,
)  # fmt: skip
from irl_vla.types import F64, InputError

TICK_S = 0.05  # [s] the evaluator simulates at 20 Hz
ASSUMED_STEP_S = 0.1  # [s] between samples, as the published script believes
ASSUMED_CHUNK = 20  # [samples], 2 s if the step were as believed
CHUNK_S = 2.0  # [s]
WINDOW, ORDER = 7, 2  # Savitzky-Golay, [samples] and degree


@dataclass(frozen=True)
class Reading:
    """How recorded numbers are read.

    step_s: between samples; chunk: [samples]
    yaw_rate: (n,) to be compared with the bound of 0.95 rad/s; wrapped: its jumps of 2 pi are taken
    out as if it were an angle; yaw_accel_order: derivative of the yaw rate that is compared with
    the bound of the yaw acceleration
    """

    step_s: float
    chunk: int
    yaw_rate: F64
    wrapped: bool
    yaw_accel_order: int


def as_published(motion: Motion) -> Reading:
    """Quirks of the script: 0.1 s steps whatever was recorded; degrees per second compared with
    radians per second; the rate unwrapped like an angle; "yaw acceleration" is the rate again."""
    return Reading(ASSUMED_STEP_S, ASSUMED_CHUNK, motion.yaw_rate, True, 0)


def as_meant(motion: Motion, where: str) -> Reading:
    """The time that passed, radians, and a yaw acceleration that is one. Raises InputError where
    the samples are not equidistant."""
    spacing = np.diff(motion.ticks)
    if len(spacing) == 0 or (spacing != spacing[0]).any():
        raise InputError(
            f"{where}: motion: expected samples at equal distances, got steps of "
            f"{sorted(set(spacing.tolist()))} ticks"
        )
    step_s = TICK_S * float(spacing[0])
    return Reading(step_s, max(round(CHUNK_S / step_s), 1), np.deg2rad(motion.yaw_rate), False, 1)


def route_comfort(motion: Motion, read: Reading, where: str) -> float:
    """Share of comfortable chunks, 0..1. A tail shorter than a chunk is dropped; a route that is
    not longer than a chunk is one chunk."""
    samples = len(motion.ticks)
    if min(samples, read.chunk) <= ORDER:
        raise InputError(
            f"{where}: motion: expected more than {ORDER} samples in a chunk, got "
            f"{min(samples, read.chunk)}; the recording is too short or too sparse for comfort"
        )
    if samples <= read.chunk:
        return float(_comfortable(motion, read, slice(0, samples)))
    starts = range(0, samples - read.chunk + 1, read.chunk)
    return float(np.mean([_comfortable(motion, read, slice(s, s + read.chunk)) for s in starts]))


def _comfortable(motion: Motion, read: Reading, part: slice) -> bool:
    acceleration = motion.acceleration[part]
    rate = read.yaw_rate[part]
    if read.wrapped:
        rate = rate - 2.0 * np.pi * np.cumsum(np.rint(np.diff(rate, prepend=rate[0]) / (2 * np.pi)))
    lon = _smooth((acceleration * motion.forward[part]).sum(axis=1), read)
    lat = _smooth((acceleration * motion.right[part]).sum(axis=1), read)
    magnitude = _smooth(np.hypot(acceleration[:, 0], acceleration[:, 1]), read)
    return (
        _inside(lon, MIN_LON_ACCEL, MAX_LON_ACCEL)
        and _inside(lat, -MAX_LAT_ACCEL, MAX_LAT_ACCEL)
        and _inside(_smooth(magnitude, read, 1), -MAX_JERK, MAX_JERK)
        and _inside(_smooth(lon, read, 1), -MAX_LON_JERK, MAX_LON_JERK)
        and _inside(_smooth(rate, read, read.yaw_accel_order), -MAX_YAW_ACCEL, MAX_YAW_ACCEL)
        and _inside(_smooth(rate, read), -MAX_YAW_RATE, MAX_YAW_RATE)
    )


def _smooth(signal: F64, read: Reading, derivative: int = 0) -> F64:
    window = min(WINDOW, len(signal))
    return np.asarray(savgol_filter(signal, window, ORDER, deriv=derivative, delta=read.step_s))


def _inside(signal: F64, low: float, high: float) -> bool:
    return bool(((signal > low) & (signal < high)).all())
