"""A policy in every named situation, many seeds each: the drives and the numbers of each.

Nothing is drawn for people, and pictures are painted only for a policy that looks at them: one
without perception drives through a core that asks for none (CoreConfig.pictures).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from irl_vla.camera.rig import Rig, load_rig
from irl_vla.config import named
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.closed_loop import ClosedLoop
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.perception_model import NullPerception
from irl_vla.drive.stack import PolicyStack
from irl_vla.engine.bundle import load_bundle, same_bundle
from irl_vla.resources import software
from irl_vla.scoring.bench2drive import efficiencies, succeeded
from irl_vla.scoring.bench2drive_files import MIN_SPEED
from irl_vla.scoring.journal import SceneOutcome
from irl_vla.scoring.spread import spread
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import seed_range
from irl_vla.world.render.renderer import Quality, Renderer
from irl_vla.world.route_monitor import Ending, RouteMonitor
from irl_vla.world.routes import RoutePath
from irl_vla.world.situations.expert_drive import expert_drive
from irl_vla.world.situations.situation import KINDS, NAMES, VERSION, Situation, situation

SEEDS = "0:50"
EXPERT, POLICY = "expert", "policy"

Row = dict[str, Any]  # what one drive gives, as JSON


@dataclass(frozen=True)
class Suite:
    """What is to be driven. bundle: folder; situations: names."""

    bundle: Path
    bundle_id: str
    bundle_label: str  # never EXPERT
    rig: Rig
    quality: Quality
    situations: tuple[str, ...]
    seeds: range
    expert: bool

    @staticmethod
    def planned(
        bundle: Path, rig: Path, quality: Quality, names: Sequence[str], seeds: str, expert: bool
    ) -> Suite:
        """Everything that can be wrong is found here. Raises InputError."""
        for name in names:
            named(KINDS, name, "--situation")
        loaded = load_bundle(bundle)
        _stack(bundle, loaded.id)
        chosen = tuple(name for name in NAMES if name in names or not names)
        return Suite(
            bundle, loaded.id, loaded.manifest.label([EXPERT]), load_rig(rig), quality, chosen,
            seed_range(seeds), expert,
        )  # fmt: skip

    @property
    def drivers(self) -> tuple[str, ...]:
        """Who drives: the bundle, and the expert where it is asked for."""
        return (self.bundle_label, EXPERT) if self.expert else (self.bundle_label,)

    def units(self) -> list[SuiteDrive]:
        """Every drive, in the order of the table."""
        return [
            SuiteDrive(driver, name, seed)
            for driver in self.drivers for name in self.situations for seed in self.seeds
        ]  # fmt: skip

    def key(self, unit: SuiteDrive) -> str:
        """Of the journal: the same drive has the same key."""
        who = EXPERT if unit.driver == EXPERT else POLICY
        return f"{who}:{unit.situation}:{unit.seed}"

    def settings(self) -> dict[str, str]:
        """Of the journal: whatever else can change a drive."""
        return {
            "situations": VERSION, "bundle": self.bundle_id, "rig": self.rig.content_hash,
            "quality": self.quality, **software(),
        }  # fmt: skip


@dataclass(frozen=True)
class SuiteDrive:
    """One drive."""

    driver: str
    situation: str
    seed: int


def drive_all(suite: Suite, units: Sequence[SuiteDrive], jobs: int) -> Iterator[SceneOutcome]:
    """All drives, unordered; the first one here, so that what it compiles is there for all."""
    work = partial(drive_one, suite)
    yield from map(work, units[:1])
    yield from spread(units[1:], work, jobs)


def drive_one(suite: Suite, unit: SuiteDrive) -> SceneOutcome:
    """One drive from its name and seed, in any process; an error is an outcome, too."""
    name, key = f"{unit.driver}, {unit.situation}, seed {unit.seed}", suite.key(unit)
    try:
        found = situation(unit.situation, unit.seed)
        expert = unit.driver == EXPERT
        monitor = expert_drive(found).monitor if expert else policy_drive(suite, found)
    except InputError as error:
        return SceneOutcome(name, key, None, str(error))
    return SceneOutcome(name, key, row_of(monitor, found))


def policy_drive(suite: Suite, found: Situation) -> RouteMonitor:
    """The bundle takes over."""
    stack, rig, simulation = _stack(suite.bundle, suite.bundle_id), suite.rig, found.simulation
    assert simulation.driver is not None
    path = RoutePath.of(simulation.town, simulation.driver.route)
    pictures = not isinstance(stack.perception, NullPerception)
    core = DrivingCore(stack, rig, CoreConfig(seed=found.seed, pictures=pictures))
    render = None
    if pictures:
        render = Renderer(
            simulation.town, simulation.others.actors, rig, found.seed, suite.quality
        ).render
    loop = ClosedLoop(simulation, path, core, render, found.route_m, rig.vehicle)
    for _ in loop.ticks():
        pass
    return loop.monitor


@lru_cache(maxsize=1)
def _stack(bundle: Path, bundle_id: str) -> PolicyStack:
    """Loaded once per process. Raises InputError where it is another one by now."""
    return policy_stack_from_bundle(same_bundle(bundle, bundle_id), threads=1)


def row_of(monitor: RouteMonitor, found: Situation) -> Row:
    """The numbers of one drive."""
    score = monitor.score(f"{found.name}-{found.seed}")
    efficiency = efficiencies([score.record])[1]
    return {
        "ending": (monitor.ending or Ending.STOPPED).value,
        "success": succeeded(score.record),
        "driving_score": score.record.composed,
        "route_completion": score.record.route_percent,
        "efficiency": efficiency if efficiency == efficiency else None,  # NaN is no JSON
        "comfort": score.comfort,
        "infractions": {
            kind: list(texts) for kind, texts in score.record.infractions.items()
            if texts and kind != MIN_SPEED
        },
        "happened": [[note.what, note.time_s] for note in found.simulation.others.notes],
    }  # fmt: skip
