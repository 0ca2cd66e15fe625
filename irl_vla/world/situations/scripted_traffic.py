"""Traffic with a part to play: road users that are placed on purpose, and what they do on cue.

Whoever plays a part is an ordinary member of the traffic, so all others see it and it sees them; an
event gives it one order at the right moment. May import: scoring.scene, types, world.*.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from irl_vla.types import F64
from irl_vla.world.episode import Note, WorldState
from irl_vla.world.traffic.fleet import (
    ALIVE,
    BIKE,
    COUNT,
    FACTOR,
    LENGTH,
    NOSE,
    OFFSET,
    REAR,
    SPENT,
    STILL,
    STOOD,
    A,
    Fleet,
    S,
    V,
)
from irl_vla.world.traffic.footpaths import give_line
from irl_vla.world.traffic.lane_network import LaneNetwork
from irl_vla.world.traffic.path import find_connectors, lay, place, profile
from irl_vla.world.traffic.pedestrians import JAYWALKER, STANDING
from irl_vla.world.traffic.scripts import ScriptContext
from irl_vla.world.traffic.step import remove
from irl_vla.world.traffic.traffic import Traffic, ego_box

LONGEST_M = 6.5  # [m] of vehicles that play a part
TRIES = 40  # draws of a way through the junctions ahead
IN_LANE_M = 2.2  # [m] from a line: on it


class ScriptedEvent(Protocol):
    """Something that happens once. `begins` gives the order and returns the actors concerned, or
    None while its moment has not come."""

    @property
    def what(self) -> str:
        """Its name in the notes."""

    def begins(self, context: ScriptContext) -> tuple[int, ...] | None:
        """See above."""


class ScriptedTraffic(Traffic):
    """Traffic that plays a situation. Build it, place who plays a part, then `plays`."""

    _events: tuple[ScriptedEvent, ...] = ()

    def plays(self, *events: ScriptedEvent) -> None:
        """From now on these events wait for their moments."""
        self._events = events

    def step(self, moment: WorldState) -> None:
        """Moves on by 0.1 s, after whatever begins now."""
        if self._events:
            context = self._context(moment)
            for event in self._events:
                actors = event.begins(context)
                if actors is not None:
                    self._notes += (Note(event.what, moment.time_s, actors),)
                    self._events = tuple(other for other in self._events if other is not event)
        super().step(moment)

    def copy(self) -> ScriptedTraffic:
        """One that goes its own way from here."""
        twin = object.__new__(ScriptedTraffic)
        twin.__dict__.update(super().copy().__dict__)
        return twin

    def parts(self) -> list[int]:
        """Cars that nobody drives yet."""
        first = self._request.vehicles + self._request.cyclists
        fleet = self._fleet
        fits = (fleet.g[:, ALIVE] == 0) & (fleet.g[:, BIKE] == 0) & (fleet.g[:, SPENT] == 0)
        fits &= fleet.f[:, LENGTH] < LONGEST_M
        return [int(i) for i in np.flatnonzero(fits) if i >= first]

    def size_of(self, i: int) -> F64:
        """(2,) length and width of mover i [m]."""
        return np.asarray(2.0 * self._fleet.half[i])

    def put(
        self, lane: int, middle_m: float, speed: float, through: int | None = None,
        aside: float = 0.0, still: bool = False,
    ) -> int:  # fmt: skip
        """Puts a car on a lane, its middle at an arc of it, and returns its index. through: a
        junction lane that it will take; aside: to the left of the lane's middle [m]; still: it
        stands there for good, hazard lights on."""
        net, fleet, i = self._net, self._fleet, self.parts()[0]
        rear = middle_m - (fleet.f[i, NOSE] - fleet.f[i, REAR]) / 2.0
        for _ in range(TRIES):
            fleet.f[i, OFFSET] = aside
            lay(net, fleet, i, lane, rear, 0.0, 1.0)
            if through is None or through in fleet.lane[i, : fleet.g[i, COUNT]]:
                break
        fleet.f[i, V], fleet.f[i, A], fleet.f[i, STOOD] = speed, 0.0, 0.0
        fleet.g[i, ALIVE], fleet.g[i, STILL], fleet.present[i] = 1, int(still), True
        place(fleet, i)
        find_connectors(net, fleet, i, 60.0)
        return i

    def drive_at(self, i: int, speed: float) -> None:
        """Mover i wants about this speed from now on [m/s]."""
        slow_to(self._net, self._fleet, i, speed)

    def clear(self, line: F64, kept: tuple[int, ...] = ()) -> None:
        """Takes everybody on wheels off a line (n, >= 2)."""
        fleet = self._fleet
        for i in np.flatnonzero(fleet.g[:, ALIVE] == 1).tolist():
            gaps = np.hypot(*(line[:, :2] - fleet.states[i, :2]).T)
            if i not in kept and gaps.min() < IN_LANE_M + fleet.half[i, 0] / 2.0:
                remove(fleet, i)
                fleet.g[i, SPENT] = 1

    def boxes(self) -> F64:
        """(n, 5) x, y, heading, half length, half width of all that stand for good."""
        first = self._walkers.first + len(self._walkers.mode)
        return np.column_stack([self._fleet.states[first:, :3], self._fleet.half[first:]])

    def wait_at(self, line: F64, pace: float) -> int:
        """Somebody on foot stands at the begin of a line (2, 2) over the road, and will walk along
        it with `pace` [m/s] when told to. Returns who, as a place in the walkers."""
        walkers, p = self._walkers, len(self._walkers.mode) - 1
        length = float(np.hypot(*(line[1] - line[0])))
        give_line(walkers, p, np.asarray(line), 0.0, length)
        walkers.s[p], walkers.side[p], walkers.way[p], walkers.pace[p] = 0.0, 0.0, 1.0, pace
        walkers.mode[p], walkers.starts[p], walkers.walk[p] = STANDING, np.inf, JAYWALKER
        walkers.speed[p], walkers.held[p] = 0.0, 0.0
        way = line[1] - line[0]
        actor = walkers.first + p
        self._fleet.states[actor] = *line[0], np.arctan2(way[1], way[0]), 0.0, 0.0
        self._fleet.present[actor] = True
        return p

    def _context(self, moment: WorldState) -> ScriptContext:
        return ScriptContext(
            self._net, self._fleet, self._walkers, ego_box(moment.ego, self._vehicle),
            moment.lights, moment.time_s, self._claims, self._places, self._footpaths,
        )  # fmt: skip


def slow_to(net: LaneNetwork, fleet: Fleet, i: int, speed: float) -> None:
    """Mover i wants about this speed from now on [m/s], where limit and bends allow more."""
    lane = fleet.lane[i, int(fleet.f[i, S])]
    fleet.f[i, FACTOR] = speed / net.limit[lane]
    profile(net, fleet, i)
