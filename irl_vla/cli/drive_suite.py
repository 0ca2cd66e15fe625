"""`irl-vla drive --suite`: a policy in every named situation, many seeds each, in numbers only.

Nothing is drawn for people, and pictures are painted only for a policy that looks at them: one
without eyes drives through a core that asks for none (closed_loop.SightlessCore).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from irl_vla.camera.rig import Rig, load_rig
from irl_vla.cli.drive_suite_table import NOT_DRIVEN, as_markdown, print_table, summed
from irl_vla.cli.interruption import interruptible
from irl_vla.cli.results import Results
from irl_vla.drive.assemble import mind_from_bundle
from irl_vla.drive.closed_loop import ClosedLoop, SightlessCore
from irl_vla.drive.core import CoreConfig, DrivingCore, Mind
from irl_vla.drive.eyes import NoEyes
from irl_vla.engine.bundle import load_bundle
from irl_vla.scoring.batch import Journal, Outcome
from irl_vla.scoring.bench2drive import efficiencies, succeeded
from irl_vla.scoring.bench2drive_files import MIN_SPEED
from irl_vla.scoring.spread import spread
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import seed_range
from irl_vla.world.course import Course, Ending
from irl_vla.world.render.renderer import Quality, Renderer
from irl_vla.world.routes import Path as RoutePath
from irl_vla.world.situations.expert_drive import expert_drive
from irl_vla.world.situations.situation import NAMES, VERSION, Situation, situation

TABLE, TABLE_JSON, JOURNAL = "suite.md", "suite.json", "suite.journal"
SEEDS = "0:50"
EXPERT = "expert"
FAILED, INTERRUPTED = 4, 130  # exit codes, see cli/app.py

Row = dict[str, Any]  # what one drive gives, as JSON


@dataclass(frozen=True)
class Suite:
    """What is to be driven. bundle: folder; situations: names."""

    bundle: Path
    bundle_id: str
    bundle_name: str
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
            if name not in NAMES:
                raise InputError(f"--situation {name}: expected one of {', '.join(NAMES)}")
        loaded = load_bundle(bundle)
        _mind(bundle)
        chosen = tuple(name for name in NAMES if name in names or not names)
        return Suite(
            bundle, loaded.id, loaded.manifest.name, load_rig(rig), quality, chosen,
            seed_range(seeds), expert,
        )  # fmt: skip

    @property
    def drivers(self) -> tuple[str, ...]:
        """Who drives: the bundle, and the expert where it is asked for."""
        return (self.bundle_name, EXPERT) if self.expert else (self.bundle_name,)

    def units(self) -> list[Unit]:
        """Every drive, in the order of the table."""
        return [
            Unit(driver, name, seed)
            for driver in self.drivers for name in self.situations for seed in self.seeds
        ]  # fmt: skip

    def key(self, unit: Unit) -> str:
        """Of the journal: the same drive has the same key."""
        eyes = f"{self.bundle_id}:{self.rig.fingerprint}:{self.quality}"
        who = EXPERT if unit.driver == EXPERT else eyes
        return f"{VERSION}:{who}:{unit.situation}:{unit.seed}"


@dataclass(frozen=True)
class Unit:
    """One drive."""

    driver: str
    situation: str
    seed: int


def run_suite(suite: Suite, out: Path, jobs: int) -> int:
    """Drives what is not in the journal yet, writes the tables and returns the exit code: 0, or
    FAILED: some drives were not possible and count as no success, or INTERRUPTED by Ctrl-C: the
    same command goes on from there."""
    console = Console()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}. Choose another --out") from None
    journal, units = Journal(out / JOURNAL), suite.units()
    left = [unit for unit in units if suite.key(unit) not in journal.done]
    if kept := len(units) - len(left):
        console.print(f"kept      {kept} drives that are in {out / JOURNAL}", highlight=False)
    outcomes = {key: journal.done[key] for u in units if (key := suite.key(u)) in journal.done}
    for outcome in _watched(_driven(suite, left, jobs), len(left)):
        journal.add(outcome)
        outcomes[outcome.key] = outcome
    if len(outcomes) < len(units):
        console.print(f"stopped   {len(outcomes)} of {len(units)} drives are done; run the "
                      "same command again to go on", style="yellow", highlight=False)  # fmt: skip
        return INTERRUPTED
    _write(suite, {unit: _row(outcomes[suite.key(unit)]) for unit in units}, out, console)
    failed = [outcome for outcome in outcomes.values() if outcome.results is None]
    for outcome in failed:
        text = f"not driven  {outcome.scene_id}: {outcome.error}"
        console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if failed:
        return FAILED
    journal.path.unlink(missing_ok=True)
    return 0


def _row(outcome: Outcome) -> Row:
    """The numbers of a drive; one that was not possible is worth nothing."""
    return outcome.results or {
        "ending": NOT_DRIVEN, "success": False, "driving_score": 0.0, "route_completion": 0.0,
        "efficiency": None, "comfort": 0.0, "infractions": {}, "happened": [],
        "error": outcome.error,
    }  # fmt: skip


def _write(suite: Suite, rows: dict[Unit, Row], out: Path, console: Console) -> None:
    """Table and numbers, on the screen and in files."""
    found = {
        driver: {
            name: summed([rows[Unit(driver, name, seed)] for seed in suite.seeds])
            for name in suite.situations
        }
        for driver in suite.drivers
    }
    head = f"{VERSION}, seeds {suite.seeds.start}:{suite.seeds.stop}"
    numbers = {
        "version": VERSION, "bundle": suite.bundle_name, "bundle_id": suite.bundle_id,
        "rig": suite.rig.name, "quality": suite.quality,
        "seeds": [suite.seeds.start, suite.seeds.stop], "drivers": found,
        "drives": [
            {"driver": u.driver, "situation": u.situation, "seed": u.seed, **row}
            for u, row in rows.items()
        ],
    }  # fmt: skip
    with Results(out, (TABLE, TABLE_JSON)) as results:
        (results.folder / TABLE).write_text(as_markdown(found, head), encoding="utf-8")
        text = json.dumps(numbers, indent=1) + "\n"
        (results.folder / TABLE_JSON).write_text(text, encoding="utf-8")
    print_table(found, head, console)
    for name in (TABLE, TABLE_JSON):
        console.print(f"wrote     {out / name}", soft_wrap=True, highlight=False)


def _driven(suite: Suite, units: Sequence[Unit], jobs: int) -> Iterator[Outcome]:
    """All drives, unordered; the first one here, so that what it compiles is there for all."""
    work = partial(drive_unit, suite)
    yield from map(work, units[:1])
    yield from spread(units[1:], work, jobs)


def drive_unit(suite: Suite, unit: Unit) -> Outcome:
    """One drive from its name and seed, in any process; an error is an outcome, too."""
    name, key = f"{unit.driver}, {unit.situation}, seed {unit.seed}", suite.key(unit)
    try:
        found = situation(unit.situation, unit.seed)
        expert = unit.driver == EXPERT
        course = expert_drive(found).course if expert else policy_drive(suite, found)
    except InputError as error:
        return Outcome(name, key, None, str(error))
    return Outcome(name, key, row_of(course, found))


def policy_drive(suite: Suite, found: Situation) -> Course:
    """The bundle takes over."""
    mind, rig, simulation = _mind(suite.bundle), suite.rig, found.simulation
    assert simulation.driver is not None
    path = RoutePath.of(simulation.town, simulation.driver.route)
    config = CoreConfig(seed=found.seed)
    if isinstance(mind.eyes, NoEyes):
        loop = ClosedLoop(simulation, path, SightlessCore(mind, rig, config), None, found.route_m)
    else:
        eye = Renderer(
            simulation.town, simulation.others.actors, rig, found.seed, suite.quality
        ).render
        loop = ClosedLoop(simulation, path, DrivingCore(mind, rig, config), eye, found.route_m)
    for _ in loop.ticks():
        pass
    return loop.course


@lru_cache(maxsize=1)
def _mind(bundle: Path) -> Mind:
    """Loaded once per process."""
    return mind_from_bundle(load_bundle(bundle), threads=1)


def row_of(course: Course, found: Situation) -> Row:
    """The numbers of one drive."""
    score = course.score(f"{found.name}-{found.seed}")
    efficiency = efficiencies([score.record])[1]
    return {
        "ending": (course.ending or Ending.STOPPED).value,
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


def _watched(work: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """All of it with a bar and an estimate, until somebody presses Ctrl-C."""
    columns = (TextColumn("driving"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        interruptible() as pressed,
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("driving", total=total)
        for done in work:
            yield done
            bar.advance(task)
            if pressed.is_set():
                return
