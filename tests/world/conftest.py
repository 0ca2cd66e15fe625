"""One drive of the built-in world that many tests look at."""

from __future__ import annotations

import pytest

from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.build import episode_of
from irl_vla.world.episode import Episode


@pytest.fixture(scope="session")
def episode() -> Episode:
    return episode_of(11)


@pytest.fixture(scope="session")
def cutter(episode: Episode) -> Cutter:
    return Cutter(episode)
