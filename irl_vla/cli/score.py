"""`irl-vla score`: EPDMS of scenes' candidates, of any proposals, or of a NAVSIM split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from irl_vla.cli.results import refuse_target
from irl_vla.cli.score_two_stage import score_two_stage
from irl_vla.resources import software
from irl_vla.scoring.batch import (
    Proposals,
    load_proposals,
    proposals_hash,
    read_tasks,
    scene_files,
    score_files,
)
from irl_vla.scoring.journal import Journal, SceneOutcome
from irl_vla.terminal.console import Console
from irl_vla.terminal.lazy import only_with
from irl_vla.types import InputError
from irl_vla.view.report import replace_file

SOME_FAILED = 4
SHOWN = ("epdms", "ec", "nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")


@only_with(
    split="navsim", agent="navsim", traffic="navsim", cache="navsim", proposals="!navsim",
    two_stage="!navsim",
)  # fmt: skip
def score(
    scenes: Annotated[
        list[Path] | None, typer.Argument(help="scene files, or folders with scenes.json.gz")
    ] = None,
    out: Annotated[Path, typer.Option(help="results file; a folder for --navsim")] = Path(
        "out/score/results.json"
    ),
    proposals: Annotated[
        Path | None,
        typer.Option(help="plans to score instead of the scenes' candidates (.npz or .json)"),
    ] = None,
    two_stage: Annotated[
        Path | None, typer.Option(help="mapping of first frames to follow-ups (.json, .json.gz)")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="number of processes")] = 1,
    ray: Annotated[
        str | None, typer.Option(help='"local", or the address of a Ray cluster')
    ] = None,
    navsim: Annotated[Path | None, typer.Option(help="folder of NAVSIM data to score")] = None,
    split: Annotated[str, typer.Option(help="for --navsim: name of a split")] = "navtest",
    agent: Annotated[
        str, typer.Option(help="for --navsim: constant_velocity, human, pdm_closed, bundle:DIR")
    ] = "constant_velocity",
    traffic: Annotated[
        str | None, typer.Option(help="for --navsim: log_replay or reactive; default: the devkit's")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="for --navsim: folder for prepared scenes")
    ] = Path("~/.cache/irl-vla/navsim"),
) -> None:
    """Score driving as the NAVSIM v2 benchmark does, to the last digit. Interrupted runs continue
    where they stopped; scenes that cannot be scored are listed and are excluded from the means."""
    if navsim is not None:
        if scenes:
            raise InputError("give either scene files or --navsim, not both")
        from irl_vla.cli.navsim import score_navsim  # with pyarrow, pyproj and matplotlib

        folder = out if out.suffix != ".json" else out.parent
        code = score_navsim(
            navsim, split, agent, folder, jobs=jobs, ray=ray, traffic=traffic, cache=cache
        )
        raise typer.Exit(code)
    if not scenes:
        raise InputError("nothing to score: give scene files or folders, or --navsim DATA")
    files = scene_files(scenes)
    more = [path for path in (proposals, two_stage) if path is not None]
    for target in (out, out.with_name(out.stem + ".two_stage.json")):
        refuse_target(target, [*files, *more])
    plans = None if proposals is None else load_proposals(proposals)
    outcomes = _score_scenes(files, plans, out, jobs, ray)
    if two_stage is not None:
        score_two_stage(files, outcomes, two_stage, out)
    if any(outcome.results is None for outcome in outcomes):
        raise typer.Exit(SOME_FAILED)


def _score_scenes(
    files: list[Path], plans: Proposals | None, out: Path, jobs: int, ray: str | None
) -> list[SceneOutcome]:
    """Score, keep the journal, write the results, print the table."""
    console = Console()
    tasks = list(read_tasks(files, plans))
    _refuse_twins([task.scene.id for task in tasks if not isinstance(task.scene, InputError)])
    journal = Journal(out.with_name(out.name + ".journal"), score_settings(plans))
    left = [task for task in tasks if task.key not in journal.done]
    if len(left) < len(tasks):
        console.print(f"{len(tasks) - len(left)} scenes are already in {journal.path}")
    failed: list[SceneOutcome] = []
    for outcome in _progress(score_files(left, plans, jobs, ray), len(left)):
        if outcome.results is None:
            failed.append(outcome)
        journal.add(outcome)
    scored = [journal.done[task.key] for task in tasks if task.key in journal.done]
    results = {outcome.scene_id: outcome.results for outcome in scored}
    replace_file(out, (json.dumps(results) + "\n").encode())
    journal.path.unlink(missing_ok=True)
    if scored:
        console.print(_table(scored, of_proposals=plans is not None))
    for outcome in failed:
        console.print(f"failed  {outcome.error}", style="red", markup=False, soft_wrap=True)
    if failed:
        console.print(
            f"{len(failed)} of {len(tasks)} scenes failed and are excluded from the means"
        )
    console.print(f"wrote  {out}", markup=False, highlight=False, soft_wrap=True)
    return [*scored, *failed]


def score_settings(plans: Proposals | None) -> dict[str, str]:
    """Of the journal: what besides the scene can change its score."""
    return {"plans": proposals_hash(plans), **software()}


def _refuse_twins(ids: list[str]) -> None:
    twins = sorted({name for name in ids if ids.count(name) > 1})
    if twins:
        raise InputError(f"scenes must have different ids; more than once: {', '.join(twins[:5])}")


def _progress(outcomes: Iterator[SceneOutcome], total: int) -> Iterator[SceneOutcome]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("scoring", total=total)
        for outcome in outcomes:
            progress.advance(task)
            yield outcome


def _table(scored: list[SceneOutcome], of_proposals: bool) -> Table:
    """Means over scenes (each the mean of its plans), in percent, with 95 % intervals."""
    rows: dict[str, list[float]] = {}
    plans = 0
    for outcome in scored:
        columns = _columns(outcome, of_proposals)
        plans += len(columns["epdms"])
        for name, values in columns.items():
            known = [value for value in values if value is not None]
            if known:
                rows.setdefault(name, []).append(float(np.mean(known)))
    title = f"{len(scored)} scenes, {plans} plans: means in percent, 95 % interval over scenes"
    table = Table("", "final", "raw (without the human filter)", title=title, title_justify="left")
    for name in SHOWN:
        sides = ("epdms", "epdms_raw") if name == "epdms" else (f"filtered.{name}", f"raw.{name}")
        sides = ("ec", "ec") if name == "ec" else sides
        table.add_row(name.upper(), *(_mean(rows.get(side, [])) for side in sides))
    return table


def _columns(outcome: SceneOutcome, of_proposals: bool) -> dict[str, list[float | None]]:
    """Results of either form as one list per column."""
    assert outcome.results is not None
    if of_proposals:
        columns: dict[str, list[float | None]] = outcome.results["proposals"]
        return columns
    columns = {name: [] for name in ("epdms", "epdms_raw", "ec")}
    for candidate in outcome.results.values():
        for name in ("epdms", "epdms_raw", "ec"):
            columns[name].append(candidate[name])
        for side in ("raw", "filtered"):
            for name, value in candidate[side].items():
                columns.setdefault(f"{side}.{name}", []).append(value)
    return columns


def _mean(values: list[float]) -> str:
    if not values:
        return "not known"
    half = 1.96 * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{100 * float(np.mean(values)):.2f} ± {100 * half:.2f}"
