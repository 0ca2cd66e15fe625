"""What eyes are evaluated on: chosen instants of seeds, through one rig as it is.

They are stored as samples are, beside the results, so that a second look costs no drawing.
May import: irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from irl_vla.camera.rig import Rig, load_rig
from irl_vla.world.benchmark.splits import instants_of
from irl_vla.world.episode import Episode
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.world import samples_at

SEEDS_PER_SHARD = 5


@dataclass(frozen=True)
class SceneSource:
    """A samples.sources.ShardSource. rig: file; chosen: steps by seed, or None: the ten instants
    that a split has as scenes."""

    seeds: tuple[int, ...]
    rig: str
    chosen: Mapping[int, tuple[int, ...]] | None = None

    @property
    def units(self) -> Sequence[str]:
        """Named by the places of their seeds: first and end."""
        count = len(self.seeds)
        starts = range(0, count, SEEDS_PER_SHARD)
        return [f"scenes-{s}-{min(s + SEEDS_PER_SHARD, count)}" for s in starts]

    def samples(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """See ShardSource."""
        rig = load_rig(self.rig)
        for seed in self._seeds(unit):
            yield from self._of(seed, settings, rig)

    def content(self, unit: str) -> str:
        """Of the rig, the seeds and their steps: the name has places of seeds only."""
        seeds = self._seeds(unit)
        steps = None if self.chosen is None else [self.chosen[seed] for seed in seeds]
        rig = load_rig(self.rig)
        text = f"{rig.content_hash} {rig.name} {seeds} {steps}"
        return sha256(text.encode()).hexdigest()

    def trial(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """One seed's."""
        yield from self._of(self._seeds(unit)[0], settings, load_rig(self.rig))

    def expected(self, units: Sequence[str], tried: int) -> int:
        """See ShardSource."""
        return tried * sum(len(self._seeds(unit)) for unit in units)

    def _seeds(self, unit: str) -> tuple[int, ...]:
        _, first, end = unit.split("-")
        return self.seeds[int(first) : int(end)]

    def _of(self, seed: int, settings: SampleSettings, rig: Rig) -> Iterator[Sample]:
        def steps(episode: Episode) -> tuple[int, ...]:
            return instants_of(episode.ego) if self.chosen is None else self.chosen[seed]

        return samples_at(seed, settings, rig, steps)
