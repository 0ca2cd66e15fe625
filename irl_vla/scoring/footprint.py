"""Where the ego's box stands, given its rear axle. May import: frames, types, scoring.scene."""

from __future__ import annotations

import numpy as np

from irl_vla.frames import ahead_of, box_corners
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle


def middle(axle: F64, vehicle: Vehicle) -> F64:
    """(2,) middle of the box; axle: (>= 3,) x, y, heading of the rear axle, or a whole state."""
    return ahead_of(axle, vehicle.centre)


def footprint(axle: F64, vehicle: Vehicle) -> F64:
    """(4, 2) its corners front left, rear left, rear right, front right."""
    box = np.array([[*middle(axle, vehicle), axle[2]]])
    return np.asarray(box_corners(box, np.array([[vehicle.length, vehicle.width]]))[0])
