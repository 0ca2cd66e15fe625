"""A drive from a begin to an end: how far it is, what went wrong, and when it is over.

May import: types, scoring, world.episode, infractions, routes, town.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from irl_vla.scoring.scene import HEADING, SIM_DT_S, VX, X, Y
from irl_vla.types import InputError
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.world.episode import Actors, WorldState
from irl_vla.world.infractions import DriveScore, InfractionMonitor, judge
from irl_vla.world.routes import RoutePath
from irl_vla.world.town import NONE, Light, Town

WATCHED_S = 2.0  # [s] at the beginning in which somebody else drives: nothing ends the drive yet
STUCK_M_S, STUCK_S = 0.1, 40.0  # slower for so long: blocked, where no light explains it
QUEUE_M = 60.0  # [m] before a light that is not green one may have to stand
SLOWEST_M_S = 2.0  # mean speed that a route may be driven with before time is up
GRACE_S = 60.0  # [s] beside that


class Ending(str, Enum):
    """Why a drive ended."""

    ROUTE_COMPLETED = "route completed"
    COLLISION = "collision"
    LEFT_ROUTE = "left the route"
    BLOCKED = "blocked"
    TIME_UP = "time is up"
    RECORDING_OVER = "the recording ends"
    STOPPED = "stopped"


class RouteMonitor:
    """One drive, whoever drives. Let it `observe` every moment; `ending` says when it is over, and
    why.

    path: the route; first: the moment it begins; route_m: where along the path it is over [m from
    the begin], or None: at its end
    """

    def __init__(
        self,
        town: Town,
        path: RoutePath,
        actors: Actors,
        first: WorldState,
        route_m: float | None = None,
        vehicle: Vehicle = PACIFICA,
    ) -> None:
        start = np.asarray(first.ego[[X, Y, HEADING]])
        self.infraction_monitor = InfractionMonitor(town, path, actors, vehicle, start)
        begin_m = self.infraction_monitor.place_m
        end_m = path.length if route_m is None else begin_m + route_m
        if not begin_m < end_m <= path.length:
            raise InputError(
                f"route: expected at most {path.length - begin_m:.0f} m from where the drive "
                f"begins, got {end_m - begin_m:.0f} m; ask for a shorter one"
            )
        self.span_m = begin_m, end_m  # where along the path the route begins and ends [m]
        self._begin_s = first.time_s
        self._limit_s = WATCHED_S + (end_m - begin_m) / SLOWEST_M_S + GRACE_S
        self._stood_s = 0.0
        self._stops = [stop for stop in path.stops if stop.signal != NONE]
        self.ending: Ending | None = None

    @property
    def distance_m(self) -> float:
        """Length of the route [m]."""
        return self.span_m[1] - self.span_m[0]

    @property
    def completed(self) -> float:
        """Share of the route that was driven, 0..1."""
        done = (self.infraction_monitor.farthest_m - self.span_m[0]) / self.distance_m
        return float(np.clip(done, 0.0, 1.0))

    def taken_over(self, moment: WorldState) -> bool:
        """Whether the first seconds have passed: who is tested drives."""
        return moment.time_s - self._begin_s >= WATCHED_S - SIM_DT_S / 2

    def observe(self, moment: WorldState) -> None:
        """The next moment, 0.1 s after the one before."""
        self.infraction_monitor.observe(moment)
        self.ending = self._over(moment) if self.taken_over(moment) else None

    def score(self, name: str) -> DriveScore:
        """Results of the drive so far. name: of the route."""
        status = "Completed" if self.ending is Ending.ROUTE_COMPLETED else "Failed"
        return judge(self.infraction_monitor, name, self.completed, status, self.span_m)

    def _over(self, moment: WorldState) -> Ending | None:
        """Whether the drive is over now."""
        if self.infraction_monitor.collided:
            return Ending.COLLISION
        if self.infraction_monitor.place_m >= self.span_m[1]:
            return Ending.ROUTE_COMPLETED
        if self.infraction_monitor.lost:
            return Ending.LEFT_ROUTE
        if abs(float(moment.ego[VX])) >= STUCK_M_S:
            self._stood_s = 0.0
        elif not self._waits(moment):
            self._stood_s += SIM_DT_S
        if self._stood_s > STUCK_S:
            return Ending.BLOCKED
        return Ending.TIME_UP if moment.time_s - self._begin_s > self._limit_s else None

    def _waits(self, moment: WorldState) -> bool:
        """Whether a light that is not green is close ahead on the route."""
        ahead = [s for s in self._stops if 0.0 < s.s - self.infraction_monitor.place_m < QUEUE_M]
        return any(moment.lights[stop.signal] != Light.GREEN for stop in ahead)
