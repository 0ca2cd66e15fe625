"""Rows of a two-stage split: every scored scene, and the three averages of scoring/two_stage.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from irl_vla.frames import to_outer
from irl_vla.navsim.evaluation import Scored
from irl_vla.navsim.filters import TwoStageGroup
from irl_vla.navsim.tables import NAMES, Row, blank, driven
from irl_vla.scoring.scene import HEADING
from irl_vla.scoring.two_stage import (
    COLUMNS,
    SUB_SCORE_NAMES,
    Group,
    ScoredFrame,
    two_stage,
    with_score,
)
from irl_vla.types import F64

STAGE_ONE, STAGE_TWO = "_stage_one", "_stage_two"


def two_stage_rows(groups: Sequence[TwoStageGroup], scored: Sequence[Scored]) -> list[Row]:
    """A row per scored scene and the averages of stage one, stage two, and both together.

    A group of which a first-stage scene or all follow-ups are missing is in no average; a missing
    follow-up is left out with its partner, and the others share its weight.
    """
    result = two_stage(
        {scene.token: frame_of(scene) for scene in scored},
        [Group(group.now, group.previous, group.follow_ups) for group in groups],
    )
    rows = [
        row_of(scene, result.columns.get(scene.token, with_score(sub_scores_of(scene), math.nan)))
        for scene in scored
    ]
    overall = result.overall
    one, two = named(overall.stage_one, STAGE_ONE), named(overall.stage_two, STAGE_TWO)
    return [
        *rows,
        whole_row("extended_pdm_score_stage_one", one, dict.fromkeys(two), overall.stage_one),
        whole_row("extended_pdm_score_stage_two", dict.fromkeys(one), two, overall.stage_two),
        # The combined row repeats both stages; only its score is that of the product.
        whole_row("extended_pdm_score_combined", one, two, overall.combined),
    ]


def sub_scores_of(scene: Scored) -> F64:
    """(8,) sub-scores after the human filter, in the order of two_stage.SUB_SCORE_NAMES."""
    return np.array([scene.filtered[name] for name in SUB_SCORE_NAMES])


def frame_of(scene: Scored) -> ScoredFrame:
    """What the aggregation needs. The first stage ends where it was PLANNED to, not simulated."""
    pose = scene.initial[: HEADING + 1]
    end = np.asarray(to_outer(scene.plan[-1], pose)[:2])
    return ScoredFrame(scene.t0_us, pose[:2], end, sub_scores_of(scene), driven(scene))


def named(columns: F64, stage: str) -> dict[str, float | None]:
    """COLUMNS without the score, by the devkit's names."""
    return {
        f"{NAMES[name]}{stage}": blank(float(value))
        for name, value in zip(COLUMNS, columns, strict=True)
        if name != "score"
    }


def row_of(scene: Scored, columns: F64) -> Row:
    """A scene's row: its sub-scores are in the columns of its stage, the others are empty."""
    one, two = named(columns, STAGE_ONE), named(columns, STAGE_TWO)
    if scene.is_follow_up:
        return whole_row(scene.token, dict.fromkeys(one), two, columns)
    return whole_row(scene.token, one, dict.fromkeys(two), columns)


def whole_row(
    token: str, one: Mapping[str, object], two: Mapping[str, object], columns: F64
) -> Row:
    score = float(columns[COLUMNS.index("score")])
    return {"token": token, "valid": True, **one, **two, "score": blank(score)}
