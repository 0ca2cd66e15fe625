"""Latency statistics. The clock stays with the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Percentiles of one stage [ms] over `count` runs."""

    count: int
    p50: float
    p90: float
    p99: float


def latency(seconds: Sequence[float]) -> Latency:
    """Durations [s] of at least one run -> percentiles [ms], linear between ranks."""
    p50, p90, p99 = (float(p) for p in np.percentile(np.asarray(seconds) * 1e3, (50, 90, 99)))
    return Latency(len(seconds), p50, p90, p99)
