"""The policies of the world's tables: the privileged ones, and `rule` as bundles have it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from irl_vla.planner.rule import RuleConfig, RulePolicy
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.scoring.scene import AX, AY, HEADING, OMEGA, VX, VY, X, Y
from irl_vla.types import F64, Command, EgoStatus, SceneTokens
from irl_vla.world.benchmark.plans import PLAN_MAKERS, PlanMaker
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.routes import intent_at


def makers() -> Mapping[str, PlanMaker]:
    """Role -> plan maker, in the order of the tables."""
    return {**PLAN_MAKERS, "rule": rule}


def rule(cutter: Cutter, step: int, prepared: PreparedScene) -> F64:
    """The first choice of the shipped `rule` policy: the present motion along navigation's route.
    (The guard of the driving core is not asked: it sees nothing either.)"""
    ego = prepared.scene.ego.initial
    stamp = step * 100_000_000
    status = EgoStatus(
        stamp, np.asarray(ego[[VX, VY]]), np.asarray(ego[[AX, AY]]), float(ego[OMEGA]), True,
        "world", stamp,
    )  # fmt: skip
    intent = intent_at(cutter.path, np.asarray(ego[[X, Y, HEADING]]), stamp)
    tokens = SceneTokens.blind(stamp, 0)
    found = RulePolicy(RuleConfig()).propose(tokens, Command(stamp, stamp), status, intent, 0)
    return np.asarray(found.poses[int(np.argmax(found.confidence))])
