"""Laws of the score that hold in every scene."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_cases import fan, needs_cases, plan, public_scenes, street, tracks, turned

from irl_vla.scoring.epdms import PlanScores, SubScores, combine, score
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE, Scene
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.types import InputError

TRAFFIC = tracks(
    ("ahead", VEHICLE, 25.0, 0.0, 0.0, 6.0, 0.0),
    ("walker", PEDESTRIAN, 30.0, -6.0, 1.6, 0.0, 1.2),
    ("oncoming", VEHICLE, 70.0, 3.5, np.pi, -9.0, 0.0),
)


def same(a: PlanScores, b: PlanScores, atol: float = 0.0) -> None:
    for of in ("raw", "filtered"):
        for field in fields(SubScores):
            np.testing.assert_allclose(
                getattr(getattr(a, of), field.name), getattr(getattr(b, of), field.name),
                atol=atol, rtol=0, err_msg=field.name,
            )  # fmt: skip
    np.testing.assert_allclose(a.epdms, b.epdms, atol=atol, rtol=0)


@pytest.mark.parametrize("angle", [0.3, np.pi / 2, 2.5, np.pi, -1.2])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (-340.0, 1200.0), (664_000.0, 3_998_000.0)])
def test_a_rigid_motion_of_the_whole_scene_changes_nothing(
    angle: float, shift: tuple[float, float]
) -> None:
    scene = street(agents=TRAFFIC)
    plans = fan(scene, 40)
    # At 4e6 m (a UTM northing) a float64 steps in 5e-10 m; over 40 steps the states and thereby
    # progress carry some 1e-8 m.
    same(score(scene, plans), score(turned(scene, angle, shift), plans), atol=1e-7)


def test_a_rigid_motion_moves_the_simulated_states_along() -> None:
    scene = street()
    moved = turned(scene, 0.7, (12.0, -30.0))
    plans = fan(scene, 10)
    a = simulate(scene.ego.initial, sample_plans(plans, scene.ego.initial, scene.t0_us))
    b = simulate(moved.ego.initial, sample_plans(plans, moved.ego.initial, moved.t0_us))
    cos, sin = np.cos(0.7), np.sin(0.7)
    back = (b[..., :2] - np.array([12.0, -30.0])) @ np.array([[cos, -sin], [sin, cos]])
    np.testing.assert_allclose(back, a[..., :2], atol=1e-11)
    np.testing.assert_allclose(b[..., 3:], a[..., 3:], atol=1e-11)


def test_an_agent_far_away_changes_nothing() -> None:
    scene = street(agents=TRAFFIC)
    far = tracks(("far", VEHICLE, 900.0, -900.0, 0.0, 20.0, 0.0))
    more = replace(
        TRAFFIC, ids=(*TRAFFIC.ids, "far"), types=np.append(TRAFFIC.types, far.types),
        sizes=np.vstack([TRAFFIC.sizes, far.sizes]),
        states=np.concatenate([TRAFFIC.states, far.states]),
        present=np.concatenate([TRAFFIC.present, far.present]),
    )  # fmt: skip
    same(score(scene, fan(scene, 64)), score(replace(scene, agents=more), fan(scene, 64)))


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4), st.integers(0, 3))
def test_the_score_never_rises_when_a_multiplier_falls(values: list[float], which: int) -> None:
    def total(multipliers: list[float]) -> float:
        one = [np.array([v]) for v in multipliers]
        rest = [np.array([v]) for v in (0.8, 1.0, 0.0, 1.0)]
        mult = np.array([np.prod(multipliers)])
        return float(combine(SubScores(*one, *rest, mult, mult), np.array([1.0]))[0])

    lower = list(values)
    lower[which] = max(lower[which] - 0.5, 0.0)
    assert total(lower) <= total(values)


def every_scene() -> list[Scene]:
    return [street(agents=TRAFFIC), street(3.0)]


@pytest.mark.parametrize("scene", every_scene(), ids=["traffic", "slow"])
def test_one_by_one_equals_a_batch_when_paired_with_the_reference(scene: Scene) -> None:
    prepared, plans = prepare(scene), fan(scene, 150)
    together = score(prepared, plans, plans)
    for i in range(0, 150, 7):
        alone = score(prepared, plans[i], plans[i])
        assert alone.epdms[0] == together.epdms[i]
        assert alone.raw.ep[0] == together.raw.ep[i] and alone.ec[0] == together.ec[i]


def test_in_one_batch_only_progress_may_differ_and_only_downwards() -> None:
    scene = street(agents=TRAFFIC)
    plans = fan(scene, 100)
    pairs, batch = score(scene, plans), score(scene, plans, together="batch")
    assert (batch.raw.ep <= pairs.raw.ep).all() and (batch.raw.ep < pairs.raw.ep).any()
    for sub_score in ("nc", "dac", "ddc", "tlc", "ttc", "lk", "hc"):
        assert np.array_equal(getattr(batch.raw, sub_score), getattr(pairs.raw, sub_score))


def test_threads_and_order_do_not_change_results() -> None:
    scene = street(agents=TRAFFIC)
    prepared, plans = prepare(scene), fan(scene, 700)
    one = score(prepared, plans, plans[0], threads=1)
    many = score(prepared, plans, plans[0], threads=4)
    same(one, many)
    assert np.array_equal(one.ec, many.ec) and np.array_equal(one.evidence, many.evidence)
    order = np.random.default_rng(1).permutation(700)
    assert np.array_equal(score(prepared, plans[order], plans[0]).epdms, one.epdms[order])


def test_standing_still_from_standstill_scores_full_comfort_and_no_progress() -> None:
    scene = street(0.0)
    still = np.zeros((8, 3))
    scores = score(scene, still, still)  # the reference starts from standstill as well: ~29 m
    assert scores.best_progress_m[0] > 5.0
    assert scores.raw.hc[0] == 1.0 and scores.ec[0] == 1.0 and scores.progress_m[0] == 0.0
    assert 100.0 * scores.epdms[0] == 68.75  # (5·0 + 5 + 2 + 2 + 2) / 16


def test_where_nobody_gets_further_than_five_metres_everybody_has_full_progress() -> None:
    scene = street(0.0)
    assert scene.reference is not None
    stay = replace(scene.reference, poses=np.zeros((41, 3)))
    assert score(replace(scene, reference=stay), np.zeros((8, 3))).raw.ep[0] == 1.0


@settings(deadline=None, max_examples=30)
@given(st.floats(0.0, 25.0), st.floats(-0.1, 0.1), st.floats(-5.0, 4.0))
def test_every_mark_and_score_lies_between_0_and_1(speed: float, turn: float, push: float) -> None:
    scores = score(street(speed, TRAFFIC), plan(speed, turn, push), plan(speed))
    for field in fields(SubScores):
        assert 0.0 <= getattr(scores.raw, field.name)[0] <= 1.0
    assert 0.0 <= scores.epdms[0] <= 1.0


@needs_cases
def test_the_human_filter_forgives_and_never_punishes() -> None:
    touched = 0
    for scene in public_scenes().values():
        scores = score(scene, scene.plans())
        for sub_score in ("nc", "dac", "ddc", "tlc", "ttc", "lk"):
            assert (getattr(scores.filtered, sub_score) >= getattr(scores.raw, sub_score)).all()
        for sub_score in ("ep", "hc", "pdm_score_no_ec"):
            assert np.array_equal(
                getattr(scores.filtered, sub_score), getattr(scores.raw, sub_score)
            )
        touched += int((scores.epdms > scores.epdms_raw).sum())
    assert touched > 0


def test_no_plans_give_no_scores_and_plans_beyond_all_bounds_score_nothing() -> None:
    scene = street(agents=TRAFFIC)
    assert len(score(scene, np.zeros((0, 8, 3)))) == 0
    wild = np.full((1, 8, 3), 9e5)  # just within what is taken as a coordinate
    assert score(scene, wild, wild).epdms[0] == 0.0
    with pytest.raises(InputError, match="below 1e\\+06"):
        score(scene, np.full((1, 8, 3), 1e200))
