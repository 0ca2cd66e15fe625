"""Plans that need no network: what the world's tables compare policies with.

A plan maker gets an instant of an episode and returns a plan (8, 3), 0.5 s apart, in the ego frame
of the instant. May import: types, frames, scoring, world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from irl_vla.frames import to_inner
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.scoring.scene import HEADING, PLAN_POSES, VX, X, Y
from irl_vla.types import F64
from irl_vla.world.benchmark.scenes import PLAN_STEP, Cutter

PlanMaker = Callable[[Cutter, int, PreparedScene], F64]
PLAN_S = 0.1 * PLAN_STEP  # [s] between poses


def expert(cutter: Cutter, step: int, prepared: PreparedScene) -> F64:
    """What the recorded driver did: the privileged expert, or the person of a recording."""
    return cutter.driven(step)


def closed(cutter: Cutter, step: int, prepared: PreparedScene) -> F64:
    """PDM-Closed, the scene's reference."""
    reference = prepared.scene.reference
    assert reference is not None
    poses = reference.poses[PLAN_STEP : PLAN_STEP * PLAN_POSES + 1 : PLAN_STEP]
    return to_inner(poses, prepared.scene.ego.initial[[X, Y, HEADING]])


def constant_velocity(cutter: Cutter, step: int, prepared: PreparedScene) -> F64:
    """Straight on at the present speed."""
    along = float(prepared.scene.ego.initial[VX]) * PLAN_S * np.arange(1, PLAN_POSES + 1)
    return np.column_stack([along, np.zeros(PLAN_POSES), np.zeros(PLAN_POSES)])


def standing_still(cutter: Cutter, step: int, prepared: PreparedScene) -> F64:
    """Not moving at all, whatever the present speed."""
    return np.zeros((PLAN_POSES, 3))


PLAN_MAKERS: Mapping[str, PlanMaker] = {
    "expert": expert,
    "pdm_closed": closed,
    "constant_velocity": constant_velocity,
    "standing_still": standing_still,
}
