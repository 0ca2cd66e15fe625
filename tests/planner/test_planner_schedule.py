"""Facts about noise levels; numbers from the formulas by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from irl_vla.planner.schedule import START, noise_levels, steps


def test_noise_grows_from_one_hundredth_to_nearly_all() -> None:
    abar = noise_levels()
    assert math.sqrt(1.0 - abar[0]) == pytest.approx(0.01)
    assert (np.diff(abar) < 0).all() and len(abar) == 1000
    assert abar[-1] < 0.001, "nothing of the signal is left"


def test_the_truncated_start_has_three_hundredths_of_noise() -> None:
    # nine steps of about (0.01 .. 0.01105)^2
    assert math.sqrt(1.0 - noise_levels()[START]) == pytest.approx(0.0316, abs=2e-4)


def test_two_steps_look_at_t_8_and_0_and_end_without_noise() -> None:
    first, last = steps(2)
    assert (first.t, last.t, last.abar_next) == (8, 0, 1.0)
    assert first.abar_next == last.abar == noise_levels()[0]


def test_ddim_with_eta_1_has_the_posterior_variance_of_ddpm() -> None:
    # neighbouring steps: beta_t (1 - abar_{t-1}) / (1 - abar_t), DDPM eq. 7
    abar = noise_levels()
    for step in steps(9)[:-1]:
        beta = 1.0 - abar[step.t] / abar[step.t - 1]
        posterior = beta * (1.0 - abar[step.t - 1]) / (1.0 - abar[step.t])
        assert step.sigma(1.0) ** 2 == pytest.approx(posterior)
        assert step.sigma(0.0) == 0.0 and step.sigma(0.5) == pytest.approx(step.sigma(1.0) / 2)


def test_the_last_step_adds_no_noise_and_impossible_counts_are_refused() -> None:
    assert steps(5)[-1].sigma(1.0) == 0.0
    for count, start in ((0, 8), (10, 8), (2, 1000)):
        with pytest.raises(ValueError, match="denoising"):
            steps(count, start)
