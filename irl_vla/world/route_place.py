"""Where along a path something is, looked for near where it was: a route may come by the same spot
twice. May import: scoring.compiled, scoring.scene, types, world.route_lanes, world.routes.
"""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.compiled import plain
from irl_vla.scoring.scene import HEADING, X, Y
from irl_vla.types import F64
from irl_vla.world.route_lanes import nearest
from irl_vla.world.routes import Path

REACH_M = 15.0  # [m] along the path, both ways, within which the next place is looked for


def place_near(path: Path, before: float, ego: F64) -> tuple[float, float]:
    """(s, offset) of a pose or state (>= 3,) that was at s = before a moment ago."""
    first = max(int(np.searchsorted(path.arcs, before - REACH_M)) - 1, 0)
    last = min(int(np.searchsorted(path.arcs, before + REACH_M)) + 1, len(path.arcs) - 1)
    return nearest(
        plain(path.poses[:, :2]), path.arcs, plain(path.poses[:, 2]), first, last,
        float(ego[X]), float(ego[Y]), float(ego[HEADING]), 0.0,
    )  # fmt: skip


def places(path: Path, egos: F64) -> F64:
    """(T,) s of poses or states (T, >= 3) that follow one another."""
    s, _ = path.place(egos[0, [X, Y, HEADING]])
    found = np.empty(len(egos))
    for k, ego in enumerate(egos):
        s, _ = place_near(path, s, ego)
        found[k] = s
    return found
