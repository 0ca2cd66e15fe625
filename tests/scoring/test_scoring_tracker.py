"""Tracker and bicycle: fits against textbook least squares, laws of motion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_cases import fan, plan, street

from irl_vla.scoring.simulate import sample_plans, sample_times, simulate
from irl_vla.scoring.tracker import fit_curvature, fit_speed
from irl_vla.types import InputError
from irl_vla.vehicle import PACIFICA

DT = 0.1
START = street().ego.initial
T0 = 10_000_000


def dense_speed(ref: np.ndarray, penalise_jerk: bool) -> np.ndarray:
    """Unknowns v0, a_0..a_38, solved densely."""
    to_v = np.hstack([np.ones((40, 1)), np.tril(np.ones((40, 39)), -1) * DT])
    directions = np.stack([np.cos(ref[:40, 2]), np.sin(ref[:40, 2])], axis=-1)
    a = (DT * directions[:, :, None] * to_v[:, None, :]).reshape(80, 40)
    rows = np.eye(38, 39)  # quirk: accelerations instead of their differences, but for the last row
    if penalise_jerk:
        rows = np.eye(38, 39, 1) - np.eye(38, 39)
    rows[37, 37:] = [-1.0, 1.0]
    penalty = np.sqrt(1e-4) * np.hstack([np.zeros((38, 1)), rows])
    right = np.concatenate([np.diff(ref[:, :2], axis=0).ravel(), np.zeros(38)])
    return np.asarray(to_v @ np.linalg.lstsq(np.vstack([a, penalty]), right, rcond=None)[0])


def dense_curvature(ref: np.ndarray, v: np.ndarray) -> np.ndarray:
    to_k = np.hstack([np.ones((40, 1)), np.tril(np.ones((40, 39)), -1) * DT])
    turns = (np.diff(ref[:, 2]) + np.pi) % (2 * np.pi) - np.pi
    weights = np.sqrt(np.r_[1e-10, np.full(39, 1e-2)])
    a = np.vstack([DT * v[:, None] * to_k, np.diag(weights)])
    return np.asarray(to_k @ np.linalg.lstsq(a, np.r_[turns, np.zeros(40)], rcond=None)[0])


def test_the_fits_solve_their_least_squares_problems() -> None:
    for ref in sample_plans(fan(street(), 20), START, T0):
        v, kappa = np.empty(40), np.empty(40)
        fit_speed(ref, v)
        fit_curvature(ref, v, kappa)
        np.testing.assert_allclose(v, dense_speed(ref, penalise_jerk=False), atol=1e-11)
        np.testing.assert_allclose(kappa, dense_curvature(ref, v), atol=1e-9)


def test_the_quirk_penalises_acceleration_where_the_textbook_penalises_jerk() -> None:
    t, ref, v = np.arange(41) * DT, np.zeros((41, 3)), np.empty(40)
    ref[:, 0] = 10.0 * t + 1.5 * t**2
    fit_speed(ref, v)
    first, textbook = np.diff(v)[0] / DT, np.diff(dense_speed(ref, penalise_jerk=True))[0] / DT
    assert 1.0 < first < 2.2 < textbook  # a constant 3 m/s² plan starts with a fitted ~1.9 m/s²


def test_samples_are_taken_at_truncated_microseconds() -> None:
    early = 0
    for t0_us in (T0, 1_631_204_912_312_345, 1_540_000_000_999_997):
        knots, instants = sample_times(t0_us)
        late = np.concatenate([knots - np.arange(9) * 5e5, instants - np.arange(41) * 1e5])
        assert knots[0] == 0 == instants[0] and set(late) <= {-1.0, 0.0}
        early += int((late < 0).sum())
    assert early > 0


def test_a_straight_plan_at_constant_speed_is_followed_exactly() -> None:
    states = simulate(START, sample_plans(plan(10.0), START, T0))[0]
    # single samples of the reference lie 1 us early: 1e-5 m
    np.testing.assert_allclose(states[:, 0], np.arange(41.0), atol=1e-3)
    np.testing.assert_allclose(states[:, 1:3], 0.0, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.0, 30.0), st.floats(-0.2, 0.2), st.floats(-6.0, 4.0))
def test_the_bicycle_obeys_its_equations(speed: float, turn: float, push: float) -> None:
    initial = START.copy()
    initial[3] = speed
    s = simulate(initial, sample_plans(plan(speed, turn, push), initial, T0))[0]
    assert np.isfinite(s).all() and np.abs(s[:, 7]).max() <= np.pi / 3
    now, new = s[:-1], s[1:]
    np.testing.assert_allclose(new[:, 0], now[:, 0] + now[:, 3] * np.cos(now[:, 2]) * DT)
    np.testing.assert_allclose(new[:, 3], now[:, 3] + new[:, 5] * DT)
    turned = now[:, 3] * np.tan(now[:, 7]) / PACIFICA.wheel_base * DT
    difference = (new[:, 2] - now[:, 2] - turned + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(difference, 0.0, atol=1e-12)
    assert not new[:, [4, 6]].any()


def test_state_zero_is_the_initial_state_with_all_its_columns() -> None:
    initial = START + np.array([3.0, -2, 0.5, 0, 0.1, 0.4, 0.3, 0.02, 0, 0.1, 0])
    states = simulate(initial, sample_plans(plan(10.0), initial, T0))
    assert np.array_equal(states[0, 0], initial)


def test_both_stopping_bounds_are_inclusive() -> None:
    initial, ref = START.copy(), np.zeros((1, 41, 3))
    initial[3], initial[7] = 0.2, 0.3
    # at 0.2 m/s the stopping law holds and leaves the steering alone; just above, the LQR steers
    assert simulate(initial, ref)[0, 1, 8] == 0.0
    initial[3] = 0.2000001
    assert simulate(initial, ref)[0, 1, 8] != 0.0


def test_reference_poses_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(P, 41, 3\), got \(1, 40, 3\)"):
        simulate(START, np.zeros((40, 3)))
