"""`plans.mcap`: what the car would have published, to be opened in Foxglove or RViz.

/irl_vla/plan irl_vla_msgs/Plan (everything, exact) · /irl_vla/trajectory nav_msgs/Path ·
/irl_vla/candidates visualization_msgs/MarkerArray · /tf and odometry of the ego ·
/irl_vla/annotations/CAMERA foxglove_msgs/ImageAnnotations: the plan in that camera's pixels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.bag.bag_files import Closing
from irl_vla.bag.bag_writer import BagWriter
from irl_vla.drive.core import DrivingCore
from irl_vla.drive.step import Step
from irl_vla.evaluation.camera_lines import ground_line
from irl_vla.messages.geometry_messages import Colour, LineMarkers
from irl_vla.messages.messages import new, time_message
from irl_vla.types import F64, EgoMotion, Plan

TRAJECTORY, CANDIDATES = "/irl_vla/trajectory", "/irl_vla/candidates"
CHOSEN_COLOUR, OTHER_COLOUR = Colour(0.0, 0.6, 0.45, 1.0), Colour(0.6, 0.6, 0.6, 0.6)
ANNOTATIONS = "foxglove_msgs/msg/ImageAnnotations"
LINE_STRIP, LINE_PX = 3, 4.0  # type of a PointsAnnotation; its thickness
ABOVE_GROUND_M = 0.1  # so that lines are not hidden by a ground plane


def annotation_topic(camera: str) -> str:
    """Where the plan in a camera's pixels is written."""
    return f"/irl_vla/annotations/{camera}"


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
        for camera in core.rig.cameras:
            message = _annotations(ground_line(camera, plan.trajectory.poses), stamp)
            self._writer.write(annotation_topic(camera.name), ANNOTATIONS, message, stamp)


def _annotations(lines: Sequence[F64], stamp: int) -> Any:
    """Lines of (n, 2) pixels -> foxglove_msgs/ImageAnnotations."""
    colour = new("foxglove_msgs/msg/Color", **asdict(CHOSEN_COLOUR))
    clear = new("foxglove_msgs/msg/Color", r=0.0, g=0.0, b=0.0, a=0.0)
    points = [
        new(
            "foxglove_msgs/msg/PointsAnnotation", timestamp=time_message(stamp), type=LINE_STRIP,
            points=[new("foxglove_msgs/msg/Point2", x=float(x), y=float(y)) for x, y in line],
            outline_color=colour, outline_colors=[], fill_color=clear, thickness=LINE_PX,
        )
        for line in lines
    ]  # fmt: skip
    return new(ANNOTATIONS, circles=[], points=points, texts=[])


def _line(poses: F64) -> F64:
    """(K, T, 3) planar poses -> (K, T + 1, 3) points above the ground, from the ego onwards."""
    points = np.concatenate([np.zeros((len(poses), 1, 3)), poses], axis=1)
    points[..., 2] = ABOVE_GROUND_M
    return points
