"""Bench2Drive's files: leaderboard results and the motion that agents record beside them.

May import: types, scoring.scene_check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.foreign import parse_json, read_whole
from irl_vla.paths import inside
from irl_vla.scoring.scene_check import Field
from irl_vla.types import F64, InputError

MOTION_FILE = "metric_info.json"
SUCCESSFUL = ("Completed", "Perfect")  # status of routes that were driven to the end
MIN_SPEED, RED_LIGHT, STOP_SIGN = "min_speed_infractions", "red_light", "stop_infraction"


@dataclass(frozen=True)
class RouteRecord:
    """One driven route.

    route: its number; scenario: its type, without the running number; folder: where its motion
    lies, below that of all metrics
    route_percent, composed: completion and score in 0..100; infractions: kind -> messages
    """

    route: str
    scenario: str
    folder: str
    status: str
    route_percent: float
    composed: float
    infractions: Mapping[str, tuple[str, ...]]
    where: str


@dataclass(frozen=True)
class Motion:
    """What an agent recorded, in CARLA's left-handed world axes.

    ticks: (n,) simulation steps, increasing; acceleration: (n, 2) [m/s²]
    forward, right: (n, 2) the ego's axes; yaw_rate: (n,) as CARLA gives it: [deg/s]
    """

    ticks: F64
    acceleration: F64
    forward: F64
    right: F64
    yaw_rate: F64


def read_records(results: Sequence[Path]) -> list[RouteRecord]:
    """All routes of result files, or of folders of them (a `merged.json` there is skipped).

    Raises InputError for what is no leaderboard result, and for a route that is there twice.
    """
    records: dict[str, RouteRecord] = {}
    for path in _files(results):
        listed = Field(_json(path), f"{path}")["_checkpoint"]["records"]
        for raw in listed:
            record = _record_of(raw)
            if record.route in records:
                raise InputError(
                    f"{raw.where}: route {record.route} is also in "
                    f"{records[record.route].where}; keep one result of each route"
                )
            records[record.route] = record
    return list(records.values())


def _files(results: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in results:
        inside = [p for p in sorted(path.glob("*.json")) if "merged.json" not in p.name]
        if path.is_dir() and not inside:
            raise InputError(f"{path}: no result files (*.json) in this folder")
        files += inside if path.is_dir() else [path]
    return files


def _json(path: Path) -> Any:
    return parse_json(read_whole(path), f"{path}")


def _record_of(raw: Field) -> RouteRecord:
    route_id = raw["route_id"]
    parts = route_id.text().split("_")
    if len(parts) < 2 or not parts[1].isdigit():
        raise route_id.wrong("a text like 'RouteScenario_1711_rep0'")
    raw = Field(raw.value, f"{raw.where} '{route_id.value}'")
    scores, infractions = raw["scores"], raw["infractions"]
    if not isinstance(infractions.value, dict):
        raise infractions.wrong("an object with a list for each kind")
    for kind in (MIN_SPEED, RED_LIGHT, STOP_SIGN):
        infractions[kind]  # raises where missing
    return RouteRecord(
        route=parts[1],
        scenario=_without_number(raw["scenario_name"].text()),
        folder=str(inside(Path(), raw["save_name"].text(), raw["save_name"].where)),
        status=raw["status"].text(),
        route_percent=_percent(scores["score_route"]),
        composed=_percent(scores["score_composed"]),
        infractions={
            str(kind): tuple(message.text() for message in infractions[kind])
            for kind in infractions.value
        },
        where=raw.where,
    )


def _percent(field: Field) -> float:
    if not 0.0 <= field.number() <= 100.0:
        raise field.wrong("a number in 0..100")
    return field.number()


def _without_number(name: str) -> str:
    """'ParkingCutIn_1' -> 'ParkingCutIn'; 'T_Junction_1' -> 'T_Junction'."""
    head, _, tail = name.rpartition("_")
    return head if tail.isdigit() else name


def read_motion(metrics: Path, record: RouteRecord) -> Motion:
    """The recorded motion of a route: <metrics>/<save_name>/metric_info.json."""
    path = metrics / record.folder / MOTION_FILE
    if not path.is_file():
        raise InputError(
            f"{path}: no such file, but {record.where} needs it for comfort; check the folder of "
            "metrics, or score without comfort"
        )
    return motion_of(Field(_json(path), f"{path}"))


def motion_of(raw: Field) -> Motion:
    """{tick: {acceleration, angular_velocity, forward_vector, right_vector, ...}} -> Motion."""
    if not isinstance(raw.value, dict) or not raw.value:
        raise raw.wrong("an object with an entry for each tick")
    if not all(tick.isdigit() for tick in raw.value):
        raise raw.wrong("keys that are simulation steps")
    ticks = np.array([float(tick) for tick in raw.value])
    if (np.diff(ticks) <= 0).any():
        raise InputError(f"{raw.where}: expected increasing simulation steps")

    def column(name: str) -> F64:
        return np.array([_vector(raw[tick][name]) for tick in raw.value])

    return Motion(
        ticks, column("acceleration")[:, :2], column("forward_vector")[:, :2],
        column("right_vector")[:, :2], column("angular_velocity")[:, 2],
    )  # fmt: skip


def _vector(field: Field) -> list[float]:
    numbers = [item.number() for item in field]
    if len(numbers) != 3:
        raise field.wrong("three numbers")
    return numbers
