"""CommonRoad scenarios (XML, versions 2018b and 2020a) become worlds.

    episode = load_commonroad(path)      lanelets, recorded traffic, the ego's start
Nobody drove the ego: the planning problem gives its start, and a stand-in goes on from there along
its lane at constant speed (driver "stand-in", named in `Town.derived`). Let a driver or a policy
drive instead: `Simulation(town, Replayed(episode), driver, episode.ego[0])`.
The XML reader is the standard library's: it fetches nothing, and a document that declares a type
or entities is refused before it is parsed. Format: commonroad.in.tum.de.
May import: frames, types, scoring.scene, world.*.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, fromstring

import numpy as np

from irl_vla.foreign import brief, read_whole
from irl_vla.frames import ahead_of, evenly_along
from irl_vla.scoring.scene import SIM_DT_S
from irl_vla.types import F64, InputError
from irl_vla.vehicle import Vehicle
from irl_vla.world.episode import Episode
from irl_vla.world.recorded.imported_town import RecordedLane, RecordedMap, town_of
from irl_vla.world.recorded.motion import (
    SMOOTHING,
    Track,
    actors_of,
    agent_type,
    ego_states,
    route_under,
    stacked,
    unbroken,
)
from irl_vla.world.routes import RoutePath
from irl_vla.world.town import Town

KINDS = {
    "car": "vehicle", "truck": "vehicle", "bus": "vehicle", "taxi": "vehicle",
    "priorityVehicle": "vehicle", "parkedVehicle": "vehicle", "train": "vehicle",
    "motorcycle": "bicycle", "bicycle": "bicycle", "pedestrian": "pedestrian",
    "constructionZone": "czone_sign", "roadBoundary": "barrier",
}  # fmt: skip
OTHER = "generic_object"
MOST_STEPS = 36_000  # an hour; a longer one is a slip of the pen
HEIGHT = 1.6  # [m] the format has none
DERIVED = (
    "ego: the planning problem's start, carried on along its lane at constant speed",
    "heights of road users: 1.6 m", "traffic lights: not read, TLC is not evaluated",
)  # fmt: skip


def load_commonroad(path: Path) -> Episode:
    """As many steps as the longest recorded trajectory has, at 10 Hz.

    Raises InputError for a file that is missing, no CommonRoad scenario, or declares entities, and
    for one without lanelets, planning problem or enough steps.
    """
    root = _root(path)
    where = f"{path}: scenario '{root.get('benchmarkID', '?')}'"
    if root.get("timeStepSize") != f"{SIM_DT_S:g}":
        said = root.get("timeStepSize", "nothing")
        raise InputError(f"{where}: timeStepSize: expected {SIM_DT_S:g} s, got {said:.20}")
    lanes = tuple(_lane(item, where) for item in root.findall("lanelet"))
    problem = root.find("planningProblem/initialState")
    if not lanes or problem is None:
        raise InputError(
            f"{where}: expected lanelets and a planning problem, got {len(lanes)} lanelets and "
            f"{'no' if problem is None else 'a'} planning problem"
        )
    found = [
        (item, _states(item, where))
        for tag in ("obstacle", "dynamicObstacle", "staticObstacle") for item in root.findall(tag)
    ]  # fmt: skip
    steps = 1 + max((int(states[-1, 0]) for _, states in found), default=0)
    if not SMOOTHING <= steps <= MOST_STEPS:
        raise InputError(
            f"{where}: expected {SMOOTHING} to {MOST_STEPS} steps of traffic, got {steps}"
        )
    town = town_of(RecordedMap(root.get("benchmarkID", path.stem), lanes, derived=DERIVED))
    vehicle = Vehicle()
    route, poses = _carried_on(_state(problem, where), town, vehicle, steps, where)
    tracks = unbroken([_track(item, states, steps, where) for item, states in found])
    states, present = stacked(tracks, steps)
    return Episode(
        town, 0, vehicle, actors_of(tracks), ego_states(poses, vehicle), np.zeros(steps, np.uint8),
        states, present, np.zeros(present.shape, np.uint8), np.zeros((steps, 0), np.int8), route,
        driver="stand-in",
    )  # fmt: skip


def _root(path: Path) -> Element:
    data = read_whole(path)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:  # UTF-16 could hide one
        raise InputError(
            f"{path}: it declares a type or entities, which no scenario needs: refused"
        )
    try:
        root = fromstring(data)
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not valid XML: {error}. Copy or download it again.") from None
    if root.tag != "commonRoad":
        raise InputError(f"{path}: expected a <commonRoad> scenario, got <{root.tag:.40}>")
    return root


def _number(item: Element, tag: str, where: str) -> float:
    """The number in `tag`, or in its <exact>, or the middle of its interval."""
    texts = [item.findtext(f"{tag}/exact"), item.findtext(tag)]
    ends = [item.findtext(f"{tag}/intervalStart"), item.findtext(f"{tag}/intervalEnd")]
    try:
        values = [float(end) for end in ends if end is not None]
        value = float(np.mean(values)) if values else float(texts[0] or texts[1] or "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{where}: <{item.tag}>: expected a number in <{tag}>")
    return value


def _points(item: Element, tag: str, where: str) -> F64:
    """(n, 2) of <tag><point>..."""
    found = [
        (_number(point, "x", where), _number(point, "y", where))
        for point in item.findall(f"{tag}/point")
    ]
    if len(found) < 2:
        raise InputError(f"{where}: <{tag}>: expected at least 2 points, got {len(found)}")
    return np.array(found)


def _lane(item: Element, where: str) -> RecordedLane:
    """A lanelet: between its bounds, which need not have equally many points."""
    spot = f"{where}: lanelet {item.get('id')}"
    left, right = _points(item, "leftBound", spot), _points(item, "rightBound", spot)
    count = max(len(left), len(right))
    middle = (
        left + right
        if len(left) == len(right)
        else evenly_along(left, count) + evenly_along(right, count)
    )
    limit = item.findtext("speedLimit")
    same = {
        side: tuple(
            near.get("ref", "") for near in item.findall(side) if near.get("drivingDir") == "same"
        )
        for side in ("adjacentLeft", "adjacentRight")
    }
    return RecordedLane(
        item.get("id", "?"), middle / 2.0, np.concatenate([left, right[::-1]]),
        float("nan") if limit is None else _number(item, "speedLimit", spot),
        tuple(after.get("ref", "") for after in item.findall("successor")),
        same["adjacentLeft"], same["adjacentRight"],
    )  # fmt: skip


def _state(item: Element, where: str) -> F64:
    """(5,) step, x, y, heading, speed; who has no speed stands."""
    point = item.find("position/point")
    if point is None:
        raise InputError(f"{where}: <{item.tag}>: expected a <position> with a <point>")
    return np.array([
        _number(item, "time", where), _number(point, "x", where), _number(point, "y", where),
        _number(item, "orientation", where),
        0.0 if item.find("velocity") is None else _number(item, "velocity", where),
    ])  # fmt: skip


def _states(item: Element, where: str) -> F64:
    """(n, 5) recorded states of an obstacle, increasing in time."""
    spot = f"{where}: obstacle {item.get('id')}"
    parts = [part for part in (item.find("initialState"), *item.findall("trajectory/state"))
             if part is not None]  # fmt: skip
    if not parts:
        raise InputError(f"{spot}: expected an <initialState>")
    found = np.array([_state(part, spot) for part in parts])
    if (found[:, 0] < 0).any() or (np.diff(found[:, 0]) <= 0).any():
        raise InputError(
            f"{spot}: expected increasing times >= 0, got {brief(found[:, 0].tolist())}"
        )
    return found


def _track(item: Element, found: F64, steps: int, where: str) -> Track:
    """An obstacle: what does not move is there all the time."""
    spot = f"{where}: obstacle {item.get('id')}"
    shape = item.find("shape")
    box = None if shape is None else shape.find("rectangle")
    if box is not None:
        length, width = _number(box, "length", spot), _number(box, "width", spot)
    elif shape is not None and shape.find("circle") is not None:
        length = width = 2.0 * _number(shape, "circle/radius", spot)
    else:
        raise InputError(f"{spot}: expected a <shape> with a <rectangle> or a <circle>")
    at = found[:, 0].astype(np.int64)
    states, present = np.full((steps, 5), np.nan), np.zeros(steps, np.bool_)
    columns = np.column_stack([
        found[:, 1:4], found[:, 4] * np.cos(found[:, 3]), found[:, 4] * np.sin(found[:, 3])
    ])  # fmt: skip
    if len(at) == 1:
        at = np.arange(steps)
    states[at], present[at] = columns, True
    label = item.findtext("type") or ""
    kind = agent_type(KINDS.get(label, OTHER))
    return Track(
        item.get("id", "?"), kind, np.array([length, width, HEIGHT]), states, present, label
    )


def _carried_on(
    start: F64, town: Town, vehicle: Vehicle, steps: int, where: str
) -> tuple[tuple[int, ...], F64]:
    """The lanes from the ego's start on, and (T, 3) rear axles along them at constant speed, as
    far beside their centre as the start."""
    axle = ahead_of(start[1:4], -vehicle.centre)
    first = np.array([[*axle, start[3]]])
    route = route_under(town, first)
    if not route:
        raise InputError(f"{where}: the planning problem starts on none of the lanelets")
    path = RoutePath.of(town, route)
    s, offset = path.project(first[:, :2])
    poses = path.at(s + start[4] * SIM_DT_S * np.arange(steps))
    side = np.column_stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])])
    poses[:, :2] += offset * side
    return route, poses
