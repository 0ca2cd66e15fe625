"""Cars that stand: in parking places, ready to pull out, or double-parked on the road.

May import: scoring.scene, types, world.episode, world.town, world.traffic.
"""

from __future__ import annotations

import math

import numpy as np

from irl_vla.types import F64
from irl_vla.world.episode import MODELS
from irl_vla.world.town import ParkingSpace
from irl_vla.world.traffic.fleet import (
    ALIVE,
    FAR,
    LENGTH,
    NOSE,
    OFFSET,
    REAR,
    STILL,
    WIDTH,
    A,
    Fleet,
    V,
)
from irl_vla.world.traffic.lane_network import LaneNetwork
from irl_vla.world.traffic.path import lay, place
from irl_vla.world.traffic.scripts import PARKED
from irl_vla.world.traffic.spawn import KINDS

BESIDE_M, TURNED = 4.5, 0.15  # [m], [rad] from the lane that a parked car can pull out into
PULL_OUT_M = 15.0  # [m] of way from the parking place into the lane
AHEAD_FREE_M = 13.0  # [m] before a car that will pull out nobody parks
DOUBLE_ENDS_M = (25.0, 50.0)  # [m] from the ends of a lane where nobody double-parks
DOUBLE_FROM_EGO_M = 55.0
ON_ROAD = 1  # Fleet.g[:, STILL]


def parked_car(rng: np.random.Generator, spot: ParkingSpace) -> tuple[int, F64, float]:
    """Model, half sizes (2,) and height [m] of a car that fits into a parking place."""
    dice = rng.random(4)
    kind = KINDS[0 if dice[0] < 0.6 else 1 if dice[0] < 0.9 else 2]
    low, high = np.array([kind.length, kind.width, kind.height]).T
    length, width, height = low + dice[1:] * (high - low)
    half = np.array([min(length, spot.length - 0.5), min(width, spot.width - 0.2)]) / 2.0
    return MODELS.index(kind.model), half, float(height)


def askew(rng: np.random.Generator, pose: F64) -> F64:
    """A parking place's pose, a little off, as people park."""
    x, y, heading = pose
    off, turned = (2.0 * rng.random(2) - 1.0) * (0.15, 0.02)
    return np.array([x + off * math.cos(heading), y + off * math.sin(heading), heading + turned])


def in_the_way(spot: ParkingSpace, other: ParkingSpace) -> bool:
    """Whether the other parking place lies where a car that leaves this one needs room."""
    x, y, heading = spot.pose
    dx, dy = other.pose[0] - x, other.pose[1] - y
    along = dx * math.cos(heading) + dy * math.sin(heading)
    aside = dy * math.cos(heading) - dx * math.sin(heading)
    return bool(0.5 < along < AHEAD_FREE_M and abs(aside) < 2.2)


def ready_to_pull_out(net: LaneNetwork, fleet: Fleet, i: int, spot: ParkingSpace) -> bool:
    """Parks mover i in a parking place along a lane, its way out laid, if there is one."""
    f, (x, y, heading) = fleet.f, spot.pose
    back = (f[i, NOSE] - f[i, REAR]) / 2.0
    x, y = x - back * math.cos(heading), y - back * math.sin(heading)
    gaps = np.hypot(net.xy[:, 0] - x, net.xy[:, 1] - y)
    owner = np.repeat(np.arange(len(net.length)), np.diff(net.first))
    turned = np.cos(net.heading - heading) > math.cos(TURNED)
    gaps = np.where(turned & (net.junction[owner] < 0), gaps, FAR)
    k = int(np.argmin(gaps))
    lane = int(owner[k])
    if gaps[k] > BESIDE_M or net.length[lane] - net.arc[k] < 40.0 or net.arc[k] < 3.0:
        return False
    if net.close[lane, 0] < FAR or net.merging[lane] == 1:
        return False
    aside = (y - net.xy[k, 1]) * math.cos(heading) - (x - net.xy[k, 0]) * math.sin(heading)
    along = (x - net.xy[k, 0]) * math.cos(heading) + (y - net.xy[k, 1]) * math.sin(heading)
    if f[i, WIDTH] > spot.width - 0.1 or f[i, LENGTH] > spot.length - 0.3:
        return False
    lay(net, fleet, i, lane, float(net.arc[k] + along), float(aside), PULL_OUT_M)
    _stand(fleet, i, PARKED)
    return True


def double_park(
    net: LaneNetwork, fleet: Fleet, i: int, near: F64, ego: F64, rng: np.random.Generator
) -> bool:
    """Stops mover i at the right edge of a street with two lanes; False where there is none."""
    owner = np.repeat(np.arange(len(net.length)), np.diff(net.first))
    fits = (net.junction < 0) & (net.right < 0) & (net.left >= 0) & (net.merging == 0)
    fits &= np.isinf(net.close[:, 0]) & np.isinf(net.close[net.left, 0])
    low, high = DOUBLE_ENDS_M
    fine = fits[owner] & (net.arc > low) & (net.arc < net.length[owner] - high)
    fine &= np.hypot(*(net.xy - ego[:2]).T) > DOUBLE_FROM_EGO_M
    points = np.flatnonzero(fine)[::4]
    gaps = np.sqrt(((net.xy[points][:, None] - near[None]) ** 2).sum(-1)).min(axis=1, initial=FAR)
    points = points[gaps < 20.0]
    if len(points) == 0:
        return False
    k = int(points[rng.integers(len(points))])
    lane = int(owner[k])
    fleet.f[i, OFFSET] = fleet.f[i, WIDTH] / 2.0 + 0.1 - net.width[lane] / 2.0
    lay(net, fleet, i, lane, float(net.arc[k]), 0.0, 1.0)
    _stand(fleet, i, ON_ROAD)
    return True


def _stand(fleet: Fleet, i: int, how: int) -> None:
    fleet.f[i, V], fleet.f[i, A] = 0.0, 0.0
    fleet.g[i, ALIVE], fleet.g[i, STILL], fleet.present[i] = 1, how, True
    place(fleet, i)
