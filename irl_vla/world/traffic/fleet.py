"""The moving road users as arrays: one row per vehicle or cyclist, one column per quantity.

Every mover follows a path of its own: nodes 1 m apart along the lanes, lane changes blended in.
"s" is an arc on that path [m]; S is where the rear axle is. May import: types, world.episode.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.scene import Mask
from irl_vla.types import F64, U8
from irl_vla.world.episode import I64

NODES = 176  # of a path: about 30 m behind and 140 m ahead of a mover
KEPT_BEHIND = 30  # nodes kept behind the rear axle
DS = 1.0  # [m] between nodes
FAR = 1e6  # [m], [s] "never", "nothing there"

# columns of Fleet.f; lengths [m], speeds [m/s], accelerations [m/s²], times [s]
(
    S, V, A,  # place on the path, speed, acceleration
    LENGTH, WIDTH, BASE, REAR, NOSE,  # wheel base; rear axle to rear and to front bumper
    A_MAX, B, T, S0, FACTOR, A_LAT, POLITE,  # IDM, share of the speed limit, curves, MOBIL
    OFFSET,  # cyclists ride beside the centre line
    COMMIT,  # s up to which the way through junctions is granted
    BLEND_FROM, BLEND_LENGTH, BLEND_ASIDE,  # lane change: from this s, over, starting beside by
    STOOD,  # how long it has not moved
    GAP, GAP_V,  # to what is ahead on the path, and its speed
    ORDER_UNTIL, ORDER_A,  # scripted acceleration until a time
    SIGNAL_SINCE,  # when it began to show that it will change lanes
) = range(26)  # fmt: skip
COLUMNS = 26

# columns of Fleet.g
ALIVE, COUNT, BIKE, STILL, WISH, MUST, RUNNER, CHANGING, LEAD, BLINK, LANES, SPENT = range(12)
INTEGERS = 12
CONNECTORS = 3  # junction lanes that are looked at ahead
(CON_IN, CON_OUT) = range(2)


class Fleet(NamedTuple):
    """M movers; A >= M actors, movers first.

    f (M, 26), g (M, 12) columns above (STILL: 1 stands on the road, 2 is parked); xy (M, NODES, 2),
    hd, sl, cap, vc (M, NODES): place, lane's heading, arc on the lane, speed that limit and bend
    allow, and that braking in time leaves; lane (M, NODES); con (M, 3) junction lanes ahead or -1;
    con_s (M, 3, 2) where they begin and end
    states (A, 5), present (A,), lamps (A,) as in WorldState; half (A, 2) half length and width;
    dice (M,) states of the movers' random numbers
    """

    f: F64
    g: I64
    xy: F64
    hd: F64
    sl: F64
    cap: F64
    vc: F64
    lane: I64
    con: I64
    con_s: F64
    states: F64
    present: Mask
    lamps: U8
    half: F64
    dice: I64


def new_fleet(movers: int, actors: int, seed: int) -> Fleet:
    """Nobody on the road yet."""
    dice = np.random.default_rng([seed, 7301]).integers(1, 2**31 - 1, movers)
    fleet = Fleet(
        np.zeros((movers, COLUMNS)), np.zeros((movers, INTEGERS), np.int64),
        np.zeros((movers, NODES, 2)), np.zeros((movers, NODES)), np.zeros((movers, NODES)),
        np.zeros((movers, NODES)), np.zeros((movers, NODES)),
        np.full((movers, NODES), -1, np.int64), np.full((movers, CONNECTORS), -1, np.int64),
        np.zeros((movers, CONNECTORS, 2)), np.full((actors, 5), np.nan), np.zeros(actors, np.bool_),
        np.zeros(actors, np.uint8), np.zeros((actors, 2)), dice,
    )  # fmt: skip
    fleet.f[:, ORDER_UNTIL] = -FAR
    fleet.g[:, LEAD] = -1
    return fleet


@lean_kernel
def draw(dice: I64, i: int) -> float:
    """The next random number in [0, 1) of mover i (Park and Miller's minimal standard)."""
    dice[i] = dice[i] * 48271 % 2147483647
    return float(dice[i] / 2147483647.0)
