"""Reactive traffic, before it moves: which vehicle runs on which lane, and who stands aside.

    rails = lay_rails(scene, now)
    A  vehicles on rails ("agents"), in the order of the tracks
    P  parked vehicles: without rails, may stay where they are
Every vehicle seen at step 0 is moved onto the centreline it stands on; what cannot be moved is
either parked or gone after step 0. Map questions are answered by the scene's own polygons.
Source: docs/epdms.md, "Reactive traffic". May import: scoring.compiled, scoring.geometry,
scoring.scene, types.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely

from irl_vla.scoring.compiled import kernel, plain
from irl_vla.scoring.geometry import in_ring, touch
from irl_vla.scoring.scene import (
    HEADING,
    I64,
    INTERSECTION,
    LANE,
    LANE_CONNECTOR,
    VEHICLE,
    Areas,
    Mask,
    Scene,
    Tracks,
    X,
    Y,
)  # fmt: skip
from irl_vla.types import F64

SNAP_LIMIT = 3.0  # [m] vehicles farther from the centreline get no rails
DESIRED_SPEED = 10.0  # [m/s] where no lane gives a limit
PARKED_SPEED = 0.1  # [m/s] slower (strict) counts as standing
HEADING_STEP = 0.5  # [m] along the line, over which the heading of the nearest point is taken
SAME_POINT = 1e-8  # [m] vertices closer than this are one


@dataclass(frozen=True)
class LaneVehicles:
    """The vehicles at step 0.

    agents: (A,) rows of the tracks; paths: A arrays (n, 4) of arc length [m], x, y, unwrapped
    heading; boxes: (A, 3) x, y, heading where they were put down; progress: (A,) arc length [m];
    speeds, desired: (A,) [m/s]; sizes: (A, 2) length, width; parked: (P,) rows of the tracks
    """

    agents: I64
    paths: tuple[F64, ...]
    boxes: F64
    progress: F64
    speeds: F64
    desired: F64
    sizes: F64
    parked: I64


@dataclass(frozen=True)
class LaneMatch:
    """A vehicle's place on the map. on_road: in a lane or an intersection; lane: row of the areas
    or -1; arc: along its centreline [m]; pose: (3,) there; aside: distance from it [m]."""

    on_road: bool
    lane: int
    arc: float
    pose: F64
    aside: float


@kernel
def mark_containing(vertices: F64, offsets: I64, px: float, py: float, inside: Mask) -> None:
    """inside (n,) = whether polygon i strictly contains p."""
    for i in range(len(offsets) - 1):
        inside[i] = in_ring(vertices, offsets[i], offsets[i + 1], px, py) == 1


def box_at(pose: F64) -> F64:
    """Pose (3,) -> box (4,) x, y, cos, sin."""
    return np.array([pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2])])


def rail_of(line: F64) -> F64 | None:
    """Centreline (n, 3) -> path (m, 4) of arc length, x, y, unwrapped heading.

    The heading of a vertex is the way to the next one, whatever the centreline itself says.
    Quirk: the last vertex is lost, and a vertex is left out when the NEXT one is the same point.
    None where fewer than two vertices are left: the original cannot drive there.
    """
    dx, dy = np.diff(line[:, :2], axis=0).T
    lengths = np.hypot(dx, dy)
    arc = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    path = np.column_stack([arc, line[:-1, :2], np.arctan2(dy, dx)])[lengths > SAME_POINT]
    if len(path) < 2:
        return None
    path[:, 3] = np.unwrap(path[:, 3])
    return plain(path)


def nearest_on(line: shapely.LineString, x: float, y: float) -> tuple[float, F64]:
    """Arc length [m] of the point of the line nearest to (x, y), and the pose (3,) there: the
    heading looks HEADING_STEP ahead, at the very end of the line back."""
    arc = float(line.project(shapely.Point(x, y)))
    here, ahead = line.interpolate(arc), line.interpolate(arc + HEADING_STEP)
    if here.equals(ahead):
        back = line.interpolate(arc - HEADING_STEP)
        return arc, np.array([here.x, here.y, math.atan2(here.y - back.y, here.x - back.x)])
    return arc, np.array([here.x, here.y, math.atan2(ahead.y - here.y, ahead.x - here.x)])


def snap(areas: Areas, x: float, y: float, heading: float) -> LaneMatch:
    """Where a vehicle stands: on a lane; elsewhere, inside an intersection, on a connector.

    Quirk: of several lanes the one of least |heading difference| is taken, and the difference is
    not wrapped.
    """
    inside = np.empty(len(areas), np.bool_)
    polygons = areas.polygons
    mark_containing(plain(polygons.vertices), polygons.offsets.copy(), x, y, inside)
    in_lane = inside & (areas.kinds == LANE)
    crossing = bool((inside & (areas.kinds == INTERSECTION)).any())
    on_road = bool(in_lane.any()) or crossing
    found = in_lane if in_lane.any() else inside & (areas.kinds == LANE_CONNECTOR)
    rows = [row for row in np.flatnonzero(found) if len(areas.centerlines[row]) > 1]
    if not on_road or not rows:
        return LaneMatch(on_road, -1, 0.0, np.full(3, np.nan), math.inf)
    lines = [shapely.LineString(areas.centerlines[row][:, :2]) for row in rows]
    places = [nearest_on(line, x, y) for line in lines]
    best = int(np.argmin([abs(pose[2] - heading) for _, pose in places]))
    arc, pose = places[best]
    return LaneMatch(on_road, int(rows[best]), arc, pose, math.hypot(pose[0] - x, pose[1] - y))


def lay_rails(scene: Scene, now: Tracks) -> LaneVehicles:
    """Put the vehicles of step 0 of `now` on rails.

    Dropped: without a lane, more than SNAP_LIMIT away from the centreline, or overlapping the ego
    or an earlier agent once moved. Parked are those dropped ones that stand off all lanes and
    intersections, or are too far from the centreline. All others are gone after step 0.
    Quirk: a lane without a limit takes over the desired speed of the agent before.
    """
    vehicle, start = scene.ego.vehicle, scene.ego.initial
    cos, sin = math.cos(start[HEADING]), math.sin(start[HEADING])
    ego = [start[X] + vehicle.centre * cos, start[Y] + vehicle.centre * sin, cos, sin]
    taken = [(np.array(ego), np.array([vehicle.length, vehicle.width]) / 2.0)]
    desired, agents, parked = DESIRED_SPEED, [], []
    paths, poses, arcs, speeds, limits = [], [], [], [], []
    for i in np.flatnonzero(now.present[:, 0] & (now.types == VEHICLE)).tolist():
        x, y, heading, vx, vy = (float(value) for value in now.states[i, 0])
        place, speed, half = snap(scene.areas, x, y, heading), math.hypot(vx, vy), now.sizes[i] / 2
        path = None if place.lane < 0 else rail_of(scene.areas.centerlines[place.lane])
        box, far = box_at(place.pose), place.lane >= 0 and place.aside > SNAP_LIMIT
        if path is None or far or any(touch(box, half, other, size) for other, size in taken):
            if far or (not place.on_road and speed < PARKED_SPEED):
                parked.append(i)
            continue
        taken.append((box, half))
        limit = float(scene.areas.speed_limit[place.lane])
        desired = limit if limit > 0.0 else desired
        agents.append(i)
        paths.append(path)
        poses.append(place.pose)
        arcs.append(place.arc)
        speeds.append(speed)
        limits.append(desired)
    return LaneVehicles(
        np.array(agents, np.int64), tuple(paths), np.array(poses, np.float64).reshape(-1, 3),
        np.array(arcs, np.float64), np.array(speeds, np.float64), np.array(limits, np.float64),
        plain(now.sizes[agents]).reshape(-1, 2), np.array(parked, np.int64),
    )  # fmt: skip
