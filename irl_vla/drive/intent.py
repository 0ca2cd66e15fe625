"""What navigation wants, carried along as the car moves.

A route arrives in the ego frame of its stamp; it is pinned to the world once and asked for in the
ego frame of any later stamp. May import: types, frames, history.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.drive.history import EgoHistory
from irl_vla.frames import inverse, move
from irl_vla.types import F64, Intent

KEPT = 32  # intents that are remembered: 1 s of a navigation at 30 Hz


@dataclass
class _Pinned:
    """An intent, and where its route lies in the world, once that is known."""

    intent: Intent
    route_world: F64 | None = None


class IntentMemory:
    """The last intent of each moment: what is stamped later says nothing about now, however early
    it was heard. Without one the direction is UNKNOWN."""

    def __init__(self) -> None:
        self._taken: list[_Pinned] = [_Pinned(Intent())]

    def take(self, intent: Intent) -> None:
        """The intent from its stamp on; a stamp that runs back starts anew."""
        before = [old for old in self._taken if old.intent.stamp_ns < intent.stamp_ns]
        self._taken = [*before[-KEPT:], _Pinned(intent)]

    def forget_route(self) -> None:
        """After a jump in time or place the route lies nobody knows where; the direction stays."""
        self._taken = [_Pinned(Intent(self._taken[-1].intent.direction))]

    def at(self, stamp_ns: int, history: EgoHistory, until_ns: int) -> Intent:
        """The intent with its route in the ego frame at `stamp_ns`; without the route where the
        ego's place at either stamp is not known, or when all of it lies behind the car."""
        known = [pinned for pinned in self._taken if pinned.intent.stamp_ns <= stamp_ns]
        pinned = known[-1] if known else self._taken[0]
        intent = pinned.intent
        if intent.route is None:
            return intent
        then = history.pose(intent.stamp_ns, until_ns)
        now = history.pose(stamp_ns, until_ns)
        if then is not None:  # as long as it is remembered: the same numbers whoever asked before
            points = np.column_stack([intent.route, np.zeros(len(intent.route))])
            pinned.route_world = move(points, then)
        if pinned.route_world is None or now is None:
            return Intent(intent.direction, None, intent.stamp_ns)
        route = move(pinned.route_world, inverse(now))[:, :2]
        ahead = bool(np.any(route[:, 0] > 0.0))
        return Intent(intent.direction, route if ahead else None, stamp_ns)
