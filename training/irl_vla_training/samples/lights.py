"""The same street under another light: so that its colour is read off the lamp, not off the street.

Drives rarely come to a red light, and where they do, much else says so: who stands, who goes.
May import: irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from irl_vla.vehicle import PACIFICA
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.episode import WorldState
from irl_vla.world.town import Light
from irl_vla_training.samples.answers import stop_ahead

SHOWS = (Light.RED, Light.AMBER, Light.GREEN)
SHARES = (0.6, 0.15, 0.25)


def relit(
    moments: Sequence[WorldState], cutter: Cutter, step: int, rng: np.random.Generator
) -> list[WorldState]:
    """The moments with another colour, drawn, at the light that counts for the ego at a step."""
    stop = stop_ahead(cutter.path, float(cutter.places[step]), PACIFICA.front_length)
    assert stop is not None
    colour = SHOWS[int(rng.choice(len(SHOWS), p=SHARES))]

    def changed(moment: WorldState) -> WorldState:
        lights = moment.lights.copy()
        lights[stop.signal] = colour
        return replace(moment, lights=lights)

    return [changed(moment) for moment in moments]
