"""Recorded tracks of any format -> what an Episode holds: the ego's states, actors, the route.

Used by scenarionet.py and commonroad.py.
May import: types, frames, scoring.scene, world.episode, world.town.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from irl_vla.frames import step_lengths, wrap_angle
from irl_vla.scoring.scene import (
    AGENT_TYPES,
    ALPHA,
    AX,
    AY,
    BICYCLE,
    HEADING,
    OMEGA,
    PEDESTRIAN,
    SIM_DT_S,
    STATE_COLUMNS,
    STEER,
    STEER_RATE,
    VEHICLE,
    VX,
    VY,
    Mask,
    X,
    Y,
)
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle
from irl_vla.world.episode import MODELS, Actors
from irl_vla.world.town import NONE, Town

SMOOTHING = 11  # samples: velocities come from a parabola through 1.1 s of recorded poses
PARABOLA = 2
MEDIAN = 5  # steps: a leap of the recording that is shorter than half of this is not a speed
STEERABLE = 1.0  # [m/s] slower, the steering angle cannot be seen in the motion
AHEAD = 100.0  # [m] the route goes on behind the last recorded pose
LOOK_AHEAD = 50.0  # [m] over which the straightest way is sought
OFF_LANE = 5.0  # [m] an ego farther from every lane is on none
LANE_CHANGE, JUMP = 4.0, 60.0  # costs of leaving a lane for its neighbour, for anywhere
HEADING_COST = 4.0  # per rad, beside 1 per m off the centre line
GONE = 1e6  # cost of a lane that is too far


@dataclass(frozen=True)
class Track:
    """One recorded road user. kind: index into AGENT_TYPES; size: (3,) length, width, height;
    states: (T, 5) of the middle of the box; present: (T,); label: what the recording calls it."""

    id: str
    kind: int
    size: F64
    states: F64
    present: Mask
    label: str = ""


def ego_states(poses: F64, vehicle: Vehicle) -> F64:
    """(T, 11) states from T >= SMOOTHING poses (T, 3) of the rear axle, 0.1 s apart.

    A recording sometimes leaps by a frame: single steps that are out of line do not count as speed.
    """
    heading = np.unwrap(poses[:, 2])
    middle = (heading[1:] + heading[:-1]) / 2.0
    dx, dy = np.diff(poses[:, :2], axis=0).T / SIM_DT_S
    cos, sin = np.cos(middle), np.sin(middle)
    between = np.column_stack([cos * dx + sin * dy, cos * dy - sin * dx])
    steady = median_filter(between, size=(MEDIAN, 1), mode="nearest")
    ends = np.pad(steady, ((1, 1), (0, 0)), "edge")
    velocity = (ends[1:] + ends[:-1]) / 2.0
    states = np.zeros((len(poses), len(STATE_COLUMNS)))
    states[:, [X, Y]] = poses[:, :2]
    states[:, HEADING] = wrap_angle(heading)
    states[:, OMEGA], states[:, ALPHA] = _fitted(heading, 1), _fitted(heading, 2)
    states[:, [VX, VY]] = _fitted(velocity, 0)
    rates, omega = _fitted(velocity, 1), states[:, OMEGA]
    states[:, AX] = rates[:, 0] - omega * states[:, VY]
    states[:, AY] = rates[:, 1] + omega * states[:, VX]
    speed = states[:, VX]
    bend = np.divide(omega, speed, out=np.zeros(len(poses)), where=speed > STEERABLE)
    states[:, STEER] = np.arctan(vehicle.wheel_base * bend)
    states[:, STEER_RATE] = np.gradient(states[:, STEER], SIM_DT_S)
    return states


def _fitted(signal: F64, derivative: int) -> F64:
    """A parabola through SMOOTHING samples around each, or its derivative."""
    return np.asarray(
        savgol_filter(signal, SMOOTHING, PARABOLA, derivative, SIM_DT_S, axis=0), np.float64
    )


def unbroken(tracks: Sequence[Track]) -> list[Track]:
    """Tracks without gaps: one that comes back is another road user, `id`, `id#2`, ..."""
    whole = []
    for track in tracks:
        edges = np.diff(np.concatenate([[0], track.present.astype(np.int8), [0]]))
        runs = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
        for number, (begin, end) in enumerate(runs, 1):
            present = np.zeros_like(track.present)
            present[begin:end] = True
            name = track.id if number == 1 else f"{track.id}#{number}"
            states = np.where(present[:, None], track.states, np.nan)
            whole.append(Track(name, track.kind, track.size, states, present, track.label))
    return whole


def actors_of(tracks: Sequence[Track]) -> Actors:
    """Who they are; the look of each follows from its name."""
    return Actors(
        tuple(track.id for track in tracks),
        np.array([track.kind for track in tracks], np.int8),
        np.array([track.size for track in tracks], np.float64).reshape(-1, 3),
        np.array([MODELS.index(_model(track)) for track in tracks], np.int8),
        np.array([zlib.crc32(track.id.encode()) for track in tracks], np.int64),
    )


def _model(track: Track) -> str:
    """What it looks like, by its label where that helps and by its size."""
    length, _, height = track.size
    if track.kind != VEHICLE:
        return {PEDESTRIAN: "pedestrian", BICYCLE: "bicycle"}.get(track.kind, "object")
    if "bus" in track.label:
        return "bus"
    if length > 6.5 or any(word in track.label for word in ("truck", "trailer", "construction")):
        return "truck"
    return "van" if height > 1.95 else "suv" if height > 1.65 else "car"


def stacked(tracks: Sequence[Track], steps: int) -> tuple[F64, Mask]:
    """(T, A, 5) states and (T, A) presence."""
    if not tracks:
        return np.zeros((steps, 0, 5)), np.zeros((steps, 0), np.bool_)
    return (
        np.stack([track.states for track in tracks], axis=1),
        np.stack([track.present for track in tracks], axis=1),
    )


def near_ego(tracks: Sequence[Track], ego: F64, reach: float) -> list[Track]:
    """Tracks that are within `reach` [m] of the ego (T, 2) at some step."""
    return [
        track for track in tracks
        if np.nanmin(np.hypot(*(track.states[:, :2] - ego).T), initial=np.inf) <= reach
    ]  # fmt: skip


def route_under(town: Town, poses: F64) -> tuple[int, ...]:
    """The lanes under a recorded ego (T, 3), in order, continued straight ahead for AHEAD metres.

    The cheapest sequence: near the centre line, in its direction, along links where there are any
    (Viterbi). Empty where the ego is on no lane at all.
    """
    cost = _lane_costs(town, poses)
    if not (cost.min(axis=1) < GONE).any():
        return ()
    change = _change_costs(town)
    total, back = cost[0], np.zeros(cost.shape, np.int64)
    for step in range(1, len(cost)):
        ways = total[:, None] + change
        back[step] = ways.argmin(axis=0)
        total = ways.min(axis=0) + cost[step]
    lane = int(total.argmin())
    sequence = [lane]
    for step in range(len(cost) - 1, 0, -1):
        lane = int(back[step, lane])
        sequence.append(lane)
    ordered = sequence[::-1]
    route = [lane for i, lane in enumerate(ordered) if i == 0 or lane != ordered[i - 1]]
    return _continued(town, _with_skipped(town, route), poses[-1])


def _lane_costs(town: Town, poses: F64) -> F64:
    """(T, L) metres off each centre line plus heading error; GONE where too far or against it."""
    axles = shapely.points(poses[:, :2])
    cost = np.full((len(poses), len(town.lanes)), GONE)
    for i, lane in enumerate(town.lanes):
        line = shapely.LineString(lane.centre[:, :2])
        away = np.asarray(line.distance(axles))
        near = np.flatnonzero(away <= OFF_LANE)
        if not len(near):
            continue
        gaps = np.linalg.norm(poses[near, None, :2] - lane.centre[None, :, :2], axis=2)
        heading = lane.centre[gaps.argmin(axis=1), 2]
        error = np.abs(wrap_angle(heading - poses[near, 2]))
        cost[near, i] = np.where(error < np.pi / 2, away[near] + HEADING_COST * error, GONE)
    return cost


def _change_costs(town: Town) -> F64:
    """(L, L) cost of going from lane to lane within 0.1 s."""
    change = np.full((len(town.lanes), len(town.lanes)), JUMP)
    np.fill_diagonal(change, 0.0)
    for i, lane in enumerate(town.lanes):
        for side in (lane.left, lane.right):
            if side != NONE:
                change[i, side] = LANE_CHANGE
        for j in lane.successors:
            change[i, j] = 0.0
    return change


def _with_skipped(town: Town, route: list[int]) -> list[int]:
    """Lanes too short to be seen under the ego, where one links two of the route."""
    whole = route[:1]
    for lane in route[1:]:
        before = town.lanes[whole[-1]]
        if lane not in (*before.successors, before.left, before.right):
            between = [j for j in before.successors if lane in town.lanes[j].successors]
            whole += between[:1]
        whole.append(lane)
    return whole


def _continued(town: Town, route: list[int], last: F64) -> tuple[int, ...]:
    """The route and AHEAD metres more, always the way that bends least."""
    end = shapely.LineString(town.lanes[route[-1]].centre[:, :2])
    length = end.length - end.project(shapely.Point(last[:2]))
    while length < AHEAD and town.lanes[route[-1]].successors:
        following = town.lanes[route[-1]].successors
        straightest = min(following, key=lambda j: _least_bend(town, j, LOOK_AHEAD))
        if straightest in route:
            break
        route.append(straightest)
        length += shapely.LineString(town.lanes[straightest].centre[:, :2]).length
    return tuple(route)


def _least_bend(town: Town, lane: int, ahead: float) -> float:
    """[rad] by which the straightest way through a lane and on turns within `ahead` metres."""
    centre = town.lanes[lane].centre
    length = float(step_lengths(centre).sum())
    bend = float(np.abs(wrap_angle(np.diff(centre[:, 2]))).sum())
    if length >= ahead or not town.lanes[lane].successors:
        return bend
    rest = max(ahead - length, 0.0)
    return bend + min(_least_bend(town, j, rest - 1.0) for j in town.lanes[lane].successors)


def agent_type(name: str) -> int:
    """Index of a name of AGENT_TYPES."""
    return AGENT_TYPES.index(name)
