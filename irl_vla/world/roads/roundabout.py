"""Roundabouts with one lane around: ring pieces between where streets join and leave.

The ring runs counter-clockwise. Each arm has one lane in, that yields, and one out.
May import: types, world.roads, world.town.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.types import F64
from irl_vla.world.roads.curves import beside, ribbon, roundings
from irl_vla.world.roads.junctions import POINTS, Arm
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.roads.street_plan import RING_ANGLE, VERGE_M, NodePlan, ring_reach
from irl_vla.world.town import Turn

RING_WIDTH_M = 4.6  # of the lane around
_LATERAL = 2.5  # [m/s^2] sideways, of which the speed limits follow
_STEP = 0.06  # [rad] between the points of a ring piece


@dataclass(frozen=True)
class Roundabout:
    """A roundabout that is built. lanes: of the ring and of its entries and exits; rings: simple
    polygons that make up its ground; outline: one polygon, the island cut out by a slit; corners:
    kerb lines from arm i to arm i + 1; island: (n, 2) kerb of the middle."""

    plan: NodePlan
    arms: tuple[Arm, ...]
    lanes: tuple[int, ...]
    rings: tuple[F64, ...]
    outline: F64
    corners: tuple[F64, ...]
    island: F64


def build_roundabout(
    number: int, node: NodePlan, arms: tuple[Arm, ...], lanes: list[LaneDraft]
) -> Roundabout:
    """Appends the roundabout's lanes and hangs them between those of its arms."""
    count, first = len(arms), len(lanes)
    joins = [_ring_pose(node, arm.gate[2] + RING_ANGLE) for arm in arms]
    leaves = [_ring_pose(node, arm.gate[2] - RING_ANGLE) for arm in arms]
    entries = _curves(node, [lanes[arm.coming[0]].centre[-1] for arm in arms], joins, arms, True)
    exits = _curves(node, leaves, [lanes[arm.leaving[0]].centre[0] for arm in arms], arms, False)
    for i, arm in enumerate(arms):
        after = (i + 1) % count
        to_next = (arms[after].gate[2] - arm.gate[2]) % (2 * np.pi) - 2 * RING_ANGLE
        outer = _arc(node, arm.gate[2] + RING_ANGLE, to_next)
        inner = _arc(node, arm.gate[2] - RING_ANGLE, 2 * RING_ANGLE)
        limit = min(lanes[arm.coming[0]].speed_limit, float(np.sqrt(_LATERAL * node.radius)))
        base, follow = first + 4 * i, first + 4 * after
        own, out = lanes[arm.coming[0]], lanes[arm.leaving[0]]
        for kind, centre, width, to in (
            ("in", entries[i], own.width, [base + 2]),
            ("out", exits[i], out.width, [arm.leaving[0]]),
            ("on", outer, RING_WIDTH_M, [follow + 1, follow + 3]),
            ("by", inner, RING_WIDTH_M, [base + 2]),
        ):
            half = _half_widths(kind, width, len(centre))
            lanes.append(
                LaneDraft(
                    f"j{number}.{kind}{i}", centre, ribbon(centre, half, -half),
                    float(2 * half.min()), limit, f"j{number}:{kind}{i}", junction=number,
                    turn=Turn.RIGHT if kind in ("in", "out") else Turn.STRAIGHT,
                    successors=to,
                )
            )  # fmt: skip
        own.successors.append(base)
    _right_of_way(first, count, lanes)
    return _ground(node, arms, tuple(range(first, first + 4 * count)), lanes)


def _ring_pose(node: NodePlan, angle: float) -> F64:
    return np.array([
        node.xy[0] + node.radius * np.cos(angle), node.xy[1] + node.radius * np.sin(angle),
        angle + np.pi / 2,
    ])  # fmt: skip


def _arc(node: NodePlan, begin: float, turn: float) -> F64:
    angles = begin + np.linspace(0.0, turn, max(3, int(turn / _STEP) + 2))
    return np.stack(
        [node.xy[0] + node.radius * np.cos(angles), node.xy[1] + node.radius * np.sin(angles),
         angles + np.pi / 2], axis=1,
    )  # fmt: skip


def _curves(
    node: NodePlan, starts: list[F64], ends: list[F64], arms: tuple[Arm, ...], coming: bool
) -> F64:
    reach = np.array(
        [ring_reach(node.radius, a.plan.coming if coming else a.plan.leaving)[1] for a in arms]
    )
    return roundings(np.stack(starts), np.stack(ends), reach, POINTS)


def _half_widths(kind: str, width: float, points: int) -> F64:
    """Entries and exits widen from the street's lane to the ring's."""
    share = {"in": np.linspace(0, 1, points), "out": np.linspace(1, 0, points)}.get(kind)
    if share is None:
        return np.full(points, width / 2)
    return np.asarray((width + (RING_WIDTH_M - width) * share) / 2)


def _right_of_way(first: int, count: int, lanes: list[LaneDraft]) -> None:
    """Entries yield to the piece of ring that passes them and to the one before it."""
    for i in range(count):
        entry, passing = first + 4 * i, first + 4 * i + 3
        before = first + 4 * ((i - 1) % count) + 2
        lanes[entry].yields_to += [passing, before]
        lanes[entry].crosses.append(passing)
        lanes[passing].crosses.append(entry)


def _ground(
    node: NodePlan, arms: tuple[Arm, ...], lanes: tuple[int, ...], drafts: list[LaneDraft]
) -> Roundabout:
    """Asphalt, in one sector per arm, and the kerbs."""
    inside = node.radius - RING_WIDTH_M / 2 - 0.3
    corners, parts = [], []
    for i, arm in enumerate(arms):
        after = arms[(i + 1) % len(arms)]
        entry, way_out = drafts[lanes[4 * i]], drafts[lanes[4 * ((i + 1) % len(arms)) + 1]]
        ring = drafts[lanes[4 * i + 2]].centre
        widths = (
            _half_widths("in", entry.width, POINTS),
            _half_widths("out", way_out.width, POINTS),
        )
        corner = np.concatenate([
            beside(entry.centre, -widths[0] - VERGE_M)[:-1],
            beside(ring, -RING_WIDTH_M / 2 - VERGE_M),
            beside(way_out.centre, -widths[1] - VERGE_M)[1:],
        ])  # fmt: skip
        turn = (after.gate[2] - arm.gate[2]) % (2 * np.pi)
        angles = after.gate[2] - np.linspace(0.0, turn, 24)
        arc = node.xy + inside * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        middle = [after.gate[None, :2], arc, arm.gate[None, :2]]
        parts.append(np.concatenate([corner, *middle]))
        corners.append(corner)
    angles = arms[0].gate[2] - np.linspace(0.0, 2 * np.pi, 64)
    island = node.xy + inside * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Roundabout(
        node, arms, lanes, tuple(parts), _slit(corners, arms, island), tuple(corners), island
    )


def _slit(corners: list[F64], arms: tuple[Arm, ...], island: F64) -> F64:
    """Outline of the whole, cut open at the middle of arm 0, by a millimetre, to leave out the
    island: polygons have no holes."""
    gate = arms[0].gate[:2]
    aside = 5e-4 * np.array([-np.sin(arms[0].gate[2]), np.cos(arms[0].gate[2])])
    return np.concatenate(
        [*corners, (gate - aside)[None], (island[0] - aside)[None], island[1:-1],
         (island[-1] + aside)[None], (gate + aside)[None]]
    )  # fmt: skip
