"""What the car's own memory is worth: the core looks at every picture on the way to a scene.

A sample has one earlier instant; the core has what it made of the one before, which had the one
before that, ten times a second. May import: irl_vla.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from irl_vla.camera.rig import load_rig
from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.bundle_plans import BundlePlanMaker
from irl_vla.types import SceneTokens
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.build import episode_of


@dataclass(frozen=True)
class Recursion:
    """A bundle in the car's own loop. steps: of 0.1 s before the scene, each looked at."""

    maker: BundlePlanMaker
    steps: int

    @staticmethod
    def of(bundle: Path, rig: str, steps: int) -> Recursion:
        """Raises InputError for a bundle or rig that cannot be used."""
        return Recursion(BundlePlanMaker(bundle, load_bundle(bundle).id, load_rig(rig)), steps)

    def tokens(self, seed: int, step: int) -> SceneTokens | None:
        """Of the scene at a step of a seed's drive; None where the drive is not that old yet, or
        the core refused."""
        if step < self.steps:
            return None
        return self.maker.steps(_cutter(seed), step, range(self.steps, -1, -1))[-1].tokens


@lru_cache(maxsize=1)
def _cutter(seed: int) -> Cutter:
    """Scenes of one seed come one after the other."""
    return Cutter(episode_of(seed))
