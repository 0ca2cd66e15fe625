"""The command `prepare`: what is typed -> a source, settings, and a set of samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from irl_vla.config import named
from irl_vla.perception.preset import load_preset
from irl_vla.terminal.console import Console
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import split_of
from irl_vla_training.samples.prepare import prepare
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.sources import (
    NavsimSource,
    ShardSource,
    WorldSource,
    bag_source,
    scenario_source,
)

STOPPED = 130


@dataclass(frozen=True)
class Wanted:
    """What was typed about where samples come from."""

    paths: tuple[Path, ...]
    seeds: str | None
    split: str | None


def prepare_command(
    out: Annotated[str, typer.Option(help="folder, or any URL that fsspec can write")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="scenarionet: files; navsim: the data's folder; bag: recordings"),
    ] = None,
    source: Annotated[str, typer.Option(help="world, scenarionet, navsim or bag")] = "world",
    seeds: Annotated[str | None, typer.Option(help="world: A:B, the seeds A to B - 1")] = None,
    split: Annotated[
        str | None, typer.Option(help="world: seeds of a split, such as world-dev; navsim: a split")
    ] = None,
    preset: Annotated[str, typer.Option(help="a preset's name or file: sizes, grid")] = "tiny",
    per_seed: Annotated[int, typer.Option(min=1, help="samples of a drive, at most")] = 22,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    ray: Annotated[
        str | None, typer.Option(help="over machines: 'local', 'auto' or a cluster's address")
    ] = None,
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help="add to shards that other code or versions made"),
    ] = False,
) -> None:
    """Make training samples: pictures of varied rigs with all the truth about them. A stopped run
    continues where it stopped; the same seed gives the same bytes."""
    console = Console(stderr=True)
    given = Wanted(tuple(paths or ()), seeds, split)
    make = named(SOURCES, source, "source")
    _refuse_idle(source, given)
    wanted = make(given)
    settings = SampleSettings.of(load_preset(preset), per_seed)
    try:
        count = prepare(out, settings, wanted, jobs, ray, console, accept_changes)
    except KeyboardInterrupt:
        console.print("stopped   run the same command again to continue", style="yellow")
        raise typer.Exit(STOPPED) from None
    console.print(f"wrote     {out}  ({count:,} samples)", soft_wrap=True)


def _refuse_idle(source: str, given: Wanted) -> None:
    """Options that would do nothing. Raises InputError."""
    if given.seeds is not None and source != "world":
        raise InputError(f"--seeds: does nothing with source '{source}'; leave it out")
    if given.split is not None and source not in ("world", "navsim"):
        raise InputError(f"--split: does nothing with source '{source}'; leave it out")


def _world(wanted: Wanted) -> ShardSource:
    if wanted.paths:
        raise InputError("source 'world' takes --seeds or --split, no files")
    found = split_of(wanted.split, wanted.seeds)
    if found.groups:
        raise InputError(f"split '{found.name}' holds groups of scenes, no drives to learn from")
    return WorldSource(found.seeds)


def _scenarionet(wanted: Wanted) -> ShardSource:
    return scenario_source(_there(wanted, "scenarionet", "one or more scenario files (.pkl)"))


def _bag(wanted: Wanted) -> ShardSource:
    return bag_source(_there(wanted, "bag", "one or more recordings"))


def _navsim(wanted: Wanted) -> ShardSource:
    found = _there(wanted, "navsim", "the folder with navsim_logs/")
    if len(found) != 1 or wanted.split is None:
        raise InputError("source 'navsim': expected one folder and --split, for example navtrain")
    return NavsimSource(found[0], wanted.split)


def _there(wanted: Wanted, source: str, what: str) -> tuple[Path, ...]:
    """The paths, if there are any and all of them exist."""
    if not wanted.paths:
        raise InputError(f"source '{source}': expected {what}")
    for path in wanted.paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    return wanted.paths


SOURCES: dict[str, Callable[[Wanted], ShardSource]] = {
    "world": _world, "scenarionet": _scenarionet, "navsim": _navsim, "bag": _bag,
}  # fmt: skip
