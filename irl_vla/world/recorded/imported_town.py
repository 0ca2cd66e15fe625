"""Recorded lanes of any format -> a Town: what links them, how wide they are, where they cross.

What the recording says is kept; what it does not say is derived and named in `Town.derived`.
Used by scenarionet.py and commonroad.py.
May import: types, frames, world.recorded, world.town.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from irl_vla.frames import step_lengths, wrap_angle
from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64
from irl_vla.world.recorded.derived_areas import (
    LaneOverlap,
    closed_union,
    crossings,
    intersections,
    polygon_of,
    ring_of,
    simple_rings,
    strip,
)
from irl_vla.world.town import NONE, Crosswalk, Junction, Lane, Marking, Signal, Town, Turn

Links = dict[int, tuple[int, ...]]

JOIN = 1.0  # [m] a lane that begins this near to an end continues it
JOIN_ANGLE = np.deg2rad(45.0)  # unless it points elsewhere
SPACING = 2.0  # [m] at most, between poses of a centre line
SAME_POINT = 1e-3  # [m]
DEFAULT_WIDTH = 3.5  # [m] of a lane that neither says it nor continues one that does
WIDTHS = (2.5, 5.5)  # [m] what is believed of a measured width
DEFAULT_LIMIT = 15.0  # [m/s] the benchmark's stand-in for a limit that the map does not know
ASIDE = (2.0, 5.5)  # [m] between the centre lines of neighbours
ASIDE_ANGLE = np.deg2rad(17.0)
ALONG = 1.5  # [m] how far ahead or behind a neighbour's vertex may lie
TURNING = np.deg2rad(30.0)  # a connector that bends by more is a turn


@dataclass(frozen=True)
class RecordedLane:
    """A lane as it was recorded. line: (n >= 2, 2) along the driving direction; ring: (m, 2)
    outline or None; limit: [m/s], NaN unknown; successors, left, right: ids, None where the format
    does not say (then derived)."""

    id: str
    line: F64
    ring: F64 | None = None
    limit: float = float("nan")
    successors: tuple[str, ...] | None = None
    left: tuple[str, ...] | None = None
    right: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RecordedMap:
    """Everything that a recording knows of the ground. signals: with the ids of their lanes;
    lines: kerbs, (n, 2)."""

    name: str
    lanes: tuple[RecordedLane, ...]
    signals: tuple[tuple[str, Signal], ...] = ()
    crosswalks: tuple[F64, ...] = ()
    markings: tuple[Marking, ...] = ()
    kerbs: tuple[F64, ...] = ()
    derived: tuple[str, ...] = ()


def town_of(recorded: RecordedMap) -> Town:
    """The town of a recorded map that has at least one lane."""
    raws = recorded.lanes
    lines = [even_line(raw.line) for raw in raws]
    links = _links(raws, [posed(line) for line in lines])
    lines = _joined(lines, links)
    poses = [posed(line) for line in lines]
    widths, grounds = _grounds(raws, lines, links)
    union = closed_union(grounds)
    crossed = crossings(grounds, poses)
    hulls = intersections(crossed, union)
    inside = _junction_of(poses, hulls)
    lanes = [
        Lane(
            raw.id, poses[i], ring_of(grounds[i]), widths[i],
            raw.limit if np.isfinite(raw.limit) else DEFAULT_LIMIT,
            block="", successors=links[i], left=left, right=right, junction=inside[i],
            turn=_turn(poses[i]) if inside[i] != NONE else Turn.STRAIGHT,
        )
        for i, (raw, (left, right)) in enumerate(
            zip(raws, _sides(raws, poses, inside), strict=True)
        )
    ]  # fmt: skip
    return Town(
        recorded.name, 0,
        tuple(_with_signals(_with_blocks(_with_crossings(lanes, crossed)), recorded.signals)),
        Polygons.of(simple_rings(union)),
        junctions=tuple(
            Junction("crossing", ring_of(hull), tuple(np.flatnonzero(np.equal(inside, i)).tolist()))
            for i, hull in enumerate(hulls)
        ),
        signals=tuple(signal for _, signal in recorded.signals),
        crosswalks=tuple(_crosswalk(ring, grounds) for ring in recorded.crosswalks),
        markings=recorded.markings, kerbs=recorded.kerbs,
        derived=(*recorded.derived, *_derived(raws)),
    )  # fmt: skip


def _grounds(
    raws: Sequence[RecordedLane], lines: Sequence[F64], links: Links
) -> tuple[list[float], list[shapely.Polygon]]:
    """Width [m] and ground of each lane: its outline, else a strip as wide as its neighbours."""
    rings = [None if raw.ring is None else polygon_of(raw.ring) for raw in raws]
    widths = _widths(rings, lines, links)
    return widths, [
        strip(line, width) if ring is None or ring.is_empty else ring
        for ring, line, width in zip(rings, lines, widths, strict=True)
    ]


def even_line(line: F64) -> F64:
    """(n, 2) without repeated points, and at most SPACING between two."""
    kept = line[np.concatenate([[True], step_lengths(line) > SAME_POINT])]
    if len(kept) < 2:
        kept = np.stack([line[0], line[0] + (SAME_POINT, 0.0)])
    pieces = [
        np.linspace(a, b, max(int(np.ceil(np.hypot(*(b - a)) / SPACING)), 1), endpoint=False)
        for a, b in pairwise(kept)
    ]
    return np.concatenate([*pieces, kept[-1:]])


def posed(line: F64) -> F64:
    """(n, 3) poses of a line (n, 2): each heads along its neighbours."""
    way = np.gradient(line, axis=0)
    return np.column_stack([line, np.arctan2(way[:, 1], way[:, 0])])


def _derived(raws: Sequence[RecordedLane]) -> list[str]:
    said = [
        "drivable area: union of lanes closed by 1 m",
        "intersections: clusters of overlapping lanes with different headings",
        "roadblocks: neighbouring lanes",
    ]
    if any(raw.ring is None for raw in raws):
        said.append("ground of lanes without outline: as wide as the lanes they join")
    if any(raw.successors is None for raw in raws):
        said.append("lane successors: ends and beginnings within 1 m")
    if any(raw.left is None or raw.right is None for raw in raws):
        said.append("lane neighbours: same heading, side by side")
    if any(not np.isfinite(raw.limit) for raw in raws):
        said.append(f"speed limit where unknown: {DEFAULT_LIMIT:.0f} m/s")
    return said


def _links(raws: Sequence[RecordedLane], poses: Sequence[F64]) -> Links:
    """Successors of each lane: recorded ones that do begin at its end, else all that do."""
    index = {raw.id: i for i, raw in enumerate(raws)}
    starts = np.array([pose[0] for pose in poses])
    found: Links = {}
    for i, (raw, pose) in enumerate(zip(raws, poses, strict=True)):
        gap = np.hypot(*(starts[:, :2] - pose[-1, :2]).T)
        bend = np.abs(wrap_angle(starts[:, 2] - pose[-1, 2]))
        near = np.flatnonzero((gap <= JOIN) & (bend <= JOIN_ANGLE))
        if raw.successors is not None:
            named = [index[name] for name in raw.successors if name in index]
            near = np.array([j for j in named if gap[j] <= JOIN], np.int64)
        found[i] = tuple(int(j) for j in near if j != i)
    return found


def _joined(lines: Sequence[F64], links: Links) -> list[F64]:
    """Lines whose linked ends and beginnings meet in one point: the middle of them."""
    n = len(lines)
    pairs = np.array([(n + i, j) for i, after in links.items() for j in after]).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (2 * n, 2 * n))
    count, node = connected_components(graph, directed=False)
    ends = np.array([*(line[0] for line in lines), *(line[-1] for line in lines)])
    sizes = np.bincount(node, minlength=count)
    middles = np.column_stack([np.bincount(node, column, count) / sizes for column in ends.T])
    met = np.hypot(*(ends - middles[node]).T) > 1e-9
    ends[met] = middles[node][met]
    for part in range(count):  # bit for bit the same point
        members = np.flatnonzero(node == part)
        ends[members] = ends[members[0]]
    return [
        np.concatenate([ends[i : i + 1], line[1:-1], ends[n + i : n + i + 1]])
        for i, line in enumerate(lines)
    ]


def _widths(
    rings: Sequence[shapely.Polygon | None], lines: Sequence[F64], links: Links
) -> list[float]:
    """[m] twice the median distance from the centre line's inner half to the outline; without an
    outline the mean of the lanes before and after."""
    known: dict[int, float] = {}
    for i, (ring, line) in enumerate(zip(rings, lines, strict=True)):
        if ring is not None and not ring.is_empty:
            inner = shapely.LineString(line).interpolate(np.linspace(0.3, 0.7, 5), normalized=True)
            known[i] = float(np.clip(2.0 * np.median(ring.exterior.distance(inner)), *WIDTHS))
    before: dict[int, list[int]] = {i: [] for i in range(len(lines))}
    for i, after in links.items():
        for j in after:
            before[j].append(i)
    return [
        known.get(i) or float(
            np.mean([known[j] for j in (*links[i], *before[i]) if j in known] or [DEFAULT_WIDTH])
        )
        for i in range(len(lines))
    ]  # fmt: skip


def _junction_of(poses: Sequence[F64], hulls: Sequence[shapely.Polygon]) -> list[int]:
    """The intersection that holds at least half of each centre line, or NONE."""
    found = []
    for pose in poses:
        line = shapely.LineString(pose[:, :2])
        shares = [
            line.intersection(hull).length / max(line.length, 1e-9) if line.intersects(hull) else 0
            for hull in hulls
        ]
        best = int(np.argmax(shares)) if shares else NONE
        found.append(best if shares and shares[best] >= 0.5 else NONE)
    return found


def _sides(
    raws: Sequence[RecordedLane], poses: Sequence[F64], inside: Sequence[int]
) -> list[tuple[int, int]]:
    """Left and right neighbours of the same direction: recorded, else derived (street lanes)."""
    index = {raw.id: i for i, raw in enumerate(raws)}
    everything = np.concatenate(poses)
    owners = np.repeat(np.arange(len(poses)), [len(pose) for pose in poses])
    tree = cKDTree(everything[:, :2])
    found = []
    for i, (raw, pose) in enumerate(zip(raws, poses, strict=True)):
        pair = []
        for said, sign in ((raw.left, 1.0), (raw.right, -1.0)):
            if said is not None:
                pair.append(next((index[name] for name in said if name in index), NONE))
            elif inside[i] != NONE:
                pair.append(NONE)
            else:
                pair.append(_beside(i, pose, sign, everything, owners, tree))
        found.append(pair)
    for i, raw in enumerate(raws):  # what one of the two says is enough
        for said, side in ((raw.left, 0), (raw.right, 1)):
            other = found[i][side]
            if said is not None and other != NONE and found[other][1 - side] == NONE:
                found[other][1 - side] = i
    return [  # what was derived must hold both ways
        (
            left if left != NONE and found[left][1] == i else NONE,
            right if right != NONE and found[right][0] == i else NONE,
        )
        for i, (left, right) in enumerate(found)
    ]


def _beside(
    lane: int, pose: F64, sign: float, everything: F64, owners: NDArray[np.int64], tree: cKDTree
) -> int:
    """The nearest lane on one side at two of three places along it, or NONE."""
    votes: list[int] = []
    for at in (len(pose) // 4, len(pose) // 2, 3 * len(pose) // 4):
        x, y, yaw = pose[at]
        near = np.array(tree.query_ball_point((x, y), np.hypot(ASIDE[1], ALONG)))
        dx, dy = (everything[near, :2] - (x, y)).T
        along, aside = np.cos(yaw) * dx + np.sin(yaw) * dy, np.cos(yaw) * dy - np.sin(yaw) * dx
        aside = aside * sign
        fits = (
            (np.abs(along) <= ALONG) & (aside >= ASIDE[0]) & (aside <= ASIDE[1])
            & (np.abs(wrap_angle(everything[near, 2] - yaw)) <= ASIDE_ANGLE)
            & (owners[near] != lane)
        )  # fmt: skip
        if fits.any():
            votes.append(int(owners[near[fits][np.argmin(aside[fits])]]))
    most = max(sorted(set(votes)), key=votes.count, default=NONE)
    return most if votes.count(most) >= 2 else NONE


def _turn(pose: F64) -> Turn:
    bend = float(wrap_angle(pose[-1, 2] - pose[0, 2]))
    if abs(bend) <= TURNING:
        return Turn.STRAIGHT
    return Turn.LEFT if bend > 0.0 else Turn.RIGHT


def _with_crossings(lanes: list[Lane], crossed: Sequence[LaneOverlap]) -> list[Lane]:
    """Lanes that know whom they cross: those that begin together do not count."""
    crosses: dict[int, list[int]] = {}
    for a, b, _ in crossed:
        if not np.array_equal(lanes[a].centre[0, :2], lanes[b].centre[0, :2]):
            crosses.setdefault(a, []).append(b)
            crosses.setdefault(b, []).append(a)
    return [
        replace(lane, crosses=tuple(sorted(crosses.get(i, [])))) for i, lane in enumerate(lanes)
    ]


def _with_blocks(lanes: list[Lane]) -> list[Lane]:
    """Chains of neighbours share a block; so do connectors between the same two blocks."""
    blocks: list[str] = []
    for i in range(len(lanes)):
        at, seen = i, {i}
        while lanes[at].right != NONE and lanes[at].right not in seen:
            at = lanes[at].right
            seen.add(at)
        blocks.append(f"block {lanes[at].id}")
    named = [replace(lane, block=block) for lane, block in zip(lanes, blocks, strict=True)]
    before = {j: i for i, lane in enumerate(lanes) for j in lane.successors}
    for i, lane in enumerate(named):
        if lane.junction != NONE and i in before and lane.successors:
            ways = f"{blocks[before[i]]} to {blocks[lane.successors[0]]}"
            named[i] = replace(lane, block=ways)
    return named


def _with_signals(lanes: list[Lane], signals: Sequence[tuple[str, Signal]]) -> list[Lane]:
    index = {name: i for i, (name, _) in enumerate(signals)}
    return [replace(lane, signal=index.get(lane.id, NONE)) for lane in lanes]


def _crosswalk(ring: F64, grounds: Sequence[shapely.Polygon]) -> Crosswalk:
    """People walk along the longer axis of the smallest rectangle around it."""
    shape = polygon_of(ring)
    box = ring_of(shape.minimum_rotated_rectangle)
    if np.hypot(*(box[1] - box[0])) < np.hypot(*(box[2] - box[1])):
        box = np.roll(box, -1, axis=0)
    ends = np.stack([box[[1, 2]].mean(axis=0), box[[3, 0]].mean(axis=0)])
    under = tuple(i for i, ground in enumerate(grounds) if ground.intersects(shape))
    return Crosswalk(box, ends, under)
