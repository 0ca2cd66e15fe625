"""Batches for a training loop: from a set of samples, varied, in an order that can be gone on with.

    loader = Loader(samples, preset, recipe.augment, batch=4, seed=0)
    for batch in loader.batches(first=1200): ...      # the 1201st step's batch and all after it
Batch k is the same whoever asks and whatever was read before; of `world` processes, number `rank`
gets its share of it. May import: irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from irl_vla.camera.projection import BevGrid
from irl_vla.perception.preset import Preset
from irl_vla.types import InputError
from irl_vla_training.recipe import AugmentRecipe
from irl_vla_training.samples.augment import PLAIN, drawn_variation
from irl_vla_training.samples.batch import Batch
from irl_vla_training.samples.collate import collated, item_of
from irl_vla_training.samples.sample_set import Files, SampleSet
from irl_vla_training.samples.stored import from_files

AHEAD = 2  # batches that are made while one is worked on


@dataclass(frozen=True)
class Loader:
    """augment: None for evaluation: every sample once, as it lies, whole, not varied; batch:
    samples of one process in one step; ahead: batches made in a thread meanwhile, 0: none."""

    samples: SampleSet
    preset: Preset
    augment: AugmentRecipe | None
    batch: int
    seed: int = 0
    rank: int = 0
    world: int = 1
    ahead: int = field(default=AHEAD)

    def __post_init__(self) -> None:
        made_for = self.samples.settings
        if made_for.preset != self.preset.name or not _same_cells(made_for.grid, self.preset.bev):
            raise InputError(
                f"{self.samples.store.root}: these samples were prepared for the preset"
                f" '{made_for.preset}', not for '{self.preset.name}'. Prepare them for that one"
            )
        if len(self.samples) < self.batch * self.world:
            raise InputError(
                f"{self.samples.store.root}: {len(self.samples)} samples do not fill one batch of"
                f" {self.batch * self.world}. Prepare more, or ask for a smaller batch"
            )

    @property
    def steps(self) -> int:
        """Batches of one epoch; in training the last, smaller one is left out."""
        whole = self.batch * self.world
        count = len(self.samples)
        return count // whole if self.augment is not None else -(-count // whole)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """From step `first` on: without end in training, else to the end of the set."""
        work = self._work(first)
        if not self.ahead:
            yield from (self._made(*entry) for entry in work)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="samples") as pool:
            waiting: list[Future[Batch]] = []
            for entry in work:
                waiting.append(pool.submit(self._made, *entry))
                if len(waiting) > self.ahead:
                    yield waiting.pop(0).result()
            for last in waiting:
                yield last.result()

    def _work(self, first: int) -> Iterator[tuple[int, list[tuple[str, Files]]]]:
        """Number of the step, and the files of its samples."""
        step, epoch = first, first // self.steps
        while True:
            order = self._order(epoch)
            mine = self._mine(order[(step % self.steps) * self.batch * self.world :])
            files = self.samples.read_files(mine)
            for _ in range(step % self.steps, self.steps):
                found = [next(files, None) for _ in range(self.batch)]
                whole = [entry for entry in found if entry is not None]
                if whole:  # all of them may lie in broken shards
                    yield step, whole
                step += 1
            if self.augment is None:
                return
            epoch += 1

    def _order(self, epoch: int) -> np.ndarray:
        if self.augment is None:
            return self.samples.in_order()
        return self.samples.order(self.seed, epoch)[: self.steps * self.batch * self.world]

    def _mine(self, order: np.ndarray) -> np.ndarray:
        """Rows of this process: of every `world` batches the one of its rank."""
        index = np.arange(len(order)) // self.batch % self.world
        return np.asarray(order[index == self.rank])

    def _made(self, step: int, files: list[tuple[str, Files]]) -> Batch:
        items = []
        for place, entry in enumerate(files):
            sample = from_files(*entry)
            how = PLAIN
            if self.augment is not None:
                number = (step * self.world + self.rank) * self.batch + place
                rng = np.random.default_rng([self.seed, number, 9001])
                how = drawn_variation(self.augment, len(sample.pictures.wide), rng)
            items.append(item_of(sample, self.preset, self.samples.settings, how))
        return collated(items, self.preset)


def _same_cells(prepared: BevGrid, wanted: BevGrid) -> bool:
    """Heights belong to the network alone: no prepared truth depends on them."""
    return replace(prepared, heights=wanted.heights) == wanted
