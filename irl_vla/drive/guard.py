"""The guard: what the car may be asked to do.

A candidate is refused when it is not finite, does not start where the ego is, asks for more than
the car can do, or is in conflict with what was seen. The first one left drives; if none is left
the fallback does (fallback.py). May import: types, vehicle, scoring.compiled, check_kernels,
checks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl_vla.drive import check_kernels as kernels
from irl_vla.drive.check_kernels import FINE, REASONS, PlanBounds
from irl_vla.drive.checks import Surroundings, body_of
from irl_vla.scoring.compiled import plain
from irl_vla.types import F64, FALLBACK_UNTIL_S, Candidates, EgoStatus, Rejection
from irl_vla.vehicle import Vehicle

WORDS = {  # a, b: the numbers of a verdict
    kernels.NAN: "poses are not finite",
    kernels.TOO_FAST: "{a:.1f} m/s, at most {limit.max_speed}",
    kernels.REVERSES: "{a:.1f} m/s",
    kernels.JUMPS: "starts at {a:.1f} m/s while the ego drives {b:.1f}",
    kernels.ACCELERATES: "{a:.1f} m/s^2, at most {limit.max_acceleration}",
    kernels.BRAKES: "{a:.1f} m/s^2, at most {limit.max_braking}",
    kernels.SLIDES: "moves {a:.1f} m aside of its heading in one step",
    kernels.TURNS: "{a:.2f} rad in {b:.1f} m",
    kernels.CORNERS: "{a:.1f} m/s^2 sideways, at most {limit.max_lateral}",
    kernels.COLLISION: "with agent {a:.0f} after {b:.1f} s",
    kernels.RED_LIGHT: "crosses it after {a:.1f} s",
    kernels.BOUNDARY: "crosses it after {a:.1f} s",
    kernels.OFF_ROAD: "after {a:.1f} s",
}


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """How strictly plans are checked, beside the vehicle's own limits.

    sure_score: an agent that was seen only once must be so sure to be braked hard for
    fallback_until_s: [s after the anchor] the latest moment at which the car may begin the fallback
    of a plan: the age of the pictures when it is published, and the monitor's silence
    """

    max_reverse: float = 0.3  # [m/s] backwards: noise of a standing car, never a manoeuvre
    max_start_error: float = 2.0  # [m/s] first interval against the present speed, beyond braking
    max_slip: float = 0.35  # [rad] between the heading and the way it moves, when it moves
    sure_score: float = 0.7
    fallback_until_s: float = FALLBACK_UNTIL_S

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 < value < np.inf:
                raise ValueError(f"guard.{name}: expected a positive finite number, got {value}")

    def bounds(self, vehicle: Vehicle) -> PlanBounds:
        """As the kernels read them."""
        limits = vehicle.limits
        return PlanBounds(
            limits.max_speed, self.max_reverse, limits.max_acceleration, limits.max_braking,
            limits.max_lateral, limits.max_curvature, self.max_start_error, self.max_slip,
        )  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What the guard lets through. chosen: index into the candidates, None when none is left;
    rejected: those that were tried before it, in the order in which they were tried."""

    chosen: int | None
    rejected: tuple[Rejection, ...]


def best_first(preference: F64) -> NDArray[np.int64]:
    """(K,) order by a preference (K,) such as the policy's confidence or a ranker's score; one that
    is not a number comes last."""
    known = np.nan_to_num(preference, nan=-np.inf)
    return np.argsort(-known, kind="stable").astype(np.int64)


def choose(
    candidates: Candidates, order: NDArray[np.int64], ego: EgoStatus, seen: Surroundings,
    vehicle: Vehicle, config: GuardConfig,
) -> Choice:  # fmt: skip
    """The first drivable candidate. order: (K,) in which they are tried, see `best_first`."""
    bounds, verdicts = config.bounds(vehicle), np.zeros((len(order), 3))
    rows = candidates.poses.shape[1] * FINE + 1
    tried = kernels.first_free(
        plain(candidates.poses), np.ascontiguousarray(order, np.int64), candidates.step_s,
        float(ego.velocity[0]), bounds, body_of(vehicle), seen.scene, np.empty((rows, 5)),
        np.empty((rows, 4)), np.empty((candidates.poses.shape[1] + 1, 4)), verdicts,
    )  # fmt: skip
    rejected = tuple(
        Rejection(int(index), REASONS[int(verdict[0])], explained(verdict, bounds))
        for index, verdict in zip(order[:tried], verdicts, strict=False)
    )
    return Choice(int(order[tried]) if tried < len(order) else None, rejected)


def explained(verdict: F64, bounds: PlanBounds) -> str:
    """What a verdict says in words. verdict: (3,) code and its two numbers."""
    code, a, b = int(verdict[0]), float(verdict[1]), float(verdict[2])
    return WORDS[code].format(a=a, b=b, limit=bounds)
