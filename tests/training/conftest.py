"""A few samples of the built-in world for the smallest preset, prepared once."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_seeds import PER_SEED, SEEDS
from rich.console import Console

from irl_vla.perception.preset import Preset, load_preset
from irl_vla_training.samples.prepare import prepare
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.sample_set import SampleSet
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.sources import WorldSource


@pytest.fixture(scope="session")
def preset() -> Preset:
    return load_preset("nano")


@pytest.fixture(scope="session")
def settings(preset: Preset) -> SampleSettings:
    return SampleSettings.of(preset, PER_SEED)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, settings: SampleSettings) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    prepare(str(folder), settings, WorldSource(SEEDS, per_shard=1), 1, None, Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def sample_set(prepared: Path) -> SampleSet:
    return SampleSet.open(str(prepared))


@pytest.fixture(scope="session")
def samples(sample_set: SampleSet) -> list[Sample]:
    return list(sample_set.read(sample_set.in_order()))
