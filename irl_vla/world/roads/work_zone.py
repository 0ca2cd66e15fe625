"""Work zones: the rightmost lane of a main road is closed by cones, barriers and signs.
May import: frames, types, world.roads, world.town.
"""

from __future__ import annotations

import numpy as np

from irl_vla.frames import arc_lengths
from irl_vla.types import F64
from irl_vla.world.roads.curves import beside
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.roads.street import Street
from irl_vla.world.town import NONE, Closure, Prop

CONE_M = (0.35, 0.35, 0.75)  # length, width, height
BARRIER_M = (1.8, 0.4, 1.0)
SIGN_M = (0.15, 0.9, 1.9)
_TAPER_M = 16.0  # over which cones lead to the left
_CLEAR_M = 0.35  # from the lane that stays open
_BEFORE_M, _AFTER_M = 32.0, 18.0  # lane that stays open before and behind
_SHORTEST_M = _BEFORE_M + _AFTER_M + 24.0


def work_zones(
    rng: np.random.Generator, wanted: int, streets: list[Street], lanes: list[LaneDraft]
) -> tuple[list[Closure], list[Prop]]:
    """As many as wanted, where lanes are long enough and have a neighbour to drive around by."""
    places = []
    for street in streets:
        for carriageway in street.carriageways:
            for section in carriageway.sections:
                lane = lanes[section[-1]]
                length = float(arc_lengths(lane.centre)[-1])
                if len(section) > 1 and not lane.merging and length > _SHORTEST_M:
                    places.append((section[-1], length))
    closures, props = [], []
    for pick in rng.permutation(len(places))[:wanted]:
        index, length = places[pick]
        size = float(rng.uniform(24.0, min(55.0, length - _BEFORE_M - _AFTER_M)))
        begin = float(rng.uniform(_BEFORE_M, length - _AFTER_M - size))
        assert lanes[index].left != NONE
        closures.append(Closure(index, begin, begin + size))
        props += _things(rng, lanes[index], begin, begin + size)
    return closures, props


def _things(rng: np.random.Generator, lane: LaneDraft, begin: float, end: float) -> list[Prop]:
    """Signs before it, cones in a taper, then cones or barriers along the open lane."""
    half = lane.width / 2
    slanting = begin + np.arange(0.0, _TAPER_M, 3.2)
    offset = -half + 0.3 + (slanting - begin) / _TAPER_M * (lane.width - 0.3 - _CLEAR_M)
    solid = rng.random() < 0.5
    beyond = np.arange(begin + _TAPER_M, end - 1.0, 2.6 if solid else 5.0)
    kind, size = ("barrier", BARRIER_M) if solid else ("traffic_cone", CONE_M)
    inner = np.full(len(beyond), half - _CLEAR_M - size[1] / 2)
    props = _row(lane, slanting, offset, "traffic_cone", CONE_M)
    props += _row(lane, beyond, inner, kind, size)
    signs = np.array([begin - 14.0, begin + 0.7 * _TAPER_M])
    props += _row(lane, signs, np.array([-half - 0.9, -0.1]), "czone_sign", SIGN_M, np.pi)
    last = _row(lane, np.array([end - 0.5]), np.zeros(1), "barrier", BARRIER_M, np.pi / 2)
    return props + last


def _row(
    lane: LaneDraft, places: F64, offsets: F64, kind: str, size: tuple[float, float, float],
    turn: float = 0.0,
) -> list[Prop]:  # fmt: skip
    along = arc_lengths(lane.centre)
    poses = np.stack([np.interp(places, along, column) for column in lane.centre.T], axis=1)
    poses[:, :2] = beside(poses, offsets)
    poses[:, 2] += turn
    return [Prop(kind, pose, np.array(size), look) for look, pose in enumerate(poses)]
