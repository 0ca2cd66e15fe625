"""`irl-vla drive --suite`: a policy in every named situation: progress, tables, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from irl_vla.cli.drive_suite_table import NOT_DRIVEN, as_markdown, as_page, print_table, summed
from irl_vla.cli.results import Results
from irl_vla.evaluation.drive_suite import Row, Suite, SuiteDrive, drive_all
from irl_vla.scoring.journal import Journal, SceneOutcome
from irl_vla.terminal.console import Console
from irl_vla.terminal.interruption import interruptible
from irl_vla.types import InputError
from irl_vla.view.report import Fact, write_tables_page
from irl_vla.world.situations.situation import VERSION

TABLE, TABLE_JSON, PAGE, JOURNAL = "suite.md", "suite.json", "suite.html", "suite.journal"
FAILED, INTERRUPTED = 4, 130  # exit codes, see cli/app.py


def run_suite(suite: Suite, out: Path, jobs: int) -> int:
    """Drives what is not in the journal yet, writes the tables and returns the exit code: 0, or
    FAILED: some drives were not possible and count as no success, or INTERRUPTED by Ctrl-C: the
    same command continues from there."""
    console = Console()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}. Choose another --out") from None
    journal, units = Journal(out / JOURNAL, suite.settings()), suite.units()
    left = [unit for unit in units if suite.key(unit) not in journal.done]
    if kept := len(units) - len(left):
        console.print(
            f"kept      {kept} drives that are already in {out / JOURNAL}", highlight=False
        )
    outcomes = {key: journal.done[key] for u in units if (key := suite.key(u)) in journal.done}
    for outcome in _watched(drive_all(suite, left, jobs), len(left)):
        journal.add(outcome)
        outcomes[outcome.key] = outcome
    if len(outcomes) < len(units):
        console.print(f"stopped   {len(outcomes)} of {len(units)} drives are done; run "
                      "the same command to continue", style="yellow", highlight=False)  # fmt: skip
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


def _row(outcome: SceneOutcome) -> Row:
    """The numbers of a drive; one that was not possible is worth nothing."""
    return outcome.results or {
        "ending": NOT_DRIVEN, "success": False, "driving_score": 0.0, "route_completion": 0.0,
        "efficiency": None, "comfort": 0.0, "infractions": {}, "happened": [],
        "error": outcome.error,
    }  # fmt: skip


def _write(suite: Suite, rows: dict[SuiteDrive, Row], out: Path, console: Console) -> None:
    """Table and numbers, on the screen and in files."""
    found = {
        driver: {
            name: summed([rows[SuiteDrive(driver, name, seed)] for seed in suite.seeds])
            for name in suite.situations
        }
        for driver in suite.drivers
    }
    head = f"{VERSION}, seeds {suite.seeds.start}:{suite.seeds.stop}"
    numbers = {
        "version": VERSION, "bundle": suite.bundle_label, "bundle_id": suite.bundle_id,
        "rig": suite.rig.name, "quality": suite.quality,
        "seeds": [suite.seeds.start, suite.seeds.stop], "drivers": found,
        "drives": [
            {"driver": u.driver, "situation": u.situation, "seed": u.seed, **row}
            for u, row in rows.items()
        ],
    }  # fmt: skip
    with Results(out, (PAGE, TABLE, TABLE_JSON)) as results:
        (results.folder / TABLE).write_text(as_markdown(found, head), encoding="utf-8")
        text = json.dumps(numbers, indent=1) + "\n"
        (results.folder / TABLE_JSON).write_text(text, encoding="utf-8")
        write_tables_page(as_page(found, head, _facts(suite)), results.folder / PAGE)
    print_table(found, head, console)
    for name in (PAGE, TABLE, TABLE_JSON):
        console.print(f"wrote     {out / name}", soft_wrap=True, highlight=False)


def _facts(suite: Suite) -> tuple[Fact, ...]:
    return (
        Fact("policy", suite.bundle_label), Fact("bundle", suite.bundle_id[:12]),
        Fact("rig", suite.rig.name), Fact("pictures", suite.quality),
        Fact("drives of each situation", str(len(suite.seeds))),
    )  # fmt: skip


def _watched(work: Iterator[SceneOutcome], total: int) -> Iterator[SceneOutcome]:
    """All of it with a bar and an estimate, until somebody presses Ctrl-C."""
    columns = (TextColumn("driving"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        suppress(KeyboardInterrupt),
        interruptible(between=False) as pressed,
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("driving", total=total)
        for done in work:
            yield done
            bar.advance(task)
            if pressed.is_set():
                return
