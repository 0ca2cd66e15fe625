"""Two stages: near follow-ups count more, and every number of the original is ours."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scoring_cases import PUBLIC, intermediate, needs_cases

from irl_vla.scoring.two_stage import (
    COLUMNS,
    Group,
    ScoredFrame,
    StageScores,
    TwoStage,
    WeightedGroup,
    combine_halves,
    follow_up_weights,
    pair_comfort,
    two_stage,
    with_score,
)
from irl_vla.types import InputError

ORIGINAL_NAMES = {
    "no_at_fault_collisions": "nc", "drivable_area_compliance": "dac",
    "driving_direction_compliance": "ddc", "traffic_light_compliance": "tlc",
    "ego_progress": "ep", "time_to_collision_within_bound": "ttc", "lane_keeping": "lk",
    "history_comfort": "hc", "two_frame_extended_comfort": "ec", "score": "score",
}  # fmt: skip
PERFECT = np.ones(8)


def standing(t0_us: int, x: float = 0.0, sub_scores: np.ndarray | None = None) -> ScoredFrame:
    """A plan that stands still at x."""
    place = np.array([x, 0.0])
    return ScoredFrame(
        t0_us, place, place, PERFECT if sub_scores is None else sub_scores, np.zeros((41, 11))
    )


def group_of(**frames: ScoredFrame) -> tuple[dict[str, ScoredFrame], Group]:
    """now, previous and one pair a, b, all perfect unless given."""
    given = {
        "now": standing(1_000_000), "previous": standing(500_000),
        "a": standing(5_000_000), "b": standing(4_500_000), **frames,
    }  # fmt: skip
    return given, Group("now", "previous", (("a", "b"),))


def test_perfect_drives_in_both_stages_score_one() -> None:
    frames, group = group_of()
    result = two_stage(frames, [group])
    np.testing.assert_array_equal(result.overall.combined, 1.0)


def test_a_follow_up_at_the_planned_end_outweighs_one_that_is_a_metre_away() -> None:
    weights = follow_up_weights(np.zeros(2), np.array([[0.0, 0.0], [0.6, 0.8]]))
    assert weights[1] / weights[0] == pytest.approx(np.exp(-5.0))  # 1 m² / (2 · 0.1 m²)
    assert weights.sum() == pytest.approx(1.0)


def test_follow_ups_that_are_all_far_away_weigh_the_same() -> None:
    far = np.array([[100.0, 0.0], [300.0, 0.0]])
    np.testing.assert_array_equal(follow_up_weights(np.zeros(2), far), 0.5)


def test_an_unknown_planned_end_gives_equal_weights() -> None:
    np.testing.assert_array_equal(follow_up_weights(np.full(2, np.nan), np.zeros((4, 2))), 0.25)


def test_stages_are_multiplied_within_a_half_before_the_halves_are_averaged() -> None:
    now = WeightedGroup(
        np.full(10, 1.0), np.array([0.25, 0.75]), np.stack([np.zeros(10), np.ones(10)])
    )
    previous = WeightedGroup(np.full(10, 0.5), np.array([1.0]), np.full((1, 10), 0.5))
    stages = combine_halves(now, previous)
    assert stages.stage_one[0] == (1.0 + 0.5) / 2
    assert stages.stage_two[0] == (0.75 + 0.5) / 2
    assert stages.combined[0] == (1.0 * 0.75 + 0.5 * 0.5) / 2


def test_without_extended_comfort_the_score_is_divided_by_fourteen() -> None:
    sub_scores = np.array([1, 1, 1, 1, 0.5, 1, 0, 1])  # nc dac ddc tlc ep ttc lk hc
    assert with_score(sub_scores, 1.0)[-1] == (2.5 + 5 + 0 + 2 + 2) / 16
    assert with_score(sub_scores, np.nan)[-1] == (2.5 + 5 + 0 + 2) / 14


def test_extended_comfort_of_a_pair_is_written_to_both_frames() -> None:
    frames, group = group_of()
    swerve = frames["a"].states.copy()
    swerve[:, 2] = 0.5 * np.sin(np.arange(41) * 0.5)
    frames["a"] = ScoredFrame(5_000_000, np.zeros(2), np.zeros(2), PERFECT, swerve)
    result = two_stage(frames, [group])
    ec = COLUMNS.index("ec")
    assert [result.columns[token][ec] for token in ("now", "previous", "a", "b")] == [1, 1, 0, 0]


def test_the_planned_end_makes_the_weights_not_the_simulated_one() -> None:
    elsewhere = ScoredFrame(
        1_000_000, np.zeros(2), np.array([9.0, 0.0]), PERFECT, np.zeros((41, 11))
    )
    frames, _ = group_of(now=elsewhere)
    frames |= {"c": standing(5_000_000, x=9.0), "d": standing(4_500_000)}
    result = two_stage(frames, [Group("now", "previous", (("a", "b"), ("c", "d")))])
    assert result.weights["c"] == pytest.approx(1.0) and result.weights["a"] < 1e-9
    assert result.weights["b"] == result.weights["d"] == 0.5


def test_a_missing_follow_up_leaves_with_its_partner_and_its_weight_is_shared() -> None:
    frames, _ = group_of(a=standing(5_000_000, sub_scores=np.zeros(8)))
    whole = Group("now", "previous", (("a", "b"), ("gone", "b2")))
    frames["b2"] = standing(4_500_000)
    result = two_stage(frames, [whole])
    assert result.weights["a"] == result.weights["b"] == 1.0 and "b2" not in result.weights


def test_a_group_without_a_score_is_named_and_in_no_mean() -> None:
    frames, group = group_of()
    lost = Group("lost", "lost before", (("c", "d"),))
    lonely = Group("n", "p", (("e", "f"),))
    frames |= {"n": standing(1_000_000), "p": standing(500_000)}
    result = two_stage(frames, [group, lost, lonely])
    assert result.overall.combined[-1] == 1.0
    assert set(result.left_out) == {"lost", "n"} and "'lost'" in result.left_out["lost"]


def test_no_group_at_all_has_no_score() -> None:
    assert np.isnan(two_stage({}, []).overall.combined).all()


def test_frames_that_are_not_consecutive_are_refused_by_name() -> None:
    frames, group = group_of(b=standing(3_000_000))
    with pytest.raises(InputError, match=r"'b', 'a'.*2000000"):
        two_stage(frames, [group])


def test_a_token_in_two_pairs_is_refused() -> None:
    frames, group = group_of()
    with pytest.raises(InputError, match="'now'"):
        two_stage(frames, [group, group])


@cache
def oracle() -> dict[str, Any]:
    return dict(intermediate("two_stage"))


@cache
def ours() -> TwoStage:
    with np.load(PUBLIC / "states.npz") as file:
        ids, states = [str(name) for name in file["ids"]], file["states"]
    frames = {}
    for row in oracle()["rows"]:
        scene, candidate, frame = row["_src"]
        frames[row["token"]] = ScoredFrame(
            round(row["start_time"] * 1e6),
            np.array([row["start_point_x"], row["start_point_y"]], np.float64),
            np.array([row["endpoint_x"], row["endpoint_y"]]),
            np.array([row[name] for name in list(ORIGINAL_NAMES)[:8]]),
            states[ids.index(scene), int(candidate[1:]), ("now", "previous").index(frame)],
        )
    groups = [
        Group(m["now"], m["previous"], tuple((a, b) for a, b in m["second_stage"]))
        for m in oracle()["mappings"]
    ]
    return two_stage(frames, groups)


def assert_same(ours: StageScores, theirs: dict[str, dict[str, float]]) -> None:
    for stage, columns in theirs.items():
        named = dict(zip(COLUMNS, getattr(ours, stage), strict=True))
        for name, value in columns.items():
            assert named[ORIGINAL_NAMES[name]] == pytest.approx(value, abs=1e-6), (stage, name)


@needs_cases
def test_weights_comfort_and_score_of_every_recorded_frame_agree() -> None:
    result = ours()
    assert set(result.columns) == set(oracle()["expected"]["per_token"])
    for token, theirs in oracle()["expected"]["per_token"].items():
        ec, score = result.columns[token][-2:]
        assert result.weights[token] == pytest.approx(theirs["weight"], abs=1e-6), token
        assert ec == theirs["two_frame_extended_comfort"], token
        assert score == pytest.approx(theirs["score"], abs=1e-6), token


@needs_cases
def test_every_recorded_group_and_the_overall_result_agree() -> None:
    result, theirs = ours(), oracle()["expected"]
    assert set(result.groups) == set(theirs["per_group"])
    for now, stages in theirs["per_group"].items():
        assert_same(result.groups[now], stages)
    assert_same(result.overall, theirs["overall"])


def test_states_that_agree_where_they_overlap_are_comfortable() -> None:
    drive = np.zeros((51, 11))
    drive[:, 5] = np.linspace(0.0, 2.0, 51)
    assert pair_comfort(drive[5:46].copy(), drive[:41].copy(), 500_000) == 1.0
