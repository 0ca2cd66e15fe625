"""The NAVSIM data set beside the project, or a clear skip."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from irl_vla.navsim.city_map import CityMap
from irl_vla.navsim.dataset import Dataset

SHARED = Path(__file__).parents[2] / ".." / "shared" / "navsim"


@pytest.fixture(scope="session")
def navsim_folder() -> Path:
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no NAVSIM data at {SHARED / 'data'}")
    return SHARED


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
