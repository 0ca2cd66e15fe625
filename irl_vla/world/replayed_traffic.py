"""A recorded episode as the world of a new one: everybody does again what was recorded.

    simulation = Simulation(episode.town, Replayed(episode, 40), driver, episode.ego[40], 40)
May import: types, world.episode, world.simulation.
"""

from __future__ import annotations

from irl_vla.types import InputError
from irl_vla.world.episode import Actors, Episode, Note, WorldState
from irl_vla.world.simulation import RoadUserStates


class ReplayedTraffic:
    """Implements `simulation.Others` by a recording; nobody reacts."""

    def __init__(self, episode: Episode, first_step: int = 0) -> None:
        """first_step: the moment of the episode to begin with."""
        if not 0 <= first_step < len(episode):
            raise InputError(
                f"replayed episode: it has {len(episode)} moments, step {first_step} was asked for"
            )
        self._episode, self._step = episode, first_step

    @property
    def actors(self) -> Actors:
        """All that were recorded."""
        return self._episode.actors

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was scripted up to now when it was recorded."""
        now = self._episode.moment(self._step).time_s
        return tuple(note for note in self._episode.notes if note.time_s <= now + 1e-9)

    @property
    def ended(self) -> bool:
        """Whether this is the recording's last moment."""
        return self._step + 1 >= len(self._episode)

    def now(self) -> RoadUserStates:
        """Where they were."""
        episode, step = self._episode, self._step
        return RoadUserStates(episode.states[step], episode.present[step], episode.lamps[step])

    def step(self, moment: WorldState) -> None:
        """The next recorded moment. Raises InputError at the end of the recording."""
        if self.ended:
            raise InputError(
                f"replayed episode: it ends after {len(self._episode)} moments; record a longer one"
            )
        self._step += 1

    def copy(self) -> ReplayedTraffic:
        """The same moment once more."""
        return ReplayedTraffic(self._episode, self._step)
