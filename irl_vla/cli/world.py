"""`irl-vla world`: scenes and tables of the built-in world."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from irl_vla.camera.rig import load_rig
from irl_vla.drafts import refuse_unwritable
from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.bundle_plans import BundlePlanMaker
from irl_vla.evaluation.drive_run import DEFAULT_RIG
from irl_vla.evaluation.plan_makers import makers
from irl_vla.resources import resource, software
from irl_vla.scoring.journal import Journal, SceneOutcome
from irl_vla.scoring.spread import spread
from irl_vla.terminal.console import Console
from irl_vla.terminal.interruption import interruptible
from irl_vla.terminal.lazy import only_with
from irl_vla.types import InputError
from irl_vla.view.report import Fact, PageTable, TablesPage, replace_file, write_tables_page
from irl_vla.world.benchmark.plans import PlanMaker
from irl_vla.world.benchmark.scene_files import file_name, file_of_seed, groups_in, is_whole
from irl_vla.world.benchmark.splits import VERSION, SeedSplit, split_of
from irl_vla.world.benchmark.table import (
    NAMES,
    BenchmarkTable,
    Row,
    as_json,
    as_markdown,
    row_of_seed,
    table_of,
)

MAPPING, TABLE, TABLE_JSON, PAGE = "groups.json", "table.md", "table.json", "table.html"
ENDLESS = 100_000  # more seeds than this are asked for by --seeds, not by a split's name

SplitName = Annotated[
    str | None, typer.Option("--split", help="world-dev, world-val, world-hard or world-train")
]
SeedRange = Annotated[str | None, typer.Option("--seeds", help="A:B, the seeds A to B - 1")]
Jobs = Annotated[int, typer.Option(help="number of processes", min=1)]


def scenes(
    out: Annotated[Path, typer.Option(help="folder for one file per seed")],
    split: SplitName = None,
    seeds: SeedRange = None,
    jobs: Jobs = 1,
) -> None:
    """Write scoring scenes, one file per seed. Files that exist already are kept, so a stopped run
    continues where it stopped; the same seed gives the same bytes."""
    wanted, console = _wanted(split, seeds), Console()
    refuse_unwritable(out)
    paths = {seed: out / file_name(seed) for seed in wanted.seeds}
    left = [s for s, path in paths.items() if not is_whole(path, s, wanted.groups)]
    kept = len(wanted.seeds) - len(left)
    if kept:
        console.print(f"kept      {kept} files that exist already")
    work = partial(_write_seed, out, wanted.groups)
    stopped = _all(spread(left, work, jobs), len(left), "writing scenes")
    if wanted.groups and not stopped:
        files = [out / file_name(seed) for seed in wanted.seeds]
        groups = [group for path in files if (group := groups_in(path)) is not None]
        _replace(out / MAPPING, json.dumps({"mappings": groups}, indent=1) + "\n")
        console.print(f"wrote     {out / MAPPING}", soft_wrap=True, highlight=False)
    console.print(f"wrote     {out}  ({wanted})", soft_wrap=True, highlight=False)
    if stopped:
        console.print("stopped   run the same command again to continue", style="yellow")
        raise typer.Exit(130)


@only_with(rig="bundle")
def table(
    out: Annotated[Path, typer.Option(help="folder for table.md and table.json")],
    split: SplitName = None,
    seeds: SeedRange = None,
    jobs: Jobs = 1,
    bundle: Annotated[
        Path | None, typer.Option(help="also score this policy, on rendered pictures")
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(dir_okay=False, help="cameras of --bundle (YAML); default: tiny3")
    ] = None,
) -> None:
    """Score expert, PDM-Closed, constant velocity, standing still and the `rule` policy on a split.
    A stopped run continues where it stopped."""
    wanted, console = _wanted(split, seeds), Console()
    drivers = dict(makers())
    kind = "groups" if wanted.groups else "scenes"
    settings = {"split": f"{VERSION} of {kind}", **software()}
    if bundle is not None:
        loaded = load_bundle(bundle)
        cameras = load_rig(rig or resource(DEFAULT_RIG))
        label = loaded.manifest.label(drivers)
        drivers[label] = BundlePlanMaker(bundle, loaded.id, cameras)
        settings |= {"bundle": loaded.id, "rig": cameras.content_hash}
    refuse_unwritable(out)
    journal = Journal(out / f"{wanted.name}.journal", settings)
    keys = {seed: f"seed {seed}" for seed in wanted.seeds}
    left = [seed for seed, key in keys.items() if key not in journal.done]
    if len(left) < len(keys):
        console.print(f"kept      {len(keys) - len(left)} seeds that are scored already")
    work = partial(_score_seed, wanted.groups, drivers)

    def scored() -> Iterator[None]:
        for seed, row in spread(left, work, jobs):
            journal.add(SceneOutcome(str(seed), keys[seed], row))
            yield

    if _all(scored(), len(left), "scoring"):
        console.print("stopped   run the same command again to continue", style="yellow")
        raise typer.Exit(130)
    rows = {seed: _row(journal.done[key]) for seed, key in keys.items()}
    found = table_of(wanted, rows)
    text = as_markdown(found, wanted, VERSION)
    _replace(out / TABLE, text)
    _replace(out / TABLE_JSON, json.dumps(as_json(found, wanted, VERSION), indent=1) + "\n")
    write_tables_page(_page(found, wanted), out / PAGE)
    journal.path.unlink(missing_ok=True)
    _print(found, console)
    for name in (PAGE, TABLE, TABLE_JSON):
        console.print(f"wrote     {out / name}", soft_wrap=True, highlight=False)


def _page(found: BenchmarkTable, wanted: SeedSplit) -> TablesPage:
    """Both tables, kept and all, with the 95 % intervals."""
    columns = ("driver", *(name.upper() for name in NAMES))
    tables = tuple(
        PageTable(
            title, columns,
            tuple(
                (driver, *(f"{m:.1f} [{a:.1f}, {b:.1f}]" for m, a, b in
                           zip(s.mean, s.low, s.high, strict=True)))
                for driver, s in summaries.items()
            ),
            columns[1:],
        )
        for title, summaries in (
            (f"{found.kept} of {found.scenes} kept by the filter", found.drivers),
            (f"All {found.scenes}", found.unfiltered),
        )
    )  # fmt: skip
    facts = (
        Fact("split", str(wanted)), Fact("version", VERSION),
        *(Fact(f"dropped, {name.replace('_', ' ')}", f"{100 * share:.1f} %")
          for name, share in found.dropped.items()),
    )  # fmt: skip
    note = "In percent, with 95 % intervals (bootstrap over seeds), without the human filter."
    return TablesPage("world table", f"Scores: {wanted.name}", facts, tables, note)


def _print(found: BenchmarkTable, console: Console) -> None:
    """Both tables, means only; the intervals of everything are in the files."""
    for title, drivers in (
        (f"{found.kept} of {found.scenes} kept by the filter", found.drivers),
        (f"all {found.scenes}", found.unfiltered),
    ):
        grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        grid.add_column("driver", no_wrap=True)
        for name in ("EPDMS", "95 %", *(n.upper() for n in NAMES if n != "epdms")):
            grid.add_column(name, justify="right", no_wrap=True)
        at = NAMES.index("epdms")
        for driver, s in drivers.items():
            span = f"{s.low[at]:.0f}-{s.high[at]:.0f}"
            rest = [f"{s.mean[i]:.0f}" for i, name in enumerate(NAMES) if name != "epdms"]
            grid.add_row(driver.replace("_", " "), f"{s.mean[at]:.1f}", span, *rest)
        console.print(grid)
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in found.dropped.items())
    console.print(f"dropped   {shares}", highlight=False)
    console.print(
        f"standing  the reference moves at most 5 m in {100 * found.stands:.1f} %", highlight=False
    )


def _wanted(split: str | None, seeds: str | None) -> SeedSplit:
    wanted = split_of(split, seeds)
    if len(wanted.seeds) > ENDLESS:
        raise InputError(
            f"{wanted}: has no fixed size; give a range of seeds: --seeds "
            f"{wanted.seeds.start}:{wanted.seeds.start + 1000}"
        )
    return wanted


def _write_seed(out: Path, groups: bool, seed: int) -> None:
    replace_file(out / file_name(seed), file_of_seed(seed, groups))


def _score_seed(groups: bool, drivers: Mapping[str, PlanMaker], seed: int) -> tuple[int, Row]:
    return seed, row_of_seed(seed, groups, drivers)


def _row(outcome: SceneOutcome) -> Row:
    assert outcome.results is not None
    return outcome.results


def _replace(path: Path, text: str) -> None:
    replace_file(path, text.encode())


def _all(work: Iterable[Any], total: int, what: str) -> bool:
    """Does all of it with a bar and an estimate; True when somebody pressed Ctrl-C."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        suppress(KeyboardInterrupt),
        interruptible(between=False) as pressed,
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task(what, total=total)
        for _ in work:
            bar.advance(task)
            if pressed.is_set():
                return True
        return False
    return True
