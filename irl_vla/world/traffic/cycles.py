"""What all lights of a town show, and for how long.

May import: scoring.compiled, types, world.episode, world.town.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.types import F64
from irl_vla.world.episode import I8
from irl_vla.world.town import Light, Town

RED = int(Light.RED)


class Cycles(NamedTuple):
    """S signals. ends, shows (S, P): when phases end [s], inf beyond the last, and what they show;
    offset, length (S,) [s]."""

    ends: F64
    shows: I8
    offset: F64
    length: F64

    @staticmethod
    def of(town: Town) -> Cycles:
        """The cycles of a town's signals."""
        count = len(town.signals)
        most = max((len(signal.phases) for signal in town.signals), default=1)
        ends, shows = np.full((count, most), math.inf), np.zeros((count, most), np.int8)
        for k, signal in enumerate(town.signals):
            ends[k, : len(signal.phases)] = np.cumsum(signal.phases[:, 0])
            shows[k, : len(signal.phases)] = signal.phases[:, 1]
        offset = np.array([signal.offset_s for signal in town.signals], np.float64)
        length = np.where(np.isfinite(ends), ends, 0.0).max(axis=1, initial=0.0)
        return Cycles(ends, shows, offset, length)

    def at(self, time_s: float) -> tuple[I8, F64]:
        """(S,) Light of every signal, and (S,) [s] until a red one changes, 0 for the others."""
        lights, left = np.empty(len(self.offset), np.int8), np.empty(len(self.offset))
        _show(*self, time_s, lights, left)
        return lights, left


@lean_kernel
def _show(
    ends: F64, shows: I8, offset: F64, length: F64, time_s: float, lights: I8, left: F64
) -> None:
    for k in range(len(offset)):
        into = (time_s + offset[k]) % length[k]
        if not into < length[k]:
            into = 0.0  # a time just before 0 is rounded to it
        phase = 0
        while phase < ends.shape[1] - 1 and ends[k, phase] <= into:
            phase += 1
        lights[k] = shows[k, phase]
        left[k] = ends[k, phase] - into if lights[k] == RED else 0.0
