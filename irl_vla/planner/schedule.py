"""The truncated diffusion schedule: how much noise a step has.

    beta_t   variance added in step t      abar_t = prod_{s <= t} (1 - beta_s)
    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps                       Ho 2020 (DDPM), eq. 4
    x_s = sqrt(abar_s) x0^ + sqrt(1 - abar_s - sigma^2) eps^ + sigma z  Song 2020 (DDIM), eq. 12
    sigma = eta sqrt((1 - abar_s) / (1 - abar_t) (1 - abar_t / abar_s))                   eq. 16
Truncated: x_0 is an anchor of driving, so little noise suffices (DiffusionDrive, arXiv 2411.15139):
of 1000 steps, training draws t from [0, 50) and inference starts at t = 8. DiffusionDrive then
looks at t = 10 and 0; here the first look is at the level at which the noise was added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from irl_vla.types import F64

TRAIN_STEPS = 1000
BETA_FIRST, BETA_LAST = 1e-4, 0.02  # "scaled linear": sqrt(beta) grows linearly
TRUNCATED = 50  # training draws t from [0, 50)
START = 8  # inference adds noise at this t


@dataclass(frozen=True)
class DenoisingStep:
    """One denoising step from t to the next. abar_next = 1 after the last one."""

    t: int
    abar: float
    abar_next: float

    def sigma(self, eta: float) -> float:
        """Standard deviation of DDIM's noise; 0 for eta = 0 and in the last step."""
        rest = (1.0 - self.abar_next) / (1.0 - self.abar)
        return eta * math.sqrt(rest * (1.0 - self.abar / self.abar_next))


def noise_levels() -> F64:
    """(1000,) abar_t."""
    root = np.linspace(math.sqrt(BETA_FIRST), math.sqrt(BETA_LAST), TRAIN_STEPS)
    return np.asarray(np.cumprod(1.0 - root**2))


def steps(count: int, start: int = START) -> tuple[DenoisingStep, ...]:
    """`count` steps at t from `start` down to 0, evenly; the last one ends without noise."""
    if not 1 <= count <= start + 1 or start >= TRAIN_STEPS:
        raise ValueError(f"denoising: expected 1..{start + 1} steps from t = {start}, got {count}")
    at = np.round(np.linspace(start, 0, count)).astype(int)
    abar = [*noise_levels()[at], 1.0]
    return tuple(
        DenoisingStep(int(t), float(now), float(then))
        for t, now, then in zip(at, abar[:-1], abar[1:], strict=True)
    )
