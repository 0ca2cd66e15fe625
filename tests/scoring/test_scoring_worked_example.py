"""docs/epdms.md, section 7: every number of the worked example, and its text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scoring_cases import plan, street

from irl_vla.scoring.comfort import apply_filter, history_filters, past_states
from irl_vla.scoring.epdms import score
from irl_vla.scoring.explain import explain, extended_differences
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.tracker import command, fit_curvature, fit_speed

DOCUMENT = (Path(__file__).parents[2] / "docs" / "epdms.md").read_text(encoding="utf-8")
SCENE = street()
PLAN, BEFORE = plan(10.0, acceleration=-1.5), plan(10.0)
REFERENCE = sample_plans(PLAN, SCENE.ego.initial, SCENE.t0_us)[0]
STATES = simulate(SCENE.ego.initial, REFERENCE)[0]


def near(value: float) -> object:
    """Equal to the digits that the document prints."""
    digits = len(f"{value}".split(".")[1])
    return pytest.approx(value, abs=0.5001 * 10.0**-digits)


def test_the_plan_and_its_reference() -> None:
    assert PLAN[:, 0].tolist() == [4.8125, 9.25, 13.3125, 17, 20.3125, 23.25, 25.8125, 28]
    assert REFERENCE[1, 0] == near(0.9625) and REFERENCE[5, 0] == near(4.8125)


def test_the_profiles_the_first_command_and_the_first_state() -> None:
    v, kappa = np.empty(40), np.empty(40)
    fit_speed(REFERENCE, v)
    fit_curvature(REFERENCE, v, kappa)
    assert v[0] == near(9.6189) and v[10] == near(8.3295) and v[39] == near(4.3686)
    assert np.abs(kappa).max() < 1e-12
    acceleration, rate = command(0, REFERENCE, v, kappa, STATES[0], 3.089)
    assert acceleration == near(-1.5186) and abs(rate) < 1e-12
    assert STATES[1, 5] == near(-0.5062)
    assert STATES[1, 0] == 1.0 and STATES[1, 3] == near(9.9494)
    assert STATES[40, 0] == near(29.0628)


def test_the_marks_and_the_number() -> None:
    found = score(SCENE, PLAN, BEFORE)
    for sub_score in ("nc", "dac", "ddc", "tlc", "ttc", "lk", "hc", "mult"):
        assert getattr(found.raw, sub_score)[0] == 1.0
    assert found.progress_m[0] == near(29.0628) and found.best_progress_m[0] == near(40.0000)
    assert found.raw.ep[0] == near(0.7266)
    rms = extended_differences(prepare(SCENE), STATES, BEFORE)
    assert rms[0] == near(1.417) and rms[1] == near(1.07) and found.ec[0] == 0.0
    assert found.epdms[0] == near(0.7896)
    assert found.raw.pdm_score_no_ec[0] == near(0.9023)


def test_the_comfort_of_the_example() -> None:
    past = past_states(SCENE.ego)
    assert len(past) == 14
    lon = np.concatenate([past[:, 5], STATES[:, 5]])  # nothing turns: omega = alpha = 0
    by, smooth, jerk = history_filters(len(lon)), np.empty(len(lon)), np.empty(len(lon))
    apply_filter(by.smooth, lon, smooth)
    apply_filter(by.jerk, smooth, jerk)
    assert smooth.min() == near(-1.618) and smooth.max() == near(0.047)
    assert jerk.min() == near(-1.485) and jerk.max() == near(0.9)


def test_the_document_prints_what_explain_says() -> None:
    text = explain(SCENE, PLAN, BEFORE).text()
    assert all(f"    {line}\n" in DOCUMENT for line in text.splitlines())
    for number in ("9.6189", "8.3295", "-1.5186", "9.9494", "29.0628", "0.7266", "1.417", "0.7896"):
        assert number in DOCUMENT
