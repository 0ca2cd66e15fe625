"""A drive through a town, looked at: what every sample has that is drawn by the built-in renderer.

The drive is the expert's or a recorded one. May import: irl_vla, samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.drive.history import EgoHistory
from irl_vla.frames import to_inner, to_outer
from irl_vla.language.commands import PathCommand, SpeedCommand
from irl_vla.perception.preset import AGENT_CLASSES
from irl_vla.scoring.scene import AX
from irl_vla.types import F64, EgoStatus
from irl_vla.vehicle import PACIFICA
from irl_vla.world.benchmark.own_lane import labels_at
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.driver.expert import Expert
from irl_vla.world.episode import WorldState
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.simulated_sensors import ego_pose, motion_of, navigation, stamp_of, truth
from irl_vla_training.samples.answers import lead_ahead, light_ahead, reason_of, walker_ahead
from irl_vla_training.samples.cameras import CameraTruth, PreparedCameras
from irl_vla_training.samples.ground import CellPainter, ground_truth
from irl_vla_training.samples.lines import TownLines
from irl_vla_training.samples.pixels import picture_truth
from irl_vla_training.samples.sample import (
    LAMPS,
    Answers,
    BoxTruth,
    Mask,
    Memory,
    Sample,
    Way,
)
from irl_vla_training.samples.settings import SampleSettings

HISTORY = 6  # steps of ego motion that the status is fitted to
AGES = (2, 9)  # steps before the instant: the memory, first and end
GAIN_STEPS = 4  # over which the accelerations of others are taken


@dataclass(frozen=True)
class DriveView:
    """What looks at a drive. source, name: of its samples, name begins their keys; lights: whether
    the town knows its lights; walkways: whether it knows where people walk."""

    source: str
    name: str
    settings: SampleSettings
    rng: np.random.Generator
    cutter: Cutter
    renderer: Renderer
    cameras: PreparedCameras
    lines: TownLines
    painter: CellPainter
    lights: bool = True
    walkways: bool = True

    @staticmethod
    def of(
        source: str, name: str, seed: int, cutter: Cutter, cameras: PreparedCameras,
        rng: np.random.Generator, knows: tuple[bool, bool] = (True, True),
    ) -> DriveView:  # fmt: skip
        """seed: of the weather; knows: lights and walkways"""
        town, actors = cutter.episode.town, cutter.episode.actors
        renderer = Renderer(town, actors, cameras.wide, seed)
        return DriveView(
            source, name, cameras.settings, rng, cutter, renderer, cameras, TownLines.of(town),
            CellPainter(cameras.settings.grid), *knows,
        )  # fmt: skip


@dataclass(frozen=True)
class Instant:
    """What a sample is made of: its drive, the step of it that is now, and the moments before.

    driver: the expert before it drives on, or None where a person drove
    """

    cutter: Cutter
    step: int
    now: WorldState
    past: tuple[WorldState, ...]  # of the steps before, the newest last
    driver: Expert | None = None
    mark: str = ""  # at the end of its key
    recovery: bool = False


@dataclass(frozen=True)
class SampledInstant:
    """A sample, and what of its instant else is needed to complete it."""

    sample: Sample
    truth: CameraTruth


def sample_of(view: DriveView, at: Instant, age: int | None = None) -> SampledInstant:
    """Pictures, memory, truth and answers of an instant. age: of the memory [steps], None: drawn"""
    cameras = view.cameras
    age = int(view.rng.integers(*AGES)) if age is None else age
    then = at.past[-age]
    found = cameras.observe(view.renderer, at.now)
    around = _around(view, at, found)
    truths = tuple(picture_truth(one) for one in found.all)
    shown = {int(v) for one in truths for v in np.unique(one.lamp)}
    memory = Memory(
        cameras.shot(view.renderer, then), to_inner(ego_pose(then), ego_pose(at.now)), age / 10.0
    )
    step = round((at.now.time_s - view.cutter.episode.moment(0).time_s) * 10)
    sample = Sample(
        key=f"{view.name}-{step:03d}{at.mark}", source=view.source,
        pictures=found.pictures, memory=memory, ego=_status(at),
        way=way_of(at.cutter, at.step),
        ground=ground_truth(
            view.cutter.episode.town, at.now, around.boxes, around.seen, view.renderer.ground,
            view.painter, view.lights, view.walkways,
        ),
        boxes=around.boxes,
        lines=view.lines.around(at.now, view.settings.grid, view.lights), pixels=truths,
        answers=_answers(view, at, around, shown), recovery=at.recovery,
        weather=view.renderer.weather.sky.name, rig=cameras.native.name,
    )  # fmt: skip
    return SampledInstant(sample, found)


def _status(at: Instant) -> EgoStatus:
    """Fitted over half a second by the core's own code."""
    history = EgoHistory()
    for moment in (*at.past[-HISTORY:], at.now):
        history.add(motion_of(moment))
    stamp = stamp_of(at.now)
    return history.status(stamp, stamp)


def way_of(cutter: Cutter, step: int) -> Way:
    """What the driver of a drive does after a step, and what navigation says there."""
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


def _around(view: DriveView, at: Instant, found: CameraTruth) -> Around:
    """All within the truth's reach."""
    actors, counts, seen = view.cutter.episode.actors, found.counts, found.seen
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


def _answers(view: DriveView, at: Instant, around: Around, shown: set[int]) -> Answers:
    """shown: indices into LAMPS that some pixel shows."""
    path, place = at.cutter.path, float(at.cutter.places[at.step])
    lamp, lamp_m = light_ahead(path, place, PACIFICA.front_length, at.now.lights)
    if not view.lights or (lamp != LAMPS.index("none") and lamp not in shown):
        lamp = -1  # nobody knows, or its face is in no picture
    boxes, seen = around.boxes, around.seen
    along, aside = np.zeros(0), np.zeros(0)
    if len(boxes.kind):
        flat = np.column_stack([boxes.boxes[:, :2], np.zeros(len(boxes.kind))])
        along, aside = path.project(to_outer(flat, ego_pose(at.now))[:, :2])
    front = place + PACIFICA.front_length
    return Answers(
        lamp, lamp_m, walker_ahead(along - place, aside, boxes, seen),
        lead_ahead(along - front, aside, around.gains, boxes, seen),
        _reason(at),
    )  # fmt: skip


def _reason(at: Instant) -> int:
    """What bounds the expert's speed; -1 for a person, who does not say."""
    if at.driver is None:
        return -1
    driver = at.driver.copy()
    action = driver.drive(at.now, at.cutter.episode.actors)
    return reason_of(driver.bound_by, float(action.ego[AX]))
