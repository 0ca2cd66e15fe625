"""The recorded cases of the original scorer: every number of theirs is ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from scoring_cases import CASES, PUBLIC, expected, intermediate, needs_cases, public_scenes

from irl_vla.scoring.comfort import (
    apply_filter,
    extended_filters,
    extended_rms,
    features,
    filter_matrix,
    history_filters,
    past_states,
)
from irl_vla.scoring.epdms import multiplied, score, score_case, sub_scores_of
from irl_vla.scoring.evaluate import HC_BITS, NC_STEP, NO_COMFORT, TTC_STEP, evaluate_states
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.scene import STATE_COLUMNS, Ego
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.tracker import fit_curvature, fit_speed

pytestmark = needs_cases


def test_all_columns_of_all_public_cases_agree(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text(json.dumps({s.id: score_case(s) for s in public_scenes().values()}))
    run = subprocess.run(
        [sys.executable, str(CASES / "compare.py"), str(PUBLIC), str(results)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = run.stdout.strip().splitlines()[-1]
    assert run.returncode == 0, run.stdout
    assert last.startswith("23 columns:") and "wrong 0" in last and "missing 0" in last


def test_simulated_states_agree_to_a_hundredth_of_a_micrometre() -> None:
    with np.load(PUBLIC / "states.npz") as file:
        ids, states = file["ids"], file["states"]
    worst = 0.0
    for name, recorded in zip(ids, states, strict=True):
        scene = public_scenes()[str(name)]
        before = scene.previous
        assert before is not None
        frames = [
            (scene.ego.initial, scene.t0_us, scene.plans()),
            (before.initial, scene.t0_us - before.dt_us, before.trajectories),
        ]
        for frame, (initial, t0_us, plans) in enumerate(frames):
            ours = simulate(initial, sample_plans(plans, initial, t0_us))
            worst = max(worst, float(np.abs(ours - recorded[:, frame]).max()))
    assert worst < 1e-8


def test_profiles_and_states_of_the_tracker_agree() -> None:
    for case in intermediate("lqr")["cases"]:
        ref = np.array(case["reference_poses"])
        v, kappa = np.empty(40), np.empty(40)
        fit_speed(ref, v)
        fit_curvature(ref, v, kappa)
        states = simulate(np.array(case["initial"]), ref)[0]
        np.testing.assert_allclose(v, case["velocity_profile"], atol=1e-6, err_msg=case["name"])
        np.testing.assert_allclose(kappa, case["curvature_profile"], atol=1e-6)
        np.testing.assert_allclose(states, case["states"], atol=1e-6, err_msg=case["name"])
        # the commands leave their trace in acceleration and steering rate
        np.testing.assert_allclose(np.diff(states[:, 5]) * 3 + states[:-1, 5],
                                   np.array(case["commands"])[:, 0], atol=1e-6)  # fmt: skip
        np.testing.assert_allclose(states[1:, 8] * 1.5, np.array(case["commands"])[:, 1], atol=1e-6)


def test_comfort_signals_agree() -> None:
    for case in intermediate("comfort")["history_comfort"]:
        padded = np.array(case["padded_states"])
        by, n, c = history_filters(len(padded)), len(padded), 1.461
        lon, out, rate = padded[:, 5] + c * (padded[:, 9] ** 2 + padded[:, 10]), *np.empty((2, n))
        apply_filter(by.smooth, lon, out)
        np.testing.assert_allclose(out, case["signals"]["lon_accel"], atol=1e-6)
        apply_filter(by.jerk, out, rate)
        np.testing.assert_allclose(rate, case["signals"]["lon_jerk"], atol=1e-6)
        apply_filter(by.smooth, np.hypot(padded[:, 5], padded[:, 6]), out)
        apply_filter(by.jerk, out, rate)
        np.testing.assert_allclose(rate, case["signals"]["jerk"], atol=1e-6)
        apply_filter(filter_matrix(n, 8, 2, 0), padded[:, 6].copy(), out)
        np.testing.assert_allclose(out, case["signals"]["lat_accel"], atol=1e-6)
        heading = np.unwrap(padded[:, 2])
        apply_filter(by.yaw_rate, heading, out)
        np.testing.assert_allclose(out, case["signals"]["yaw_rate"], atol=1e-6)
        apply_filter(by.yaw_accel, heading, out)
        np.testing.assert_allclose(out, case["signals"]["yaw_accel"], atol=1e-6)


def test_the_past_is_sampled_as_recorded() -> None:
    for case in intermediate("comfort")["history_comfort"]:
        rows = [[h.get(c, 0.0) for c in STATE_COLUMNS] for h in case["history"]]
        times = np.array([h["t_us"] for h in case["history"]])
        past = past_states(Ego(np.array(rows[-1]), np.array(rows), times))
        recorded = np.array(case["padded_states"])[:-41]
        np.testing.assert_allclose(past[:, :7], recorded[:, :7], atol=1e-6)


def test_extended_comfort_features_and_rms_agree() -> None:
    by, signals, ours = extended_filters(36), np.empty((2, 36)), np.empty((4, 36))
    for case in intermediate("comfort")["extended_comfort"]:
        now, before = np.array(case["now"]), np.array(case["previous"])
        features(now, 0, by, signals, ours)
        np.testing.assert_allclose(ours, list(case["features_now"].values()), atol=1e-6)
        rms = np.empty(4)
        shifted = np.vstack([np.zeros((5, 11)), before])
        extended_rms(np.vstack([now, now[:5]]), shifted, 5, by, np.empty((10, 36)), rms)
        np.testing.assert_allclose(rms, list(case["rms"].values()), atol=1e-6)


def test_reference_human_and_batch_agree() -> None:
    names = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")
    for name, scene in public_scenes().items():
        prepared, oracle = prepare(scene), expected()[name]
        assert prepared.reference is not None
        for values, recorded in [
            (prepared.reference, oracle["reference"]), (prepared.human, oracle.get("human"))
        ]:  # fmt: skip
            if values is None:
                assert recorded is None
                continue
            alone = sub_scores_of(values[None], multiplied(values[None]) * values[4])
            for sub_score in ("nc", "dac", "ddc", "tlc", "ttc", "lk"):
                assert getattr(alone, sub_score)[0] == recorded[sub_score], (name, sub_score)
        assert abs(prepared.reference[4] - oracle["reference"]["progress_m"]) < 1e-6
        batch = score(prepared, scene.plans(), together="batch").raw
        for i, recorded in enumerate(oracle["batch"][1:]):
            for sub_score in (*names, "mult", "pdm_score_no_ec"):
                assert abs(getattr(batch, sub_score)[i] - recorded[sub_score]) < 1e-6, (
                    name,
                    i,
                    sub_score,
                )


def test_details_of_the_cases_agree() -> None:
    bits = {
        "lon_accel": 1, "lat_accel": 2, "jerk": 4, "lon_jerk": 8, "yaw_accel": 16, "yaw_rate": 32
    }  # fmt: skip
    for name, scene in public_scenes().items():
        scores = score(prepare(scene), scene.plans())
        for i, recorded in enumerate(expected()[name]["candidates"]):
            details, found = recorded["details"], scores.evidence[i]
            assert abs(scores.progress_m[i] - details["progress_m"]) < 1e-6
            ttc_step = -1 if details["ttc_step"] is None else details["ttc_step"]
            assert found[TTC_STEP] == ttc_step, (name, i)
            if scores.raw.nc[i] == 1.0:
                assert found[NC_STEP] == -1 and details["at_fault_step"] is None
            for flag, bit in bits.items():
                within = details["comfort_flags"][flag]
                assert (found[HC_BITS] & bit == 0) == within, (name, i, flag)


def test_states_scored_from_elsewhere_equal_plans_scored_from_scratch() -> None:
    scene = public_scenes()["p0022"]
    prepared, initial = prepare(scene), scene.ego.initial
    states = simulate(initial, sample_plans(scene.plans(), initial, scene.t0_us))
    alone = evaluate_states(prepared.arena, NO_COMFORT, states).values
    scores = score(prepared, scene.plans())
    assert np.array_equal(alone[:, 4], scores.progress_m)
    assert np.array_equal(multiplied(alone), scores.raw.mult)
    assert (alone[:, 7] == 1.0).all() and np.isnan(alone[:, 8]).all()
