"""Reading a set of samples: in an order that a seed and an epoch decide, from any place on.

    samples = SampleSet.open("out/samples/tiny")
    order = samples.order(seed=0, epoch=3)           # (n, 2): shard, place in it
    for sample in samples.read(order[1200:]): ...    # goes on as if the first 1200 had been read
Shards are shuffled, taken in groups of GROUP, and the samples of a group are shuffled together; so
it is streamed, never more than a group is held, and every epoch has another order.
May import: irl_vla, samples.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO

import numpy as np
import webdataset
from numpy.typing import NDArray

from irl_vla.foreign import brief, cut
from irl_vla.types import InputError
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.shards import SampleStore, ShardNote
from irl_vla_training.samples.stored import from_files

GROUP = 4  # shards that are shuffled together
Files = dict[str, bytes]


@dataclass
class SampleSet:
    """skip_broken: leave out shards that are damaged or missing, and say so, instead of raising;
    broken: their names so far."""

    store: SampleStore
    notes: tuple[ShardNote, ...]
    settings: SampleSettings
    skip_broken: bool = False
    broken: list[str] = field(default_factory=list)

    @staticmethod
    def open(
        url: str, shards: int | None = None, skip_broken: bool = False,
        only: Sequence[str] | None = None,
    ) -> SampleSet:  # fmt: skip
        """shards: take the first so many alone, so that a set that grows stays the same; only:
        names of shards. Raises InputError for a set that is missing, empty, or of another
        format."""
        store = SampleStore.at(url)
        settings = store.settings()
        found = [note for note in store.notes() if note.keys]
        notes = tuple(note for note in found if only is None or note.name in only)[:shards]
        if not notes:
            raise InputError(f"{url}: no samples in it. Prepare some with `irl-vla-train prepare`")
        return SampleSet(store, notes, settings, skip_broken)

    def __len__(self) -> int:
        return sum(len(note.keys) for note in self.notes)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over those of all shards."""
        text = "".join(note.sha256 for note in self.notes)
        return sha256(text.encode()).hexdigest()

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """(n, 2) shard and place in it of every sample, once."""
        rng = np.random.default_rng([seed, epoch, 4711])
        shuffled = rng.permutation(len(self.notes))
        groups = []
        for first in range(0, len(shuffled), GROUP):
            rows = [(shard, place) for shard in shuffled[first : first + GROUP].tolist()
                    for place in range(len(self.notes[shard].keys))]  # fmt: skip
            groups.append(np.array(rows, np.int64)[rng.permutation(len(rows))])
        return np.concatenate(groups)

    def in_order(self) -> NDArray[np.int64]:
        """(n, 2) as they lie, for evaluation."""
        rows = [(shard, place) for shard, note in enumerate(self.notes)
                for place in range(len(note.keys))]  # fmt: skip
        return np.array(rows, np.int64)

    def read(self, order: NDArray[np.int64]) -> Iterator[Sample]:
        """The samples of an order, one by one; those of broken shards are left out."""
        for files in self.read_files(order):
            if files is not None:
                yield from_files(*files)

    def read_files(self, order: NDArray[np.int64]) -> Iterator[tuple[str, Files] | None]:
        """Key and files of each, still as they are stored; None for one of a broken shard."""
        held: dict[int, list[tuple[str, Files]] | None] = {}
        left = {int(k): int(n) for k, n in zip(*np.unique(order[:, 0], return_counts=True),
                                              strict=True)}  # fmt: skip
        for shard, place in order.tolist():
            if shard not in held:
                held[shard] = self._loaded(shard)
            members = held[shard]
            yield None if members is None else members[place]
            left[shard] -= 1
            if not left[shard]:
                del held[shard]

    def _loaded(self, shard: int) -> list[tuple[str, Files]] | None:
        note = self.notes[shard]
        try:
            return members_of(self.store.read(f"{note.name}.tar"), note, self.store.root)
        except InputError as error:
            if not self.skip_broken:
                raise
            if note.name not in self.broken:
                self.broken.append(note.name)
                print(f"left out: {error}", file=sys.stderr)
            return None


def members_of(data: bytes, note: ShardNote, where: str) -> list[tuple[str, Files]]:
    """Keys and files of a shard's samples. Raises InputError where it is not what its note says."""
    if len(data) != note.size or sha256(data).hexdigest() != note.sha256:
        raise InputError(
            f"{where}/{note.name}.tar: damaged: {len(data)} bytes, expected {note.size} with"
            f" SHA-256 {note.sha256[:12]}. Remove its .json and prepare it again, or skip it with"
            " --skip-broken"
        )
    found: dict[str, Files] = {}
    try:
        for part in webdataset.tariterators.tar_file_iterator(BytesIO(data)):
            key, _, ending = part["fname"].partition(".")
            found.setdefault(key, {})[ending] = part["data"]
    except (tarfile.TarError, ValueError, OSError) as error:
        raise InputError(f"{where}/{note.name}.tar: no tar: {cut(error)}") from None
    missing = [key for key in note.keys if key not in found]
    if missing:
        raise InputError(f"{where}/{note.name}.tar: sample {brief(missing[0])} is not in it")
    return [(key, found[key]) for key in note.keys]
