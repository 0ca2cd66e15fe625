"""Boxes on the ground as corners. May import: types, scoring.scene."""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.scene import HEADING, Vehicle, X, Y
from irl_vla.types import F64


def outlines(states: F64, sizes: F64) -> F64:
    """(n, 4, 2) corners FL, RL, RR, FR: states (n, >= 3) x, y, heading of the middle; sizes
    (n, >= 2) length, width."""
    cos, sin = np.cos(states[:, 2]), np.sin(states[:, 2])
    along, aside = np.array([1, -1, -1, 1]) / 2.0, np.array([1, 1, -1, -1]) / 2.0
    x, y = sizes[:, :1] * along, sizes[:, 1:2] * aside
    return np.stack(
        [states[:, :1] + x * cos[:, None] - y * sin[:, None],
         states[:, 1:2] + x * sin[:, None] + y * cos[:, None]], axis=-1,
    )  # fmt: skip


def middle(ego: F64, vehicle: Vehicle) -> F64:
    """(2,) middle of the box of an ego state (11,)."""
    axis = np.array([np.cos(ego[HEADING]), np.sin(ego[HEADING])])
    return np.asarray(ego[[X, Y]] + axis * vehicle.centre)


def outline(ego: F64, vehicle: Vehicle) -> F64:
    """(4, 2) corners of the ego's box."""
    state = np.array([[*middle(ego, vehicle), ego[HEADING]]])
    return np.asarray(outlines(state, np.array([[vehicle.length, vehicle.width]]))[0])
