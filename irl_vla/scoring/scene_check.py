"""What may stand in a scoring scene: a field that knows its name, and checks of the whole.

May import: types, scoring.scene.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely

from irl_vla.foreign import brief
from irl_vla.scoring.scene import STEP_US, STEPS, Polygons, Scene
from irl_vla.types import F64, InputError

MAX_FRAME_GAP_US = 550_000  # two frames that belong together are less than this apart
MIN_VERTICES = 3
LARGEST = 1e8  # [m], [m/s], [rad]: UTM's northings have 1e7; squares of more lose the centimetre
LARGEST_RING_M = 1e5  # across one polygon: a map around one scene has some hundred metres
LARGEST_WHOLE = 2**62  # microseconds, steps, seeds: what numpy still adds


class Field:
    """A JSON value and the name it goes by in errors: file, scene, field."""

    def __init__(self, value: Any, where: str) -> None:
        self.value, self.where = value, where

    def wrong(self, expected: str) -> InputError:
        """The error that this field is not what was expected."""
        return InputError(f"{self.where}: expected {expected}, got {brief(self.value)}")

    def __getitem__(self, key: str) -> Field:
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        if key not in self.value:
            raise InputError(f"{self.where}: field '{key}' is missing")
        return Field(self.value[key], f"{self.where}: {key}")

    def __iter__(self) -> Iterator[Field]:
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        for index, item in enumerate(self.value):
            yield Field(item, f"{self.where}[{index}]")

    def __len__(self) -> int:
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return len(self.value)

    def absent(self, key: str) -> bool:
        """Whether an optional field is missing or null."""
        return not isinstance(self.value, dict) or self.value.get(key) is None

    def label(self, key: str) -> str:
        """An optional text, empty where absent."""
        return "" if self.absent(key) else self[key].text()

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        return self.value

    def one_of(self, known: tuple[str, ...]) -> str:
        """One of the known names."""
        if self.value not in known:
            raise self.wrong(f"one of {', '.join(known)}")
        return str(self.value)

    def flag(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def integer(self) -> int:
        """A whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.wrong("a whole number")
        if abs(self.value) > LARGEST_WHOLE:
            raise self.wrong(f"a whole number of at most {LARGEST_WHOLE}")
        return self.value

    def number(self) -> float:
        """A finite number."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise self.wrong("a number")
        try:
            value = float(self.value)
        except OverflowError:  # a whole number of hundreds of digits
            value = math.inf
        if not math.isfinite(value):
            raise self.wrong("a finite number")
        if abs(value) > LARGEST:
            raise self.wrong(f"a number of at most {LARGEST:g}")
        return value

    def array(self, rows: int | None, columns: int) -> F64:
        """Finite numbers of shape (rows, columns); rows None: any number of them."""
        shape = f"({'n' if rows is None else rows}, {columns})"
        try:
            array = np.array(self.value, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise self.wrong(f"numbers of shape {shape}") from None
        if array.size == 0 and rows is None:
            return np.zeros((0, columns))
        if array.ndim != 2 or array.shape[1] != columns or rows not in (None, len(array)):
            raise InputError(f"{self.where}: expected shape {shape}, got {array.shape}")
        bad = ~(np.abs(array) <= LARGEST).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            raise InputError(
                f"{self.where}[{row}]: expected finite numbers of at most {LARGEST:g}, got "
                f"{array[row].tolist()}"
            )
        return array


def check_scene(scene: Scene, top: Field) -> None:
    """What the types alone do not say. Raises InputError with the field's name."""
    where = top.where
    areas = scene.areas
    if not len(areas):
        raise InputError(f"{where}: map: polygons: the map is empty; score needs lanes and areas")
    _refuse_twins(areas.ids, f"{where}: map: polygons")
    _check_polygons(areas.polygons, areas.ids, f"{where}: map: polygons")
    if scene.red_lights is not None:
        _check_polygons(scene.red_lights.polygons, scene.red_lights.ids, f"{where}: red_lights")
    if len(scene.route.centerline) < 2:
        raise InputError(f"{where}: route: centerline: expected at least 2 points")
    unknown = set(scene.route.lane_ids) - set(areas.ids)
    if unknown:
        raise InputError(f"{where}: route: lane_ids: no lane '{min(unknown)}' in the map")
    _refuse_twins([plan.id for plan in scene.candidates], f"{where}: candidates")
    _refuse_twins(scene.agents.ids, f"{where}: agents")
    _check_tracks(scene, where)
    _check_times(scene, where)


def _refuse_twins(ids: Sequence[str], where: str) -> None:
    """One of two of the same name would be lost without a word."""
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise InputError(f"{where}: id '{twice}' is there more than once")


def _check_polygons(polygons: Polygons, ids: tuple[str, ...], where: str) -> None:
    for i, name in enumerate(ids):
        ring = polygons.ring(i)
        if len(ring) < MIN_VERTICES:
            raise InputError(f"{where}[{i}] '{name}': expected >= 3 corners, got {len(ring)}")
        if float(np.ptp(ring, axis=0).max()) > LARGEST_RING_M:
            raise InputError(
                f"{where}[{i}] '{name}': expected a polygon of at most {LARGEST_RING_M:g} m across,"
                f" got {float(np.ptp(ring, axis=0).max()):g} m"
            )
        shape = shapely.Polygon(ring)
        if not shape.is_valid:
            raise InputError(
                f"{where}[{i}] '{name}': expected a simple polygon, got one that is not: "
                f"{shapely.is_valid_reason(shape)}; mend it before scoring"
            )


def _check_tracks(scene: Scene, where: str) -> None:
    tracks = scene.agents
    for i, name in enumerate(tracks.ids):
        field = f"{where}: agents[{i}] '{name}'"
        if not (tracks.sizes[i] > 0.0).all():
            raise InputError(f"{field}: expected length and width > 0, got {tracks.sizes[i]}")
        if not tracks.present[i].any():
            raise InputError(f"{field}: track: expected at least one state, got none")


def _check_times(scene: Scene, where: str) -> None:
    history = scene.ego.history_us
    if history[-1] != 0 or (np.diff(history) <= 0).any() or history[0] > -2 * STEP_US:
        raise InputError(
            f"{where}: ego: history: t_us: expected increasing times that end at 0 and span 0.2 s "
            f"or more, got {history.tolist()}"
        )
    if scene.reference is not None and len(scene.reference.poses) < STEPS:
        raise InputError(
            f"{where}: reference: poses: expected at least {STEPS} poses, 0.1 s apart, got "
            f"{len(scene.reference.poses)}"
        )
    before = scene.previous
    if before is None:
        return
    if not STEP_US // 2 < before.dt_us < MAX_FRAME_GAP_US:
        raise InputError(
            f"{where}: previous: dt_us: expected between 50000 and 550000 us, got {before.dt_us}"
        )
    if len(before.trajectories) != len(scene.candidates):
        raise InputError(
            f"{where}: previous: trajectories: expected one per candidate "
            f"({len(scene.candidates)}), got {len(before.trajectories)}"
        )
