"""Where along a path something is, looked for near where it was: a route may come by the same spot
twice. May import: scoring.compiled, scoring.scene, types, world.route_lanes, world.routes.
"""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.compiled import plain
from irl_vla.scoring.scene import HEADING, X, Y
from irl_vla.types import F64
from irl_vla.world.route_lanes import nearest
from irl_vla.world.routes import RoutePath

REACH_M = 15.0  # [m] along the path, both ways, within which the next place is looked for


def place_near(path: RoutePath, before: float, ego: F64) -> tuple[float, float]:
    """(s, offset) of a pose or state (>= 3,) that was at s = before a moment ago."""
    return _near(plain(path.poses[:, :2]), path.arcs, plain(path.poses[:, 2]), before, ego)


def _near(line: F64, arcs: F64, headings: F64, before: float, ego: F64) -> tuple[float, float]:
    first = max(int(np.searchsorted(arcs, before - REACH_M)) - 1, 0)
    last = min(int(np.searchsorted(arcs, before + REACH_M)) + 1, len(arcs) - 1)
    return nearest(
        line, arcs, headings, first, last, float(ego[X]), float(ego[Y]), float(ego[HEADING]), 0.0
    )


def places(path: RoutePath, egos: F64) -> F64:
    """(T,) s of poses or states (T, >= 3) that follow one another."""
    s, _ = path.place(egos[0, [X, Y, HEADING]])
    line, headings, found = plain(path.poses[:, :2]), plain(path.poses[:, 2]), np.empty(len(egos))
    for k, ego in enumerate(egos):
        s, _ = _near(line, path.arcs, headings, s, ego)
        found[k] = s
    return found
