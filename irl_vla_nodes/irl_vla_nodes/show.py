"""What RViz and Foxglove draw of a plan. No ROS here."""

from __future__ import annotations

import numpy as np

from irl_vla.messages.geometry_messages import BoxMarkers, Colour, LineMarkers
from irl_vla.types import F64, Plan

CHOSEN_COLOUR, OTHER_COLOUR = Colour(0.0, 0.6, 0.45, 1.0), Colour(0.6, 0.6, 0.6, 0.6)
ABOVE_GROUND_M = 0.1  # so that lines are not hidden by a ground plane


def plan_lines(plan: Plan) -> list[BoxMarkers | LineMarkers]:
    """The path that is driven, and the other candidates."""
    poses = plan.trajectory.poses[None]
    lines: list[BoxMarkers | LineMarkers] = [LineMarkers("chosen", _line(poses), CHOSEN_COLOUR)]
    finite = np.isfinite(plan.candidates.poses).all(axis=(1, 2))
    others = _line(plan.candidates.poses[finite])
    lines.append(LineMarkers("candidates", others, OTHER_COLOUR, 0.05))
    return lines


def _line(poses: F64) -> F64:
    """(K, T, 3) planar poses -> (K, T + 1, 3) points above the ground, from the ego onwards."""
    points = np.concatenate([np.zeros((len(poses), 1, 3)), poses], axis=1)
    points[..., 2] = ABOVE_GROUND_M
    return points
