"""Which phase of a repeated cycle a signal is in: read here by whoever asks.

May import: scoring.compiled, types.
"""

from __future__ import annotations

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.types import F64


@lean_kernel
def phase_at(
    durations: F64, many: int, cycle: float, offset: float, time_s: float
) -> tuple[int, float]:
    """Which of `many` phases lasts at a time, and how far into the cycle that is [s].

    durations: (>= many,) [s]; cycle: their sum; offset: where in the cycle time 0 falls. Just
    before 0 the remainder is rounded to the cycle's very end, which belongs to the last phase.
    """
    into = (time_s + offset) % cycle
    phase, rest = 0, into - durations[0]
    while rest >= 0.0 and phase < many - 1:
        phase += 1
        rest -= durations[phase]
    return phase, into
