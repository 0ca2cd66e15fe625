"""The command `ship`: the weights of a run -> a bundle that drives.

Of a run that trained the eyes alone the planner stays untrained, and the bundle says so.
May import: irl_vla, irl_vla_training.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from irl_vla.drafts import refuse_unwritable
from irl_vla.engine.export import Provenance, export_bundle
from irl_vla.engine.manifest import DataSource
from irl_vla.engine.networks import build_networks
from irl_vla.perception.networks import Perception
from irl_vla.terminal.console import Console
from irl_vla_training.evaluate.model import eyes_of_run
from irl_vla_training.run import RunFolder

WORLD = DataSource(name="the built-in world, seeds 1,000,000 to 1,899,999", licence="Apache-2.0")


def round_to_half(net: nn.Module) -> None:
    """Matrices and filters get values that float16 can hold: exactly the same network in float32
    then takes half the room wherever files are packed, git included."""
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half())


def ship_command(
    run: Annotated[Path, typer.Option(help="the run that trained the eyes")],
    out: Annotated[Path, typer.Option(help="folder of the bundle, for example models/tiny")],
) -> None:
    """Export a run's weights as a bundle. Each graph is compared with torch."""
    console = Console(stderr=True)
    refuse_unwritable(out.parent)
    eyes, step = eyes_of_run(run)
    round_to_half(eyes)
    recipe = RunFolder(run).recipe
    networks = build_networks(eyes.preset, recipe.seed)
    seeing = replace(networks, perception=Perception(eyes.preset, eyes.camera, eyes.bev))
    round_to_half(seeing.planner)
    origin = Provenance(
        name=out.name, seed=recipe.seed, trained=False,
        training_run=f"eyes: recipe {recipe.name} ({recipe.fingerprint[:12]}), {step} steps of"
        f" {recipe.perceive.batch} samples; planner: not trained",
        training_data=(WORLD,),
    )  # fmt: skip
    bundle = export_bundle(seeing, out, origin, console.print)
    console.print(f"wrote     {out}  {bundle.id[:12]}", soft_wrap=True)
