"""Where the ego was and how it moves, from raw measurements.

Every question says until which stamp measurements count (`until_ns`, see `newest`), so whoever asks
the same later gets the same numbers. The motion comes from a least-squares fit over half a second:
    twist known:   v(t) = v + a t            (line through the measured vx, vy and yaw rate)
    poses only:    p(t) = p + v t + a t^2/2  (parabola through the positions, line through the yaw)
May import: types, frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

import numpy as np

from irl_vla.frames import (
    interpolate_rigid,
    inverse,
    pose_of,
    rigid_from_pose,
    wrap_angle,
)
from irl_vla.types import F64, SECOND_NS, EgoMotion, EgoStatus, RefusalReason

KEEP_NS = 4 * SECOND_NS  # of motion that is remembered
FIT_NS = SECOND_NS // 2  # window of the fit
SPARSE_NS = 5 * SECOND_NS // 2  # reach of the fit where fewer than 3 measurements are in the window
STALE_NS = SECOND_NS // 4  # older motion says too little about now
LATE_NS = SECOND_NS // 10  # motion may be measured so long after the pictures and still counts
YAW_FROM_POSES = "twist, fitted; its yaw rate is always 0, so that is taken from the poses"
FARTHEST_M = 1e8  # no world frame of a car reaches that far
MOST_BAD = 256  # broken measurements that are remembered
FASTEST_M_S = 100.0  # no car is; a pose that would need more is a jump of the localisation


@dataclass(frozen=True)
class MotionGap:
    """Why there is no ego motion at a stamp."""

    reason: RefusalReason
    detail: str


class EgoHistory:
    """The last seconds of ego motion. Time jumps empty it."""

    def __init__(self) -> None:
        self._kept: list[EgoMotion] = []
        self._bad: deque[tuple[int, str]] = deque(maxlen=MOST_BAD)  # stamps, and what was wrong
        self.resets: int = 0

    def add(self, motion: EgoMotion) -> str:
        """Take one measurement; "", or why it is of no use. That is remembered as the reason for
        having none. A stamp that runs back, or a pose that no car reaches, starts a new history."""
        wrong = _wrong(motion)
        if wrong is not None:
            self.spoil(motion.stamp_ns, f"{motion.source}: {wrong} at {motion.stamp_ns} ns")
            return f"{motion.source}: {wrong}"
        if self._kept:
            last = self._kept[-1]
            if motion.stamp_ns == last.stamp_ns:
                return ""
            if motion.stamp_ns < last.stamp_ns or _jumped(last, motion):
                self.clear()
        self._kept.append(motion)
        while motion.stamp_ns - self._kept[0].stamp_ns > KEEP_NS:
            self._kept.pop(0)
        return ""

    def spoil(self, stamp_ns: int, why: str) -> None:
        """A measurement of that stamp came, and cannot be used."""
        self._bad.append((stamp_ns, why))

    def clear(self) -> None:
        """Forget everything: another time, or another place."""
        self._kept.clear()
        self.resets += 1

    def newest(self, stamp_ns: int) -> int:
        """Stamp of the newest measurement that counts for `stamp_ns`; `stamp_ns` itself where
        there is none."""
        stamps = [m.stamp_ns for m in self._kept if m.stamp_ns <= stamp_ns + LATE_NS]
        return stamps[-1] if stamps else stamp_ns

    def has(self, stamp_ns: int) -> bool:
        """Whether the measurement of exactly this stamp is remembered."""
        return any(motion.stamp_ns == stamp_ns for motion in self._kept)

    def is_waiting(self, stamp_ns: int) -> bool:
        """Whether a measurement that may still come is needed to know the motion at `stamp_ns`."""
        newest = self.newest(stamp_ns)
        later = bool(self._kept) and self._kept[-1].stamp_ns > stamp_ns + LATE_NS
        return not later and self.gap(stamp_ns, newest) is not None

    def gap(self, stamp_ns: int, until_ns: int) -> MotionGap | None:
        """Why the motion at `stamp_ns` is not known, or None where it is."""
        known = self._until(until_ns)
        if not known:
            none = "no odometry and no tf of the ego so far"
            return self._spoilt(0, stamp_ns) or MotionGap(RefusalReason.NO_EGO_MOTION, none)
        age = stamp_ns - known[-1].stamp_ns
        if age > STALE_NS:
            detail = f"{known[-1].source} is {age / 1e6:.0f} ms old, at most {STALE_NS / 1e6:.0f}"
            spoilt = self._spoilt(known[-1].stamp_ns, stamp_ns)
            return spoilt or MotionGap(RefusalReason.STALE_EGO_MOTION, detail)
        if len(known) == 1 and known[0].twist is None:
            one = f"{known[0].source}: one pose without twist says nothing about the speed"
            return MotionGap(RefusalReason.NO_EGO_MOTION, one)
        return None

    def _spoilt(self, after_ns: int, stamp_ns: int) -> MotionGap | None:
        """The broken measurement that should have told the motion then, if there is one."""
        for bad_ns, text in self._bad:
            if after_ns < bad_ns <= stamp_ns + LATE_NS:
                return MotionGap(RefusalReason.BAD_EGO_MOTION, text)
        return None

    def status(self, stamp_ns: int, until_ns: int) -> EgoStatus:
        """EgoStatus at `stamp_ns`, smoothed; not valid where `gap` has a reason."""
        gap = self.gap(stamp_ns, until_ns)
        if gap is not None:
            zero = np.zeros(2)
            return EgoStatus(
                stamp_ns, zero, zero, 0.0, valid=False, source=gap.detail, measured_ns=until_ns
            )
        known = self._fitted(stamp_ns, until_ns)
        if all(motion.twist is not None for motion in known):
            return _from_twists(known, stamp_ns)
        return _from_poses(known, stamp_ns)

    def pose(self, stamp_ns: int, until_ns: int) -> F64 | None:
        """world_from_ego at `stamp_ns`: between two measurements, or carried on with the last
        motion for at most a quarter of a second; None where it is not known."""
        seen = self._until(until_ns)
        known = [motion for motion in seen if motion.stamp_ns <= stamp_ns]
        if known and len(known) < len(seen):
            last, after = known[-1], seen[len(known)]
            fraction = (stamp_ns - last.stamp_ns) / (after.stamp_ns - last.stamp_ns)
            return interpolate_rigid(last.world_from_ego, after.world_from_ego, fraction)
        status = self.status(stamp_ns, until_ns)
        if not status.valid:
            return None
        nearest = seen[-1] if known else seen[0]
        seconds = (stamp_ns - nearest.stamp_ns) / SECOND_NS
        step = np.array([*(status.velocity * seconds), status.yaw_rate * seconds])
        return np.asarray(nearest.world_from_ego @ rigid_from_pose(step))

    def now_from_then(self, now_ns: int, then_ns: int, until_ns: int) -> F64 | None:
        """(4, 4): takes points of the ego frame at `then_ns` into that at `now_ns`."""
        now, then = self.pose(now_ns, until_ns), self.pose(then_ns, until_ns)
        return None if now is None or then is None else np.asarray(inverse(now) @ then)

    def _until(self, stamp_ns: int) -> list[EgoMotion]:
        stamps = [motion.stamp_ns for motion in self._kept]
        return self._kept[: bisect_right(stamps, stamp_ns)]

    def _fitted(self, stamp_ns: int, until_ns: int) -> list[EgoMotion]:
        known = self._until(until_ns)
        near = [motion for motion in known if abs(stamp_ns - motion.stamp_ns) <= FIT_NS]
        if len(near) >= 3:
            return near
        return [motion for motion in known[-3:] if stamp_ns - motion.stamp_ns <= SPARSE_NS]


def _wrong(motion: EgoMotion) -> str | None:
    """What makes a measurement unusable by itself."""
    parts = [motion.world_from_ego, *([] if motion.twist is None else [motion.twist])]
    if not all(np.isfinite(part).all() for part in parts):
        return "not a number"
    if any(np.abs(part).max() > FARTHEST_M for part in parts):
        return f"farther than {FARTHEST_M:.0e} m"
    speed = 0.0 if motion.twist is None else float(np.hypot(motion.twist[0], motion.twist[1]))
    if speed > FASTEST_M_S:
        return f"{speed:.0f} m/s, at most {FASTEST_M_S:.0f}"
    return None


def _jumped(before: EgoMotion, after: EgoMotion) -> bool:
    distance = np.linalg.norm(after.world_from_ego[:3, 3] - before.world_from_ego[:3, 3])
    seconds = (after.stamp_ns - before.stamp_ns) / SECOND_NS
    return bool(distance > FASTEST_M_S * seconds + 1.0)


def _seconds(known: list[EgoMotion], stamp_ns: int) -> F64:
    """Times of the measurements, 0 at the asked stamp."""
    return np.array([(motion.stamp_ns - stamp_ns) / SECOND_NS for motion in known])


def _fit(time: F64, values: F64, degree: int) -> F64:
    """(degree + 1, columns): coefficients of 1, t, t^2 by least squares."""
    powers = np.vander(time, min(degree, len(time) - 1) + 1, increasing=True)
    solved = np.linalg.lstsq(powers, values, rcond=None)[0]
    return np.vstack([solved, np.zeros((degree + 1 - len(solved), values.shape[1]))])


def _poses(known: list[EgoMotion]) -> F64:
    """(n, 3) planar poses in the frame of the last one."""
    last_from_world = inverse(known[-1].world_from_ego)
    return np.array([pose_of(last_from_world @ motion.world_from_ego) for motion in known])


def _yaws(known: list[EgoMotion]) -> F64:
    """(n, 1) headings in the frame of the last pose."""
    return np.asarray(np.unwrap(_poses(known)[:, 2])[:, None])


def _from_twists(known: list[EgoMotion], stamp_ns: int) -> EgoStatus:
    twists, time = np.array([motion.twist for motion in known]), _seconds(known, stamp_ns)
    line = _fit(time, twists, degree=1)
    yaw_rate, source = float(line[0, 2]), "twist, fitted"
    if not twists[:, 2].any() and len(known) > 1:  # many drivers leave that field empty
        yaw_rate, source = float(_fit(time, _yaws(known), degree=1)[1, 0]), YAW_FROM_POSES
    spin = yaw_rate * np.array([-line[0, 1], line[0, 0]])  # the body frame turns under the velocity
    note = "" if len(known) > 1 else ", one measurement: acceleration taken as 0"
    return EgoStatus(
        stamp_ns, line[0, :2], line[1, :2] + (spin if len(known) > 1 else 0.0), yaw_rate,
        valid=True, measured_ns=known[-1].stamp_ns, source=f"{known[-1].source} {source}{note}",
    )  # fmt: skip


def _from_poses(known: list[EgoMotion], stamp_ns: int) -> EgoStatus:
    poses, time = _poses(known), _seconds(known, stamp_ns)
    parabola = _fit(time, poses[:, :2], degree=2)
    yaw = _fit(time, _yaws(known), degree=1)
    turned = float(wrap_angle(yaw[0, 0]))  # since the last measurement
    body = np.array([[np.cos(turned), np.sin(turned)], [-np.sin(turned), np.cos(turned)]])
    note = "" if len(known) > 2 else f", only {len(known)} poses: acceleration taken as 0"
    return EgoStatus(
        stamp_ns, body @ parabola[1], body @ (2.0 * parabola[2]), float(yaw[1, 0]),
        valid=True, source=f"{known[-1].source} poses, fitted{note}",
        measured_ns=known[-1].stamp_ns,
    )  # fmt: skip
