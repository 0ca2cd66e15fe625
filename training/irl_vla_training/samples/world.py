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
from irl_vla.drive.history import EgoHistory
from irl_vla.frames import to_inner, to_outer
from irl_vla.language.commands import PathCommand, SpeedCommand
from irl_vla.perception.preset import AGENT_CLASSES
from irl_vla.scoring.scene import AX, HEADING, X, Y
from irl_vla.types import F64, EgoStatus
from irl_vla.vehicle import PACIFICA
from irl_vla.world.benchmark.own_lane import labels_at
from irl_vla.world.benchmark.scenes import FIRST, Cutter
from irl_vla.world.build import STEPS, simulation_of
from irl_vla.world.driver.expert import Expert
from irl_vla.world.episode import Episode, WorldState
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.simulated_sensors import ego_pose, motion_of, navigation, stamp_of, truth
from irl_vla.world.simulation import Simulation, episode_from
from irl_vla_training.samples.answers import (
    lead_ahead,
    light_ahead,
    reason_of,
    walker_ahead,
)
from irl_vla_training.samples.cameras import PreparedCameras, fitted, prepared_cameras
from irl_vla_training.samples.foresight import foreseen
from irl_vla_training.samples.ground import CellPainter, ground_truth
from irl_vla_training.samples.instants import Instants, instants_of_drive
from irl_vla_training.samples.lines import TownLines
from irl_vla_training.samples.other_ways import other_way
from irl_vla_training.samples.pixels import picture_truth
from irl_vla_training.samples.sample import (
    I32,
    LAMPS,
    Answers,
    BoxTruth,
    Mask,
    Memory,
    Sample,
    SceneReference,
    Way,
)
from irl_vla_training.samples.settings import SampleSettings

SEED = 611  # tells the random numbers of samples from those of the world
HISTORY = 6  # steps of ego motion that the status is fitted to
EVERY = 2  # steps between instants that may be samples
DRIVES = 41  # moments of a drive that begins at a sample: now and 4 s
AGES = (2, 9)  # steps before the instant: the memory, first and end
MEMORY_STEPS = 5  # in evaluation: the age that the car looks for
SCENE_EVERY = 5  # steps between instants that may be scenes (splits.CANDIDATES)
RECOVERY_SHARE, OTHER_WAY_SHARE = 0.1, 0.5
ASIDE_M, TURNED_RAD, FASTER = 0.5, np.radians(2.0), 0.15  # most, of recovery
GAIN_STEPS = 4  # over which the accelerations of others are taken


@dataclass
class SeedWorld:
    """A seed driven through. copies: the simulation at every step that may be a sample."""

    seed: int
    settings: SampleSettings
    rng: np.random.Generator
    moments: list[WorldState]
    copies: dict[int, Simulation]
    cutter: Cutter
    renderer: Renderer
    cameras: PreparedCameras
    lines: TownLines
    painter: CellPainter

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
        episode = episode_from(simulation, moments, seed)
        cameras = prepared_cameras(rng, settings) if rig is None else fitted(rig, settings)
        renderer = Renderer(episode.town, episode.actors, cameras.wide, seed)
        return SeedWorld(
            seed, settings, rng, moments, copies, Cutter(episode), renderer, cameras,
            TownLines.of(episode.town), CellPainter(settings.grid),
        )  # fmt: skip

    @property
    def episode(self) -> Episode:
        """The whole drive."""
        return self.cutter.episode


@dataclass(frozen=True)
class Instant:
    """What a sample is made of: its drive, the step of it that is now, and the moments before."""

    cutter: Cutter
    step: int
    now: WorldState
    past: tuple[WorldState, ...]  # of the steps before, the newest last
    driver: Expert
    recovery: bool


def samples_of_seed(seed: int, settings: SampleSettings) -> Iterator[Sample]:
    """All samples of a seed, the same ones whenever it is asked."""
    world = SeedWorld.of(seed, settings)
    tables = Instants.of(world.cutter, sorted(world.copies))
    for step in instants_of_drive(tables, world.rng, settings.per_seed):
        yield _sample(world, _instant(world, step), int(world.rng.integers(*AGES)))


def samples_at(
    seed: int, settings: SampleSettings, rig: Rig, steps: Callable[[Episode], Sequence[int]]
) -> Iterator[Sample]:
    """For evaluation: chosen instants of a seed, each a multiple of SCENE_EVERY, through one rig as
    it is, with the memory that the car would have. steps: which instants of the drive"""
    world = SeedWorld.of(seed, settings, rig, SCENE_EVERY)
    for step in steps(world.episode):
        yield _sample(world, _on_its_way(world, step), MEMORY_STEPS)


def _on_its_way(world: SeedWorld, step: int) -> Instant:
    driver = world.copies[step].driver
    assert isinstance(driver, Expert)
    past = tuple(world.moments[step - AGES[1] : step])
    return Instant(world.cutter, step, world.moments[step], past, driver.copy(), False)


def _instant(world: SeedWorld, step: int) -> Instant:
    on_way = _on_its_way(world, step)
    if world.rng.random() >= RECOVERY_SHARE:
        return on_way
    twin, past = world.copies[step].copy(), on_way.past
    off = world.rng.uniform(-1.0, 1.0, 3)
    now, past = displaced(world.moments[step], past, off)
    twin.moment = now
    begin = on_way.driver
    moments = [now, *(twin.step() for _ in range(DRIVES - 1))]
    return Instant(Cutter(episode_from(twin, moments, world.seed)), 0, now, past, begin, True)


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


def _sample(world: SeedWorld, at: Instant, age: int) -> Sample:
    """age: of the memory, in steps."""
    rng, cameras, settings = world.rng, world.cameras, world.settings
    then = at.past[-age]
    found = cameras.measure(world.renderer, at.now)
    around = _around(world, at, found.counts, found.seen)
    boxes, seen = around.boxes, around.seen
    truths = tuple(picture_truth(one) for one in found.all)
    shown = {int(v) for one in truths for v in np.unique(one.lamp)}
    answers = _answers(at, around, shown)
    way = _way(at.cutter, at.step)
    others: list[Way] = []
    if not at.recovery and rng.random() < OTHER_WAY_SHARE:
        other = other_way(world.copies[at.step], at.cutter, at.step, rng)
        others = [_way(other, 0)] if other is not None else []
    mark = "r" if at.recovery else ""
    step = round((at.now.time_s - world.moments[0].time_s) * 10)
    return Sample(
        key=f"{world.seed:07d}-{step:03d}{mark}", source="world",
        pictures=cameras.shot(world.renderer, at.now),
        memory=Memory(
            cameras.shot(world.renderer, then), to_inner(ego_pose(then), ego_pose(at.now)),
            age / 10.0,
        ),
        ego=_status(at), way=way, other_ways=tuple(others),
        ground=ground_truth(
            world.episode.town, at.now, boxes, seen, world.renderer.ground, world.painter
        ),
        boxes=boxes, lines=world.lines.around(at.now, settings.grid), pixels=truths,
        answers=answers,
        scene=None if at.recovery else SceneReference(world.seed, at.step),
        recovery=at.recovery, foreseen=foreseen(at.driver, at.cutter, at.step, found.seen),
        weather=world.renderer.weather.sky.name, rig=cameras.native.name,
    )  # fmt: skip


def _status(at: Instant) -> EgoStatus:
    """Fitted over half a second by the core's own code."""
    history = EgoHistory()
    for moment in (*at.past[-HISTORY:], at.now):
        history.add(motion_of(moment))
    stamp = stamp_of(at.now)
    return history.status(stamp, stamp)


def _way(cutter: Cutter, step: int) -> Way:
    labels = labels_at(cutter, step)
    commands = (
        tuple(SpeedCommand).index(labels.speed), tuple(PathCommand).index(labels.path),
    )  # fmt: skip
    moment = cutter.episode.moment(step)
    return Way(navigation(moment, cutter.path), cutter.driven(step), commands)


@dataclass(frozen=True)
class Around:
    """Road users and obstacles. seen: (n,) of the boxes; gains: (n,) accelerations [m/s²]."""

    boxes: BoxTruth
    seen: Mask
    gains: F64


def _around(world: SeedWorld, at: Instant, counts: I32, seen: Mask) -> Around:
    """All within the truth's reach. counts: (A, pictures) pixels."""
    actors = world.episode.actors
    known = truth(at.now, actors)
    index = {name: k for k, name in enumerate(actors.ids)}
    who = np.array([index[name] for name in known.ids], np.int64)
    other = AGENT_CLASSES.index("obstacle")
    kind = [AGENT_CLASSES.index(n) if n in AGENT_CLASSES else other for n in known.labels]
    rows = np.hstack([known.centers, known.sizes, known.yaws[:, None], known.velocities])
    boxes = BoxTruth(rows.reshape(-1, 9), np.array(kind, np.int32), counts[who])
    speeds = [np.hypot(*m.states[who, 3:5].T) for m in (at.past[-GAIN_STEPS], at.now)]
    gains = np.nan_to_num((speeds[1] - speeds[0]) / (0.1 * GAIN_STEPS))
    return Around(boxes, seen[who], gains)


def _answers(at: Instant, around: Around, shown: set[int]) -> Answers:
    """shown: indices into LAMPS that some pixel shows."""
    path, place = at.cutter.path, float(at.cutter.places[at.step])
    lamp, lamp_m = light_ahead(path, place, PACIFICA.front_length, at.now.lights)
    if lamp != LAMPS.index("none") and lamp not in shown:
        lamp = -1  # its face is in no picture
    boxes, seen = around.boxes, around.seen
    along, aside = np.zeros(0), np.zeros(0)
    if len(boxes.kind):
        flat = np.column_stack([boxes.boxes[:, :2], np.zeros(len(boxes.kind))])
        along, aside = path.project(to_outer(flat, ego_pose(at.now))[:, :2])
    driver = at.driver.copy()
    action = driver.drive(at.now, at.cutter.episode.actors)
    front = place + PACIFICA.front_length
    return Answers(
        lamp, lamp_m, walker_ahead(along - place, aside, boxes, seen),
        lead_ahead(along - front, aside, around.gains, boxes, seen),
        reason_of(driver.bound_by, float(action.ego[AX])),
    )  # fmt: skip
