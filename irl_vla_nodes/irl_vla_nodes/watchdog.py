"""The watchdog: which trajectory the car is given, now that a plan came or did not come. No ROS.

A good plan is driven. Without one for too long the car drives the fallback of the last good one:
the planner has chosen its path and braking, and has checked them for this moment. The watchdog only
moves it to where the car is now; where that is not known any more, to where the car is by the plan.
The planner drives again after several good plans in a row. Nothing is published before the first.

A machine that is a little too slow would be stopped and released every few seconds. Each stop after
which plans merely came late therefore doubles the number of good plans that the next release takes,
until the planner has driven undisturbed for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from irl_vla.drive.history import EgoHistory
from irl_vla.drive.stops import rest_of, stop_along
from irl_vla.frames import inverse, pose_of
from irl_vla.types import F64, SECOND_NS, EgoMotion, Plan, StopReason, Trajectory

AHEAD_S = 0.5  # [s] a plan stamped so far in the future is of another clock
LATE_S = 0.5  # [s] plans that come again after at most so long were late; a dead node takes longer
CALM_S = 30.0  # [s] undisturbed driving after which stops are forgiven
MOST_DOUBLINGS = 5


class ControlAuthority(str, Enum):
    """Who drives."""

    NOBODY = "waits for a first plan"
    PLANNER = "the planner drives"
    STOP = "the monitor stops the car"


@dataclass(frozen=True)
class TrajectoryCommand:
    """What the vehicle interface is given. stamp_ns: of the frame that the poses are in."""

    stamp_ns: int
    trajectory: Trajectory
    reason: str


class Watchdog:
    """Times of hearing (`heard_s`) are of a clock that runs evenly; stamps are the car's. Where the
    clock of hearing runs back (a bag that begins again), silence is counted from there."""

    def __init__(self, silence_s: float, max_plan_age_s: float, good_plans: int) -> None:
        self.silence_s, self.max_plan_age_s, self.good_plans = silence_s, max_plan_age_s, good_plans
        self.history = EgoHistory()
        self.authority = ControlAuthority.NOBODY
        self.rejected = ""  # why the last plan was not taken
        self.stops = 0  # so often the monitor had to take over
        self._resets = 0
        self._last: Plan | None = None
        self._world_from_anchor: F64 | None = None
        self._heard_s = 0.0  # when the last good plan was heard
        self._good = 0
        self._late_stops = 0  # since the planner last drove undisturbed
        self._judge_stop = False  # whether the last stop's cause is still open
        self._released_s = 0.0  # when it was last given control
        self._blind: TrajectoryCommand | None = None

    def add_motion(self, motion: EgoMotion) -> str:
        """One measurement of the ego; "", or why it is of no use."""
        wrong = self.history.add(motion)
        if self.history.resets != self._resets:  # another time or place: old paths lie nowhere
            self._resets = self.history.resets
            self._last, self._world_from_anchor, self._blind = None, None, None
        return wrong

    def take_plan(self, plan: Plan, now_ns: int, heard_s: float) -> TrajectoryCommand | None:
        """A plan was heard; the command to publish, if it is driven."""
        self.rejected = self._fault(plan, now_ns)
        if self.rejected:
            self._good = 0
            return None
        silent_s = heard_s - self._heard_s
        in_row = 0.0 <= silent_s <= self.silence_s
        self._count(silent_s, heard_s, in_row)
        self._good = self._good + 1 if in_row else 1
        self._heard_s, self._last, self._blind = heard_s, plan, None
        stamp = plan.anchor_stamp_ns
        self._world_from_anchor = self.history.pose(stamp, self.history.newest(stamp))
        if self.authority is ControlAuthority.STOP and self._good < self.needed_plans:
            return None
        if self.authority is not ControlAuthority.PLANNER:
            self._released_s = heard_s
        self.authority = ControlAuthority.PLANNER
        return TrajectoryCommand(stamp, plan.trajectory, plan.reason.value)

    @property
    def needed_plans(self) -> int:
        """So many good plans in a row end a stop."""
        doublings = min(max(self._late_stops - 1, 0), MOST_DOUBLINGS)
        return int(self.good_plans * 2**doublings)

    @property
    def overload(self) -> str:
        """Why the planner is trusted less than usual, or ""."""
        if self._late_stops < 2:
            return ""
        return (
            f"overload: plans came late {self._late_stops} times, with less than {CALM_S:.0f} s of "
            f"driving in between; a stop now ends after {self.needed_plans} good plans in a row. "
            "Give the nodes more processor time, or the cameras a lower rate"
        )

    @property
    def silent_at_s(self) -> float:
        """When the car will be stopped, unless a good plan comes."""
        return self._heard_s + self.silence_s

    def _count(self, silent_s: float, heard_s: float, in_row: bool) -> None:
        if self._judge_stop and not in_row:  # the first plan since the stop began
            self._judge_stop = False
            self._late_stops += silent_s <= LATE_S
        driven_s = heard_s - self._released_s
        if self.authority is ControlAuthority.PLANNER and driven_s > CALM_S:
            self._late_stops = 0

    def take_refusal(self) -> None:
        """The planner said why there is no plan."""
        self._good = 0

    def tick(self, now_ns: int, heard_s: float) -> TrajectoryCommand | None:
        """Time passes; the stop to publish, if there is one."""
        self._heard_s = min(self._heard_s, heard_s)
        silent_s = heard_s - self._heard_s
        if self.authority is ControlAuthority.PLANNER and silent_s > self.silence_s:
            self.authority, self._good = ControlAuthority.STOP, 0
            self._judge_stop = True
            self.stops += 1
        if self.authority is not ControlAuthority.STOP:
            return None
        return self._stop(now_ns, f"no good plan for {silent_s:.2f} s")

    def _fault(self, plan: Plan, now_ns: int) -> str:
        stamp, last = plan.anchor_stamp_ns, self._last
        age_s = (now_ns - stamp) / SECOND_NS
        if not np.isfinite(plan.trajectory.poses).all() or not len(plan.trajectory.poses):
            return "its poses are not numbers"
        if age_s > self.max_plan_age_s:
            return f"it is {age_s:.2f} s old, at most {self.max_plan_age_s} s"
        if age_s < -AHEAD_S:
            return f"it is {-age_s:.2f} s ahead of the car's clock"
        if last is not None and stamp <= last.anchor_stamp_ns:
            return "its stamp does not come after the last one's"
        return ""

    def _stop(self, now_ns: int, reason: str) -> TrajectoryCommand:
        until = self.history.newest(now_ns)
        pose = self.history.pose(now_ns, until)
        ego = self.history.status(now_ns, until)
        if pose is None or not ego.valid:
            self._blind = self._blind or self._blind_stop(now_ns, reason)
            return self._blind
        self._blind = None
        speed = float(ego.velocity[0])
        if self._last is None or self._world_from_anchor is None:
            straight = stop_along(np.zeros((1, 3)), speed)
            return TrajectoryCommand(
                now_ns, straight, f"{StopReason.UNCHECKED_STOP.value}: {reason}"
            )
        ego_pose = pose_of(inverse(self._world_from_anchor) @ pose)
        return TrajectoryCommand(now_ns, *_begun(self._last, ego_pose, speed, reason))

    def _blind_stop(self, now_ns: int, reason: str) -> TrajectoryCommand:
        """From where the last plan says the car is by now, in that frame's place and speed."""
        if self._last is None:
            return TrajectoryCommand(now_ns, stop_along(np.zeros((1, 3)), 0.0), reason)
        poses, step = self._last.trajectory.poses, self._last.trajectory.step_s
        path = np.vstack([np.zeros(3), poses])
        since_s = (now_ns - self._last.anchor_stamp_ns) / SECOND_NS
        at = float(np.clip(since_s / step, 0.0, len(poses)))
        whole = min(int(at), len(poses) - 1)
        here = path[whole] + (at - whole) * (path[whole + 1] - path[whole])
        speed = float(np.hypot(*(path[whole + 1] - path[whole])[:2])) / step
        return TrajectoryCommand(now_ns, *_begun(self._last, here, speed, f"{reason}; ego unknown"))


def _begun(plan: Plan, ego_pose: F64, speed: float, why: str) -> tuple[Trajectory, str]:
    """The plan's fallback, begun at a pose (3,) of the anchor's frame, and what to call it."""
    fallback = plan.fallback
    shape = plan.trajectory.step_s, len(plan.trajectory.poses)
    stop = stop_along(rest_of(fallback.path, ego_pose), speed, fallback.braking, *shape)
    return stop, f"{fallback.reason.value}: {why}"
