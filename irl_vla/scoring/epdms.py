"""EPDMS (NAVSIM v2.2): sub-scores of planned trajectories and the number they make.

    prepared = prepare(scene)                              once per scene
    result = score(prepared, trajectories)                 thousands of plans in one call
    result.epdms, result.filtered.nc, ...

score = NC·DAC·DDC·TLC · (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16; without a previous frame EC is
left out and the divisor is 14. docs/epdms.md follows a trajectory to its number.
May import: types, scoring.prepare, scoring.evaluate, scoring.progress, scoring.scene.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, Literal

import numpy as np

from irl_vla.scoring.evaluate import (
    DAC,
    DDC,
    EC,
    HC,
    LK,
    NC,
    PROGRESS,
    TLC,
    TTC,
    Terms,
    evaluate_plans,
)  # fmt: skip
from irl_vla.scoring.prepare import PreparedScene, prepare
from irl_vla.scoring.progress import normalised
from irl_vla.scoring.scene import I64, Scene
from irl_vla.scoring.simulate import as_plans
from irl_vla.types import F64, InputError

MULTIPLIERS = ("nc", "dac", "ddc", "tlc")
WEIGHTS = {"ep": 5.0, "ttc": 5.0, "lk": 2.0, "hc": 2.0, "ec": 2.0}
WITHOUT_EC = {name: weight for name, weight in WEIGHTS.items() if name != "ec"}
FILTERED = ("nc", "dac", "ddc", "tlc", "ttc", "lk")  # what the human filter can touch
Together = Literal["pairwise", "batch"]


@dataclass(frozen=True)
class SubScores:
    """Sub-scores of P plans, each (P,), in [0, 1]; `mult` is the product of the four multipliers;
    `pdm_score_no_ec` is mult · (5 EP + 5 TTC + 2 LK + 2 HC) / 14, of the raw sub-scores always."""

    nc: F64
    dac: F64
    ddc: F64
    tlc: F64
    ep: F64
    ttc: F64
    lk: F64
    hc: F64
    mult: F64
    pdm_score_no_ec: F64


@dataclass(frozen=True)
class PlanScores:
    """What `score` returns for P plans of one scene.

    raw, filtered: sub-scores before and after the human filter (equal where it does not apply)
    ec: (P,) extended comfort, NaN without a previous frame
    epdms, epdms_raw: (P,) final score with and without the human filter, in [0, 1]
    progress_m: (P,) raw progress along the centreline [m]; best_progress_m: () or (P,) the M of EP
    evidence: (P, 10) steps and indices of what cost the points (columns: evaluate.py); explain.py
    turns them into sentences
    """

    raw: SubScores
    filtered: SubScores
    ec: F64
    epdms: F64
    epdms_raw: F64
    progress_m: F64
    best_progress_m: F64
    evidence: I64

    def __len__(self) -> int:
        return len(self.epdms)


def weighted_sum(sub_scores: Mapping[str, F64], weights: Mapping[str, float]) -> F64:
    """Sum (P,) of the sub-scores (P,) that have a weight, each times its weight."""
    return reduce(add, [weight * sub_scores[name] for name, weight in weights.items()])


def weighted_mean(sub_scores: Mapping[str, F64], weights: Mapping[str, float] = WEIGHTS) -> F64:
    """Mean (P,) of the sub-scores (P,) that have a weight."""
    return weighted_sum(sub_scores, weights) / sum(weights.values())


def combine(sub_scores: SubScores, ec: F64) -> F64:
    """Final score (P,) of the sub-scores; where ec (P,) is NaN it is left out."""
    without = weighted_sum(vars(sub_scores), WITHOUT_EC)
    no_ec = np.isnan(ec)
    with_ec = without + WEIGHTS["ec"] * np.where(no_ec, 0.0, ec)
    weighted = np.where(no_ec, without / sum(WITHOUT_EC.values()), with_ec / sum(WEIGHTS.values()))
    return np.asarray(sub_scores.mult * weighted)


def multiplied(values: F64) -> F64:
    """Terms (P, 9) -> product of the four multipliers (P,)."""
    return np.asarray(values[:, NC] * values[:, DAC] * values[:, DDC] * values[:, TLC])


def sub_scores_of(values: F64, best: F64) -> SubScores:
    """Terms (P, 9) and M -> sub-scores."""
    mult = multiplied(values)
    ep = normalised(values[:, PROGRESS], best)
    ttc, lk, hc = values[:, TTC], values[:, LK], values[:, HC]
    score = mult * weighted_mean({"ep": ep, "ttc": ttc, "lk": lk, "hc": hc}, WITHOUT_EC)
    return SubScores(
        values[:, NC], values[:, DAC], values[:, DDC], values[:, TLC], ep, ttc, lk, hc, mult, score
    )


def human_filter(sub_scores: SubScores, human: F64 | None) -> SubScores:
    """Set to 1 what the human also failed. human: (9,) terms of the human's own plan, or None.

    Quirks: only an exact 0 of the human counts, not 0.5; EP, HC and EC are never touched, EP is not
    normalised anew, and `pdm_score_no_ec` is not refreshed.
    """
    if human is None:
        return sub_scores
    columns = {"nc": NC, "dac": DAC, "ddc": DDC, "tlc": TLC, "ttc": TTC, "lk": LK}
    failed = [name for name in FILTERED if human[columns[name]] == 0.0]
    if not failed:
        return sub_scores
    ones = np.ones(len(sub_scores.nc))
    new = replace(sub_scores, **dict.fromkeys(failed, ones))
    return replace(new, mult=new.nc * new.dac * new.ddc * new.tlc)


def sub_scores(terms: Terms, best: F64, human: F64 | None) -> PlanScores:
    """Terms of P plans, the M of EP, and the human's terms -> all scores."""
    values = terms.values
    raw, ec = sub_scores_of(values, best), values[:, EC]
    filtered = human_filter(raw, human)
    final = combine(raw, ec)
    return PlanScores(
        raw, filtered, ec, final if filtered is raw else combine(filtered, ec), final,
        values[:, PROGRESS], np.asarray(best), terms.evidence,
    )  # fmt: skip


def best_progress(terms: Terms, reference: F64 | None, together: Together) -> F64:
    """M of EP: the largest progress · multipliers among what is scored together."""
    reached = terms.values[:, PROGRESS] * multiplied(terms.values)
    floor = (
        0.0 if reference is None else reference[PROGRESS] * float(multiplied(reference[None])[0])
    )
    if together == "batch":
        return np.asarray(reached.max(initial=floor))
    return np.maximum(reached, floor)


def score(
    scene: Scene | PreparedScene, trajectories: F64, previous: F64 | None = None,
    together: Together = "pairwise", threads: int = 1,
) -> PlanScores:  # fmt: skip
    """Score plans (P, 8, 3): poses x, y, heading every 0.5 s in the frame of the initial rear axle.

    previous: (P, 8, 3) or (8, 3) the plans of the frame before (scene.previous), in the ego frame
    then; without them EC is left out.
    together: progress is relative to M, the best progress · multipliers of what is scored together:
    "pairwise" each plan with the reference alone, as the benchmark does with a submitted plan;
    "batch" the reference and all plans in one call, as the benchmark does with proposals.
    Raises InputError for a wrong shape, NaN or infinite poses, or a scene without what is asked.
    """
    prepared = scene if isinstance(scene, PreparedScene) else prepare(scene)
    plans = as_plans(trajectories)
    if previous is None:
        terms = evaluate_plans(
            prepared.arena, prepared.history_comfort, prepared.start, plans, threads=threads
        )
    else:
        terms = evaluate_plans(
            prepared.arena, prepared.full_comfort, prepared.start, plans,
            prepared.previous_start, _earlier(prepared, previous, len(plans)), threads,
        )  # fmt: skip
    best = best_progress(terms, prepared.reference, together)
    return sub_scores(terms, best, prepared.human)


def _earlier(prepared: PreparedScene, previous: F64, plans: int) -> F64:
    """The previous frame's plans (P or 1, 8, 3), checked against the scene."""
    where = f"scene '{prepared.scene.id}': previous plans"
    if prepared.previous_start is None:
        raise InputError(
            f"{where}: the scene has no previous frame; score without them (EC is left out) or add "
            "'previous' to the scene"
        )
    earlier = as_plans(previous, where)
    if len(earlier) not in (1, plans):
        raise InputError(f"{where}: expected 1 or {plans} (one per plan), got {len(earlier)}")
    return earlier


def score_many(scenes: Iterable[Scene], threads: int = 1) -> Iterator[PlanScores]:
    """Score every scene's own candidates, with EC where the scene has a previous frame."""
    for scene in scenes:
        previous = None if scene.previous is None else scene.previous.trajectories
        yield score(scene, scene.plans(), previous, threads=threads)


def case_results(scene: Scene, scores: PlanScores) -> dict[str, dict[str, Any]]:
    """Scores of a scene's candidates in the form of results files: candidate id -> raw, filtered,
    ec, epdms, epdms_raw. A missing EC is None."""
    names = list(SubScores.__dataclass_fields__)
    results: dict[str, dict[str, Any]] = {}
    for i, plan in enumerate(scene.candidates):
        ec = float(scores.ec[i])
        results[plan.id] = {
            "raw": {name: float(getattr(scores.raw, name)[i]) for name in names},
            "filtered": {name: float(getattr(scores.filtered, name)[i]) for name in names},
            "ec": None if np.isnan(ec) else ec,
            "epdms": float(scores.epdms[i]),
            "epdms_raw": float(scores.epdms_raw[i]),
        }
    return results


def score_case(scene: Scene, threads: int = 1) -> dict[str, dict[str, Any]]:
    """Score a scene's own candidates; the result is what a results file has under the scene's
    id."""
    return case_results(scene, next(score_many([scene], threads)))
