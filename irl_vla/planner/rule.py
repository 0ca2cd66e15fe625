"""The policy without a network: constant turn rate and speed (CTRV), or along the given route.

    v [m/s] speed   w [rad/s] yaw rate   k = w / v [1/m] curvature   s [m] distance along the path
    circle:   x = sin(k s) / k      y = (1 - cos(k s)) / k      yaw = k s
    braking:  s(t) = v t' - a t'^2 / 2   with t' = min(t, v / a)
    pursuit:  k = 2 y_goal / L^2   (Coulter 1992, CMU-RI-TR-92-01, eq. 2.1)
Proposes, best first: the present motion, the same path with each braking, and straight ahead.
It sees nothing: it is the first answer, never a good one. May import: frames, types, policy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.frames import step_lengths, wrap_angle
from irl_vla.types import (
    F64,
    HORIZON_POSES,
    PLAN_DT_S,
    Candidates,
    Command,
    EgoStatus,
    InputError,
    Intent,
    SceneTokens,
)

TIMES_S: F64 = PLAN_DT_S * np.arange(1.0, HORIZON_POSES + 1.0)  # of the poses of a plan
PURSUIT_STEP_M = 0.5  # [m] arc between two looks at the route: under 1 mm off a 10 m circle
SMALLEST_TURN = 1e-9  # [rad] below it sin(a) / a is 1 in float64


@dataclass(frozen=True, kw_only=True)
class RuleConfig:
    """The rule policy's parameters; the shape of `rule.yaml` in its bundle."""

    standing_below_m_s: float = 0.05  # slower (or reversing) counts as standing still
    slower_m_s2: tuple[float, ...] = (1.0, 2.0)  # brakings that are offered besides constant speed
    confidence_ratio: float = 0.5  # of each candidate to the one before it
    lookahead_s: float = 0.8  # pursued point on the route: this far ahead in time,
    lookahead_min_m: float = 4.0  # but at least this far
    max_curvature: float = 0.2  # [1/m] tightest turn: 5 m radius at the rear axle
    max_curvature_change: float = 0.08  # [1/m per m] how fast the wheel turns along the path

    def __post_init__(self) -> None:
        for name in (
            "standing_below_m_s", "lookahead_s", "lookahead_min_m", "max_curvature",
            "max_curvature_change",
        ):  # fmt: skip
            if not 0.0 < getattr(self, name) < np.inf:
                raise ValueError(
                    f"{name}: expected a positive finite number, got {getattr(self, name)}"
                )
        if not all(0.0 < a < np.inf for a in self.slower_m_s2):
            raise ValueError(f"slower_m_s2: expected positive brakings, got {self.slower_m_s2}")
        if not 0.0 < self.confidence_ratio < 1.0:
            raise ValueError(
                f"confidence_ratio: expected between 0 and 1, got {self.confidence_ratio}"
            )


@dataclass(frozen=True)
class RulePolicy:
    """A Policy from ego motion and route alone."""

    config: RuleConfig

    def propose(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, seed: int
    ) -> Candidates:
        """See Policy. A route with fewer than two distinct finite points is no route."""
        speed, yaw_rate = _speed_and_yaw_rate(ego)
        if speed < self.config.standing_below_m_s:
            return Candidates(np.zeros((1, HORIZON_POSES, 3)), np.ones(1))
        limit = self.config.max_curvature  # near standstill the yaw rate's noise would spin the car
        curvature = float(np.clip(yaw_rate / speed, -limit, limit))
        route = usable_route(intent.route)
        path = arc if route is None else self._along(route, speed)
        paths = [
            path(curvature, braking_distances(speed, a)) for a in (0.0, *self.config.slower_m_s2)
        ]
        paths.append(arc(0.0, braking_distances(speed, 0.0)))
        confidence = self.config.confidence_ratio ** np.arange(len(paths))
        return Candidates(np.stack(paths), confidence / confidence.sum())

    def _along(self, route: F64, speed: float) -> _Pursuit:
        ahead = max(self.config.lookahead_min_m, self.config.lookahead_s * speed)
        return _Pursuit(route, ahead, self.config.max_curvature, self.config.max_curvature_change)


def _speed_and_yaw_rate(ego: EgoStatus) -> tuple[float, float]:
    speed, yaw_rate = float(ego.velocity[0]), float(ego.yaw_rate)
    if not ego.valid or not np.isfinite([speed, yaw_rate]).all():
        raise InputError(
            f"ego motion at {ego.stamp_ns} ns from {ego.source}: expected valid finite numbers, "
            f"got valid={ego.valid}, speed {speed} m/s, yaw rate {yaw_rate} rad/s"
        )
    return speed, yaw_rate


def braking_distances(speed: float, braking: float, time_s: F64 = TIMES_S) -> F64:
    """(n,) distance driven [m] at each time when braking [m/s^2] steadily to a halt."""
    until = time_s if braking == 0.0 else np.minimum(time_s, speed / braking)
    return np.asarray(speed * until - 0.5 * braking * until**2)


def arc(curvature: float, along: F64) -> F64:
    """(n,) distances [m] along a circle that starts at the origin along x -> (n, 3) poses."""
    turn = curvature * along
    half = np.where(np.abs(turn) < SMALLEST_TURN, SMALLEST_TURN, turn) / 2
    chord = along * np.sin(half) / half  # straight line from the origin, at half the turn
    return np.stack([chord * np.cos(turn / 2), chord * np.sin(turn / 2), wrap_angle(turn)], axis=-1)


def usable_route(route: F64 | None) -> F64 | None:
    """The route's points without repetitions, or None where no direction can be read from it."""
    if route is None or not np.isfinite(route).all() or len(route) == 0:
        return None
    kept = np.r_[True, step_lengths(route) > 1e-3]
    return np.asarray(route[kept], np.float64) if kept.sum() >= 2 else None


@dataclass(frozen=True)
class _Pursuit:
    """Pure pursuit of a polyline: the wheel starts as it stands and turns at a bounded rate."""

    route: F64
    ahead: float
    max_curvature: float
    max_change: float

    def __call__(self, curvature: float, along: F64) -> F64:
        """Present curvature and (n,) rising distances [m] -> (n, 3) poses."""
        steps = max(1, int(np.ceil(along[-1] / PURSUIT_STEP_M)))
        pose, k, step = np.zeros(3), curvature, float(along[-1]) / steps
        poses = [pose]
        for _ in range(steps):
            turn = self.max_change * step
            k = float(np.clip(self._wanted(pose), k - turn, k + turn))
            pose = _advance(pose, k, step)
            poses.append(pose)
        reached = np.arange(steps + 1) * step
        x, y, yaw = (np.interp(along, reached, column) for column in np.array(poses).T)
        return np.stack([x, y, wrap_angle(yaw)], axis=-1)

    def _wanted(self, pose: F64) -> float:
        goal = point_ahead(self.route, pose[:2], self.ahead) - pose[:2]
        left = np.cos(pose[2]) * goal[1] - np.sin(pose[2]) * goal[0]
        wanted = 2.0 * left / max(float(goal @ goal), self.ahead**2)
        return float(np.clip(wanted, -self.max_curvature, self.max_curvature))


def _advance(pose: F64, curvature: float, step: float) -> F64:
    """One arc further; yaw is not wrapped, so that poses can be interpolated."""
    half = pose[2] + 0.5 * curvature * step  # chord of a short arc
    moved = np.array([step * np.cos(half), step * np.sin(half), curvature * step])
    return np.asarray(pose + moved)


def point_ahead(route: F64, position: F64, ahead: float) -> F64:
    """The route's point that lies `ahead` metres further along than its point nearest to
    `position`. Before its first and after its last point the route goes straight on."""
    start, leg = route[:-1], np.diff(route, axis=0)
    length = np.linalg.norm(leg, axis=1)
    fraction = ((position - start) * leg).sum(axis=1) / length**2
    low = np.r_[-np.inf, np.zeros(len(leg) - 1)]  # the first and last leg are half-lines
    high = np.r_[np.ones(len(leg) - 1), np.inf]
    fraction = np.clip(fraction, low, high)
    near = start + fraction[:, None] * leg
    leg_index = int(np.argmin(np.linalg.norm(near - position, axis=1)))
    at = float(fraction[leg_index] * length[leg_index]) + ahead
    while leg_index < len(leg) - 1 and at > length[leg_index]:
        at -= float(length[leg_index])
        leg_index += 1
    return np.asarray(start[leg_index] + leg[leg_index] * at / length[leg_index])
