"""Which instants of a drive become samples.

A lit red or amber lamp ahead counts four times, a right turn twice, standing still little; two
instants that would look alike are not both taken. May import: irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl_vla.scoring.scene import VX
from irl_vla.types import F64
from irl_vla.vehicle import PACIFICA
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla_training.samples.answers import light_ahead
from irl_vla_training.samples.sample import LAMPS

STOP_WEIGHT, RIGHT_WEIGHT, STANDING_WEIGHT = 4.0, 2.0, 0.3
LIGHT_M = 50.0  # [m] to the stop line: a lamp farther away does not count
RIGHT_TURN = np.radians(-20.0)  # [rad] of heading in the next 4 s
STANDING = 0.3  # [m/s]
RELIT_SHARE = 0.3  # of a drive's samples, at most, are taken once more under another light
APART_STEPS, APART_M, LATER_STEPS = 3, 2.0, 14  # alike: nearer than this in time; or in both


@dataclass(frozen=True)
class Instants:
    """steps: (n,) of the drive; places: (n, 2) of the ego; lamps: (n,) index into LAMPS of a light
    within LIGHT_M, else 0; weights: (n,)"""

    steps: NDArray[np.int64]
    places: F64
    lamps: NDArray[np.int64]
    weights: F64

    @staticmethod
    def of(cutter: Cutter, steps: Sequence[int]) -> Instants:
        """The steps of a drive that may be samples."""
        ego, path, rows = cutter.episode.ego, cutter.path, []
        for step in steps:
            lights = cutter.episode.lights[step]
            place = float(cutter.places[step])
            lamp, gap = light_ahead(path, place, PACIFICA.front_length, lights)
            lamp = lamp if gap < LIGHT_M else 0
            weight = STOP_WEIGHT if LAMPS[lamp] in ("red", "amber") else 1.0
            weight *= RIGHT_WEIGHT if cutter.driven(step)[-1, 2] < RIGHT_TURN else 1.0
            weight *= STANDING_WEIGHT if ego[step, VX] < STANDING else 1.0
            rows.append((lamp, weight))
        lamps, weights = zip(*rows, strict=True)
        at = np.array(steps, np.int64)
        return Instants(at, ego[at, :2], np.array(lamps, np.int64), np.array(weights))


def instants_of_drive(found: Instants, rng: np.random.Generator, most: int) -> list[int]:
    """At most so many steps, drawn by weight, none like another, in order of time."""
    keys = rng.exponential(size=len(found.steps)) / found.weights
    chosen: list[int] = []
    for index in np.argsort(keys).tolist():
        if len(chosen) == most:
            break
        if not any(_alike(found, index, other) for other in chosen):
            chosen.append(index)
    return sorted(int(found.steps[index]) for index in chosen)


def steps_to_relight(found: Instants, taken: Sequence[int], most: int) -> list[int]:
    """Of the steps that were taken those with a light within LIGHT_M, evenly, not more than
    RELIT_SHARE of `most`."""
    lit = set(found.steps[found.lamps > 0].tolist())
    steps = [step for step in taken if step in lit]
    count = min(len(steps), max(1, round(RELIT_SHARE * most)))
    if not steps:
        return []
    index = np.unique(np.linspace(0, len(steps) - 1, count).round().astype(int))
    return [steps[k] for k in index.tolist()]


def _alike(found: Instants, a: int, b: int) -> bool:
    apart = abs(int(found.steps[a] - found.steps[b]))
    if found.lamps[a] != found.lamps[b]:
        return apart < 2
    near = float(np.hypot(*(found.places[a] - found.places[b]))) < APART_M
    return apart < APART_STEPS or (near and apart < LATER_STEPS)
