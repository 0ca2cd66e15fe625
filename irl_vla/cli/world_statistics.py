"""`irl-vla world statistics`: the built-in world beside recorded ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from rich.progress import track
from rich.table import Table

from irl_vla.drafts import refuse_unwritable
from irl_vla.scoring.two_stage import COLUMNS
from irl_vla.terminal.console import Console
from irl_vla.types import F64
from irl_vla.view.report import replace_file
from irl_vla.view.statistics import WorldStatistics, worlds_png
from irl_vla.world.benchmark.plans import PLAN_MAKERS
from irl_vla.world.benchmark.scenes import BEFORE, FIRST, Cutter
from irl_vla.world.benchmark.scored_scenes import score_episode
from irl_vla.world.benchmark.splits import split_of
from irl_vla.world.benchmark.statistics import distances, statistics_of
from irl_vla.world.build import episode_of
from irl_vla.world.episode import Episode
from irl_vla.world.recorded.scenarionet import load_scenario

T = TypeVar("T")
EVERY = 15  # steps between scenes
SHOWN = ("expert", "pdm_closed", "constant_velocity")
SUB_SCORE_NAMES = tuple(name for name in COLUMNS if name != "score")


def statistics(
    scenarios: Annotated[list[Path], typer.Argument(help="ScenarioNet files to compare with")],
    seeds: Annotated[str, typer.Option(help="A:B, the seeds A to B - 1 of the world")] = "0:30",
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("out/statistics"),
) -> None:
    """Compare the built-in world with recorded ones: histograms of motion, how much they
    differ, and where plans lose points."""
    console = Console()
    refuse_unwritable(out)
    wanted = split_of(None, seeds).seeds
    both = [
        _world("built-in", [episode_of(seed) for seed in _bar(wanted, "driving")]),
        _world("recorded", [load_scenario(path) for path in _bar(scenarios, "reading")]),
    ]
    apart = distances(both[0].statistics, both[1].statistics)
    table = Table("", "built-in", "recorded", "distance", title="means within 50 m of the ego")
    for name, distance in apart.items():
        means = [_mean(getattr(world.statistics, name)) for world in both]
        table.add_row(name, *means, f"{distance:.2f}")
    console.print(table)
    numbers = {
        world.name: {
            "means": {n: float(np.mean(getattr(world.statistics, n))) for n in apart},
            "points_lost_percent": world.lost,
        }
        for world in both
    }
    text = json.dumps({**numbers, "wasserstein": apart}, indent=1) + "\n"
    for name, data in (("statistics.png", worlds_png(both)), ("statistics.json", text.encode())):
        replace_file(out / name, data)
        console.print(f"wrote     {out / name}", highlight=False, soft_wrap=True)


def _world(name: str, episodes: Sequence[Episode]) -> WorldStatistics:
    makers = {driver: PLAN_MAKERS[driver] for driver in SHOWN}
    judged = [
        score_episode(episode, range(FIRST + BEFORE, Cutter(episode).last + 1, EVERY), makers, "")
        for episode in _bar(episodes, "scoring")
    ]
    lost = {}
    for driver in SHOWN:
        values = np.concatenate([found.columns[driver] for found in judged])
        below = 100.0 * (1.0 - values.mean(axis=0))
        lost[driver] = {
            sub_score: float(below[COLUMNS.index(sub_score)]) for sub_score in SUB_SCORE_NAMES
        }
    return WorldStatistics(name, statistics_of(episodes), lost)


def _bar(items: Sequence[T], what: str) -> Iterator[T]:
    return iter(track(items, what, console=Console(stderr=True), transient=True))


def _mean(samples: F64) -> str:
    return f"{float(np.mean(samples)):.2f}" if len(samples) else "none"
