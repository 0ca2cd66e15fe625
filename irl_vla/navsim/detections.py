"""Annotated boxes of a frame -> global boxes, sorted as nuPlan sorts them.

Only the ego HEADING is used to turn positions and velocities: roll, pitch and z are ignored, as in
the original, although the boxes were made with the full rotation.
"""

from __future__ import annotations

import numpy as np

from irl_vla.foreign import brief
from irl_vla.frames import principal_angle
from irl_vla.navsim.records import MOVING_TYPES, OBJECT_TYPES, LogFrame, TrackedObjects
from irl_vla.types import InputError


def detections_of(frame: LogFrame) -> TrackedObjects:
    """Boxes of one frame in the global frame. Raises InputError where the frame has none."""
    found = frame.annotations
    if found is None:
        raise InputError(
            f"frame {frame.token}: it has no annotations ('anns'), so nothing can be scored. "
            "Early downloads of the test logs lack them: download navsim_logs again."
        )
    unknown = sorted(set(found.names) - set(OBJECT_TYPES))
    if unknown:
        raise InputError(f"frame {frame.token}: unknown class {brief(unknown[0])} of an annotation")
    cos, sin = np.cos(frame.pose[2]), np.sin(frame.pose[2])
    boxes, velocities = found.boxes, found.velocities
    states = np.zeros((len(found), 5))
    states[:, 0] = boxes[:, 0] * cos - boxes[:, 1] * sin + frame.pose[0]
    states[:, 1] = boxes[:, 0] * sin + boxes[:, 1] * cos + frame.pose[1]
    states[:, 2] = principal_angle(boxes[:, 6] + frame.pose[2])
    states[:, 3] = velocities[:, 0] * cos - velocities[:, 1] * sin
    states[:, 4] = velocities[:, 0] * sin + velocities[:, 1] * cos
    kinds = np.array([OBJECT_TYPES.index(name) for name in found.names], np.int64)
    states[kinds >= len(MOVING_TYPES), 3:] = 0.0  # static things have no velocity in nuPlan
    order = np.argsort(kinds, kind="stable")
    return TrackedObjects(
        tuple(found.track_tokens[row] for row in order),
        tuple(found.names[row] for row in order),
        states[order],
        boxes[order, 3:6],
    )
