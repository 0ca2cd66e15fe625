"""What samples are made from: a source names its units (one shard each) and makes their samples.

May import: irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.world import samples_of_seed

SEEDS_PER_SHARD = 8


class ShardSource(Protocol):
    """Where samples come from."""

    @property
    def units(self) -> Sequence[str]:
        """Names of its shards: the same ones whenever the same is asked for."""

    def samples(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """All samples of a shard."""

    def trial(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """A few of them, from which the rest is estimated."""

    def expected(self, units: Sequence[str], tried: int) -> int:
        """How many samples these units will give, if the trial gave so many."""


@dataclass(frozen=True)
class WorldSource:
    """Seeds of the built-in world, so many a shard."""

    seeds: range
    per_shard: int = SEEDS_PER_SHARD

    @property
    def units(self) -> Sequence[str]:
        """Named by their seeds: first and end."""
        starts = range(self.seeds.start, self.seeds.stop, self.per_shard)
        return [f"world-{s}-{min(s + self.per_shard, self.seeds.stop)}" for s in starts]

    def samples(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """See ShardSource."""
        for seed in _seeds(unit):
            yield from samples_of_seed(seed, settings)

    def trial(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """One seed's."""
        yield from samples_of_seed(_seeds(unit)[0], settings)

    def expected(self, units: Sequence[str], tried: int) -> int:
        """See ShardSource."""
        return tried * sum(len(_seeds(unit)) for unit in units)


def _seeds(unit: str) -> range:
    _, first, end = unit.split("-")
    return range(int(first), int(end))
