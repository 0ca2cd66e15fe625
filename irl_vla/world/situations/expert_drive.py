"""The expert drives through a situation, under the rules that hold for every policy.

In: Situation   Out: RouteMonitor, Episode   May import: types, scoring.scene, world.
"""

from __future__ import annotations

from dataclasses import dataclass

from irl_vla.vehicle import Vehicle
from irl_vla.world.episode import Episode, WorldState
from irl_vla.world.route_monitor import RouteMonitor
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulation import episode_from
from irl_vla.world.situations.situation import Situation


@dataclass(frozen=True)
class ExpertDrive:
    """What came of it. moments: 0.1 s apart, from the begin to what ended the drive."""

    found: Situation
    monitor: RouteMonitor
    moments: tuple[WorldState, ...]

    def episode(self) -> Episode:
        """The drive as a recording."""
        return episode_from(self.found.simulation, self.moments, self.found.seed, Vehicle())


def expert_drive(found: Situation) -> ExpertDrive:
    """The expert goes on after the first seconds, as whoever is tested would; afterwards the
    situation's simulation stands where the drive ended."""
    simulation = found.simulation
    assert simulation.driver is not None
    path = RoutePath.of(simulation.town, simulation.driver.route)
    monitor = RouteMonitor(
        simulation.town, path, simulation.others.actors, simulation.moment, found.route_m
    )
    moments = []
    while monitor.ending is None:
        moments.append(simulation.moment)
        monitor.observe(simulation.moment)
        if monitor.ending is None:
            simulation.step()
    return ExpertDrive(found, monitor, tuple(moments))
