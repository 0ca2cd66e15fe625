"""The loop that trains the eyes; no formula stands here.

In: recipe, batches from any step on, run folder   Out: checkpoints, log, curves
May import: lightning_fabric, irl_vla, irl_vla_training's ground floor and samples, perception.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import perf_counter

from lightning_fabric import Fabric

from irl_vla.terminal.interruption import interruptible
from irl_vla_training.curves import redraw
from irl_vla_training.events import EventFile
from irl_vla_training.perception.trainer import EyesTrainer, StepRecord
from irl_vla_training.recipe import PerceiveRecipe, Recipe
from irl_vla_training.run import RunFolder
from irl_vla_training.samples.batch import Batch

Tell = Callable[[str], None]
Read = Callable[[int, int, int], Iterator[Batch]]  # first batch, process, processes -> endless


@dataclass(frozen=True)
class Ended:
    """step: how many were taken; whole: all of them, not ended by Ctrl-C."""

    step: int
    whole: bool


def processes() -> Fabric:
    """One process, or as many as `torchrun` started."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="auto", devices=count if count > 1 else 1,
        strategy="ddp" if count > 1 else "auto",
    )  # fmt: skip
    fabric.launch()
    return fabric


def perceive(
    recipe: Recipe, read: Read, folder: RunFolder, tell: Tell, fabric: Fabric | None = None
) -> Ended:
    """Trains until the recipe's steps are taken, or until Ctrl-C, and keeps where it stands.

    Raises TrainingStopped where a loss or a gradient breaks."""
    fabric = fabric or processes()
    trainer, settings = EyesTrainer(recipe, fabric, folder), recipe.perceive
    resumed = trainer.resume()
    if fabric.is_global_zero:
        folder.forget_after(trainer.step)
        tell(f"goes on after step {trainer.step}" if resumed else "begins")
    first = trainer.step * settings.accumulate
    batches = read(first, fabric.global_rank, fabric.world_size)
    pace, note = Pace(), Notes(folder, trainer.step, tell)
    with interruptible() as pressed:
        while not trainer.over and not pressed.is_set():
            group = [batch.to(fabric.device) for batch in islice(batches, settings.accumulate)]
            if trainer.precision is None:
                _choose(trainer, group[0], folder, tell)
            record = trainer.take(group)
            pace.count(settings.batch * settings.accumulate * fabric.world_size)
            if fabric.is_global_zero:
                note.take(record, settings, pace)
            if trainer.step % settings.checkpoint_every == 0:
                trainer.save()
    if trainer.step % settings.checkpoint_every:
        trainer.save()
    if fabric.is_global_zero:
        note.close()
    return Ended(trainer.step, trainer.over)


class Pace:
    """How fast it goes: seconds per step and samples per second, of late."""

    def __init__(self) -> None:
        self._last, self.step_s, self.samples_per_s = perf_counter(), 0.0, 0.0

    def count(self, samples: int) -> None:
        """A step is over."""
        now = perf_counter()
        took, self._last = now - self._last, now
        self.step_s = took if self.step_s == 0.0 else 0.95 * self.step_s + 0.05 * took
        self.samples_per_s = samples / self.step_s


def _choose(trainer: EyesTrainer, batch: Batch, folder: RunFolder, tell: Tell) -> None:
    took = trainer.measure(batch)
    if trainer.fabric.is_global_zero:
        folder.log({"step": 0, "precision_s": took})
        assert trainer.precision is not None
        tell(f"computes with {trainer.precision.name}; measured [s]: {took}")


class Notes:
    """What is kept of the steps: log, events, curves, and a line for who watches."""

    def __init__(self, folder: RunFolder, after: int, tell: Tell) -> None:
        self._folder, self._tell = folder, tell
        self._events = EventFile(folder.path / "events", after)

    def take(self, record: StepRecord, settings: PerceiveRecipe, pace: Pace) -> None:
        """A step is over."""
        if record.step % settings.log_every == 0:
            entry = {**record.entry(), "samples_per_s": round(pace.samples_per_s, 3)}
            self._folder.log(entry)
            self._events.add(entry)
            left_min = (settings.steps - record.step) * pace.step_s / 60.0
            self._tell(
                f"step {record.step} of {settings.steps}  loss {entry['loss']:.3f}  norm"
                f" {record.norm:.2f}  {pace.samples_per_s:.1f} samples/s  {left_min:.0f} min left"
            )
        if record.step % settings.checkpoint_every == 0:
            redraw(self._folder)

    def close(self) -> None:
        """Curves once more; the events are on disk."""
        self._events.close()
        redraw(self._folder)
