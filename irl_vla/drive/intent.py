"""What navigation wants, carried along as the car moves.

A route arrives in the ego frame of its stamp; it is pinned to the world once and asked for in the
ego frame of any later stamp. May import: types, frames, history.
"""

from __future__ import annotations

import numpy as np

from irl_vla.drive.history import EgoHistory
from irl_vla.frames import inverse, move
from irl_vla.types import F64, Intent


class IntentMemory:
    """The last intent. Without one the direction is UNKNOWN."""

    def __init__(self) -> None:
        self._intent = Intent()
        self._route_world: F64 | None = None

    def take(self, intent: Intent) -> None:
        """The intent from now on."""
        self._intent, self._route_world = intent, None

    def forget_route(self) -> None:
        """After a jump in time or place the route lies nobody knows where; the direction stays."""
        self._intent = Intent(self._intent.direction, None, self._intent.stamp_ns)
        self._route_world = None

    def at(self, stamp_ns: int, history: EgoHistory, until_ns: int) -> Intent:
        """The intent with its route in the ego frame at `stamp_ns`; without the route where the
        ego's place at either stamp is not known, or when all of it lies behind the car."""
        intent = self._intent
        if intent.route is None:
            return intent
        then = history.pose(intent.stamp_ns, until_ns)
        now = history.pose(stamp_ns, until_ns)
        if self._route_world is None and then is not None:
            points = np.column_stack([intent.route, np.zeros(len(intent.route))])
            self._route_world = move(points, then)
        if self._route_world is None or now is None:
            return Intent(intent.direction, None, intent.stamp_ns)
        route = move(self._route_world, inverse(now))[:, :2]
        ahead = bool(np.any(route[:, 0] > 0.0))
        return Intent(intent.direction, route if ahead else None, stamp_ns)
