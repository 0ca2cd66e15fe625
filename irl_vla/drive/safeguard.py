"""From candidates to a plan that may be driven, and the stop where there is none.

It remembers what was seen and driven last: a stop follows the last good path, and an agent that is
seen again is no ghost. May import: types, frames, vehicle, camera.projection, history, checks,
guard, fallback, stops, warm.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.projection import BevGrid
from irl_vla.drive.checks import Surroundings, checked_until, seen_again, slowed, surroundings
from irl_vla.drive.fallback import Known, best_stop, lead_of, standing_start, unchecked_stop
from irl_vla.drive.guard import Choice, GuardConfig, choose
from irl_vla.drive.history import EgoHistory
from irl_vla.drive.stops import COMFORTABLE_M_S2, present_arc, rest_of
from irl_vla.drive.warm import warm_guard
from irl_vla.frames import inverse, pose_of
from irl_vla.perception.classes import SceneClasses
from irl_vla.types import (
    F64,
    HORIZON_POSES,
    PLAN_DT_S,
    SECOND_NS,
    Candidates,
    EgoStatus,
    Fallback,
    ModelRecord,
    Plan,
    PlanReason,
    Rejection,
    SceneTokens,
    Schedule,
    Trajectory,
)
from irl_vla.vehicle import Vehicle

LAST_PATH_NS = 2 * SECOND_NS  # a stop follows a path that is at most so old
LAST_SEEN_NS = SECOND_NS  # and is checked against what was seen at most so long ago


@dataclass(frozen=True)
class Remembered:
    """What later stops and sightings build on, as of the last anchor that was planned.

    path: (n, 3) poses of the last good plan, from the ego's own at `path_ns` on, or None
    seen: what was seen at `seen_ns`, or None
    """

    path: F64 | None = None
    path_ns: int = 0
    seen: Surroundings | None = None
    seen_ns: int = 0


class Safeguard:
    """The guard of one car, with its memory. history: the ego motion that the core is told."""

    def __init__(self, history: EgoHistory, config: GuardConfig, vehicle: Vehicle) -> None:
        self.history, self.config, self.vehicle = history, config, vehicle
        self.memory = Remembered()
        warm_guard()

    def forget(self) -> None:
        """Another time or place: what was seen and driven lies nowhere."""
        self.memory = Remembered()

    def surroundings(
        self, tokens: SceneTokens, area: BevGrid | None, classes: SceneClasses, ego: EgoStatus
    ) -> Surroundings:
        """What the tokens show; agents that were seen before, too, are confirmed. area: that is
        observed, or None for a policy without perception; classes: of the bundle that saw."""
        seen = surroundings(tokens, area, classes, self.vehicle, self.config.sure_score)
        before, age_ns = self.memory.seen, ego.stamp_ns - self.memory.seen_ns
        if before is None or not 0 < age_ns <= LAST_SEEN_NS:
            return seen
        then = self._now_from(ego, self.memory.seen_ns)
        return seen if then is None else seen_again(seen, before, pose_of(then), age_ns / SECOND_NS)

    def plan(
        self, candidates: Candidates, order: NDArray[np.int64], seen: Surroundings, ego: EgoStatus,
        schedule: Schedule, bundle_id: str, model: ModelRecord,
    ) -> Plan:  # fmt: skip
        """Choose in this order (K,), slow down where the plan leaves what was observed, and make
        the fallback."""
        choice = choose(candidates, order, ego, seen, self.vehicle, self.config)
        if choice.chosen is None:
            step_s, count = candidates.step_s, candidates.poses.shape[1]
            fallback = self._best_stop(ego, Known.now(seen), step_s, count)
            trajectory, until_m = fallback.trajectory, fallback.checked_until_m
            note = fallback.detail
        else:
            poses = candidates.poses[choice.chosen]
            until_m = checked_until(_from_here(poses), seen, self.vehicle)
            trajectory, note = _capped(poses, candidates.step_s, until_m, seen, ego)
            fallback = self._fallback_of(trajectory, seen, ego, schedule.fallback_until_s)
        notes = [*_refused(choice.rejected), *([note] if note else [])]
        plan = Plan(
            ego.stamp_ns, trajectory, candidates, choice.chosen, _reason(choice, fallback),
            "; ".join(notes), choice.rejected, until_m, schedule, bundle_id, fallback, model,
        )  # fmt: skip
        self._remember(plan, seen)
        return plan

    def stop(self, ego: EgoStatus, seen: Surroundings | None) -> Fallback:
        """Where there is no plan. seen: at this anchor; None: what was seen at most a second ago,
        moved on to now, is what the stop is checked against."""
        known = self._last_known(ego) if seen is None else Known.now(seen)
        if known is None:
            return unchecked_stop(self._paths(ego)[0], float(ego.velocity[0]), self.vehicle)
        return self._best_stop(ego, known)

    def _best_stop(
        self, ego: EgoStatus, known: Known, step_s: float = PLAN_DT_S, count: int = HORIZON_POSES
    ) -> Fallback:
        lead = standing_start(float(ego.velocity[0]))
        return best_stop(self._paths(ego), lead, known, self.vehicle, step_s, count)

    def _fallback_of(
        self, trajectory: Trajectory, seen: Surroundings, ego: EgoStatus, until_s: float
    ) -> Fallback:
        """Of a plan that is driven until the silence is noticed."""
        lead = lead_of(trajectory, float(ego.velocity[0]), until_s)
        paths, count = [_from_here(trajectory.poses)], len(trajectory.poses)
        return best_stop(paths, lead, Known.now(seen), self.vehicle, trajectory.step_s, count)

    def _remember(self, plan: Plan, seen: Surroundings) -> None:
        """Only what leads to a plan is remembered: who repeats the recording of a drive knows it,
        too."""
        now = replace(self.memory, seen=seen, seen_ns=plan.anchor_stamp_ns)
        if plan.chosen is not None:
            path = _from_here(plan.trajectory.poses)
            now = replace(now, path=path, path_ns=plan.anchor_stamp_ns)
        self.memory = now

    def _last_known(self, ego: EgoStatus) -> Known | None:
        """What was seen last, moved on to now; None where that is too long ago."""
        seen, age_ns = self.memory.seen, ego.stamp_ns - self.memory.seen_ns
        if seen is None or not 0 <= age_ns <= LAST_SEEN_NS:
            return None
        then = self._now_from(ego, self.memory.seen_ns)
        if then is None:
            return None
        return Known(seen.after(age_ns / SECOND_NS), pose_of(inverse(then)))

    def path_now(self, ego: EgoStatus) -> F64 | None:
        """(n, 3) what is left of the last good path, in the present ego frame, or None."""
        path, age_ns = self.memory.path, ego.stamp_ns - self.memory.path_ns
        if path is None or not 0 <= age_ns <= LAST_PATH_NS:
            return None
        then = self._now_from(ego, self.memory.path_ns)
        return None if then is None else rest_of(path, pose_of(inverse(then)))

    def _paths(self, ego: EgoStatus) -> list[F64]:
        """What is left of the last good path, where there is one, and the present arc."""
        path = self.path_now(ego)
        return [present_arc(ego)] if path is None else [path, present_arc(ego)]

    def _now_from(self, ego: EgoStatus, then_ns: int) -> F64 | None:
        """(4, 4) takes points of the ego frame at `then_ns` into the present one."""
        return self.history.now_from_then(ego.stamp_ns, then_ns, ego.measured_ns)


def _capped(
    poses: F64, step_s: float, until_m: float, seen: Surroundings, ego: EgoStatus
) -> tuple[Trajectory, str]:
    """The poses, slower where they leave what was observed, and a note of that."""
    if seen.area is None:
        return Trajectory(poses, step_s), ""
    capped = slowed(poses, step_s, until_m, float(ego.velocity[0]), COMFORTABLE_M_S2)
    if np.allclose(capped.poses, poses, atol=1e-6):
        return Trajectory(poses, step_s), ""
    return capped, f"slowed down: nothing is known beyond {until_m:.1f} m"


def _from_here(poses: F64) -> F64:
    """(T, 3) poses of a plan -> (T + 1, 3), from the ego's own on."""
    return np.vstack([np.zeros(3), poses])


def _refused(rejected: tuple[Rejection, ...]) -> list[str]:
    """One sentence for all refused candidates; each has its own in `Plan.rejected`."""
    if not rejected:
        return []
    names = Counter(rejection.reason for rejection in rejected)
    counts = ", ".join(f"{name} {count}" for name, count in names.most_common())
    return [f"{len(rejected)} better candidates refused ({counts})"]


def _reason(choice: Choice, fallback: Fallback) -> PlanReason:
    if choice.chosen is None:
        return PlanReason(fallback.reason.value)
    return PlanReason.NEXT_BEST_CANDIDATE if choice.rejected else PlanReason.BEST_CANDIDATE
