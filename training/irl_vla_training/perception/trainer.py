"""One training of the eyes: networks, optimiser, step counter, and how they are kept and resumed.

Everything that a step depends on is the weights, the moments, the number of the step and the batch
of that number: chance is drawn anew from (seed, step, process). So a run that was killed anywhere
goes on from its last checkpoint and gives the same numbers. May import: torch, lightning_fabric,
irl_vla, irl_vla_training's ground floor and samples, perception.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from irl_vla.perception.preset import load_preset
from irl_vla.types import InputError
from irl_vla_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from irl_vla_training.optimiser import (
    adamw,
    optimiser_tensors,
    rate_at,
    restore_optimiser,
    set_rate,
)
from irl_vla_training.perception.dropout import dropped, kept
from irl_vla_training.perception.eyes import Eyes
from irl_vla_training.perception.speed import Precision, fastest
from irl_vla_training.recipe import Recipe
from irl_vla_training.run import RunFolder
from irl_vla_training.samples.batch import Batch

STAGE = "perceive"


class TrainingStopped(InputError):
    """A loss or gradient is not a number, or exploded; the last checkpoint is still good."""


@dataclass(frozen=True)
class StepRecord:
    """What a step was like. losses: weighted, by name; norm: of the gradient, before clipping."""

    step: int
    losses: dict[str, float]
    norm: float
    rate: float

    def entry(self) -> dict[str, Any]:
        """For the log."""
        total = sum(self.losses.values())
        return {"step": self.step, "loss": total, **self.losses, "norm": self.norm,
                "rate": self.rate}  # fmt: skip


class EyesTrainer:
    """See the module's text. step: how many were taken."""

    def __init__(self, recipe: Recipe, fabric: Fabric, folder: RunFolder) -> None:
        self.recipe, self.fabric, self.folder = recipe, fabric, folder
        self.eyes = Eyes(load_preset(recipe.preset), recipe.seed).to(fabric.device).train()
        self._optimiser = adamw(self.eyes, recipe.perceive.optimiser)
        self._net: nn.Module
        self._net, self._wrapped = fabric.setup(self.eyes, self._optimiser)
        self.precision: Precision | None = None
        if recipe.perceive.precision != "measured":
            self.precision = Precision.of(recipe.perceive.precision)
            self.precision.lay_out(self.eyes)
        self.step = 0

    @property
    def over(self) -> bool:
        """Whether all steps were taken."""
        return self.step >= self.recipe.perceive.steps

    def resume(self) -> bool:
        """Goes on from the newest checkpoint; False where there is none. Raises InputError where it
        is of another preset or stage."""
        path = self.folder.newest
        if path is None:
            return False
        found = load_checkpoint(path)
        expected = {"stage": STAGE, "preset": self.recipe.preset}
        got = {name: found.state.get(name) for name in expected}
        if got != expected:
            raise InputError(f"{path}: expected a checkpoint of {expected}, got {got}")
        self.precision = Precision(**found.state["precision"])
        self.precision.lay_out(self.eyes)
        load_eyes(self.eyes, found, str(path))
        restore_optimiser(self.eyes, self._optimiser, found.tensors, found.step)
        self.step = found.step
        return True

    def save(self) -> None:
        """A checkpoint of now, by the first process."""
        if not self.fabric.is_global_zero or self.precision is None:
            return
        tensors = {f"eyes.{name}": value for name, value in self.eyes.state_dict().items()}
        state = {"stage": STAGE, "preset": self.recipe.preset, "precision": asdict(self.precision)}
        save_checkpoint(
            self.folder.checkpoints,
            Checkpoint(self.step, {**tensors, **optimiser_tensors(self.eyes, self._optimiser)},
                       state),
        )  # fmt: skip

    def measure(self, batch: Batch) -> dict[str, float]:
        """Chooses the precision by this batch, leaving the weights as they are; what each took
        [s]. The first process decides for all."""
        before = {name: value.clone() for name, value in self.eyes.state_dict().items()}

        def once(precision: Precision) -> None:
            self.precision = precision
            self._backward(batch, memory=False)
            self._optimiser.zero_grad()

        self.precision, took = fastest(self.eyes, self.fabric.device.type, once)
        self.precision = self.fabric.broadcast(self.precision)
        self.precision.lay_out(self.eyes)
        self.eyes.load_state_dict(before)
        return took

    def take(self, batches: Iterable[Batch]) -> StepRecord:
        """One step over as many batches as are accumulated. Raises TrainingStopped."""
        recipe = self.recipe.perceive
        rate = rate_at(self.step, recipe.steps, recipe.optimiser)
        set_rate(self._optimiser, rate)
        memory = self.step >= recipe.memory_from * recipe.steps
        sums: dict[str, float] = {}
        for place, batch in enumerate(batches):
            for name, value in self._of_all(self._backward(batch, memory, place)).items():
                sums[name] = sums.get(name, 0.0) + value / recipe.accumulate
        norm = float(nn.utils.clip_grad_norm_(self.eyes.parameters(), recipe.optimiser.clip_norm))
        self._refuse_broken(sums, norm)
        self._wrapped.step()
        self._optimiser.zero_grad()
        self.step += 1
        return StepRecord(self.step, sums, norm, rate)

    def _backward(self, batch: Batch, memory: bool, place: int = 0) -> dict[str, Tensor]:
        """Adds the gradient of one batch; its losses."""
        assert self.precision is not None
        recipe = self.recipe.perceive
        chance = torch.Generator().manual_seed(self._draw(place))
        ego = dropped(batch.ego_vector, recipe.augment, chance)
        valid = kept(batch.memory.valid, recipe.augment.drop_memory if memory else 1.0, chance)
        with self.precision.context(self.fabric.device.type):
            losses: dict[str, Tensor] = self._net(batch, ego, valid, recipe.losses)
        total = torch.stack(list(losses.values())).sum()
        self.fabric.backward(total / recipe.accumulate)
        return {name: value.detach() for name, value in losses.items()}

    def _of_all(self, losses: dict[str, Tensor]) -> dict[str, float]:
        """Means over the processes, so that all of them log the same and stop together."""
        values = torch.stack(list(losses.values()))
        if self.fabric.world_size > 1:
            values = self.fabric.all_reduce(values, reduce_op="mean")
        return dict(zip(losses, values.tolist(), strict=True))

    def _draw(self, place: int) -> int:
        """A seed for this step, process and batch of the step."""
        numbers = (self.recipe.seed, self.step, self.fabric.global_rank, place)
        return hash(numbers) % 2**63

    def _refuse_broken(self, losses: dict[str, float], norm: float) -> None:
        limit = self.recipe.perceive.optimiser.explodes_at
        broken = [name for name, value in losses.items() if not math.isfinite(value)]
        if not broken and math.isfinite(norm) and norm <= limit:
            return
        what = f"loss '{broken[0]}' is not a number" if broken else f"gradient norm {norm:.3g}"
        newest = self.folder.newest
        kept_one = "no checkpoint yet" if newest is None else f"the last good one is {newest}"
        raise TrainingStopped(
            f"step {self.step + 1}: {what} (norm {norm:.3g}, allowed {limit:g}). Stopped;"
            f" {kept_one}. Lower optimiser.peak_rate, or look at the samples of this step"
        )


def load_eyes(eyes: Eyes, checkpoint: Checkpoint, where: str) -> None:
    """Weights of a checkpoint into networks. Raises InputError where the preset's sizes differ."""
    found = {
        name.removeprefix("eyes."): value for name, value in checkpoint.tensors.items()
        if name.startswith("eyes.")
    }  # fmt: skip
    expected = eyes.state_dict()
    for name in sorted(set(expected) ^ set(found)):
        raise InputError(f"{where}: weight '{name}' is not in both checkpoint and preset")
    for name, value in expected.items():
        if value.shape != found[name].shape:
            raise InputError(
                f"{where}: weight '{name}': preset '{eyes.preset.name}' has {list(value.shape)},"
                f" the checkpoint {list(found[name].shape)}"
            )
    eyes.load_state_dict(found)
