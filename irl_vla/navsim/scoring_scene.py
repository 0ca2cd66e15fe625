"""A prepared window -> the scoring scene `epdms-scene/1` that the scorer reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import shapely

from irl_vla.navsim.centerline import Area
from irl_vla.navsim.city_map import LayerName
from irl_vla.navsim.preparation import Preparation
from irl_vla.navsim.records import LogFrame, SceneWindow
from irl_vla.navsim.tracks import held
from irl_vla.scoring.scene import (
    AX,
    CARPARK,
    HEADING,
    INTERSECTION,
    LANE,
    LANE_CONNECTOR,
    PLAN_POSES,
    ROADBLOCK,
    STATE_COLUMNS,
    STEPS,
    VX,
    Areas,
    Ego,
    NamedPlan,
    Polygons,
    RedLights,
    Reference,
    Route,
    Scene,
)
from irl_vla.types import F64

KINDS = {
    LayerName.LANE: LANE,
    LayerName.LANE_CONNECTOR: LANE_CONNECTOR,
    LayerName.ROADBLOCK: ROADBLOCK,
    LayerName.INTERSECTION: INTERSECTION,
    LayerName.CARPARK_AREA: CARPARK,
}
NO_LINE = np.zeros((0, 3))


def scoring_scene(
    prepared: Preparation,
    reference: F64 | None = None,
    candidates: Sequence[NamedPlan] = (),
    traffic_policy: str = "log_replay",
) -> Scene:
    """The scene of one window.

    reference: (n >= 41, 3) global poses of the PDM-Closed plan every 0.1 s, or None for a scene
    that only waits for it; candidates: plans to score, frame of the rear axle now
    """
    window = prepared.window
    return Scene(
        id=window.token,
        t0_us=window.now.timestamp_us,
        steps=STEPS,
        scene_type="synthetic" if window.is_follow_up else "original",
        traffic_policy=traffic_policy,
        ego=ego_of(window),
        areas=areas_of(prepared.areas, prepared.lanes),
        route=Route(tuple(prepared.lanes), prepared.centerline),
        red_lights=red_lights_of(prepared),
        agents=prepared.tracks,
        human=human_of(window),
        candidates=tuple(candidates),
        reference=None if reference is None else Reference("pdm_closed", reference),
        previous=None,
        family="navsim",
    )


def ego_state(frame: LogFrame) -> F64:
    """(11,) state of the rear axle; NAVSIM knows no steering and no turn rate, both are 0."""
    state = np.zeros(len(STATE_COLUMNS))
    state[: HEADING + 1] = frame.pose
    state[VX : VX + 2] = frame.velocity
    state[AX : AX + 2] = frame.acceleration
    return state


def ego_of(window: SceneWindow) -> Ego:
    """Initial state and history at their TRUE times (unlike the tracks)."""
    times = np.array([frame.timestamp_us for frame in window.history], np.int64)
    history = np.array([ego_state(frame) for frame in window.history])
    return Ego(history[-1], history, times - times[-1])


def human_of(window: SceneWindow) -> NamedPlan | None:
    """What the human drove, 8 poses; follow-ups have no human."""
    if window.is_follow_up:
        return None
    return NamedPlan("", "human", window.human_trajectory(PLAN_POSES))


def areas_of(areas: Sequence[Area], on_route: Collection[str]) -> Areas:
    """The drivable map as named polygons. An area of several pieces becomes several of one id."""
    pieces = [(area, ring_of(part)) for area in areas for part in shapely.get_parts(area.polygon)]
    lanes = [area.lane for area, _ in pieces]
    limits = [np.nan if lane is None else lane.speed_limit for lane in lanes]
    return Areas(
        ids=tuple(area.id for area, _ in pieces),
        kinds=np.array([KINDS[area.layer] for area, _ in pieces], np.int8),
        polygons=Polygons.of([ring for _, ring in pieces]),
        on_route=np.array([a.lane is not None and a.id in on_route for a, _ in pieces], np.bool_),
        direction=np.zeros(len(pieces), np.int8),
        speed_limit=np.array(limits, np.float64),  # None becomes NaN
        centerlines=tuple(NO_LINE if lane is None else lane.baseline.points for lane in lanes),
    )


def red_lights_of(prepared: Preparation) -> RedLights:
    """The status of a frame holds for its 5 steps, that of the last one for the last step."""
    lanes = list(prepared.red_lanes)
    red = np.zeros((len(lanes), STEPS), np.bool_)
    for step, lights in enumerate(held(prepared.red)):
        for lane in lights:
            red[lanes.index(lane), step] = True
    rings = [ring_of(prepared.red_lanes[lane].polygon) for lane in lanes]
    return RedLights(tuple(lanes), Polygons.of(rings), red)


def ring_of(polygon: shapely.Polygon) -> F64:
    """(m, 2) outer corners, ring not closed."""
    return np.asarray(shapely.get_coordinates(polygon.exterior)[:-1], np.float64)
