"""What plans are worth on the scenes of one seed, without the human filter.

In: a seed or an episode, plan makers   Out: columns per driver and scene
May import: types, scoring, world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.scoring.epdms import score
from irl_vla.scoring.scene import STEPS, Scene, X, Y
from irl_vla.scoring.two_stage import COLUMNS, SUB_SCORE_NAMES
from irl_vla.types import F64
from irl_vla.world.benchmark.plans import PlanMaker
from irl_vla.world.benchmark.scenes import BEFORE, Cutter
from irl_vla.world.episode import Episode

STANDS_M = 5.0  # a reference that moves less measures no progress (EPDMS, EP)


@dataclass(frozen=True)
class ScoredScenes:
    """Scenes of one seed or recording. columns: driver -> (n, 10), two_stage.COLUMNS, 0..1;
    moved: (n,) [m] how far the reference gets."""

    name: str
    columns: Mapping[str, F64]
    moved: F64


def reference_moves(scene: Scene) -> float:
    """[m] from where a scene's reference begins to where it ends."""
    assert scene.reference is not None
    poses = scene.reference.poses
    return float(np.hypot(*(poses[STEPS - 1, [X, Y]] - poses[0, [X, Y]])))


def score_episode(
    episode: Episode, steps: Sequence[int], makers: Mapping[str, PlanMaker], name: str
) -> ScoredScenes:
    """Every maker's plan at every step, with the plan it made 0.5 s earlier for EC."""
    cutter = Cutter(episode)
    rows: dict[str, list[F64]] = {driver: [] for driver in makers}
    moved = []
    for step in steps:
        now, before = cutter.prepared(step), cutter.prepared(step - BEFORE)
        plans = np.stack([make(cutter, step, now) for make in makers.values()])
        earlier = np.stack([make(cutter, step - BEFORE, before) for make in makers.values()])
        found = score(now, plans, earlier)
        values = [getattr(found.raw, sub_score) for sub_score in SUB_SCORE_NAMES]
        for i, driver in enumerate(makers):
            rows[driver].append(
                np.array([*(v[i] for v in values), found.ec[i], found.epdms_raw[i]])
            )
        moved.append(reference_moves(now.scene))
    none = np.zeros((0, len(COLUMNS)))
    stacked = {driver: np.stack(found) if found else none for driver, found in rows.items()}
    return ScoredScenes(name, stacked, np.array(moved))
