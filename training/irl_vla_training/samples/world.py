"""Samples of the built-in world: one seed is one town, one rig and one drive, looked at often.

Which instants: those that differ from each other, lit lamps ahead and right turns more often. Some
are begun off the drive (the expert drives on from there), some are told with another intent, too.
May import: irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from irl_vla.camera.rig import Rig
from irl_vla.frames import to_inner
from irl_vla.scoring.scene import HEADING, X, Y
from irl_vla.types import F64
from irl_vla.world.benchmark.scenes import FIRST, Cutter
from irl_vla.world.build import STEPS, simulation_of
from irl_vla.world.driver.expert import Expert
from irl_vla.world.episode import Episode, WorldState
from irl_vla.world.simulated_sensors import ego_pose
from irl_vla.world.simulation import Simulation, episode_from
from irl_vla_training.samples.cameras import fitted, prepared_cameras
from irl_vla_training.samples.drive import AGES, DriveView, Instant, sample_of, way_of
from irl_vla_training.samples.foresight import foreseen
from irl_vla_training.samples.instants import Instants, instants_of_drive, steps_to_relight
from irl_vla_training.samples.lights import relit
from irl_vla_training.samples.other_ways import other_way
from irl_vla_training.samples.sample import Sample, SceneReference
from irl_vla_training.samples.settings import SampleSettings

SEED = 611  # tells the random numbers of samples from those of the world
RECOVERED, RELIT = "r", "l"  # marks at the end of keys
MEMORY_STEPS = 5  # in evaluation: the age that the car looks for
SCENE_EVERY = 5  # steps between instants that may be scenes (splits.CANDIDATES)
EVERY = 2  # steps between instants that may be samples
DRIVES = 41  # moments of a drive that begins at a sample: now and 4 s
RECOVERY_SHARE, OTHER_WAY_SHARE = 0.1, 0.5
ASIDE_M, TURNED_RAD, FASTER = 0.5, np.radians(2.0), 0.15  # most, of recovery


@dataclass(frozen=True)
class SeedWorld:
    """A seed driven through. copies: the simulation at every step that may be a sample."""

    seed: int
    moments: list[WorldState]
    copies: dict[int, Simulation]
    view: DriveView

    @staticmethod
    def of(
        seed: int, settings: SampleSettings, rig: Rig | None = None, every: int = EVERY
    ) -> SeedWorld:
        """Drives the seed and sets up its cameras: those of a rig, or drawn ones."""
        rng = np.random.default_rng([seed, SEED])
        simulation = simulation_of(seed)
        moments, copies = [simulation.moment], {}
        for step in range(STEPS):
            if step % every == 0 and FIRST <= step < STEPS - DRIVES + 1:
                copies[step] = simulation.copy()
            if step < STEPS - 1:
                moments.append(simulation.step())
        cutter = Cutter(episode_from(simulation, moments, seed))
        cameras = prepared_cameras(rng, settings) if rig is None else fitted(rig, settings)
        view = DriveView.of("world", f"{seed:07d}", seed, cutter, cameras, rng)
        return SeedWorld(seed, moments, copies, view)


def samples_of_seed(seed: int, settings: SampleSettings) -> Iterator[Sample]:
    """All samples of a seed, the same ones whenever it is asked."""
    world = SeedWorld.of(seed, settings)
    tables = Instants.of(world.view.cutter, sorted(world.copies))
    steps = instants_of_drive(tables, world.view.rng, settings.per_seed)
    for step in steps:
        yield _completed(world, _instant(world, step))
    for step in steps_to_relight(tables, steps, settings.per_seed):
        yield _relit(world, step)


def samples_at(
    seed: int, settings: SampleSettings, rig: Rig, steps: Callable[[Episode], Sequence[int]]
) -> Iterator[Sample]:
    """For evaluation: chosen instants of a seed, each a multiple of SCENE_EVERY, through one rig as
    it is, with the memory that the car would have. steps: which instants of the drive"""
    world = SeedWorld.of(seed, settings, rig, SCENE_EVERY)
    for step in steps(world.view.cutter.episode):
        sample = sample_of(world.view, _on_its_way(world, step), MEMORY_STEPS).sample
        yield replace(sample, scene=SceneReference(seed, step))


def _on_its_way(world: SeedWorld, step: int) -> Instant:
    driver = world.copies[step].driver
    assert isinstance(driver, Expert)
    past = tuple(world.moments[step - AGES[1] : step])
    return Instant(world.view.cutter, step, world.moments[step], past, driver.copy())


def _instant(world: SeedWorld, step: int) -> Instant:
    on_way, rng = _on_its_way(world, step), world.view.rng
    if rng.random() >= RECOVERY_SHARE:
        return on_way
    twin, begin = world.copies[step].copy(), on_way.driver
    now, past = displaced(world.moments[step], on_way.past, rng.uniform(-1.0, 1.0, 3))
    twin.moment = now
    moments = [now, *(twin.step() for _ in range(DRIVES - 1))]
    cutter = Cutter(episode_from(twin, moments, world.seed))
    return Instant(cutter, 0, now, past, begin, RECOVERED, recovery=True)


def displaced(
    now: WorldState, past: tuple[WorldState, ...], off: F64
) -> tuple[WorldState, tuple[WorldState, ...]]:
    """The same instant with the ego beside its way, turned and at another speed, and a past that
    leads there. off: (3,) of ASIDE_M to the left, TURNED_RAD and FASTER, -1..1 each."""
    pose, factor = ego_pose(now), 1.0 + FASTER * float(off[2])
    aside = ASIDE_M * off[0] * np.array([-np.sin(pose[2]), np.cos(pose[2])])
    place = np.array([*(pose[:2] + aside), pose[2] + TURNED_RAD * off[1]])

    def moved(moment: WorldState) -> WorldState:
        relative = to_inner(ego_pose(moment), pose)
        c, s = np.cos(place[2]), np.sin(place[2])
        ego = moment.ego.copy()
        ego[X] = place[0] + factor * (c * relative[0] - s * relative[1])
        ego[Y] = place[1] + factor * (s * relative[0] + c * relative[1])
        ego[HEADING] = place[2] + relative[2]
        ego[3:7] *= factor
        ego[9:11] *= factor
        return replace(moment, ego=ego)

    return moved(now), tuple(moved(moment) for moment in past)


def _completed(world: SeedWorld, at: Instant) -> Sample:
    """With what only the built-in world can tell: other ways, and what the expert foresaw."""
    rng = world.view.rng
    seen = sample_of(world.view, at)
    assert at.driver is not None
    cause = foreseen(at.driver, at.cutter, at.step, seen.truth.seen)
    if at.recovery:
        return replace(seen.sample, foreseen=cause)
    other = None
    if rng.random() < OTHER_WAY_SHARE:
        other = other_way(world.copies[at.step], at.cutter, at.step, rng)
    return replace(
        seen.sample, foreseen=cause, scene=SceneReference(world.seed, at.step),
        other_ways=() if other is None else (way_of(other, 0),),
    )  # fmt: skip


def _relit(world: SeedWorld, step: int) -> Sample:
    """The instant of a step under another light, about which nobody knows what a driver would do:
    for the eyes alone."""
    moments = world.moments[step - AGES[1] : step + 1]
    cutter, rng = world.view.cutter, world.view.rng
    now, *before = reversed(relit(moments, cutter, step, rng))
    past = tuple(reversed(before))
    sample = sample_of(world.view, Instant(cutter, step, now, past, None, RELIT)).sample
    return replace(sample, way=None)
