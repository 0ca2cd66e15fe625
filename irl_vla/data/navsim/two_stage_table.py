"""Rows of a two-stage split: both frames of every group, their follow-ups, and three averages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.data.navsim.evaluation import Scored
from irl_vla.data.navsim.filters import TwoStageGroup
from irl_vla.data.navsim.tables import NAMES, Row, blank, final_score, is_pair, mean, pair_comfort
from irl_vla.frames import to_outer
from irl_vla.scoring.scene import HEADING
from irl_vla.types import F64

SIGMA_SQUARED = 0.1  # [m^2] of the weights by distance
NO_WEIGHT = 1e-8  # sums of weights below count as none: then all follow-ups weigh the same
STAGE_ONE, STAGE_TWO = "_stage_one", "_stage_two"

Marks = dict[str, float]  # the nine marks, and "score"


@dataclass(frozen=True)
class Half:
    """One first-stage frame of a group, and its follow-ups with their weights."""

    first: Scored
    follow_ups: tuple[Scored, ...]
    weights: F64


def two_stage_rows(groups: Sequence[TwoStageGroup], scored: Sequence[Scored]) -> list[Row]:
    """A row per scored scene and the averages of stage one, stage two, and both together.

    A group of which a first-stage scene or all follow-ups are missing is in no average; a missing
    follow-up is left out with its partner, and the others' weights are shared out anew.
    """
    by_token = {scene.token: scene for scene in scored}
    marks = {scene.token: marks_of(scene, math.nan) for scene in scored}
    whole = [group for group in groups if group.now in by_token and group.previous in by_token]
    halves: list[tuple[Half, Half]] = []
    for group in whole:
        now, previous = by_token[group.now], by_token[group.previous]
        pairs = [(by_token[a], by_token[b]) for a, b in group.follow_ups
                 if a in by_token and b in by_token]  # fmt: skip
        for late, early in [(now, previous), *pairs]:
            # Unlike in one stage, both frames of a pair get its extended comfort.
            ec = pair_comfort(late, early) if is_pair(late, early) else math.nan
            marks[late.token], marks[early.token] = marks_of(late, ec), marks_of(early, ec)
        if pairs:
            halves.append((half_of(now, [p[0] for p in pairs]),
                           half_of(previous, [p[1] for p in pairs])))  # fmt: skip
    rows = [row_of(scene, marks[scene.token]) for scene in scored]
    return [*rows, *averages(halves, marks)]


def marks_of(scene: Scored, ec: float) -> Marks:
    marks = {**scene.filtered, "ec": ec}
    return {**marks, "score": final_score(marks)}


def half_of(first: Scored, follow_ups: Sequence[Scored]) -> Half:
    return Half(first, tuple(follow_ups), weights_of(first, follow_ups))


def weights_of(first: Scored, follow_ups: Sequence[Scored]) -> F64:
    """exp(-d^2 / (2 sigma^2)), normalised; d from the PLANNED end of the first stage (not the
    simulated one) to where the follow-up starts. All equal if none is near."""
    end = to_outer(first.plan[-1], first.initial[: HEADING + 1])[:2]
    starts = np.array([scene.initial[:2] for scene in follow_ups])
    weights = np.exp(-((starts - end) ** 2).sum(axis=1) / (2.0 * SIGMA_SQUARED))
    total = weights.sum()
    if not np.isfinite(total) or total < NO_WEIGHT:
        return np.full(len(follow_ups), 1.0 / len(follow_ups))
    return np.asarray(weights / total)


def averages(halves: Sequence[tuple[Half, Half]], marks: Mapping[str, Marks]) -> list[Row]:
    """Means over groups. One group: the mean of its two halves; the combined score of a half is the
    product of both stages."""
    one, two, both = dict[str, object](), dict[str, object](), list[float]()
    for name in (*NAMES, "score"):
        ones = [[marks[half.first.token][name] for half in pair] for pair in halves]
        twos = [[weighted(half, marks, name) for half in pair] for pair in halves]
        one[name] = mean(float(np.mean(pair)) for pair in ones)
        two[name] = mean(float(np.mean(pair)) for pair in twos)
        if name == "score":
            both = [float(np.mean(np.multiply(a, b))) for a, b in zip(ones, twos, strict=True)]
    first = {f"{long}{STAGE_ONE}": one[name] for name, long in NAMES.items()}
    second = {f"{long}{STAGE_TWO}": two[name] for name, long in NAMES.items()}
    empty_first, empty_second = dict.fromkeys(first), dict.fromkeys(second)
    return [
        named_row("extended_pdm_score_stage_one", first, empty_second, one["score"]),
        named_row("extended_pdm_score_stage_two", empty_first, second, two["score"]),
        named_row("extended_pdm_score_combined", first, second, mean(both)),
    ]


def weighted(half: Half, marks: Mapping[str, Marks], name: str) -> float:
    values = [marks[scene.token][name] for scene in half.follow_ups]
    return float(np.sum(half.weights * np.array(values)))


def row_of(scene: Scored, marks: Marks) -> Row:
    """A scene's row: its marks are in the columns of its stage, the others are empty."""
    cells = {name: blank(marks[name]) for name in NAMES}
    first = {f"{NAMES[n]}{STAGE_ONE}": None if scene.is_follow_up else cells[n] for n in NAMES}
    second = {f"{NAMES[n]}{STAGE_TWO}": cells[n] if scene.is_follow_up else None for n in NAMES}
    return named_row(scene.token, first, second, marks["score"])


def named_row(
    token: str, first: Mapping[str, object], second: Mapping[str, object], score: object
) -> Row:
    return {"token": token, "valid": True, **first, **second, "score": score}
