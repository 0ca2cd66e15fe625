"""Which ground a red light closes to the ego: what is to be learnt from the lamps that it sees.

A light closes the lanes through its junction. The ego sees lamps that face it, so those lanes count
that lead on from where it is heading: they begin before it and point its way. What is closed to
others, or lies behind, is not told. May import: types, frames, world.town, world.episode.
"""

from __future__ import annotations

import math

import numpy as np

from irl_vla.frames import to_inner
from irl_vla.scoring.scene import HEADING, Mask, X, Y
from irl_vla.types import F64
from irl_vla.world.episode import WorldState
from irl_vla.world.town import NONE, Light, Town

ALONG = math.radians(60.0)  # [rad] a lane that is turned further away is entered by others
REACH_M = 80.0  # [m] a junction farther away is not looked at


def closed_lanes(town: Town, moment: WorldState) -> tuple[int, ...]:
    """Lanes of junctions that a red light keeps the ego of a moment from entering."""
    pose = moment.ego[[X, Y, HEADING]]
    shut = [
        index for index, lane in enumerate(town.lanes)
        if lane.signal != NONE and moment.lights[lane.signal] == Light.RED
    ]  # fmt: skip
    if not shut:
        return ()
    ahead = entered_ahead(np.stack([town.lanes[index].centre[0] for index in shut]), pose)
    return tuple(index for index, counts in zip(shut, ahead, strict=True) if counts)


def entered_ahead(begins: F64, pose: F64) -> Mask:
    """(n,) which lanes, by their first poses (n, 3), the ego at a pose (3,) could enter next."""
    inner = to_inner(begins, pose)
    ahead = (inner[:, 0] > 0.0) & (np.abs(inner[:, 2]) < ALONG)
    return np.asarray(ahead & (np.hypot(inner[:, 0], inner[:, 1]) < REACH_M))
