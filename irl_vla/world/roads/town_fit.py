"""Do streets and junctions of a plan fit? Stop lines are set back, corners become bends.
May import: frames, types, world.roads.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from irl_vla.frames import wrap_angle
from irl_vla.world.roads.curves import reach_for, tightest_radius
from irl_vla.world.roads.street_plan import (
    BAY_M,
    BEFORE_M,
    LEAST_ANGLE,
    LEAST_RING_ANGLE,
    STRAIGHT_ANGLE,
    NodePlan,
    StreetPlan,
    TownPlan,
    corner_at,
    ring_reach,
)  # fmt: skip
from irl_vla.world.roads.town_request import TownRequest

_LEAST_STREET_M = 24.0  # between the stop lines of one street
_TIGHT_M, _TIGHT_KMH = 25.0, 30.0  # tighter bends are posted at most this


class Impossible(Exception):
    """This draw of the plan cannot be built; the next one may."""


def fitted(
    rng: np.random.Generator, request: TownRequest, streets: list[StreetPlan],
    nodes: dict[int, NodePlan],
) -> TownPlan:  # fmt: skip
    """With setbacks and bends, or Impossible."""
    setbacks = np.zeros((len(streets), 2))
    for node in nodes.values():
        for arm, setback in zip(node.arms, setbacks_of(node), strict=True):
            setbacks[arm.street, arm.end] = setback
    built = []
    for street, ends in zip(streets, setbacks, strict=True):
        street = replace(street, setbacks=(float(ends[0]), float(ends[1])))
        built.append(_bent(rng, request, street))
    return TownPlan(tuple(built), nodes)


def setbacks_of(node: NodePlan) -> list[float]:
    """From the middle of a junction to the stop line of each arm."""
    setbacks = [9.0] * len(node.arms)
    for i, arm in enumerate(node.arms):
        j = (i + 1) % len(node.arms)
        other = node.arms[j]
        between = (other.angle - arm.angle) % (2 * np.pi)
        if between < (LEAST_RING_ANGLE if node.kind == "roundabout" else LEAST_ANGLE):
            raise Impossible
        if node.kind == "roundabout":
            needed = ring_reach(node.radius, arm.coming)
            setbacks[i] = max(setbacks[i], sum(needed) + 1.0)
        elif between < STRAIGHT_ANGLE:
            mine, its = corner_at(arm.coming, other.leaving, between)
            rounding = node.radius * np.tan((np.pi - between) / 2)
            setbacks[i] = max(setbacks[i], mine + rounding)
            setbacks[j] = max(setbacks[j], its + rounding)
    return [
        float(setback + (BEFORE_M if arm.crosswalk else 0.8))
        for arm, setback in zip(node.arms, setbacks, strict=True)
    ]


def _bent(rng: np.random.Generator, request: TownRequest, street: StreetPlan) -> StreetPlan:
    """With a reach for every inner corner, as the room and the width of the street allow."""
    legs = np.diff(street.corners, axis=0)
    run = np.hypot(legs[:, 0], legs[:, 1])
    run[0] -= street.setbacks[0] + 1.0
    run[-1] -= street.setbacks[1] + 1.0
    headings = np.arctan2(legs[:, 1], legs[:, 0])
    turn = wrap_angle(np.diff(headings))
    if run.min() < 4.0 or run.sum() < _LEAST_STREET_M:
        raise Impossible
    corner = np.abs(turn) > np.deg2rad(40.0)
    claim = np.concatenate([[0.0], np.where(corner, 1.0, 0.45), [0.0]])  # to the legs' metres
    room = np.minimum(
        (run[:-1] * claim[1:-1] / (claim[:-2] + claim[1:-1])),
        (run[1:] * claim[1:-1] / (claim[1:-1] + claim[2:])),
    )
    low, high = request.bend_radius_m
    drawn = rng.uniform(0.0, 1.0, len(turn)) ** 2 * (high - low) + low
    side = BAY_M + max(street.half_width(0, True), street.half_width(1, True))
    least = np.maximum(drawn, side + 7.0)
    reach = np.where(corner, np.minimum(reach_for(turn, least), room), 0.92 * room)
    radius = tightest_radius(turn, reach)
    if np.any(radius < np.minimum(low, 15.0) - 1e-9) or np.any(radius < side + 5.0):
        raise Impossible
    limit = street.limit
    if len(radius) and radius.min() < _TIGHT_M:
        slow = [value for value in request.speed_limits_kmh if value <= _TIGHT_KMH]
        limit = min(limit, (max(slow) if slow else min(request.speed_limits_kmh)) / 3.6)
    return replace(street, reach=np.asarray(reach), limit=limit)
