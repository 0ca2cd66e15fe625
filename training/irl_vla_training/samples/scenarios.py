"""Samples of recorded scenarios (ScenarioNet): their drives and road users, drawn by the renderer.

A recording knows no reasons, no lamps that it did not record, no walkways: those are masked. Nobody
can be asked to drive on from elsewhere, so there is no recovery and no other way.
May import: irl_vla, samples.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from irl_vla.types import InputError
from irl_vla.world.benchmark.scenes import FIRST, Cutter
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla_training.samples.cameras import prepared_cameras
from irl_vla_training.samples.drive import AGES, DriveView, Instant, sample_of
from irl_vla_training.samples.instants import Instants, instants_of_drive
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.settings import SampleSettings

SEED = 613
EVERY = 2  # steps between instants that may be samples


def samples_of_scenario(path: Path, settings: SampleSettings) -> Iterator[Sample]:
    """All samples of one file, the same ones whenever it is asked. Raises InputError."""
    cutter = Cutter(load_scenario(path))
    episode = cutter.episode
    steps = range(FIRST, cutter.last + 1, EVERY)
    if not steps:
        raise InputError(f"{path}: {len(episode) / 10:.1f} s: expected 2 s of past, 4 of future")
    seed = zlib.crc32(path.stem.encode())
    rng = np.random.default_rng([seed, SEED])
    knows = bool(episode.town.signals), bool(episode.town.footpaths)
    view = DriveView.of(
        "scenarionet", key_of(path), seed, cutter, prepared_cameras(rng, settings), rng, knows
    )
    tables = Instants.of(cutter, steps)
    for step in instants_of_drive(tables, rng, settings.per_seed):
        past = tuple(episode.moment(k) for k in range(step - AGES[1], step))
        yield sample_of(view, Instant(cutter, step, episode.moment(step), past)).sample


def key_of(path: Path) -> str:
    """A file's name without dots and slashes, as keys of tars want it."""
    return path.stem.replace(".", "_").replace("/", "_")
