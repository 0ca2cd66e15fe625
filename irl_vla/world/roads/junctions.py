"""Junctions: where the lanes of streets are joined by connectors, and the ground beneath them.

Arms are counted counter-clockwise; a vehicle that comes in on an arm turns right into the next one.
May import: types, world.roads, world.town.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.polygon import orient

from irl_vla.types import F64
from irl_vla.world.roads.curves import LEAD_M, beside, meeting, roundings, rounds, shifts, turned
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.roads.street import Street
from irl_vla.world.roads.street_plan import (
    AHEAD_ANGLE,
    BEFORE_M,
    STRAIGHT_ANGLE,
    VERGE_M,
    ArmPlan,
    NodePlan,
    corner_at,
    turn_between,
)
from irl_vla.world.town import Turn

POINTS = 49  # of a connector's centre line
_ROOM_M = 0.15  # asphalt beside a lane that cuts a corner
_LONGEST_LEAD_M = 13.0  # of the straight begin and end of a connector that shifts sideways
_LATERAL = 2.5  # [m/s^2] sideways on turns, of which their speed limit follows


@dataclass(frozen=True)
class Arm:
    """One street at a junction. gate: (3,) pose of the street's middle at the stop line, facing
    out of the junction; coming, leaving: lanes that lead in and out, from left to right in their
    direction."""

    plan: ArmPlan
    gate: F64
    coming: tuple[int, ...]
    leaving: tuple[int, ...]


@dataclass(frozen=True)
class Link:
    """A connector to be drawn: lanes it joins, arms it joins, what it does, how far from the
    corner its bend may reach, and how much of a sideways shift's begin and end is straight."""

    source: int
    target: int
    arms: tuple[int, int]
    turn: Turn
    reach: float
    leads: tuple[float, float] = (LEAD_M, LEAD_M)


@dataclass(frozen=True)
class BuiltJunction:
    """A junction that is built. connectors: lanes; links: what each joins; ring: outline; corners:
    kerb lines between the arms, corners[i] from arm i to arm i + 1."""

    plan: NodePlan
    arms: tuple[Arm, ...]
    links: tuple[Link, ...]
    connectors: tuple[int, ...]
    ring: F64
    corners: tuple[F64, ...]


def arms_of(node: NodePlan, streets: list[Street]) -> tuple[Arm, ...]:
    """The arms of a junction with their lanes."""
    arms = []
    for plan in node.arms:
        out, back = streets[plan.street].carriageways[:: -1 if plan.end else 1]
        gate = out.poses[0]
        arms.append(Arm(plan, gate, back.last, out.first))
    return tuple(arms)


def links_of(
    node: NodePlan, arms: tuple[Arm, ...], lanes: list[LaneDraft], pockets: list[bool]
) -> list[Link]:
    """Which lane leads where. pockets: per arm, whether its leftmost lane only turns left."""
    links = []
    for i, arm in enumerate(arms):
        lefts, straights, rights = _choices(arms, i)
        rows = _targets(arms, i, (lefts, straights, rights), pockets[i])
        for slot, other, target in rows:
            turn = Turn.LEFT if other in lefts else Turn.RIGHT if other in rights else Turn.STRAIGHT
            a, b = lanes[arm.coming[slot]], lanes[arms[other].leaving[target]]
            angle = turn_between(arm.plan.angle + np.pi, arms[other].plan.angle)
            reach = np.inf
            if turn == Turn.RIGHT:
                reach = (node.radius + min(a.width, b.width) / 2 + VERGE_M) * np.tan(abs(angle) / 2)
            elif turn == Turn.LEFT:
                reach = _left_reach(node, arm, arms[other], a, b)
            leads = _leads(node, arms, i, other) if turn == Turn.STRAIGHT else (LEAD_M, LEAD_M)
            ends = arm.coming[slot], arms[other].leaving[target]
            links.append(Link(*ends, (i, other), turn, reach, leads))
    return links


def _leads(node: NodePlan, arms: tuple[Arm, ...], i: int, j: int) -> tuple[float, float]:
    """How far a path straight across must keep to the lines of its lanes, so as not to cut the
    corners on its right."""
    leads = []
    for first, own in ((i, i), ((j - 1) % len(arms), j)):
        arm, other = arms[first].plan, arms[(first + 1) % len(arms)].plan
        between = (other.angle - arm.angle) % (2 * np.pi)
        lead = LEAD_M
        if between < STRAIGHT_ANGLE:
            corner = corner_at(arm.coming, other.leaving, between)[own != first]
            rounding = node.radius * np.tan((np.pi - between) / 2)
            setback = np.hypot(*(arms[own].gate[:2] - node.xy))
            lead = float(np.clip(setback - corner - 0.5 * rounding, LEAD_M, _LONGEST_LEAD_M))
        leads.append(lead)
    return leads[0], leads[1]


def _left_reach(
    node: NodePlan, arm: Arm, other: Arm, source: LaneDraft, target: LaneDraft
) -> float:
    """The bend begins and ends behind the crosswalks, and runs no nearer to the kerb on its inside
    than the lanes do."""
    start, end = source.centre[-1], target.centre[0]
    before, after = (float(side[0]) for side in meeting(start[None], end[None]))
    to_kerb = min(
        _offset(arm.gate, start) + arm.plan.leaving, other.plan.coming - _offset(other.gate, end)
    )
    turn = abs(turn_between(start[2], end[2]))
    round_kerb = (node.radius + to_kerb) * np.tan(turn / 2)
    return float(max(8.0, min(before - BEFORE_M + 1.0, after - BEFORE_M + 1.0, round_kerb)))


def _offset(gate: F64, pose: F64) -> float:
    """How far left of a gate's middle a pose lies."""
    gap = pose - gate
    return float(gap[1] * np.cos(gate[2]) - gap[0] * np.sin(gate[2]))


def _choices(arms: tuple[Arm, ...], i: int) -> tuple[list[int], list[int], list[int]]:
    """Arms to the left, ahead and to the right of arm i, each from left to right."""
    lefts: list[int] = []
    straights: list[int] = []
    rights: list[int] = []
    for step in range(len(arms) - 1, 0, -1):
        other = (i + step) % len(arms)
        angle = turn_between(arms[i].plan.angle + np.pi, arms[other].plan.angle)
        side = straights if abs(angle) < AHEAD_ANGLE else lefts if angle > 0 else rights
        side.append(other)
    return lefts, straights, rights


def _targets(
    arms: tuple[Arm, ...], i: int, choices: tuple[list[int], list[int], list[int]], pocket: bool
) -> list[tuple[int, int, int]]:
    """(lane of arm i, other arm, lane of that arm), lanes counted from the left. Paths of one arm
    never cross, and no lane is left without a way on."""
    lefts, straights, rights = choices
    count = len(arms[i].coming)
    rows = []
    through = list(range(1 if pocket and lefts and count > 1 else 0, count))
    for other in straights:
        room = len(arms[other].leaving)
        if len(through) > room and lefts and 0 in through and len(through) > 1:
            through = through[1:]
        if len(through) > room and rights and len(through) > 1:
            through = through[:-1]
        shift = room - len(through)
        rows += [(slot, other, max(0, k + shift)) for k, slot in enumerate(through)]
    for other in lefts:
        rows.append((0, other, 0))
    for other in rights:
        rows.append((count - 1, other, len(arms[other].leaving) - 1))
    if not straights:
        rows += _middle(arms, lefts, rights, count)
    return rows


def _middle(
    arms: tuple[Arm, ...], lefts: list[int], rights: list[int], count: int
) -> list[tuple[int, int, int]]:
    """Where the lanes between the outermost ones of a stem go: beside the right turners where
    there is room, else beside the left turners, else into the right turners' lane."""
    rows = []
    if not rights or not lefts:
        other = (rights or lefts)[0]
        last = len(arms[other].leaving) - 1
        side = range(count - 1) if rights else range(1, count)
        return [
            (slot, other, max(0, last - (count - 1 - slot)) if rights else min(slot, last))
            for slot in side
        ]
    for slot in range(count - 2, 0, -1):
        back = count - 1 - slot
        room = len(arms[rights[0]].leaving)
        if back < room:
            rows.append((slot, rights[0], room - 1 - back))
        else:
            rows.append((slot, lefts[0], min(slot, len(arms[lefts[0]].leaving) - 1)))
    return rows


def draw_connectors(links: list[Link], names: list[tuple[str, str]], junctions: list[int],
                    lanes: list[LaneDraft]) -> None:  # fmt: skip
    """Appends a lane for every link and hangs it between its lanes. names: id and block of each."""
    if not links:
        return
    start = np.stack([lanes[link.source].centre[-1] for link in links])
    end = np.stack([lanes[link.target].centre[0] for link in links])
    reach = np.array([link.reach for link in links])
    bends = rounds(start, end)
    centres = np.empty((len(links), POINTS, 3))
    centres[bends] = roundings(start[bends], end[bends], reach[bends], POINTS)
    leads = np.array([link.leads for link in links])
    centres[~bends] = shifts(start[~bends], end[~bends], leads[~bends], POINTS)
    limits = _limits(centres, lanes, links)
    half = 0.5 * np.linspace(
        [lanes[link.source].width for link in links],
        [lanes[link.target].width for link in links], POINTS, axis=1,
    )  # fmt: skip
    rings = np.concatenate([beside(centres, -half), beside(centres, half)[:, ::-1]], axis=1)
    for k, link in enumerate(links):
        lanes[link.source].successors.append(len(lanes))
        lanes.append(
            LaneDraft(
                names[k][0], centres[k], rings[k], float(half[k].min() * 2), float(limits[k]),
                names[k][1], junction=junctions[k], turn=link.turn, successors=[link.target],
            )
        )  # fmt: skip


def _limits(centres: F64, lanes: list[LaneDraft], links: list[Link]) -> F64:
    """(k,) posted limit, or less where the bend asks for it."""
    posted = [min(lanes[link.source].speed_limit, lanes[link.target].speed_limit) for link in links]
    step = np.hypot(*np.moveaxis(np.diff(centres[..., :2], axis=1), -1, 0))
    curvature = np.abs(np.diff(centres[..., 2], axis=1) / step).max(axis=1)
    return np.asarray(np.minimum(posted, np.sqrt(_LATERAL / np.maximum(curvature, 1e-6))))


def outline(
    node: NodePlan, arms: tuple[Arm, ...], links: tuple[Link, ...], connectors: list[LaneDraft]
) -> tuple[F64, tuple[F64, ...]]:
    """Ring of a junction, and the kerb lines between its arms. connectors: one per link."""
    corners = []
    for i, arm in enumerate(arms):
        other = arms[(i + 1) % len(arms)]
        near = beside(arm.gate[None], arm.plan.coming)
        far = beside(other.gate[None], -other.plan.leaving)
        between = (other.plan.angle - arm.plan.angle) % (2 * np.pi)
        ends = (arm.coming[-1], other.leaving[-1])
        outermost = [k for k, link in enumerate(links) if (link.source, link.target) == ends]
        if between < STRAIGHT_ANGLE:
            bend = _fillet(node, arm.plan, other.plan, between)
        elif outermost:  # straight on: the kerb runs along the lane
            centre = connectors[outermost[0]].centre
            half = np.hypot(*(connectors[outermost[0]].polygon[:POINTS] - centre[:, :2]).T)
            bend = beside(centre, -half - VERGE_M)[1:-1]
        else:
            bend = _flat_kerb(np.append(near, arm.gate[2] + np.pi), np.append(far, other.gate[2]))
        corners.append(np.concatenate([near, bend, far]))
    return _widened(corners, np.stack([lane.polygon for lane in connectors]))


def _widened(corners: list[F64], lanes: F64) -> tuple[F64, tuple[F64, ...]]:
    """The outline within kerbs, moved out where a lane (k, m, 2) would cut a corner."""
    ring = np.concatenate(corners)
    ground = shapely.Polygon(ring)
    shapely.prepare(ground)
    points = lanes.shape[1] // 2
    inner = np.r_[2 : points - 2, points + 2 : 2 * points - 2]  # those at the gates are on it
    inside = shapely.contains_xy(ground, lanes[:, inner, 0], lanes[:, inner, 1]).all(axis=1)
    if inside.all():
        return ring, tuple(corners)
    cut = shapely.polygons(lanes[~inside])
    room = shapely.buffer(cut, _ROOM_M, join_style="mitre")
    whole = shapely.union_all([ground, *room])
    line = shapely.get_coordinates(orient(whole).exterior)[:-1]
    moved = [_between_ends(line, corner) for corner in corners]
    return np.concatenate(moved), tuple(moved)


def _between_ends(ring: F64, corner: F64) -> F64:
    """The part of a ring between the ends of a kerb line."""
    first, last = (int(np.argmin(np.hypot(*(ring - end).T))) for end in (corner[0], corner[-1]))
    part = (
        ring[first : last + 1]
        if first <= last
        else np.concatenate([ring[first:], ring[: last + 1]])
    )
    return np.concatenate([corner[:1], part[1:-1], corner[-1:]])


def _fillet(node: NodePlan, arm: ArmPlan, other: ArmPlan, between: float) -> F64:
    """(n, 2) arc that rounds the kerbs of two neighbouring arms."""
    mine, _ = corner_at(arm.coming, other.leaving, between)
    turn = np.pi - between
    tangent = node.radius * np.tan(turn / 2)
    begin = np.array([*node.xy, arm.angle]) + 0.0
    way = np.array([np.cos(arm.angle), np.sin(arm.angle)])
    left = np.array([-way[1], way[0]])
    start = begin[:2] + (mine + tangent) * way + arm.coming * left
    middle = start + node.radius * left
    angles = arm.angle - np.pi / 2 - np.linspace(0.0, turn, max(6, int(turn * 7)))
    return np.asarray(middle + node.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _flat_kerb(start: F64, end: F64) -> F64:
    """(n, 2) kerb between two arms that have no corner between them: like the lanes beside it, but
    a bend to the left, seen from outside, leaves them more room."""
    start, end = start[None], end[None]
    if rounds(start, end)[0]:
        share = 0.6 if turned(start, end)[0] > 0 else 1.0
        reach = share * np.minimum(*meeting(start, end))
        return roundings(start, end, reach, 24)[0, 1:-1, :2]
    return shifts(start, end, np.array([[LEAD_M, LEAD_M]]), 24)[0, 1:-1, :2]
