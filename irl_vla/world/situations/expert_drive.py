"""The expert drives through a situation, under the rules that hold for every policy.

In: Situation   Out: Course, Episode   May import: types, scoring.scene, world.
"""

from __future__ import annotations

from dataclasses import dataclass

from irl_vla.scoring.scene import Vehicle
from irl_vla.world.course import Course
from irl_vla.world.episode import Episode, Moment
from irl_vla.world.routes import Path
from irl_vla.world.simulation import episode_from
from irl_vla.world.situations.situation import Situation


@dataclass(frozen=True)
class ExpertDrive:
    """What came of it. moments: 0.1 s apart, from the begin to what ended the drive."""

    found: Situation
    course: Course
    moments: tuple[Moment, ...]

    def episode(self) -> Episode:
        """The drive as a recording."""
        return episode_from(self.found.simulation, self.moments, self.found.seed, Vehicle())


def expert_drive(found: Situation) -> ExpertDrive:
    """The expert goes on after the first seconds, as whoever is tested would; afterwards the
    situation's simulation stands where the drive ended."""
    simulation = found.simulation
    assert simulation.driver is not None
    path = Path.of(simulation.town, simulation.driver.route)
    course = Course(
        simulation.town, path, simulation.others.actors, simulation.moment, found.route_m
    )
    moments = []
    while course.ending is None:
        moments.append(simulation.moment)
        course.see(simulation.moment)
        if course.ending is None:
            simulation.step()
    return ExpertDrive(found, course, tuple(moments))
