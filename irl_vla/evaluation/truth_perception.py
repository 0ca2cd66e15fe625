"""The built-in world's truth in the place of perception: what a policy would do that sees all.

Agents, map and drivable ground of the moment become SceneTokens; the tensors that only networks
read stay those of the perception that is wrapped. So the guard, the fallback and whoever plans by
boxes meet a full street, also with the `rule` bundle or with untrained weights.
May import: see the room's door plate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from irl_vla.camera.preprocess import CalibratedImages, ImageSpec
from irl_vla.camera.projection import BevGrid
from irl_vla.drive.perception_model import NullPerception, PerceptionContext, PerceptionModel
from irl_vla.frames import arc_lengths, evenly_along, inverse, move, rigid_from_pose
from irl_vla.perception.preset import (
    AGENT_CLASSES,
    AGENT_QUERIES,
    MAP_CLASSES,
    POLYLINE_POINTS,
    SEG_CLASSES,
)
from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64, Boxes3D, SceneTokens
from irl_vla.world.closed_lanes import closed_lanes
from irl_vla.world.episode import Actors, Episode, WorldState
from irl_vla.world.simulated_sensors import ego_pose, stamp_of, truth
from irl_vla.world.town import NONE, Light, Town

TRUTH_AREA = BevGrid(cells=(128, 128))  # half-metre cells of the ground around the ego
TRUTH_ELEMENTS = 50  # map elements that a perception without networks has room for
RED_LINE, STOP_LINE, BOUNDARY, CENTRE_LINE = (
    MAP_CLASSES.index(name) for name in ("red_stop_line", "stop_line", "boundary", "centerline")
)
NOTHING, ROAD = SEG_CLASSES.index("nothing"), SEG_CLASSES.index("road")
OBSTACLE = AGENT_CLASSES.index("obstacle")
PIECE_M = 40.0  # [m] of a kerb in one map element

Ints = NDArray[np.int64]


@dataclass
class TruthPerception:
    """The truth of the built-in world behind the PerceptionModel protocol.

    state_at: stamp [ns] -> the world then

    model: what the networks' tensors come from; its area is observed, else TRUTH_AREA
    elements: places for map elements, those of the model's bundle
    """

    town: Town
    actors: Actors
    state_at: Callable[[int], WorldState]
    model: PerceptionModel = field(default_factory=NullPerception)
    elements: int = TRUTH_ELEMENTS

    def __post_init__(self) -> None:
        self._lines, self._kinds, self._signals = map_lines(self.town)
        self._middles = self._lines.mean(axis=1)
        spread = np.linalg.norm(self._lines - self._middles[:, None], axis=-1).max(axis=1)
        self._reach = spread + np.hypot(*np.abs([self.area.x, self.area.y]).max(axis=1))
        rings = [*_rings(self.town.drivable), *_rings(self.town.carparks)]
        self._ground = np.array([shapely.Polygon(ring) for ring in rings])
        shapely.prepare(self._ground)
        self._tree = shapely.STRtree(self._ground)

    @staticmethod
    def of(
        episode: Episode, model: PerceptionModel | None = None, elements: int = TRUTH_ELEMENTS
    ) -> TruthPerception:
        """Of a recorded drive, by the stamps that its recording has."""
        states = [episode.moment(step) for step in range(len(episode))]
        by_stamp = {stamp_of(state): state for state in states}
        return TruthPerception(
            episode.town, episode.actors, by_stamp.__getitem__, model or NullPerception(), elements
        )

    @property
    def image(self) -> ImageSpec:
        """See PerceptionModel."""
        return self.model.image

    @property
    def area(self) -> BevGrid:
        """See PerceptionModel."""
        return self.model.area or TRUTH_AREA

    def perceive(self, images: CalibratedImages, context: PerceptionContext) -> SceneTokens:
        """See PerceptionModel."""
        seen, state = self.model.perceive(images, context), self.state_at(context.stamp_ns)
        ego_from_world = inverse(rigid_from_pose(ego_pose(state)))
        boxes, classes = self._agents(truth(state, self.actors))
        lines, kinds = self._map(state, ego_from_world)
        return replace(
            seen, boxes=_filled(boxes.astype(np.float16), AGENT_QUERIES),
            agent_class=_filled(classes, AGENT_QUERIES),
            agent_valid=np.arange(AGENT_QUERIES) < len(boxes),
            polylines=_filled(lines.astype(np.float16), self.elements),
            map_class=_filled(kinds, self.elements),
            map_valid=np.arange(self.elements) < len(lines), seg=self._segmentation(state),
            closed=self._closed(state),
        )  # fmt: skip

    def _agents(self, boxes: Boxes3D) -> tuple[F64, Ints]:
        """(n <= 30, 10) boxes within the area, nearest first, and their classes."""
        inside = _inside(boxes.centers, self.area)
        score = np.ones((len(boxes), 1))
        rows = np.hstack([boxes.centers, boxes.sizes, boxes.yaws[:, None], boxes.velocities, score])
        names = [AGENT_CLASSES.index(n) if n in AGENT_CLASSES else OBSTACLE for n in boxes.labels]
        return rows[inside][:AGENT_QUERIES], np.array(names, np.int64)[inside][:AGENT_QUERIES]

    def _map(self, state: WorldState, ego_from_world: F64) -> tuple[F64, Ints]:
        """(m, 20, 2) lines that reach into the area and their classes: red lines first, then the
        nearest."""
        away = np.linalg.norm(self._middles - ego_pose(state)[:2], axis=-1)
        close = np.flatnonzero(away < self._reach)
        flat = np.pad(self._lines[close], ((0, 0), (0, 0), (0, 1)))  # on the ground
        lines = move(flat, ego_from_world)[..., :2]
        red = (
            np.append(state.lights, Light.OFF)[self._signals[close]] == Light.RED
        )  # NONE: the last
        kinds = np.where(red, RED_LINE, self._kinds[close])
        near = np.flatnonzero(_inside(lines, self.area).any(axis=1))
        distance = np.linalg.norm(lines[near], axis=-1).min(axis=1)
        order = near[np.lexsort((distance, kinds[near] != RED_LINE))][: self.elements]
        return lines[order], kinds[order]

    def _segmentation(self, state: WorldState) -> NDArray[np.float16]:
        """(7, nx, ny): road where a cell's middle lies on asphalt, else nothing."""
        world = self._cells(state)
        near = self._tree.query(shapely.box(*world.min(axis=0), *world.max(axis=0)))
        road = _covered(world, self._ground[near])
        seg = np.zeros((len(SEG_CLASSES), *self.area.cells), np.float16)
        seg[ROAD] = road.reshape(self.area.cells)
        seg[NOTHING] = 1.0 - seg[ROAD]
        return seg

    def _closed(self, state: WorldState) -> NDArray[np.float16]:
        """(1, nx, ny): the lanes that a red light keeps the ego from entering."""
        lanes = [self.town.lanes[index] for index in closed_lanes(self.town, state)]
        shut = _covered(self._cells(state), [shapely.Polygon(lane.polygon) for lane in lanes])
        return shut.reshape(1, *self.area.cells).astype(np.float16)

    def _cells(self, state: WorldState) -> F64:
        """(cells, 2) the cells' middles in the world."""
        points = replace(self.area, heights=(0.0,)).points()
        return move(points, rigid_from_pose(ego_pose(state)))[:, :2]


def _covered(points: F64, polygons: Iterable[shapely.Polygon]) -> NDArray[np.bool_]:
    """(n,) whether a point (n, 2) lies in one of the polygons."""
    inside = np.zeros(len(points), np.bool_)
    for polygon in polygons:
        x0, y0, x1, y1 = polygon.bounds
        maybe = ~inside & ((points >= [x0, y0]) & (points <= [x1, y1])).all(axis=1)
        inside[maybe] = shapely.contains_xy(polygon, points[maybe])
    return inside


def map_lines(town: Town) -> tuple[F64, Ints, Ints]:
    """(n, 20, 2) lines of a town, (n,) their classes, (n,) the signal of a stop line or NONE."""
    found: list[tuple[F64, int, int]] = []
    for lane in town.lanes:
        found.append((lane.centre[:, :2], CENTRE_LINE, NONE))
        if lane.signal != NONE:
            begin, yaw = lane.centre[0, :2], lane.centre[0, 2]
            half = lane.width / 2 * np.array([-np.sin(yaw), np.cos(yaw)])
            found.append((np.stack([begin - half, begin + half]), STOP_LINE, lane.signal))
    found += [(piece, BOUNDARY, NONE) for kerb in town.kerbs for piece in _pieces(kerb)]
    lines = np.stack([evenly_along(line, POLYLINE_POINTS) for line, _, _ in found])
    kinds, signals = (np.array([entry[i] for entry in found], np.int64) for i in (1, 2))
    return lines, kinds, signals


def _pieces(line: F64) -> list[F64]:
    """A line (n, 2) in pieces of at most PIECE_M."""
    step = POLYLINE_POINTS - 1
    count = max(1, int(np.ceil(arc_lengths(line)[-1] / PIECE_M)))
    fine = evenly_along(line, count * step + 1)
    return [fine[i * step : (i + 1) * step + 1] for i in range(count)]


def _rings(polygons: Polygons) -> list[F64]:
    return [polygons.ring(i) for i in range(len(polygons))]


def _inside(points: F64, area: BevGrid) -> NDArray[np.bool_]:
    """(...,) whether points (..., 2 or 3) of the ego frame lie in the observed area."""
    x, y = points[..., 0], points[..., 1]
    return np.asarray(
        (area.x[0] <= x) & (x < area.x[1]) & (area.y[0] <= y) & (y < area.y[1]), np.bool_
    )


def _filled(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Values in the first of `count` places, zeros in the others."""
    out = np.zeros((count, *values.shape[1:]), values.dtype)
    out[: len(values)] = values[:count]
    return out
