"""What the expert did because of what no camera could see.

The expert knows everybody in the town, and when lights will change. It is driven once more through
the same four seconds without those whom no picture shows, and once without the lights' clock: where
it then comes out elsewhere, the drive cannot be learnt from pictures. May import: irl_vla.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from irl_vla.types import F64
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.driver.expert import Expert
from irl_vla.world.town import NONE
from irl_vla_training.samples.sample import Mask

MATTERS_M = 1.0  # [m] apart after 4 s: it drove because of that
LIGHTS_M = 140.0  # [m] on the way: nobody slows down for a light farther ahead
STEPS = 40
HIDDEN, CLOCK = "hidden road user", "light's clock"


def foreseen(driver: Expert, cutter: Cutter, step: int, seen: Mask) -> str:
    """HIDDEN, CLOCK or "". driver: as it was at that step; seen: (A,) road users that pictures
    show. Obstacles of the road stand still and are found by whoever comes near: they count as
    seen."""
    end = cutter.episode.ego[step + STEPS, :2]
    shown = seen | (cutter.episode.actors.types > 2)
    hidden = cutter.episode.present[step : step + STEPS] & ~shown
    if hidden.any() and _apart(_driven(driver.copy(), cutter, step, shown), end):
        return HIDDEN
    place = float(cutter.places[step])
    if any(place < stop.s < place + LIGHTS_M for stop in cutter.path.stops if stop.signal != NONE):
        everybody = np.ones_like(shown)
        if _apart(_driven(driver.without_clock(), cutter, step, everybody), end):
            return CLOCK
    return ""


def _apart(one: F64, other: F64) -> bool:
    return bool(np.hypot(*(one - other)) > MATTERS_M)


def _driven(driver: Expert, cutter: Cutter, step: int, shown: Mask) -> F64:
    """(2,) where the ego is 4 s later, the others going as they did."""
    episode = cutter.episode
    ego = episode.ego[step]
    for k in range(step, step + STEPS):
        moment = episode.moment(k)
        present = moment.present & shown
        ego = driver.drive(replace(moment, ego=ego, present=present), episode.actors).ego
    return np.asarray(ego[:2])
