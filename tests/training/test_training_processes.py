"""Two processes learn what one learns with twice the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from random_batches import random_batch

from irl_vla.perception.preset import load_preset
from irl_vla_training.perception.perceive import perceive, processes
from irl_vla_training.recipe import AugmentRecipe, OptimiserRecipe, PerceiveRecipe, Recipe
from irl_vla_training.run import RunFolder
from irl_vla_training.samples.batch import Batch

NANO = load_preset("nano")
STEPS, HALF = 3, 2
TOLERANCE = 0.05  # relative: a process normalises losses and batch statistics by its own samples


def recipe(batch: int) -> Recipe:
    augment = AugmentRecipe(drop_memory=0.0, drop_status=0.0, drop_intent=0.0, drop_route=0.0)
    settings = PerceiveRecipe(
        steps=STEPS, batch=batch, log_every=1, memory_from=0.0, precision="fp32", augment=augment,
        optimiser=OptimiserRecipe(warm_up=1),
    )  # fmt: skip
    return Recipe(name="test", preset="nano", perceive=settings)


def halves(first: int, process: int, count: int) -> Iterator[Batch]:
    step = first
    while True:
        yield random_batch(NANO, HALF, 2 * step + process)
        step += 1


def joined(parts: list[Any]) -> Any:
    """Batches side by side."""
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(parts)
    if is_dataclass(parts[0]):
        names = [entry.name for entry in fields(parts[0])]
        return type(parts[0])(**{n: joined([getattr(p, n) for p in parts]) for n in names})
    return sum(parts, ())


def wholes(first: int, process: int, count: int) -> Iterator[Batch]:
    for one, other in zip(halves(first, 0, 2), halves(first, 1, 2), strict=True):
        yield joined([one, other])


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in RunFolder(folder).entries()]


def main(folder: str) -> None:
    """What `torchrun` starts twice."""
    torch.set_num_threads(1)
    fabric = processes()
    if fabric.is_global_zero:
        RunFolder.begin(Path(folder), recipe(HALF), "data")
    fabric.barrier()
    perceive(recipe(HALF), halves, RunFolder(Path(folder)), lambda _: None, fabric)


def test_two_processes_learn_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    one = RunFolder.begin(tmp_path / "one", recipe(2 * HALF), "data")
    perceive(recipe(2 * HALF), wholes, one, lambda _: None, Fabric(accelerator="cpu", devices=1))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    subprocess.run(
        [*command, "2", __file__, str(tmp_path / "two")], check=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=TOLERANCE)


if __name__ == "__main__":
    main(sys.argv[1])
