"""A town in motion: the others and the ego, ten times a second, from any state.

    simulation = Simulation(town, others, driver, ego)
    simulation.step()            # the driver drives
    simulation.step(ego_state)   # somebody else does, and the world answers
A copy goes its own way: that is how one instant is continued under many plans.
May import: types, scoring, world.episode, world.signals, world.town.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from irl_vla.scoring.scene import SIM_DT_S, Mask
from irl_vla.types import F64, U8
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.world.episode import Actors, Episode, Note, WorldState
from irl_vla.world.signals import Cycles
from irl_vla.world.town import Town


class RoadUserStates(NamedTuple):
    """The others at one instant. states: (A, 5); present: (A,); lamps: (A,)."""

    states: F64
    present: Mask
    lamps: U8


class DriverAction(NamedTuple):
    """What a driver makes of an instant: the ego's state (11,) 0.1 s later, and its lamps."""

    ego: F64
    lamps: int


class TrafficModel(Protocol):
    """Everybody but the ego: traffic that reacts (world.traffic), or a replayed recording."""

    @property
    def actors(self) -> Actors:
        """All that may ever be present; never changes."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was scripted so far."""

    @property
    def ended(self) -> bool:
        """Whether there is no next moment: a recording is over."""

    def now(self) -> RoadUserStates:
        """Where they are."""

    def step(self, moment: WorldState) -> None:
        """Moves on by 0.1 s; moment: the instant that is left, ego and lights included."""

    def copy(self) -> TrafficModel:
        """One that goes its own way from here, and the same way for the same egos."""


class Driver(Protocol):
    """Whoever drives the ego with eyes wide open: knows the town and everybody in it."""

    @property
    def route(self) -> tuple[int, ...]:
        """Lanes it follows."""

    def drive(self, moment: WorldState, actors: Actors) -> DriverAction:
        """The next 0.1 s from an instant; the ego may stand anywhere, at any speed."""

    def copy(self) -> Driver:
        """One that goes its own way from here."""


class Simulation:
    """Steps a town. `moment` is now; nothing moves between steps."""

    def __init__(
        self, town: Town, others: TrafficModel, driver: Driver | None, ego: F64, step: int = 0
    ) -> None:
        """ego: (11,) where it begins; step: tenths of seconds on the town's clock."""
        self.town, self.others, self.driver = town, others, driver
        self._step, self._cycles = step, Cycles.of(town)
        self.moment = self._look(ego, 0)

    def step(self, ego: F64 | None = None, lamps: int = 0) -> WorldState:
        """0.1 s later. ego: (11,) where the ego is then, or None: the driver drives."""
        if ego is None:
            if self.driver is None:
                raise ValueError("nobody drives: give the ego's next state")
            ego, lamps = self.driver.drive(self.moment, self.others.actors)
        self.others.step(self.moment)
        self._step += 1
        self.moment = self._look(ego, lamps)
        return self.moment

    def copy(self) -> Simulation:
        """The same instant once more, free to go another way."""
        driver = self.driver.copy() if self.driver else None
        twin = Simulation(self.town, self.others.copy(), driver, self.moment.ego, self._step)
        twin.moment = self.moment
        return twin

    def _look(self, ego: F64, lamps: int) -> WorldState:
        time_s = self._step * SIM_DT_S
        lights, _ = self._cycles.at(time_s)
        return WorldState(time_s, ego, lamps, *self.others.now(), lights)


def record(simulation: Simulation, seed: int, vehicle: Vehicle, steps: int) -> Episode:
    """Lets the driver drive for `steps` moments and writes them down."""
    moments = [simulation.moment, *(simulation.step() for _ in range(steps - 1))]
    return episode_from(simulation, moments, seed, vehicle)


def episode_from(
    simulation: Simulation, moments: Sequence[WorldState], seed: int, vehicle: Vehicle = PACIFICA
) -> Episode:
    """Consecutive moments of a simulation as an episode, its driver's route with it."""
    driver = simulation.driver
    return Episode(
        simulation.town, seed, vehicle, simulation.others.actors,
        np.stack([moment.ego for moment in moments]),
        np.array([moment.ego_lamps for moment in moments], np.uint8),
        np.stack([moment.states for moment in moments]),
        np.stack([moment.present for moment in moments]),
        np.stack([moment.lamps for moment in moments]),
        np.stack([moment.lights for moment in moments]),
        driver.route if driver else (), notes=simulation.others.notes,
    )  # fmt: skip
