"""What the kernels see of a scene: flat arrays in named tuples, built once per scene.

    arena = build_arena(scene, replayed_tracks(scene))
    arena._replace(traffic=pack_tracks(t))   the same ground under other tracks
May import: scoring.geometry, scoring.grid, scoring.scene.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import plain
from irl_vla.scoring.geometry import touch
from irl_vla.scoring.grid import BITS, Cells, Rings, RouteCenterline, bounds, build_grid, words_for
from irl_vla.scoring.scene import (
    BICYCLE,
    CARPARK,
    DRIVABLE_AREA,
    HEADING,
    I64,
    INTERSECTION,
    LANE,
    LANE_CONNECTOR,
    ROADBLOCK,
    STEPS,
    Mask,
    Polygons,
    RedLights,
    Scene,
    Tracks,
    X,
    Y,
)  # fmt: skip
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle

BEYOND = 0.01  # [m] between the circles around two boxes: they do not touch, whatever rounding does
STOPPED_TRACK = 0.05  # [m/s] tracks at or below count as stopped


class EgoFootprint(NamedTuple):
    """The ego's outline [m]: half sizes, rear axle -> centre, wheel base."""

    half_length: float
    half_width: float
    centre: float
    wheel_base: float


class AreaMasks(NamedTuple):
    """Polygon masks (words,) of one meaning each."""

    lanes: I64
    route: I64
    drivable: I64
    intersections: I64


class TrackBoxes(NamedTuple):
    """Tracks. boxes: (A, steps, 4) centre x, y, cos, sin of the heading; halves: (A, 2) half length
    and width; radii: (A,); present: (A, steps); stopped: (A,) static or slow at first sight;
    blame: (A,) NC when hit at fault; bounds: (A, 4) of the centre over all steps."""

    boxes: F64
    halves: F64
    radii: F64
    present: Mask
    stopped: Mask
    blame: F64
    bounds: F64


class RedLightAreas(NamedTuple):
    """Red stretches: polygons, their bounds (n, 4), red (n, steps)."""

    vertices: F64
    offsets: I64
    bounds: F64
    red: Mask


class Arena(NamedTuple):
    """Everything around the ego that scoring looks at."""

    body: EgoFootprint
    cells: Cells
    rings: Rings
    path: RouteCenterline
    kinds: AreaMasks
    traffic: TrackBoxes
    lights: RedLightAreas


def pack_body(vehicle: Vehicle) -> EgoFootprint:
    """The outline as the kernels want it."""
    return EgoFootprint(
        vehicle.length / 2.0, vehicle.width / 2.0, vehicle.centre, vehicle.wheel_base
    )


def pack_tracks(tracks: Tracks) -> TrackBoxes:
    """Tracks as the kernels want them.

    Quirk: type and speed of a track are those of the first step in which it is present, for good.
    """
    n = len(tracks)
    states = np.where(tracks.present[..., None], tracks.states, 0.0)
    heading = states[..., 2]
    boxes = np.stack([states[..., 0], states[..., 1], np.cos(heading), np.sin(heading)], axis=-1)
    first = tracks.present.argmax(axis=1) if n else np.zeros(0, np.int64)
    speed = np.hypot(*states[np.arange(n), first, 3:5].T) if n else np.zeros(0)
    alive = tracks.types <= BICYCLE
    here = tracks.present[..., None]
    low = np.where(here, states[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(here, states[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    halves = tracks.sizes / 2.0
    return TrackBoxes(
        plain(boxes), plain(halves), np.hypot(*halves.T),
        tracks.present.copy(), ~alive | (speed <= STOPPED_TRACK),
        np.where(alive, 0.0, 0.5), plain(np.hstack([low, high])),
    )  # fmt: skip


def pack_lights(lights: RedLights | None) -> RedLightAreas:
    """Red stretches as the kernels want them; unknown lights are none."""
    if lights is None:
        lights = RedLights((), Polygons.of([]), np.zeros((0, STEPS), np.bool_))
    polygons = lights.polygons
    return RedLightAreas(
        plain(polygons.vertices), polygons.offsets, bounds(polygons),
        lights.red.copy(),
    )  # fmt: skip


def touching_at_start(tracks: Tracks, initial: F64, vehicle: Vehicle) -> Mask:
    """(A,) tracks whose box touches the ego's at step 0; log replay deletes them from all steps."""
    body = pack_body(vehicle)
    cos, sin = float(np.cos(initial[HEADING])), float(np.sin(initial[HEADING]))
    ego = np.array([initial[X] + body.centre * cos, initial[Y] + body.centre * sin, cos, sin])
    half = np.array([body.half_length, body.half_width])
    touching = np.zeros(len(tracks), np.bool_)
    away = np.hypot(tracks.states[:, 0, 0] - ego[0], tracks.states[:, 0, 1] - ego[1])
    reach = np.hypot(*tracks.sizes.T) / 2.0 + np.hypot(body.half_length, body.half_width)
    for i in np.flatnonzero(tracks.present[:, 0] & (away < reach + BEYOND)):
        x, y, heading = tracks.states[i, 0, :3]
        box = np.array([x, y, np.cos(heading), np.sin(heading)])
        touching[i] = touch(box, tracks.sizes[i, :2] / 2.0, ego, half)
    return touching


def replayed_tracks(scene: Scene) -> Tracks:
    """The recorded tracks that log replay keeps."""
    if scene.traffic_policy != "log_replay":
        return scene.agents
    return scene.agents.pick(~touching_at_start(scene.agents, scene.ego.initial, scene.ego.vehicle))


def _mask(members: Mask) -> I64:
    """(n,) -> (words,) with a bit per member."""
    mask = np.zeros(words_for(len(members)), np.int64)
    for i in np.flatnonzero(members):
        mask[i // BITS] |= 1 << int(i % BITS)
    return mask


def pack_kinds(scene: Scene) -> AreaMasks:
    """Masks of what each polygon means. Quirk: lanes and connectors are not drivable area."""
    kinds = scene.areas.kinds
    lanes = (kinds == LANE) | (kinds == LANE_CONNECTOR)
    named = set(scene.route.lane_ids)
    route = lanes & np.array([name in named for name in scene.areas.ids], np.bool_)
    drivable = np.isin(kinds, (ROADBLOCK, INTERSECTION, CARPARK, DRIVABLE_AREA))
    return AreaMasks(_mask(lanes), _mask(route), _mask(drivable), _mask(kinds == INTERSECTION))


def build_arena(scene: Scene, tracks: Tracks) -> Arena:
    """Prepare a scene for the kernels, with these tracks and its own lights."""
    return Arena(
        pack_body(scene.ego.vehicle),
        *build_grid(scene.areas, scene.route.centerline[:, :2]),
        pack_kinds(scene),
        pack_tracks(tracks),
        pack_lights(scene.red_lights),
    )
