"""The command `perceive`: what is typed -> recipe, samples, run folder, training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer

from irl_vla.perception.preset import load_preset
from irl_vla.terminal.console import Console
from irl_vla_training.perception.perceive import perceive, processes
from irl_vla_training.recipe import load_recipe
from irl_vla_training.run import Consent, RunFolder
from irl_vla_training.samples.batch import Batch
from irl_vla_training.samples.loader import Loader
from irl_vla_training.samples.sample_set import SampleSet

STOPPED = 130


def perceive_command(
    recipe: Annotated[str, typer.Option(help="a recipe's name or file")],
    data: Annotated[str, typer.Option(help="samples that `prepare` made: a folder or URL")],
    out: Annotated[Path, typer.Option(help="folder of the run; one that is there goes on")],
    shards: Annotated[int | None, typer.Option(min=1, help="the first so many alone")] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="leave damaged shards out, and count")
    ] = False,
    more_data: Annotated[
        bool, typer.Option("--more-data", help="go on with a set that has grown")
    ] = False,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes", help="go on with other code, versions, preset or count of processes"
        ),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="of the processor, per process")] = 1,
) -> None:
    """Train the eyes: the networks from pictures to scene tokens. A run that was stopped or killed
    goes on from its last checkpoint; with several processes: `torchrun -m irl_vla_training.app`."""
    console = Console(stderr=True)
    settings = load_recipe(recipe)
    preset = load_preset(settings.preset)
    samples = SampleSet.open(data, shards, skip_broken)
    torch.set_num_threads(threads)
    fabric = processes()
    if fabric.is_global_zero:
        consent = Consent(more_data, accept_changes)
        RunFolder.begin(out, settings, samples.fingerprint, consent, fabric.world_size)
    fabric.barrier()

    def read(first: int, process: int, count: int) -> Iterator[Batch]:
        loader = Loader(
            samples, preset, settings.perceive.augment, settings.perceive.batch, settings.seed,
            process, count,
        )  # fmt: skip
        return loader.batches(first)

    def tell(text: str) -> None:
        console.print(text, soft_wrap=True)

    tell(f"{len(samples):,} samples in {len(samples.notes)} shards")
    ended = perceive(settings, read, RunFolder(out), tell, fabric)
    if samples.broken:
        tell(f"left out  {len(samples.broken)} broken shards: {', '.join(samples.broken)}")
    if not ended.whole:
        tell(f"stopped after step {ended.step}; run the same command again to continue")
        raise typer.Exit(STOPPED)
    tell(f"trained   {out}  ({ended.step:,} steps)")
