"""The driver of a recording, at the wheel again. May import: world."""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.scene import SIM_DT_S
from irl_vla.types import InputError
from irl_vla.world.episode import Actors, Episode, WorldState
from irl_vla.world.replayed_traffic import ReplayedTraffic
from irl_vla.world.route_place import places
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulation import DriverAction, Simulation


class RecordedDriver:
    """Implements `simulation.Driver`: goes exactly where the ego of an episode went."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode

    @property
    def route(self) -> tuple[int, ...]:
        """Lanes that were followed."""
        return self._episode.route

    def drive(self, moment: WorldState, actors: Actors) -> DriverAction:
        """The next recorded state. Raises InputError at the end of the recording."""
        step = round(moment.time_s / SIM_DT_S) + 1
        if step >= len(self._episode):
            raise InputError(f"the recording ends after {len(self._episode)} moments")
        return DriverAction(np.array(self._episode.ego[step]), int(self._episode.ego_lamps[step]))

    def copy(self) -> RecordedDriver:
        """The same: it remembers nothing."""
        return self


def driven_m(episode: Episode) -> float:
    """How far [m] along its route the recorded driver went."""
    first, *_, last = places(RoutePath.of(episode.town, episode.route), episode.ego)
    return float(last - first)


def recorded_simulation(episode: Episode) -> Simulation:
    """A recording as a world from its first moment: nobody reacts, its driver at the wheel."""
    return Simulation(
        episode.town, ReplayedTraffic(episode), RecordedDriver(episode), np.array(episode.ego[0])
    )
