"""explain names who cost which point, when, and what it would be worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scoring_cases import expected, fan, needs_cases, plan, public_scenes, street, tracks

from irl_vla.scoring.epdms import score
from irl_vla.scoring.explain import explain
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.scene import VEHICLE, NamedPlan

SLOW = tracks(("slow", VEHICLE, 20.0, 0.0, 0.0, 2.0, 0.0))


def test_a_perfect_plan_needs_no_explanation() -> None:
    explanation = explain(street(), plan(10.0), plan(10.0))
    assert explanation.losses == () and "no point lost" in explanation.text()
    assert explanation.scores.epdms[0] == 1.0


def test_a_collision_names_the_agent_the_step_and_the_place() -> None:
    explanation = explain(street(agents=SLOW), plan(10.0))
    by_sub_score = {loss.sub_score: loss for loss in explanation.losses}
    hit = by_sub_score["nc"]
    # bumper 4.049 + 10 t meets the rear 18 + 2 t at t = 1.74 s
    assert (hit.subject, hit.step, hit.value) == ("slow", 18, 0.0)
    assert "at 1.8 s the ego hits with its front bumper the vehicle 'slow' at 10.0 m/s" in hit.text
    np.testing.assert_allclose(hit.position, [20.0 + 2.0 * 1.8, 0.0])
    assert by_sub_score["ttc"].subject == "slow" and by_sub_score["ttc"].step == 9
    assert hit.gain == pytest.approx(9.0 / 14.0, abs=1e-9)  # all but TTC


def test_what_the_human_failed_too_is_forgiven() -> None:
    scene = replace(
        street(agents=SLOW), scene_type="original", human=NamedPlan("", "log", plan(10.0))
    )
    hit = next(loss for loss in explain(scene, plan(10.0)).losses if loss.sub_score == "nc")
    assert hit.forgiven and hit.gain == 0.0 and "the human did too" in hit.text


def test_every_lost_mark_has_one_reason_and_its_gain_is_what_mending_it_brings() -> None:
    scene = street(agents=SLOW)
    prepared = prepare(scene)
    for poses in fan(scene, 60):
        explanation = explain(prepared, poses, plan(10.0))
        scores = explanation.scores
        low = {
            m
            for m in ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")
            if getattr(scores.raw, m)[0] < 1.0
        } | ({"ec"} if scores.ec[0] < 1.0 else set())
        assert {loss.sub_score for loss in explanation.losses} == low
        assert all(loss.gain >= 0.0 and loss.text for loss in explanation.losses)
        assert scores.epdms[0] + sum(loss.gain for loss in explanation.losses) <= 1.0 + 1e-12
        assert scores.epdms[0] == score(prepared, poses, plan(10.0)).epdms[0]


@needs_cases
def test_explanations_of_the_public_cases_point_at_recorded_steps() -> None:
    for name, scene in list(public_scenes().items())[::6]:
        prepared, before = prepare(scene), scene.previous
        assert before is not None
        for i, candidate in enumerate(scene.candidates):
            explanation = explain(prepared, candidate.poses, before.trajectories[i])
            details = expected()[name]["candidates"][i]["details"]
            assert explanation.off_drivable.sum() == details["steps_off_drivable"]
            assert explanation.multiple_lanes.sum() == details["steps_multiple_lanes"]
            for loss in explanation.losses:
                if loss.sub_score == "nc" and loss.value == 0.0:
                    assert loss.step == details["at_fault_step"]
                if loss.sub_score == "ttc":
                    assert loss.step == details["ttc_step"]
