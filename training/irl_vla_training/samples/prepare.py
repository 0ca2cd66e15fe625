"""`irl-vla-train prepare`: makes shards of samples, in as many processes as wanted, and goes on
where it was stopped. May import: rich, irl_vla, samples.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from irl_vla.scoring.spread import spread
from irl_vla.terminal.console import Console
from irl_vla.types import InputError
from irl_vla_training.origin import lab_software, refuse_mixture
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.shards import SampleStore, ShardNote
from irl_vla_training.samples.sources import ShardSource
from irl_vla_training.samples.stored import as_files

TAR_BYTES = 800  # that a file of a tar takes besides its content
CONTENT = "the source's content"
ADVICE = (
    "Give another folder; where only code or versions differ, `irl-vla-train prepare` takes "
    "--accept-changes"
)
SPARE = 1.1  # of the estimated size that a disk must have free


@dataclass(frozen=True)
class ShardWriter:
    """Makes a shard of a unit; carried to every process once."""

    url: str
    settings: SampleSettings
    source: ShardSource

    def __call__(self, unit: str) -> ShardNote:
        """The unit's samples, written."""
        store, origin = SampleStore.at(self.url), made_by(self.source, unit)
        return store.add(unit, self.source.samples(unit, self.settings), origin)


def made_by(source: ShardSource, unit: str) -> dict[str, str]:
    """Of a shard's note: all besides the settings that can change it."""
    return {CONTENT: source.content(unit), **lab_software()}


@dataclass(frozen=True)
class Estimate:
    """Of what is still to be made: samples, bytes and seconds of one process."""

    samples: int
    size: int
    seconds: float


def prepare(
    url: str, settings: SampleSettings, source: ShardSource, jobs: int, ray: str | None,
    console: Console, accept_changes: bool = False,
) -> int:  # fmt: skip
    """Makes what is not there yet; returns how many samples the set has. KeyboardInterrupt leaves
    every whole shard. accept_changes: shards of other code or versions may stand beside. Raises
    InputError for those otherwise, and for shards of other content always."""
    store = SampleStore.at(url)
    store.begin(settings)
    done = {note.name: note for note in store.notes()}
    units = source.units
    _refuse_others(store, done, source, accept_changes)
    left = [unit for unit in units if unit not in done]
    if len(left) < len(units):
        kept = sum(len(done[unit].keys) for unit in units if unit in done)
        console.print(f"kept      {kept} samples that are there already")
    if left:
        guess = estimated(left, settings, source, list(done.values()))
        console.print(
            f"to make   about {guess.samples:,} samples in {len(left)} shards,"
            f" {guess.size / 1e9:.2f} GB, {_duration(guess.seconds / max(jobs, 1))} with {jobs}"
            f" {'process' if jobs == 1 else 'processes'}",
            highlight=False,
        )
        _refuse_full_disk(store, guess)
        _make(left, ShardWriter(url, settings, source), jobs, ray, console)
    return sum(len(note.keys) for note in store.notes())


def _refuse_others(
    store: SampleStore, done: Mapping[str, ShardNote], source: ShardSource, accept_changes: bool
) -> None:
    """Shards that are there must be what this command would make of the same names, and of the same
    code."""
    wanted, ours = set(source.units), {} if accept_changes else lab_software()
    for name, note in done.items():
        now, before = dict(ours), {key: note.made_by[key] for key in ours if key in note.made_by}
        if name in wanted and CONTENT in note.made_by:
            before[CONTENT], now[CONTENT] = note.made_by[CONTENT], source.content(name)
        refuse_mixture(f"{store.root}/{name}.tar", before, now, ADVICE)


def estimated(
    left: Sequence[str], settings: SampleSettings, source: ShardSource, done: Sequence[ShardNote]
) -> Estimate:
    """From the first samples of what is to be made, made for it; their size from shards that are
    there, if any."""
    next(iter(source.trial(left[0], settings)), None)  # compiled code is loaded once
    begin = time.perf_counter()
    sizes = [
        sum(len(data) + TAR_BYTES for data in as_files(sample).values())
        for sample in source.trial(left[0], settings)
    ]
    seconds = time.perf_counter() - begin
    if not sizes:
        raise InputError(f"{left[0]}: no samples come of it. Nothing was prepared")
    size = sum(sizes) / len(sizes)
    if done and sum(len(note.keys) for note in done):
        size = sum(note.size for note in done) / sum(len(note.keys) for note in done)
    count = source.expected(left, len(sizes))
    return Estimate(count, int(count * size), count * seconds / len(sizes))


def _refuse_full_disk(store: SampleStore, guess: Estimate) -> None:
    if store.is_local:
        free = shutil.disk_usage(store.root).free
        if free < guess.size * SPARE:
            raise InputError(
                f"{store.root}: {free / 1e9:.1f} GB are free, about {guess.size / 1e9:.1f} GB are"
                " needed. Ask for fewer seeds, or another disk"
            )


def _make(
    units: Sequence[str], work: ShardWriter, jobs: int, ray: str | None, console: Console
) -> None:
    bar = Progress(
        TextColumn("preparing"), BarColumn(), MofNCompleteColumn(), TextColumn("shards"),
        TextColumn("{task.fields[samples]:,} samples"), TimeRemainingColumn(), console=console,
    )  # fmt: skip
    made = 0
    notes: Iterator[ShardNote] = spread(units, work, jobs, ray)
    with bar:
        task = bar.add_task("", total=len(units), samples=0)
        for count, note in enumerate(notes, start=1):
            made += len(note.keys)
            bar.update(task, advance=1, samples=made)
            tenths = [10 * shards // len(units) for shards in (count - 1, count)]
            if not console.is_terminal and tenths[0] < tenths[1]:  # a log shows no bar
                console.print(f"made      {count} of {len(units)} shards, {made:,} samples")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
