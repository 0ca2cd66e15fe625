"""What samples are made from: a source names its units (one shard each) and makes their samples.

May import: irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Protocol

from irl_vla.types import InputError
from irl_vla_training.origin import content_hash
from irl_vla_training.samples.bags import bag_key, samples_of_bag
from irl_vla_training.samples.navsim_logs import NavsimShelf, shelf_of
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.scenarios import key_of, samples_of_scenario
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.world import samples_of_seed

SEEDS_PER_SHARD = 8
TRIED = 4  # samples of a recording that the rest is estimated from
USUAL = 30  # samples that a recording is expected to give


class ShardSource(Protocol):
    """Where samples come from."""

    @property
    def units(self) -> Sequence[str]:
        """Names of its shards: the same ones whenever the same is asked for."""

    def samples(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """All samples of a shard."""

    def content(self, unit: str) -> str:
        """Changes when anything changes that a shard is made from, besides settings and code."""

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

    def content(self, unit: str) -> str:
        """Nothing is read: seeds are in the name."""
        return ""

    def trial(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """One seed's."""
        yield from samples_of_seed(_seeds(unit)[0], settings)

    def expected(self, units: Sequence[str], tried: int) -> int:
        """See ShardSource."""
        return tried * sum(len(_seeds(unit)) for unit in units)


def _seeds(unit: str) -> range:
    _, first, end = unit.split("-")
    return range(int(first), int(end))


@dataclass(frozen=True)
class FileSource:
    """Files or folders, one a shard. kind: how the names of the shards begin; key: goes on with the
    path; make: its samples"""

    kind: str
    paths: tuple[Path, ...]
    key: Callable[[Path], str]
    make: Callable[[Path, SampleSettings], Iterator[Sample]]

    @property
    def units(self) -> Sequence[str]:
        """Named by their files."""
        return _names(self.kind, self.paths, self.key)

    def samples(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """See ShardSource."""
        yield from self.make(self.paths[self.units.index(unit)], settings)

    def content(self, unit: str) -> str:
        """Of the file."""
        return content_hash(self.paths[self.units.index(unit)])

    def trial(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """The first few."""
        yield from islice(self.samples(unit, settings), TRIED)

    def expected(self, units: Sequence[str], tried: int) -> int:
        """See ShardSource."""
        return USUAL * len(units)


def scenario_source(paths: tuple[Path, ...]) -> FileSource:
    """Files of recorded scenarios."""
    return FileSource("scenarionet", paths, key_of, samples_of_scenario)


def bag_source(paths: tuple[Path, ...]) -> FileSource:
    """Recordings."""
    return FileSource("bag", paths, bag_key, samples_of_bag)


@cache
def _shelf(root: Path, split: str) -> NavsimShelf:
    """Of this process."""
    return shelf_of(root, split)


@dataclass(frozen=True)
class NavsimSource:
    """A split of NAVSIM, one log a shard."""

    root: Path
    split: str

    @property
    def units(self) -> Sequence[str]:
        """Named by their logs."""
        return [f"navsim-{log}" for log in sorted(_shelf(self.root, self.split).index.by_log())]

    def samples(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """See ShardSource."""
        log = unit.removeprefix("navsim-")
        yield from _shelf(self.root, self.split).samples(log, settings)

    def content(self, unit: str) -> str:
        """See NavsimShelf."""
        return _shelf(self.root, self.split).content(unit.removeprefix("navsim-"))

    def trial(self, unit: str, settings: SampleSettings) -> Iterator[Sample]:
        """The first few."""
        yield from islice(self.samples(unit, settings), TRIED)

    def expected(self, units: Sequence[str], tried: int) -> int:
        """All scenes of these logs."""
        logs = _shelf(self.root, self.split).index.by_log()
        return sum(len(logs[unit.removeprefix("navsim-")]) for unit in units)


def _names(source: str, paths: Sequence[Path], key: Callable[[Path], str]) -> list[str]:
    """One for each path. Raises InputError where two would have the same."""
    names = [f"{source}-{key(path)}" for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two files are called '{name.removeprefix(source + '-')}'; a set tells its shards"
                " by these names. Rename one of them"
            )
    return names
