"""What all lights of a town show, and for how long.

May import: scoring, types, world.episode, world.phases, world.town.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.scene import I64
from irl_vla.types import F64
from irl_vla.world.episode import I8
from irl_vla.world.phases import phase_at
from irl_vla.world.town import Light, Town

RED = int(Light.RED)
ENDLESS_S = 1e6  # [s] longer than any drive


class Cycles(NamedTuple):
    """S signals. durations [s], shows (S, p), of which a signal has `many` (S,); ends (S, p): when
    phases end [s]; cycle, offset (S,) [s]."""

    durations: F64
    shows: I8
    ends: F64
    many: I64
    cycle: F64
    offset: F64

    @staticmethod
    def of(town: Town) -> Cycles:
        """The cycles of a town's signals."""
        many = np.array([len(signal.phases) for signal in town.signals], np.int64)
        durations = np.zeros((len(many), many.max(initial=0)))
        shows = np.zeros(durations.shape, np.int8)
        for k, signal in enumerate(town.signals):
            durations[k, : many[k]], shows[k, : many[k]] = signal.phases.T
        cycle = np.array([signal.cycle_s for signal in town.signals], np.float64)
        offset = np.array([signal.offset_s for signal in town.signals], np.float64)
        return Cycles(durations, shows, np.cumsum(durations, axis=1), many, cycle, offset)

    def endless(self) -> Cycles:
        """Cycles of as many signals of which nobody knows when they turn red."""
        count = len(self.many)
        long = np.full((count, 1), ENDLESS_S)
        return Cycles(
            long, np.full((count, 1), Light.GREEN, np.int8), long.copy(),
            np.ones(count, np.int64), np.full(count, ENDLESS_S), np.zeros(count),
        )  # fmt: skip

    def at(self, time_s: float) -> tuple[I8, F64]:
        """(S,) what every signal shows, as Signal.at says it, and (S,) [s] until a red one changes,
        0 for the others."""
        lights, left = np.empty(len(self.many), np.int8), np.empty(len(self.many))
        _show(self, time_s, lights, left)
        return lights, left


def lights_at(town: Town, time_s: float) -> I8:
    """(S,) what every signal of a town shows, one by one."""
    return np.array([signal.at(time_s) for signal in town.signals], np.int8)


@lean_kernel
def phase_of(cycles: Cycles, k: int, time_s: float) -> tuple[int, float]:
    """Which phase signal k is in at a time, and how far into its cycle that is [s]."""
    return phase_at(cycles.durations[k], cycles.many[k], cycles.cycle[k], cycles.offset[k], time_s)


@lean_kernel
def shown(cycles: Cycles, k: int, time_s: float) -> int:
    """What signal k shows at a time."""
    phase, _ = phase_of(cycles, k, time_s)
    return int(cycles.shows[k, phase])


@lean_kernel
def seconds_to_red(cycles: Cycles, k: int, time_s: float) -> float:
    """Seconds until signal k turns red, <= 0 while it is, infinite where it never is."""
    _, into = phase_of(cycles, k, time_s)
    begin = 0.0
    for turn in range(2 * cycles.many[k]):
        p = turn % cycles.many[k]
        end = begin + cycles.durations[k, p]
        if cycles.shows[k, p] == RED and end > into:
            return begin - into
        begin = end
    return math.inf


@lean_kernel
def _show(cycles: Cycles, time_s: float, lights: I8, left: F64) -> None:
    for k in range(len(cycles.many)):
        phase, into = phase_of(cycles, k, time_s)
        lights[k] = cycles.shows[k, phase]
        left[k] = cycles.ends[k, phase] - into if lights[k] == RED else 0.0
