"""What all rooms share: one exported nano bundle, and the NAVSIM data set beside the project, or a
clear skip. Tests that change either work on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.export import Provenance, export_bundle
from irl_vla.engine.networks import build_networks
from irl_vla.navsim.city_map import CityMap
from irl_vla.navsim.dataset import Dataset
from irl_vla.perception.preset import load_preset

NAVSIM = Path(__file__).parents[1] / ".." / "shared" / "navsim"


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    networks = build_networks(load_preset("nano"), 0)
    root = tmp_path_factory.mktemp("bundles") / "nano"
    origin = Provenance(name="nano-untrained", seed=0)
    return export_bundle(networks, root, origin, lambda _: None)


@pytest.fixture
def nano_copy(nano: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nano.root, tmp_path / "nano"))


@pytest.fixture(scope="session")
def navsim_folder() -> Path:
    if not (NAVSIM / "data").is_dir():
        pytest.skip(f"no NAVSIM data at {NAVSIM / 'data'}")
    return NAVSIM


@pytest.fixture(scope="session")
def dataset(navsim_folder: Path) -> Dataset:
    return Dataset(navsim_folder / "data")


@pytest.fixture(scope="session")
def boston(dataset: Dataset) -> CityMap:
    return CityMap.open(dataset.maps, "us-ma-boston")


@pytest.fixture
def own_copy(navsim_folder: Path, tmp_path: Path) -> Path:
    """Logs, maps, splits and follow-ups that a test may damage (no sensor files)."""
    copy = tmp_path / "data"
    for part in ("navsim_logs", "maps", "splits", "navhard_two_stage/synthetic_scene_pickles"):
        shutil.copytree(navsim_folder / "data" / part, copy / part)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy
