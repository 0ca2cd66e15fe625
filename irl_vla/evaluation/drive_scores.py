"""EPDMS of the plans of a drive, each against what the others then did."""

from __future__ import annotations

from collections.abc import Sequence

from irl_vla.drive.closed_loop import Tick
from irl_vla.scoring.epdms import score
from irl_vla.scoring.scene import STEPS
from irl_vla.types import Plan
from irl_vla.world.benchmark.scenes import FIRST, Cutter
from irl_vla.world.episode import Episode

EVERY = 5  # ticks between scored plans: 0.5 s
SUB_SCORE_NAMES = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")


def plan_scores(episode: Episode, ticks: Sequence[Tick]) -> dict[int, dict[str, float]]:
    """tick -> sub-scores and EPDMS (0..1, without EC and the human filter) of the plan made then;
    only ticks whose 4 s were driven."""
    scores, cutter = {}, Cutter(episode)
    for k in range(FIRST, len(ticks) - STEPS + 1, EVERY):
        outcome = ticks[k].step.outcome
        if not isinstance(outcome, Plan):
            continue
        found = score(cutter.prepared(k), outcome.trajectory.poses)
        sub_scores = {name: float(getattr(found.raw, name)[0]) for name in SUB_SCORE_NAMES}
        scores[k] = {"epdms": float(found.epdms_raw[0]), **sub_scores}
    return scores
