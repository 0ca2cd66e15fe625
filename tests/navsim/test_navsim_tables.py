"""Rows and averages: hand-made scores whose means can be checked by hand."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from irl_vla.navsim.evaluation import SUB_SCORE_NAMES, Scored, Skipped
from irl_vla.navsim.filters import TwoStageGroup
from irl_vla.navsim.tables import (
    as_csv,
    comfort_of_pair,
    final_score,
    one_stage_rows,
    predecessors,
    skipped_csv,
)
from irl_vla.navsim.two_stage_table import frame_of, two_stage_rows

SPEED = 5.0  # [m/s] of every car here: straight on along x


def scored(
    token: str, t0_s: float, x: float = 0.0, log: str = "log", plan: np.ndarray | None = None,
    **sub_scores: float,
) -> Scored:  # fmt: skip
    """A car at x that drives on at SPEED; all sub-scores 1 but those given."""
    initial = np.zeros(11)
    initial[0], initial[3] = x, SPEED
    steps = np.arange(1, 9)[:, None] * 0.5 * SPEED
    straight = np.hstack([steps, np.zeros((8, 2))])
    values = {**dict.fromkeys(SUB_SCORE_NAMES, 1.0), **sub_scores}
    return Scored(
        token, log, round(t0_s * 1e6), len(token) == 17, initial,
        straight if plan is None else plan, values, values,
    )  # fmt: skip


def test_extended_comfort_counts_two_of_sixteen_and_is_dropped_without_a_pair() -> None:
    perfect = dict.fromkeys(SUB_SCORE_NAMES, 1.0)
    assert final_score({**perfect, "ec": 0.0}) == 14.0 / 16.0
    assert final_score({**perfect, "ec": math.nan}) == 1.0
    assert final_score({**perfect, "ec": math.nan, "ttc": 0.0}) == 9.0 / 14.0


def test_frames_are_pairs_only_within_a_log_and_055_seconds() -> None:
    found = predecessors([
        scored("c", 1.0), scored("a", 0.0), scored("b", 0.5), scored("d", 1.56),
        scored("e", 0.25, log="other"), scored("f" * 17, 0.75),
    ])  # fmt: skip
    assert {now: earlier.token for now, earlier in found.items()} == {"b": "a", "c": "b"}


def test_the_same_drive_seen_half_a_second_later_is_comfortable() -> None:
    assert comfort_of_pair(scored("b", 0.5, x=0.5 * SPEED), scored("a", 0.0)) == 1.0
    brake = np.zeros((8, 3))
    brake[:, 0] = SPEED * 0.4
    assert comfort_of_pair(scored("b", 0.5, plan=brake), scored("a", 0.0)) == 0.0


def test_in_one_stage_only_the_later_frame_of_a_pair_has_extended_comfort() -> None:
    rows = one_stage_rows([scored("a", 0.0), scored("b", 0.5, x=2.5), scored("c", 9.0, nc=0.0)])
    column = "two_frame_extended_comfort"
    assert [row[column] for row in rows] == [None, 1.0, None, 1.0]
    assert rows[-1]["token"] == "average_all_frames"
    assert rows[-1]["score"] == pytest.approx(2.0 / 3.0)
    assert rows[-1]["no_at_fault_collisions"] == pytest.approx(2.0 / 3.0)


def test_csv_has_the_devkits_columns_and_empty_cells() -> None:
    text = as_csv(one_stage_rows([scored("a", 0.0)]))
    header, first, mean = csv.reader(io.StringIO(text))
    assert header[:3] == ["", "token", "valid"] and header[-1] == "score"
    assert dict(zip(header, first, strict=True))["two_frame_extended_comfort"] == ""
    assert mean[1] == "average_all_frames"
    assert "because" in skipped_csv([Skipped("a", "log", "because")])


GROUP = TwoStageGroup("a" * 16, "b" * 16, (("1" * 17, "2" * 17), ("3" * 17, "4" * 17)))


def members(far: float = 0.0, **sub_scores: float) -> list[Scored]:
    """Both frames of GROUP, 0.5 s apart, and two pairs of follow-ups at the planned ends."""
    ends = {"1" * 17: 22.5, "2" * 17: 20.0, "3" * 17: 22.5 + far, "4" * 17: 20.0 + far}
    late = {"1" * 17, "3" * 17}
    return [
        scored("b" * 16, 0.0),
        scored("a" * 16, 0.5, x=2.5),
        *(scored(t, 4.5 if t in late else 4.0, x=x, **(sub_scores if "3" in t else {}))
          for t, x in ends.items()),
    ]  # fmt: skip


def test_perfect_stages_average_to_one() -> None:
    averages = two_stage_rows([GROUP], members())[-3:]
    assert [row["score"] for row in averages] == [1.0, 1.0, 1.0]
    assert averages[2]["lane_keeping_stage_two"] == averages[2]["ego_progress_stage_one"] == 1.0


def test_the_first_stage_ends_where_it_was_planned_to() -> None:
    frame = frame_of(scored("a" * 16, 0.5, x=2.5))
    np.testing.assert_allclose(frame.planned_end, [2.5 + 4.0 * SPEED, 0.0])
    np.testing.assert_allclose(frame.start, [2.5, 0.0])


def test_a_follow_up_far_from_the_planned_end_weighs_little() -> None:
    rows = {row["token"]: row for row in two_stage_rows([GROUP], members(far=0.5, nc=0.0))}
    near, far = 1.0, np.exp(-(0.5**2) / 0.2)
    later_half = near / (near + far)  # the bad follow-up belongs to the later frame
    expected = (later_half + 1.0) / 2.0
    assert rows["extended_pdm_score_stage_two"]["score"] == pytest.approx(expected)


def test_the_combined_score_is_the_product_of_the_stages() -> None:
    rows = {row["token"]: row for row in two_stage_rows([GROUP], members(nc=0.0))}
    # The bad follow-up is that of the later frame: half of its half, so a quarter of the group.
    assert rows["extended_pdm_score_stage_two"]["score"] == pytest.approx(0.75)
    assert rows["extended_pdm_score_combined"]["score"] == pytest.approx(0.75)
    assert rows["extended_pdm_score_stage_one"]["score"] == 1.0


def test_a_scene_that_failed_is_left_out_and_is_no_zero() -> None:
    without_follow_up = [scene for scene in members(nc=0.0) if scene.token != "3" * 17]
    rows = {row["token"]: row for row in two_stage_rows([GROUP], without_follow_up)}
    assert rows["extended_pdm_score_combined"]["score"] == 1.0
    without_first = [scene for scene in members() if scene.token != "a" * 16]
    assert two_stage_rows([GROUP], without_first)[-1]["score"] is None
