"""Map elements around the ego as polylines of 20 points, cut to the grid.

Of the built-in world: lane centres, dividers (paint between lanes), boundaries (kerbs), crosswalks
(their outline), stop lines; a stop line is red where its light, facing the ego, shows red.
May import: irl_vla, samples.sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from irl_vla.camera.projection import BevGrid
from irl_vla.frames import evenly_along, rigid_from_pose, to_inner
from irl_vla.perception.preset import MAP_CLASSES, POLYLINE_POINTS
from irl_vla.types import F64
from irl_vla.world.closed_lanes import ALONG
from irl_vla.world.episode import WorldState
from irl_vla.world.town import NONE, Light, Town
from irl_vla_training.samples.sample import LineTruth, Mask

KIND = {name: index for index, name in enumerate(MAP_CLASSES)}
SHORTEST_M = 2.0  # [m] shorter pieces that the grid's edge leaves are no element
MOST = 60  # elements of a sample
PIECE_M = 40.0  # [m] longer lines are told in pieces


@dataclass(frozen=True)
class TownLines:
    """lines: (n,) LineStrings, world; kinds: (n,) index into MAP_CLASSES; signals: (n,) of a stop
    line or NONE; headings: (n,) of the lane that it stops [rad]; classes: (6,) that are known: of
    a recorded town those that it has at all."""

    lines: F64
    kinds: F64
    signals: F64
    headings: F64
    classes: Mask

    @staticmethod
    def of(town: Town) -> TownLines:
        """All elements of a town."""
        found = list(_elements(town))
        return TownLines(
            np.array([shapely.LineString(line) for line, *_ in found]),
            np.array([kind for _, kind, _, _ in found]),
            np.array([signal for _, _, signal, _ in found]),
            np.array([heading for *_, heading in found]),
            np.isin(np.arange(len(MAP_CLASSES)), [kind for _, kind, _, _ in found])
            | (not town.derived),
        )

    def around(self, moment: WorldState, grid: BevGrid, lights: bool = True) -> LineTruth:
        """What lies in the grid at a moment. lights: whether they are known; where not, neither
        are stop lines, red or not."""
        classes = self.classes.copy()
        if not lights:
            classes[[KIND["stop_line"], KIND["red_stop_line"]]] = False

        def kind_now(index: int) -> int:
            return self._kind_now(index, moment)

        return _cut(self.lines, kind_now, moment.ego[:3], grid, classes)

    def _kind_now(self, index: int, moment: WorldState) -> int:
        signal = int(self.signals[index])
        if signal == NONE or moment.lights[signal] != Light.RED:
            return int(self.kinds[index])
        turned = float(self.headings[index]) - float(moment.ego[2])
        faces = np.cos(turned) > np.cos(ALONG)
        return KIND["red_stop_line"] if faces else int(self.kinds[index])


def cut_lines(
    lines: Sequence[F64], kinds: Sequence[int], pose: F64, grid: BevGrid, classes: Mask
) -> LineTruth:  # fmt: skip
    """Lines (n, 2) of the world, of these kinds, as they lie in the grid around a pose (3,)."""
    shapes = np.array([shapely.LineString(line) for line in lines])
    return _cut(shapes, kinds.__getitem__, pose, grid, classes)


def _cut(
    lines: F64, kind_of: Callable[[int], int], pose: F64, grid: BevGrid, classes: Mask
) -> LineTruth:  # fmt: skip
    corners = np.array([(x, y) for x, y in zip(
        (grid.x[0], grid.x[1], grid.x[1], grid.x[0]),
        (grid.y[0], grid.y[0], grid.y[1], grid.y[1]), strict=True)])  # fmt: skip
    frame = rigid_from_pose(pose)
    area = shapely.Polygon(corners @ frame[:2, :2].T + frame[:2, 3])
    pieces, found = [], []
    for index in np.flatnonzero(shapely.intersects(lines, area)).tolist():
        for part in _parts(shapely.intersection(lines[index], area)):
            pieces.append(to_inner(np.column_stack([part, np.zeros(len(part))]), pose)[:, :2])
            found.append(kind_of(index))
    return _sorted(pieces, found, classes)


def _sorted(pieces: list[F64], kinds: list[int], classes: Mask) -> LineTruth:
    if not pieces:
        return LineTruth(np.zeros((0, POLYLINE_POINTS, 2)), np.zeros(0, np.int32), classes)
    points = np.stack([evenly_along(piece, POLYLINE_POINTS) for piece in pieces])
    kind = np.array(kinds, np.int32)
    rank = np.select([kind == KIND["red_stop_line"], kind == KIND["stop_line"]], [0, 1], 2)
    order = np.lexsort((np.linalg.norm(points, axis=-1).min(axis=1), rank))[:MOST]
    return LineTruth(points[order], kind[order], classes)


def _elements(town: Town) -> Iterator[tuple[F64, int, int, float]]:
    """Line (n, 2), class, signal, heading."""
    for lane in town.lanes:
        for piece in _pieces(lane.centre[:, :2]):
            yield piece, KIND["centerline"], NONE, 0.0
        if lane.signal != NONE:
            begin, yaw = lane.centre[0, :2], float(lane.centre[0, 2])
            half = lane.width / 2 * np.array([-np.sin(yaw), np.cos(yaw)])
            yield np.stack([begin - half, begin + half]), KIND["stop_line"], lane.signal, yaw
    for marking in town.markings:
        if marking.kind in ("dashed", "solid"):
            for piece in _pieces(marking.line):
                yield piece, KIND["divider"], NONE, 0.0
    for kerb in town.kerbs:
        for piece in _pieces(kerb):
            yield piece, KIND["boundary"], NONE, 0.0
    for crosswalk in town.crosswalks:
        ring = crosswalk.polygon
        yield np.concatenate([ring, ring[:1]]), KIND["crosswalk"], NONE, 0.0


def _pieces(line: F64) -> list[F64]:
    """A line (n, 2) in pieces of at most PIECE_M, its own points kept."""
    steps = np.hypot(*np.diff(line[:, :2], axis=0).T)
    arcs = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(1, int(np.ceil(arcs[-1] / PIECE_M)))
    cuts = np.searchsorted(arcs, np.linspace(0.0, arcs[-1], count + 1)[1:-1])
    ends = sorted({0, len(line) - 1, *cuts.tolist()})
    return [line[a : b + 1, :2] for a, b in pairwise(ends) if b > a]


def _parts(shape: shapely.Geometry) -> Iterator[F64]:
    """Points (n, 2) of each long enough piece of line."""
    for part in shapely.get_parts(shape):
        if part.geom_type == "LineString" and part.length >= SHORTEST_M:
            yield np.asarray(part.coords)[:, :2]
