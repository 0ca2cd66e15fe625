"""Samples of NAVSIM: the current frames of a split, with the maps and annotations of their logs.

Known: pictures, motion, command, the human's future, boxes, drivable ground, walkways, centre
lines, crosswalks, red lights. Not known, so masked: pixels, how many of them a box has, kerbs,
dividers, stop lines. May import: irl_vla, samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import shapely

from irl_vla.drive.history import EgoHistory
from irl_vla.evaluation.bundle_agent import motions
from irl_vla.frames import to_inner
from irl_vla.language.labels import PATHS, SPEEDS, label
from irl_vla.navsim.calibration import rig_of
from irl_vla.navsim.centerline import drivable_map
from irl_vla.navsim.city_map import CityMap, LayerName
from irl_vla.navsim.dataset import Dataset, SplitIndex, index_split
from irl_vla.navsim.map_file import map_file
from irl_vla.navsim.records import LogFrame, SceneWindow
from irl_vla.navsim.sensors import CAMERAS, frame_set, image_path, sensor_root
from irl_vla.perception.preset import MAP_CLASSES, SEG_CLASSES
from irl_vla.types import F64, HORIZON_POSES, U8, Boxes3D, EgoStatus, InputError
from irl_vla.world.closed_lanes import entered_ahead
from irl_vla.world.render.quads import GROUND, PAVEMENT, ROAD
from irl_vla_training.origin import content_hash
from irl_vla_training.samples.ground import CellPainter, painted_ground
from irl_vla_training.samples.lines import KIND, cut_lines
from irl_vla_training.samples.sample import (
    BoxTruth,
    GroundTruth,
    LineTruth,
    Memory,
    Sample,
    Way,
)
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.taken import annotated, fitted_pictures

REACH_M = 70.0  # [m] around the ego: map elements farther away are not read
KNOWN_LINES = ("centerline", "crosswalk")


@cache
def _once(path: Path) -> str:
    """Hash of a file that many logs share."""
    return content_hash(path)


@dataclass
class NavsimShelf:
    """One split, its logs and cities, opened once per process."""

    root: Path
    split: str
    cities: dict[str, CityMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dataset = Dataset(self.root)
        self.index: SplitIndex = index_split(dataset, dataset.split(self.split))

    def city(self, name: str) -> CityMap:
        """The map of a city."""
        if name not in self.cities:
            self.cities[name] = CityMap.open(self.index.dataset.maps, name)
        return self.cities[name]

    def content(self, log: str) -> str:
        """Of a log's files, its cities' maps and the wanted tokens; of pictures, which are too
        many to be read twice, names and sizes."""
        tokens = self.index.by_log()[log]
        places = [self.index.places[token] for token in tokens]
        cities = sorted({place.city for place in places})
        maps = [_once(map_file(self.index.dataset.maps, city)) for city in cities]
        logs = [_once(path) for path in sorted({place.path for place in places})]
        sizes = [self._sizes(self.index.window(token)) for token in tokens]
        return sha256(repr((tokens, maps, logs, sizes)).encode()).hexdigest()

    def _sizes(self, window: SceneWindow) -> list[int]:
        """[B] of the pictures that a sample may take; -1: not there."""
        root = sensor_root(self.index.dataset, self.index.split, window)
        sizes = []
        for frame, camera in itertools.product(window.history[-2:], CAMERAS):
            try:
                sizes.append(image_path(root, frame, camera).stat().st_size)
            except InputError:
                sizes.append(-1)
        return sizes

    def samples(self, log: str, settings: SampleSettings) -> Iterator[Sample]:
        """Of the scenes of one log whose pictures are on disk. Raises InputError."""
        for token in self.index.by_log()[log]:
            window = self.index.window(token)
            sample = self._sample(window, settings)
            if sample is not None:
                yield sample

    def _sample(self, window: SceneWindow, settings: SampleSettings) -> Sample | None:
        root = sensor_root(self.index.dataset, self.index.split, window)
        now = frame_set(root, window.now)
        if not now.images:
            return None
        rig = rig_of(window.now, now)
        pictures = fitted_pictures(now, rig, settings)
        city, pose = self.city(window.metadata.map_name), window.now.pose
        boxes = _boxes(window.now, len(pictures.all))
        return Sample(
            key=window.token, source="navsim", pictures=pictures,
            memory=_memory(window, root, set(now.images), settings), ego=_status(window),
            way=_way(window), boxes=boxes,
            ground=_ground(city, window.now, boxes, CellPainter(settings.grid)),
            lines=_lines(city, pose, settings), pixels=(None,) * len(pictures.all),
            rig=rig.name,
        )  # fmt: skip


def _memory(
    window: SceneWindow, root: Path, cameras: set[str], settings: SampleSettings
) -> Memory | None:
    """The frame half a second before, where it has the same cameras."""
    if len(window.history) < 2:
        return None
    then = window.history[-2]
    frames = frame_set(root, then)
    if set(frames.images) != cameras:
        return None
    age = (window.now.timestamp_us - then.timestamp_us) / 1e6
    pictures = fitted_pictures(frames, rig_of(then, frames), settings)
    return Memory(pictures, to_inner(then.pose, window.now.pose), age)


def _status(window: SceneWindow) -> EgoStatus:
    history = EgoHistory()
    for motion in motions(window):
        history.add(motion)
    stamp = window.now.timestamp_us * 1000
    return history.status(stamp, stamp)


def _way(window: SceneWindow) -> Way | None:
    """None for a window without 4 s of future."""
    future = window.human_trajectory(HORIZON_POSES)
    if len(future) < HORIZON_POSES:
        return None
    found = label(future, float(np.hypot(*window.now.velocity)))
    commands = SPEEDS.index(found.speed), PATHS.index(found.path)
    return Way(window.now.intent, future, commands)


def _boxes(frame: LogFrame, pictures: int) -> BoxTruth | None:
    known = frame.annotations
    if known is None:
        return None
    rows = known.boxes
    return annotated(
        Boxes3D(rows[:, :3], rows[:, 3:6], rows[:, 6], known.velocities[:, :2], known.names),
        pictures,
    )


def _ground(
    city: CityMap, frame: LogFrame, boxes: BoxTruth | None, paint: CellPainter
) -> GroundTruth:
    """Road users that nobody annotated are unknown classes."""
    pose = frame.pose
    roads = [area.polygon for area in drivable_map(city, pose[:2])]
    walks = _shapes(city, pose, LayerName.WALKWAYS)

    def at(places: F64) -> U8:
        kinds = np.full(len(places), GROUND, np.uint8)
        for kind, shapes in ((PAVEMENT, walks), (ROAD, roads)):
            for shape in shapes:
                kinds[shapely.contains_xy(shape, places[:, 0], places[:, 1])] = kind
        return kinds

    lanes = [*_lanes(city, pose, LayerName.LANE), *_lanes(city, pose, LayerName.LANE_CONNECTOR)]
    red = [city.connector(str(lane)) for lane, is_red in frame.traffic_lights if is_red]
    rings: list[F64] = []
    if red:
        ahead = entered_ahead(np.stack([lane.baseline.points[0] for lane in red]), pose)
        rings = [np.asarray(lane.polygon.exterior.coords)[:-1, :2]
                 for lane, counts in zip(red, ahead, strict=True) if counts]  # fmt: skip
    classes = np.ones(len(SEG_CLASSES), np.bool_)
    if boxes is None:
        classes[[SEG_CLASSES.index(name) for name in ("obstacle", "vehicle", "pedestrian")]] = False
        boxes = BoxTruth(np.zeros((0, 9)), np.zeros(0, np.int32), np.zeros((0, 1), np.int32))
    seen = np.ones(len(boxes.kind), np.bool_)
    return painted_ground(pose, at, lanes, boxes, seen, rings, classes, paint)


def _lines(city: CityMap, pose: F64, settings: SampleSettings) -> LineTruth:
    lanes = [*_lanes(city, pose, LayerName.LANE), *_lanes(city, pose, LayerName.LANE_CONNECTOR)]
    walks = [np.asarray(shape.exterior.coords)[:, :2]
             for shape in _shapes(city, pose, LayerName.CROSSWALK)
             if shape.geom_type == "Polygon"]  # fmt: skip
    lines = [*lanes, *walks]
    kinds = [KIND["centerline"]] * len(lanes) + [KIND["crosswalk"]] * len(walks)
    classes = np.array([name in KNOWN_LINES for name in MAP_CLASSES])
    return cut_lines(lines, kinds, pose, settings.grid, classes)


def _shapes(city: CityMap, pose: F64, name: LayerName) -> list[shapely.Geometry]:
    layer = city.layer(name)
    rows = layer.rows_in_square(float(pose[0]), float(pose[1]), REACH_M)
    return [layer.shape(row) for row in rows]


def _lanes(city: CityMap, pose: F64, name: LayerName) -> list[F64]:
    """(n, 2) centre lines near the ego."""
    layer = city.layer(name)
    rows = layer.rows_in_square(float(pose[0]), float(pose[1]), REACH_M)
    find = city.lane if name is LayerName.LANE else city.connector
    return [find(layer.id(row)).baseline.points[:, :2] for row in rows]


def shelf_of(root: Path, split: str) -> NavsimShelf:
    """Opens a split. Raises InputError where there is none, or it has no scenes."""
    shelf = NavsimShelf(root, split)
    if not shelf.index.by_log():
        raise InputError(f"{root}: split '{split}' has no scenes on disk")
    return shelf
