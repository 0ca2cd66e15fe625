"""One window and its map -> everything that scoring needs, before it becomes a scoring scene.

This is what the devkit calls a metric cache: corrected route, start lane, centre line, drivable
map, tracks, red lights, past and human future.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from irl_vla.navsim.centerline import Area, centerline_of, drivable_map, lane_plan, starting_lane
from irl_vla.navsim.city_map import CityMap, MapLane
from irl_vla.navsim.records import SceneWindow, TrackedObjects
from irl_vla.navsim.route import BlockRoute, correct_route, route_lanes
from irl_vla.navsim.tracks import FUTURE_FRAMES, lights_of, observations_of, tracks_of
from irl_vla.scoring.footprint import footprint, middle
from irl_vla.scoring.scene import Tracks
from irl_vla.types import F64, InputError
from irl_vla.vehicle import PACIFICA

CityMaps = Callable[[str], CityMap]  # city name -> its map


@dataclass(frozen=True)
class Preparation:
    """All of one scene that does not depend on a plan.

    lanes: route lanes by id, corrected route; centerline: (n, 3); now: boxes of the current frame
    red: for each of the 9 frames, the red connectors of the LOGGED route
    red_ahead: red now on the CORRECTED route, which is what PDM-Closed looks at
    """

    window: SceneWindow
    city: CityMap
    route: BlockRoute
    lanes: dict[str, MapLane]
    start_lane: MapLane
    centerline: F64
    areas: tuple[Area, ...]
    now: TrackedObjects
    tracks: Tracks
    red: tuple[tuple[str, ...], ...]
    red_lanes: dict[str, MapLane]
    red_ahead: tuple[MapLane, ...]

    @property
    def centre(self) -> F64:
        return middle(self.window.now.pose, PACIFICA)


def prepare(window: SceneWindow, city: CityMap) -> Preparation:
    """Prepares one window. Raises InputError, naming the token, where the data do not suffice."""
    try:
        return _prepare(window, city)
    except InputError as reason:
        raise InputError(f"scene {window.token}: {reason}") from None


def _prepare(window: SceneWindow, city: CityMap) -> Preparation:
    pose, logged = window.now.pose, window.now.roadblock_ids
    route = correct_route(city, pose, logged)
    lanes = route_lanes(city, route.blocks)
    centre = middle(pose, PACIFICA)
    areas = drivable_map(city, centre)
    start = starting_lane(areas, lanes, pose, centre, footprint(pose, PACIFICA))
    sights = observations_of(window)
    # Red lights of the scoring world are looked up in the route as LOGGED, not as corrected.
    logged_blocks = [block for i in dict.fromkeys(logged) if (block := city.block(i)) is not None]
    logged_lanes = route_lanes(city, logged_blocks)
    red = tuple(
        tuple(str(lane) for lane, is_red in lights if is_red and str(lane) in logged_lanes)
        for lights in lights_of(window)
    )
    assert len(sights) == len(red) == FUTURE_FRAMES + 1
    return Preparation(
        window=window,
        city=city,
        route=route,
        lanes=lanes,
        start_lane=start,
        centerline=centerline_of(lane_plan(city, start, route.blocks, lanes)),
        areas=tuple(areas),
        now=sights[0],
        tracks=tracks_of(sights),
        red=red,
        red_lanes={lane: logged_lanes[lane] for lights in red for lane in lights},
        red_ahead=tuple(
            lanes[str(lane)]
            for lane, is_red in window.now.traffic_lights
            if is_red and str(lane) in lanes
        ),
    )
