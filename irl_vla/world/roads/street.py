"""One street between two junctions: its middle line, its lanes in both directions, its edges.

A direction is seen along its own course; what lies right of the middle has negative offsets. Lanes
of a direction have slots: 0 leftmost, -1 the left-turn pocket, the highest an extra right lane.
May import: types, world.roads.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from irl_vla.types import F64
from irl_vla.world.roads.curves import beside, polyline, ribbon, smooth, steepness
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.roads.street_plan import BAY_M, VERGE_M, CarriagewayPlan, StreetPlan

TAPER_M = 22.0  # over which a lane opens
CLOSING_M = 32.0  # over which the asphalt narrows where a lane ends
CLOSED = 0.75  # share of that after which the lane is over
BAY_TAPER_M = 2.5  # over which the kerb swings out to the parking bays
STRAIGHT_STEP_M, BEND_STEP_M = 1.9, 1.0  # between the points of a middle line
_BAY_SETBACK_M = 12.0  # no parking that near to a stop line
_BAY_RADIUS_M = 35.0  # nor on tighter bends
_LEAST_BAYS_M = 14.0


@dataclass(frozen=True)
class Carriageway:
    """One direction of a street. poses: (n, 3) of the street's middle; along: (n,) metres; edge:
    (n,) offset of the asphalt's right edge, kerb: of the kerb behind the parking bays, both < 0;
    first, last: lanes that begin, end at the street's ends, from left to right; sections: lanes
    from left to right, one tuple after the other; bays: from, to [m], or None."""

    poses: F64
    along: F64
    edge: F64
    kerb: F64
    first: tuple[int, ...]
    last: tuple[int, ...]
    sections: tuple[tuple[int, ...], ...]
    bays: tuple[float, float] | None

    @property
    def length(self) -> float:
        """Metres between the stop lines."""
        return float(self.along[-1])


@dataclass(frozen=True)
class Street:
    """A street with its lanes. carriageways: with and against its first direction."""

    plan: StreetPlan
    carriageways: tuple[Carriageway, Carriageway]

    def outline(self, kerb: bool, overlap: float) -> F64:
        """(m, 2) ring of the asphalt, or up to the kerbs, that reaches `overlap` metres into
        both junctions."""
        ahead, back = self.carriageways
        sides = [carriageway.kerb if kerb else carriageway.edge for carriageway in (ahead, back)]
        poses = ahead.poses.copy()
        for end, sign in ((0, -1.0), (-1, 1.0)):
            way = np.array([np.cos(poses[end, 2]), np.sin(poses[end, 2])])
            poses[end, :2] += sign * overlap * way
        return ribbon(poses, -sides[1][::-1], sides[0])


def lay_street(index: int, plan: StreetPlan, lanes: list[LaneDraft]) -> Street:
    """Appends the street's lanes."""
    corners = plan.corners.copy()
    for end, (near, setback) in zip((0, -1), zip((1, -2), plan.setbacks, strict=True), strict=True):
        way = corners[near] - corners[end]
        corners[end] += setback * way / np.hypot(*way)
    poses, along = polyline(corners, plan.reach, STRAIGHT_STEP_M, BEND_STEP_M)
    back = poses[::-1] + np.array([0.0, 0.0, np.pi])
    ahead = _course(f"s{index}a", plan, 0, poses, along, lanes)
    against = _course(f"s{index}b", plan, 1, back, along[-1] - along[::-1], lanes)
    return Street(plan, (ahead, against))


def _course(
    name: str, plan: StreetPlan, which: int, poses: F64, along: F64, lanes: list[LaneDraft]
) -> Carriageway:
    way = plan.ways[which]
    cuts, slots, narrow = _sections(way, along)
    curvature = np.gradient(poses[:, 2], along)
    sections: list[tuple[int, ...]] = []
    for number, (i, j) in enumerate(pairwise(cuts)):
        part = slice(i, j + 1)
        first = len(lanes)
        for slot in slots[number]:
            closes = way.drop > 0 and slot == way.lanes
            opening = _opening(way, slot, along)
            sides = _sides(plan, slot, along[part], opening, narrow if closes else None)
            lane = _lane(f"{name}{number}", plan, poses[part], curvature[part], sides)
            lane.id, lane.merging = f"{lane.block}.{slot + 1}", closes
            lanes.append(lane)
        section = tuple(range(first, len(lanes)))
        _join(lanes, section, sections[-1] if sections else ())
        sections.append(section)
    bays = _bays(along, curvature) if plan.parking[which] else None
    edge = _edge(plan, way, along, cuts, narrow)
    return Carriageway(
        poses, along, edge, edge - _bay_depth(along, bays), sections[0], sections[-1],
        tuple(sections), bays,
    )  # fmt: skip


def _sections(way: CarriagewayPlan, along: F64) -> tuple[list[int], list[list[int]], float]:
    """Where lanes begin and end: points of the middle line; the slots between them; where the
    asphalt begins to narrow."""
    cuts = {0, len(along) - 1}
    pocket = int(np.searchsorted(along, along[-1] - way.pocket))
    add = int(np.searchsorted(along, along[-1] - way.add))
    drop = int(np.searchsorted(along, way.drop))
    cuts |= {cut for cut, size in ((pocket, way.pocket), (add, way.add), (drop, way.drop)) if size}
    order = sorted(cuts)
    slots = []
    for i, j in pairwise(order):
        extra = (way.add and i >= add) or (way.drop and j <= drop)
        slots.append(
            [*([-1] if way.pocket and i >= pocket else []), *range(way.lanes + bool(extra))]
        )
    return order, slots, float(along[drop] - CLOSED * CLOSING_M)


def _edge(
    plan: StreetPlan, way: CarriagewayPlan, along: F64, cuts: list[int], narrow: float
) -> F64:
    """Offset of the asphalt's right edge."""
    edge = np.full(len(along), -(plan.median / 2 + plan.width * way.lanes + VERGE_M))
    if way.drop:
        edge -= plan.width * (1.0 - smooth((along - narrow) / CLOSING_M))
    if way.add:
        begin = along[np.searchsorted(along, along[-1] - way.add)]
        edge -= plan.width * smooth((along - begin) / TAPER_M)
    return edge


def _bays(along: F64, curvature: F64) -> tuple[float, float] | None:
    """The longest stretch that is straight enough for parked cars, or None."""
    fit = np.abs(curvature) < 1.0 / _BAY_RADIUS_M
    fit &= (along > _BAY_SETBACK_M) & (along < along[-1] - _BAY_SETBACK_M)
    steps = np.diff(np.concatenate([[0], fit.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1
    if not len(begins):
        return None
    best = int(np.argmax(along[ends] - along[begins]))
    begin, end = float(along[begins[best]]), float(along[ends[best]])
    return (begin, end) if end - begin >= _LEAST_BAYS_M else None


def _bay_depth(along: F64, bays: tuple[float, float] | None) -> F64:
    """How far the kerb lies behind the asphalt's edge."""
    if bays is None:
        return np.zeros(len(along))
    begin, end = bays
    places = [begin - BAY_TAPER_M, begin, end, end + BAY_TAPER_M]
    return np.asarray(np.interp(along, places, [0.0, BAY_M, BAY_M, 0.0]))


class _Sides(NamedTuple):
    """Offsets of a lane's left and right edge, and the slope of its middle."""

    left: F64
    right: F64
    slope: F64


def _opening(way: CarriagewayPlan, slot: int, along: F64) -> float | None:
    """Where a lane of this slot branches off its neighbour, or None."""
    size = way.pocket if slot == -1 else way.add if slot == way.lanes else 0.0
    return float(along[np.searchsorted(along, along[-1] - size)]) if size else None


def _sides(
    plan: StreetPlan, slot: int, along: F64, opening: float | None, narrow: float | None
) -> _Sides:
    left = np.full(len(along), -(plan.median / 2 + plan.width * slot))
    right, slope = left - plan.width, np.zeros(len(along))
    if opening is not None:
        u, size = (along - opening) / TAPER_M, plan.width * (1 if slot > 0 else -1)
        left, right = left + size * (1.0 - smooth(u)), right + size * (1.0 - smooth(u))
        slope -= size * steepness(u) / TAPER_M
    if narrow is not None:
        u = (along - narrow) / CLOSING_M
        right = right + plan.width * smooth(u)
        slope += 0.5 * plan.width * steepness(u) / CLOSING_M
    return _Sides(left, right, slope)


def _lane(block: str, plan: StreetPlan, poses: F64, curvature: F64, sides: _Sides) -> LaneDraft:
    offset = (sides.left + sides.right) / 2
    centre = np.empty_like(poses)
    centre[:, :2] = beside(poses, offset)
    centre[:, 2] = poses[:, 2] + np.arctan2(sides.slope, 1.0 - curvature * offset)
    ring = ribbon(poses, sides.left, sides.right)
    return LaneDraft("", centre, ring, plan.width, plan.limit, block)


def _join(lanes: list[LaneDraft], section: tuple[int, ...], before: tuple[int, ...]) -> None:
    """Neighbours and successors, inside one direction of a street."""
    for a, b in pairwise(section):
        lanes[b].left = a
        if not lanes[b].merging:
            lanes[a].right = b
    for index in section:
        begin = lanes[index].centre[0, :2]
        for previous in before:
            if np.abs(lanes[previous].centre[-1, :2] - begin).max() < 1e-6:
                lanes[previous].successors.append(index)
