"""`irl-vla score --navsim DATA`: a split of the benchmark, scored with the devkit's numbers.

`app.py` hooks `score_navsim` into `score` and `navsim_show.show_navsim` into `show`.
"""

from __future__ import annotations

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from irl_vla.cli.navsim_page import write_score_page
from irl_vla.drafts import refuse_unwritable
from irl_vla.evaluation.bundle_agent import bundle_agent
from irl_vla.navsim.dataset import Dataset, index_split
from irl_vla.navsim.evaluation import Scored, Skipped
from irl_vla.navsim.jobs import Outcomes, ScoringJob, in_order, run, scored_tokens
from irl_vla.navsim.tables import NAMES, Row, as_csv, one_stage_rows, skipped_csv
from irl_vla.navsim.two_stage_table import two_stage_rows
from irl_vla.terminal.console import Console
from irl_vla.types import InputError
from irl_vla.view.report import replace_file

CACHE = Path("~/.cache/irl-vla/navsim")
SOME_FAILED = 4  # exit code, see app.py
TRAFFIC = ("log_replay", "reactive")


def score_navsim(
    root: Path,
    split: str,
    agent: str,
    out: Path,
    *,
    jobs: int = 1,
    ray: str | None = None,
    traffic: str | None = None,
    cache: Path | None = CACHE,
    splits: Path | None = None,
) -> int:
    """Scores a split and writes scores.csv, skipped.csv and scores.html into `out`.

    agent: constant_velocity, human, pdm_closed or bundle:DIR; traffic: "log_replay" or "reactive",
    by default as the devkit does it (two-stage splits: reactive); cache: None for none; splits:
    folder of the devkit's split files, if not below the root.
    Returns the exit code: 0, or 4 if some scenes could not be scored. Raises InputError, also
    where not one scene could be scored.
    """
    console = Console()
    refuse_unwritable(out)
    dataset = Dataset(root, splits)
    chosen = dataset.split(split)
    reactive = reactive_traffic(traffic, chosen.is_two_stage)
    folder = None if cache is None else cache.expanduser()
    index = index_split(dataset, chosen, folder)
    for line in index.notes():
        console.print(f"note  {line}", style="yellow", markup=False, highlight=False)
    plan = ScoringJob(
        index=index, agent=agent, reactive=reactive, cache=folder, load_bundle=bundle_agent
    )
    scored, skipped = in_order(index, iter(_with_progress(plan, jobs, ray)))
    replace_file(out / "skipped.csv", skipped_csv(skipped).encode())
    if not scored:
        why = skipped[0].reason if skipped else "the split picks no scene from these logs"
        raise InputError(f"split '{split}': not one scene could be scored; first reason: {why}")
    rows = two_stage_rows(chosen.groups, scored) if chosen.is_two_stage else one_stage_rows(scored)
    replace_file(out / "scores.csv", as_csv(rows).encode())
    write_score_page(plan, scored, skipped, rows, out / "scores.html")
    _report(console, scored, skipped, rows, out)
    return SOME_FAILED if skipped else 0


def reactive_traffic(traffic: str | None, two_stage: bool) -> bool:
    """Whether vehicles react; the devkit's choice if nothing is said."""
    if traffic is None:
        return two_stage
    if traffic not in TRAFFIC:
        raise InputError(f"--traffic {traffic}: expected {' or '.join(TRAFFIC)}")
    return traffic == "reactive"


def _with_progress(plan: ScoringJob, jobs: int, ray: str | None) -> list[Outcomes]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    units = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("scoring", total=len(scored_tokens(plan.index)))
        for outcomes in run(plan, jobs, ray):
            units.append(outcomes)
            progress.advance(task, len(outcomes))
    return units


def _report(
    console: Console,
    scored: list[Scored],
    skipped: list[Skipped],
    rows: list[Row],
    out: Path,
) -> None:
    """The averages as a table, what is excluded from the means, and what was written."""
    console.print(averages_table(rows[len(scored) :]))
    if skipped:
        console.print(
            f"{len(skipped)} of {len(scored) + len(skipped)} scenes could not be scored and are "
            f"excluded from the means; first reason: {skipped[0].reason}",
            style="yellow", markup=False, highlight=False,
        )  # fmt: skip
    for path in sorted(out.glob("s*.*")):
        console.print(f"wrote  {path}", markup=False, highlight=False)


def averages_table(rows: list[Row]) -> Table:
    """One column per average row, one line per sub-score."""
    table = Table("", *(str(row["token"]) for row in rows))
    for column in [name for name in rows[0] if name not in ("token", "valid")]:
        cells = [row[column] for row in rows]
        if any(cell is not None for cell in cells):
            shown = ["" if cell is None else f"{cell:.4f}" for cell in cells]
            table.add_row(short(column), *shown)
    return table


def short(column: str) -> str:
    """The devkit's column in our words: "NC stage one"."""
    for sub_score, name in NAMES.items():
        if column.startswith(name):
            return f"{sub_score.upper()}{column.removeprefix(name).replace('_', ' ')}"
    return column
