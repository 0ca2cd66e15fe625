"""The command `prepare`: what is typed -> a source, settings, and a set of samples."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from irl_vla.config import named
from irl_vla.perception.preset import load_preset
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import split_of
from irl_vla_training.samples.prepare import prepare
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.sources import ShardSource, WorldSource

STOPPED = 130


def prepare_command(
    out: Annotated[str, typer.Option(help="folder, or any URL that fsspec can write")],
    source: Annotated[str, typer.Option(help="world")] = "world",
    seeds: Annotated[str | None, typer.Option(help="A:B, the seeds A to B - 1")] = None,
    split: Annotated[str | None, typer.Option(help="seeds of a split, such as world-dev")] = None,
    preset: Annotated[str, typer.Option(help="a preset's name or file: sizes, grid")] = "tiny",
    per_seed: Annotated[int, typer.Option(min=1, help="samples of a drive, at most")] = 22,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    ray: Annotated[
        str | None, typer.Option(help="over machines: 'local', 'auto' or a cluster's address")
    ] = None,
) -> None:
    """Make training samples: pictures of varied rigs with all the truth about them. A stopped run
    continues where it stopped; the same seed gives the same bytes."""
    console = Console(stderr=True)
    wanted = _source(source, seeds, split)
    settings = SampleSettings.of(load_preset(preset), per_seed)
    try:
        count = prepare(out, settings, wanted, jobs, ray, console)
    except KeyboardInterrupt:
        console.print("stopped   run the same command again to continue", style="yellow")
        raise typer.Exit(STOPPED) from None
    console.print(f"wrote     {out}  ({count:,} samples)", soft_wrap=True, highlight=False)


def _source(source: str, seeds: str | None, split: str | None) -> ShardSource:
    return named(SOURCES, source, "source")(split, seeds)


def _world(split: str | None, seeds: str | None) -> ShardSource:
    found = split_of(split, seeds)
    if found.groups:
        raise InputError(f"split '{found.name}' holds groups of scenes, no drives to learn from")
    return WorldSource(found.seeds)


SOURCES = {"world": _world}
