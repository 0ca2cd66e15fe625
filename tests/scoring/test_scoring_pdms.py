"""PDMS v1 where it differs from EPDMS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import savgol_filter
from scoring_cases import change_lane, plan, street, tracks

from irl_vla.scoring.epdms import score
from irl_vla.scoring.pdms import score_v1
from irl_vla.scoring.scene import VEHICLE, Reference, Tracks
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.types import InputError


def test_a_perfect_plan_scores_one_in_both_versions() -> None:
    scores = score_v1(street(), plan(10.0))
    assert scores.pdms[0] == 1.0


def test_v1_knows_no_lights_lanes_or_direction() -> None:
    scene = street()
    off = change_lane(3.0)
    assert score(scene, off).raw.ddc[0] == 0.0
    first = score_v1(scene, off)
    assert first.nc[0] == first.dac[0] == first.ttc[0] == 1.0
    expected = (5 * first.ep[0] + 5 + 2 * first.comfort[0]) / 12
    assert first.pdms[0] == pytest.approx(expected, abs=1e-15)


def test_v1_progress_includes_the_rules_and_fails_where_nobody_moves() -> None:
    wall = tracks(("wall", VEHICLE, 20.0, 0.0, 0.0, 0.0, 0.0))
    hit = score_v1(street(agents=wall), plan(10.0))
    assert hit.nc[0] == 0.0 and hit.ep[0] == 0.0
    assert score(street(agents=wall), plan(10.0)).raw.ep[0] > 0.0  # v2: own rules do not enter


def test_v1_looks_beyond_the_horizon_where_tracks_do() -> None:
    # front bumper at x = 44.049 after 4 s, 0.9 s on at 53; the wall's rear at 50
    short = tracks(("wall", VEHICLE, 52.0, 0.0, 0.0, 0.0, 0.0))
    assert score_v1(street(agents=short), plan(10.0)).ttc[0] == 1.0
    states = np.repeat(short.states[:, :1], 51, axis=1)
    long = Tracks(short.ids, short.types, short.sizes, states, np.ones((1, 51), np.bool_))
    scene = replace(street(agents=long), steps=51)
    assert score_v1(scene, plan(10.0)).ttc[0] == 0.0
    assert score(scene, plan(10.0)).raw.ttc[0] == 1.0  # v2 stops looking 0.9 s before the end


def test_v1_comfort_smooths_the_whole_plan_in_one_window() -> None:
    scene, poses = street(), plan(10.0, acceleration=2.3)
    states = simulate(scene.ego.initial, sample_plans(poses, scene.ego.initial, scene.t0_us))[0]
    smooth = savgol_filter(states[:, 5], 41, 2)
    jerk = savgol_filter(smooth, 41, 2, deriv=1, delta=0.1)
    calm = smooth.max() < 2.4 and smooth.min() > -4.05 and np.abs(jerk).max() < 4.13
    assert score_v1(scene, poses).comfort[0] == float(calm)


def test_without_a_reference_there_is_no_pdms() -> None:
    with pytest.raises(InputError, match="needs a reference plan"):
        score_v1(replace(street(), reference=None), plan(10.0))
    stay = replace(street(0.0), reference=Reference("stay", np.zeros((41, 3))))
    assert score_v1(stay, np.zeros((8, 3))).ep[0] == 1.0
