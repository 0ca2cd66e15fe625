"""One exported nano bundle for all rooms; tests that change a bundle work on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.export import Provenance, export_bundle
from irl_vla.engine.networks import build_networks
from irl_vla.perception.preset import load_preset


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    networks = build_networks(load_preset("nano"), 0)
    root = tmp_path_factory.mktemp("bundles") / "nano"
    origin = Provenance(name="nano-untrained", seed=0)
    return export_bundle(networks, root, origin, lambda _: None)


@pytest.fixture
def nano_copy(nano: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nano.root, tmp_path / "nano"))
