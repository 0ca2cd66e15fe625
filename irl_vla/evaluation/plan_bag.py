"""`plans.mcap`: what the car would have published, to be opened in Foxglove or RViz.

/irl_vla/plan irl_vla_msgs/Plan (everything, exact) · /irl_vla/trajectory nav_msgs/Path ·
/irl_vla/candidates visualization_msgs/MarkerArray · /tf and odometry of the ego
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from irl_vla.bag.bag_files import Closing
from irl_vla.bag.bag_writer import BagWriter
from irl_vla.drive.core import DrivingCore
from irl_vla.drive.step import Step
from irl_vla.messages.geometry_messages import Colour, LineMarkers
from irl_vla.types import F64, EgoMotion, Plan

TRAJECTORY, CANDIDATES = "/irl_vla/trajectory", "/irl_vla/candidates"
CHOSEN_COLOUR, OTHER_COLOUR = Colour(0.0, 0.6, 0.45, 1.0), Colour(0.6, 0.6, 0.6, 0.6)
ABOVE_GROUND_M = 0.1  # so that lines are not hidden by a ground plane


class PlanBag(Closing):
    """Writes one replay's plans. A context manager; the file appears when it is closed."""

    def __init__(self, path: Path) -> None:
        self._writer = BagWriter(path)

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()

    def write(self, step: Step, core: DrivingCore) -> None:
        """One anchor: where the ego was and what it planned. A refusal leaves a gap."""
        plan, stamp = step.outcome, step.outcome.anchor_stamp_ns
        pose = core.history.pose(stamp, step.ego.measured_ns)
        if pose is not None and step.ego.valid:
            twist = np.array([*step.ego.velocity, step.ego.yaw_rate])
            self._writer.write_motion(EgoMotion(stamp, pose, twist, step.ego.source))
        if not isinstance(plan, Plan):
            return
        self._writer.write_plan(plan, step.timings_ms)
        self._writer.write_path(TRAJECTORY, plan.trajectory, stamp)
        lines = [LineMarkers("chosen", _line(plan.trajectory.poses[None]), CHOSEN_COLOUR)]
        if np.isfinite(plan.candidates.poses).all():
            others = _line(plan.candidates.poses)
            lines.append(LineMarkers("candidates", others, OTHER_COLOUR, 0.05))
        self._writer.write_markers(CANDIDATES, lines, stamp)


def _line(poses: F64) -> F64:
    """(K, T, 3) planar poses -> (K, T + 1, 3) points above the ground, from the ego onwards."""
    points = np.concatenate([np.zeros((len(poses), 1, 3)), poses], axis=1)
    points[..., 2] = ABOVE_GROUND_M
    return points
