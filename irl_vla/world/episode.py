"""What happens in a town: road users, one moment, and a recorded stretch of moments.

Road users' states are x, y, heading of the middle of the box, vx, vy, all global [m, rad, m/s].
The ego's state has the columns of scoring.scene.STATE_COLUMNS: rear axle, velocities in the body
frame. A moment is all that a camera, a driver or the traffic need to know of one instant.
May import: types, scoring.scene, world.town.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irl_vla.scoring.scene import SIM_DT_S, Mask
from irl_vla.types import F64, U8
from irl_vla.vehicle import Vehicle
from irl_vla.world.town import Town

I64 = NDArray[np.int64]
I8 = NDArray[np.int8]

BRAKE, LEFT_INDICATOR, RIGHT_INDICATOR = 1, 2, 4  # bits of lamps
MODELS = ("car", "suv", "van", "truck", "bus", "bicycle", "pedestrian", "object")


@dataclass(frozen=True)
class Actors:
    """Road users that a stretch of time knows, whether present or not.

    types: (A,) index into scoring.scene.AGENT_TYPES; sizes: (A, 3) length, width, height;
    models: (A,) index into MODELS; looks: (A,) seeds of colour and details
    """

    ids: tuple[str, ...]
    types: I8
    sizes: F64
    models: I8
    looks: I64

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class WorldState:
    """One instant. ego: (11,); ego_lamps: bits; states: (A, 5), NaN where absent; present: (A,);
    lamps: (A,) bits; lights: (S,) Light of each signal of the town."""

    time_s: float
    ego: F64
    ego_lamps: int
    states: F64
    present: Mask
    lamps: U8
    lights: I8


@dataclass(frozen=True)
class Note:
    """Something scripted: what, when [s], and whom it concerns (actor indices), for example
    "cut-in", "hard brake", "jaywalk", "red light run"."""

    what: str
    time_s: float
    actors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Episode:
    """A recorded stretch at 10 Hz: T moments of one town.

    ego: (T, 11); ego_lamps: (T,); states: (T, A, 5); present: (T, A); lamps: (T, A);
    lights: (T, S); route: lanes that the ego follows, in order: each is a successor or a
    neighbour of the one before; driver: who drove, for example "expert" or "recorded"
    """

    town: Town
    seed: int
    vehicle: Vehicle
    actors: Actors
    ego: F64
    ego_lamps: U8
    states: F64
    present: Mask
    lamps: U8
    lights: I8
    route: tuple[int, ...]
    driver: str = "expert"
    notes: tuple[Note, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ego)

    def moment(self, step: int) -> WorldState:
        """The instant step * 0.1 s after the beginning."""
        return WorldState(
            step * SIM_DT_S, self.ego[step], int(self.ego_lamps[step]), self.states[step],
            self.present[step], self.lamps[step], self.lights[step],
        )  # fmt: skip
