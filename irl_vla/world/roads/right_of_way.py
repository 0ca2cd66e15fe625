"""Which paths through a junction cross, and who goes first. May import: frames, types,
scoring.compiled, world.roads, world.town.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from irl_vla.frames import wrap_angle
from irl_vla.scoring.compiled import kernel
from irl_vla.types import F64
from irl_vla.world.roads.junctions import Arm, BuiltJunction
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.town import Turn

_SHARE = 0.85  # paths nearer than this share of their width lie on the same ground
_SHARE_BESIDE = 0.6  # the same for paths that begin beside each other
_FACING = np.deg2rad(35.0)  # arms opposite each other within this


@kernel
def near_pairs(
    centres: F64, widths: F64, sources: NDArray[np.int64], arms: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(k, k) pairs of paths that come nearer than their width; not those of one source lane.
    centres: (k, n, 3); arms: where each comes from."""
    count, points = centres.shape[0], centres.shape[1]
    near = np.zeros((count, count), np.bool_)
    boxes = np.empty((count, 4))
    for i in range(count):
        boxes[i, 0], boxes[i, 1] = centres[i, :, 0].min(), centres[i, :, 0].max()
        boxes[i, 2], boxes[i, 3] = centres[i, :, 1].min(), centres[i, :, 1].max()
    for i in range(count):
        for j in range(i):
            share = _SHARE_BESIDE if arms[i] == arms[j] else _SHARE
            limit = share * 0.5 * (widths[i] + widths[j])
            apart = max(
                max(boxes[i, 0] - boxes[j, 1], boxes[j, 0] - boxes[i, 1]),
                max(boxes[i, 2] - boxes[j, 3], boxes[j, 2] - boxes[i, 3]),
            )
            if sources[i] == sources[j] or apart > limit:
                continue
            found = False
            for a in range(points):
                x, y = centres[i, a, 0], centres[i, a, 1]
                for b in range(points):
                    dx, dy = centres[j, b, 0] - x, centres[j, b, 1] - y
                    if dx * dx + dy * dy < limit * limit:
                        found = True
                        break
                if found:
                    break
            near[i, j] = near[j, i] = found
    return near


def cross(crossing: BuiltJunction, lanes: list[LaneDraft]) -> list[tuple[int, int]]:
    """Fills `crosses` of the connectors; the pairs, as places in crossing.links."""
    drafts = [lanes[index] for index in crossing.connectors]
    near = near_pairs(
        np.stack([draft.centre for draft in drafts]),
        np.array([draft.width for draft in drafts]),
        np.array([link.source for link in crossing.links]),
        np.array([link.arms[0] for link in crossing.links]),
    )
    pairs = [(int(a), int(b)) for a, b in zip(*np.nonzero(np.triu(near)), strict=True)]
    for a, b in pairs:
        drafts[a].crosses.append(crossing.connectors[b])
        drafts[b].crosses.append(crossing.connectors[a])
    return pairs


def side_of(arms: tuple[Arm, ...], i: int, j: int) -> str:
    """Where arm j lies, seen by who comes in on arm i."""
    if i == j:
        return "same"
    angle = (arms[j].plan.angle - arms[i].plan.angle) % (2 * np.pi)
    if abs(angle - np.pi) < _FACING:
        return "ahead"
    return "right" if angle < np.pi else "left"


def main_arms(crossing: BuiltJunction) -> tuple[int, ...]:
    """The two arms of a junction's priority road: the widest, among those the straightest."""
    arms = [arm.plan for arm in crossing.arms]

    def rank(pair: tuple[int, int]) -> float:
        a, b = arms[pair[0]], arms[pair[1]]
        bend = abs(float(wrap_angle(b.angle - a.angle - np.pi)))
        return a.coming + a.leaving + b.coming + b.leaving - 8.0 * bend

    return max(combinations(range(len(arms)), 2), key=rank)


def give_way(
    crossing: BuiltJunction, lanes: list[LaneDraft], pairs: list[tuple[int, int]],
    stages: list[int] | None,
) -> None:  # fmt: skip
    """Fills `yields_to`. stages: at lights, when each link is green; others never meet."""
    main = main_arms(crossing) if crossing.plan.kind == "priority" else ()
    for a, b in pairs:
        if stages is not None and stages[a] != stages[b]:
            continue
        loser = _loser(crossing, main, a, b)
        winner = b if loser == a else a
        own, other = crossing.connectors[loser], crossing.connectors[winner]
        lanes[own].yields_to.append(other)


def _loser(crossing: BuiltJunction, main: tuple[int, ...], a: int, b: int) -> int:
    """Which of two crossing links waits."""
    first, second = crossing.links[a], crossing.links[b]
    i, j = first.arms[0], second.arms[0]
    side = side_of(crossing.arms, i, j)
    if (i in main) != (j in main):
        return b if i in main else a
    if side == "ahead" or side == "same":
        if (first.turn == Turn.LEFT) != (second.turn == Turn.LEFT):
            return a if first.turn == Turn.LEFT else b
        return max(a, b)
    return a if side == "right" else b
