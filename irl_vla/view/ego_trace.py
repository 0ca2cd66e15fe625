"""Ego motion, thinned and turned into speed and yaw rate over time.

In: EgoMotion in stream order   Out: EgoTrace   May import: types, frames, setups.
"""

from __future__ import annotations

import numpy as np

from irl_vla.frames import wrap_angle, yaw_of
from irl_vla.types import F64, SECOND_NS, EgoMotion
from irl_vla.view.plots import EgoTrace

THIN_NS = SECOND_NS // 25  # one sample per 40 ms is plenty for a plot
SMOOTH_S = 0.2  # [s] half a window over which poses are differenced

STEADY = np.radians(0.2)  # of heading: a car that turned less may really have a yaw rate of zero


class EgoTraceBuilder:
    """Remembers a few numbers per 40 ms. Measurements that are not finite leave a gap."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._rows: list[tuple[float, float, float, float, float]] = []
        self._source = ""

    def add(self, motion: EgoMotion) -> None:
        """Take one measurement; what comes too soon after the last is passed over."""
        if self._stamps and abs(motion.stamp_ns - self._stamps[-1]) < THIN_NS * 0.9:
            return
        pose = motion.world_from_ego
        speed, rate = np.nan, np.nan
        if motion.twist is not None:
            speed, rate = float(np.hypot(*motion.twist[:2])), float(motion.twist[2])
        self._stamps.append(motion.stamp_ns)
        self._rows.append((float(pose[0, 3]), float(pose[1, 3]), yaw_of(pose), speed, rate))
        self._source = motion.source

    def trace(self, start_ns: int | None) -> EgoTrace | None:
        """The whole motion, time counted from `start_ns` (or the first measurement); None where
        there are fewer than two."""
        if len(set(self._stamps)) < 2:
            return None
        stamps, order = np.unique(np.array(self._stamps), return_index=True)
        origin = int(stamps[0]) if start_ns is None else start_ns
        time_s = np.asarray((stamps - origin) / SECOND_NS, np.float64)
        x, y, yaw, speed, rate = np.array(self._rows)[order].T
        driven, turned = _differences(time_s, x, y, yaw)
        source = self._source
        if np.isnan(speed).all():
            source = f"{source}, pose differences over {2 * SMOOTH_S:.1f} s"
            return EgoTrace(time_s, driven, turned, source)
        if not np.nan_to_num(rate).any() and np.ptp(np.unwrap(yaw)) > STEADY:
            # Some recorders fill in the speed and leave the yaw rate at zero.
            return EgoTrace(time_s, speed, turned, f"{source}, yaw rate from its poses")
        return EgoTrace(time_s, speed, rate, source)


def _differences(time_s: F64, x: F64, y: F64, yaw: F64) -> tuple[F64, F64]:
    """Speed [m/s] and yaw rate [rad/s], each (n,), over a window around each sample."""
    first = np.clip(np.searchsorted(time_s, time_s - SMOOTH_S), 0, len(x) - 2)
    last = np.searchsorted(time_s, time_s + SMOOTH_S, side="right") - 1
    last = np.maximum(last, first + 1)
    span = time_s[last] - time_s[first]
    speed: F64 = np.hypot(x[last] - x[first], y[last] - y[first]) / span
    return speed, wrap_angle(yaw[last] - yaw[first]) / span
