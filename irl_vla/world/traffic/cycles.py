"""What all lights of a town show, and for how long.

May import: types, world.episode, world.town.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.types import F64
from irl_vla.world.episode import I8
from irl_vla.world.town import Light, Town


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
        if len(self.offset) == 0:
            return np.zeros(0, np.int8), np.zeros(0)
        into = (time_s + self.offset) % self.length
        into = np.where(into < self.length, into, 0.0)  # a time just before 0 is rounded to it
        phase = (self.ends <= into[:, None]).sum(axis=1)
        rows = np.arange(len(phase))
        lights = self.shows[rows, phase]
        return lights, np.where(lights == Light.RED, self.ends[rows, phase] - into, 0.0)
