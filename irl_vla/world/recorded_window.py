"""One instant of a recorded episode -> the scoring scene around it, ready for EPDMS.

May import: frames, scoring.prepare, scoring.reference, scoring.scene, world.episode, world.routes,
world.town.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from irl_vla.frames import to_inner
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.reference import pdm_closed
from irl_vla.scoring.scene import (
    DRIVABLE_AREA,
    INTERSECTION,
    LANE,
    LANE_CONNECTOR,
    STEP_US,
    STEPS,
    Areas,
    Ego,
    NamedPlan,
    Polygons,
    RedLights,
    Route,
    Scene,
    Tracks,
)
from irl_vla.types import F64
from irl_vla.world.episode import Episode
from irl_vla.world.routes import Path, route_centreline
from irl_vla.world.town import NONE, Light, Town

HISTORY = (15, 10, 5, 0)  # steps ago: 1.5 s at 2 Hz
EVERY = 5  # steps between the poses of a plan
RADIUS = 100.0  # [m] around the ego that a scene knows
BEHIND, AHEAD = 20.0, 120.0  # [m] of the route's line
NO_LINE = np.zeros((0, 3))


def window(episode: Episode, step: int) -> Scene:
    """The scene at a step with 1.5 s of past and 4 s of future; the recorded driver is its human,
    PDM-Closed its reference. Lights are unknown (None) where the town has none."""
    town, pose = episode.town, episode.ego[step, :3]
    future = slice(step, step + STEPS)
    past = step - np.array(HISTORY)
    areas = _areas(town, set(episode.route), pose)
    s, _ = (path := Path.of(town, episode.route)).project(pose[None, :2])
    line = route_centreline(path, float(s[0]) - BEHIND, float(s[0]) + AHEAD)
    human = to_inner(episode.ego[step + EVERY : step + STEPS : EVERY, :3], pose)
    scene = Scene(
        f"{town.name} {step / 10:.1f} s", step * STEP_US, STEPS, "original", "log_replay",
        Ego(episode.ego[step], episode.ego[past], (past - step) * STEP_US, episode.vehicle),
        areas, Route(tuple(np.array(areas.ids)[areas.on_route].tolist()), line),
        _red_lights(episode, future), _tracks(episode, future, pose),
        NamedPlan("", "human", human), (), None, None, family="recorded", derived=town.derived,
    )  # fmt: skip
    return replace(scene, reference=pdm_closed(prepare(scene)).reference())


def _areas(town: Town, route: set[int], pose: F64) -> Areas:
    """Lanes, intersections and drivable area whose bounds come within RADIUS."""
    lanes = [
        (lane.id, LANE if lane.junction == NONE else LANE_CONNECTOR, lane.polygon, i in route,
         lane.speed_limit, lane.centre)
        for i, lane in enumerate(town.lanes)
    ]  # fmt: skip
    crossings = [
        (f"intersection {i}", INTERSECTION, junction.polygon, False, np.nan, NO_LINE)
        for i, junction in enumerate(town.junctions)
    ]
    ground = [
        (f"drivable {i}", DRIVABLE_AREA, town.drivable.ring(i), False, np.nan, NO_LINE)
        for i in range(len(town.drivable))
    ]
    near = [area for area in (*lanes, *crossings, *ground) if _within_reach(area[2], pose)]
    ids, kinds, rings, on_route, limits, lines = zip(*near, strict=True)
    return Areas(
        ids, np.array(kinds, np.int8), Polygons.of(list(rings)), np.array(on_route),
        np.zeros(len(ids), np.int8), np.array(limits, np.float64), lines,
    )  # fmt: skip


def _within_reach(ring: F64, pose: F64) -> bool:
    away = np.maximum(ring.min(axis=0) - pose[:2], pose[:2] - ring.max(axis=0))
    return bool(np.hypot(*np.maximum(away, 0.0)) <= RADIUS)


def _tracks(episode: Episode, future: slice, pose: F64) -> Tracks:
    """Road users that come within RADIUS of where the ego is now."""
    states, present = episode.states[future].swapaxes(0, 1), episode.present[future].T
    away = np.where(present, np.hypot(*np.moveaxis(states[..., :2] - pose[:2], -1, 0)), np.inf)
    who = episode.actors
    return Tracks(who.ids, who.types, who.sizes[:, :2], states, present).pick(
        away.min(axis=1, initial=np.inf) <= RADIUS
    )


def _red_lights(episode: Episode, future: slice) -> RedLights | None:
    """The lanes behind a signal are closed while it is red."""
    town = episode.town
    if not town.signals:
        return None
    lanes = [lane for lane in town.lanes if lane.signal != NONE]
    red = episode.lights[future][:, [lane.signal for lane in lanes]].T == Light.RED
    rings = Polygons.of([lane.polygon for lane in lanes])
    return RedLights(tuple(lane.id for lane in lanes), rings, red)
