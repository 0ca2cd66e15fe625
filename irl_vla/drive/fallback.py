"""The fallback: the stop that is driven where no (further) plan comes.

It brakes as softly as it can without touching an agent: comfortably, else as hard as the vehicle
may, along the path that is driven, or, where none is, along the last good path or the present arc.
Only agents that are more than a ghost justify hard braking. Whenever the stop begins, from now to
the latest moment at which the car notices the silence, it must fit: until then the plan is driven.
May import: types, frames, vehicle, scoring.compiled, check_kernels, stop_kernels, checks, stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.drive import check_kernels as kernels
from irl_vla.drive.check_kernels import FINE, FREE, NONE, REASONS
from irl_vla.drive.checks import Surroundings, body_of, checked_until
from irl_vla.drive.stop_kernels import ROW_S, lay_stop, rows_of, softest_free
from irl_vla.drive.stops import COMFORTABLE_M_S2, stop_along
from irl_vla.frames import arc_lengths, to_outer
from irl_vla.scoring.compiled import plain
from irl_vla.types import F64, HORIZON_POSES, PLAN_DT_S, Fallback, StopReason, Trajectory
from irl_vla.vehicle import Vehicle

HORIZON_S = 4.0  # [s] that a stop is checked at least, also where the car stands before
LEVEL_M_S2 = 0.5  # [m/s^2] between the brakings that are tried


@dataclass(frozen=True)
class Known:
    """What a stop is checked against.

    ego_pose: (3,) where the ego is in the frame of what was seen; seen: with agents where they are
    by now
    """

    seen: Surroundings
    ego_pose: F64

    @staticmethod
    def now(seen: Surroundings) -> Known:
        """Seen from where the ego is."""
        return Known(seen, np.zeros(3))


@dataclass(frozen=True)
class _PathStop:
    """The best stop along one path. hit: worst blow [m/s], NONE: no agent is touched."""

    path: F64
    braking: float
    agent: int
    hit: float
    hit_s: float
    map_code: int
    map_s: float

    @property
    def badness(self) -> tuple[float, ...]:
        """Less is better: a blow, its speed, how soon; then the map; then braking."""
        touched = self.agent != NONE
        blow = (self.hit, -self.hit_s) if touched else (0.0, 0.0)
        return (float(touched), *blow, float(self.map_code != FREE), self.braking)


def standing_start(speed: float) -> F64:
    """(1, 2) `lead` of a stop that begins at once: no way yet, present speed [m/s]."""
    return np.array([[0.0, max(speed, 0.0)]])


def lead_of(trajectory: Trajectory, speed: float, until_s: float) -> F64:
    """(B, 2) how far [m] and how fast [m/s] the car is along a plan, ROW_S apart from its anchor to
    `until_s`. speed: present [m/s]; a plan's mean speeds are reached in the middles of its
    intervals."""
    poses, step_s = np.vstack([np.zeros(3), trajectory.poses]), trajectory.step_s
    time = ROW_S * np.arange(np.ceil(until_s / ROW_S - 1e-9) + 1)
    length = arc_lengths(poses)
    knots = step_s * np.arange(len(poses))
    middles = np.r_[0.0, knots[1:] - step_s / 2]
    speeds = np.r_[max(speed, 0.0), np.diff(length) / step_s]
    return np.stack([np.interp(time, knots, length), np.interp(time, middles, speeds)], axis=-1)


def brakings(vehicle: Vehicle) -> F64:
    """(L,) from comfortable to the vehicle's limit [m/s^2]."""
    hardest = vehicle.limits.max_braking
    if hardest <= COMFORTABLE_M_S2:
        return np.array([hardest])
    return np.asarray(np.r_[np.arange(COMFORTABLE_M_S2, hardest, LEVEL_M_S2), hardest])


def best_stop(
    paths: Sequence[F64], lead: F64, known: Known, vehicle: Vehicle, step_s: float = PLAN_DT_S,
    count: int = HORIZON_POSES,
) -> Fallback:  # fmt: skip
    """The softest stop that touches nothing, along the first path where one is as good as the
    other; else the least bad one.

    paths: (n, 3) each, from the ego onwards; lead: (B, 2) as of `lead_of`
    """
    stop = min((_along(path, lead, known, vehicle) for path in paths), key=lambda s: s.badness)
    notes = [_blow_words(stop)] if stop.agent != NONE else _ghosts(stop, lead, known, vehicle)
    if stop.map_code != FREE:
        notes.append(f"{REASONS[stop.map_code]} after {stop.map_s:.1f} s")
    trajectory = stop_along(stop.path, float(lead[0, 1]), stop.braking, step_s, count)
    until_m = checked_until(_moved(stop.path, known), known.seen, vehicle)
    return Fallback(stop.path, stop.braking, trajectory, until_m, _reason(stop), "; ".join(notes))


def unchecked_stop(
    path: F64, speed: float, vehicle: Vehicle, step_s: float = PLAN_DT_S, count: int = HORIZON_POSES
) -> Fallback:
    """Comfortably along a path, where nothing is known to check it against."""
    braking = float(brakings(vehicle)[0])
    trajectory = stop_along(path, speed, braking, step_s, count)
    return Fallback(path, braking, trajectory, 0.0, StopReason.UNCHECKED_STOP)


def _reason(stop: _PathStop) -> StopReason:
    if stop.agent != NONE:
        return StopReason.LEAST_BAD_STOP
    hard = stop.braking > COMFORTABLE_M_S2
    return StopReason.EMERGENCY_STOP if hard else StopReason.COMFORTABLE_STOP


def _blow_words(stop: _PathStop) -> str:
    if stop.hit == 0.0:
        return f"agent {stop.agent} touches the standing car after {stop.hit_s:.1f} s"
    return f"touches agent {stop.agent} after {stop.hit_s:.1f} s at {stop.hit:.1f} m/s"


def _along(path: F64, lead: F64, known: Known, vehicle: Vehicle) -> _PathStop:
    """The best braking along one path, for agents that are more than ghosts."""
    seen, levels = known.seen, brakings(vehicle)
    real = np.flatnonzero(seen.confirmed)
    blows = _blows(path, lead, levels, known, seen.boxes[real], vehicle)
    level = len(blows) - 1 if blows[-1, 0] == NONE else _least_bad(blows)
    agent, hit, hit_s = blows[level]
    code, map_s = _map_conflict(path, lead, levels[level], known, vehicle)
    index = NONE if agent == NONE else int(real[int(agent)])
    return _PathStop(path, float(levels[level]), index, float(hit), float(hit_s), code, map_s)


def _least_bad(blows: F64) -> int:
    """The level whose blow is slowest, then latest, then the softest. Who drives into the standing
    car would do so a moment later, too: no reason to brake harder. blows: (L, 3)"""
    late = np.where(blows[:, 1] > 0.0, -blows[:, 2], 0.0)
    return int(np.lexsort((np.arange(len(blows)), late, blows[:, 1]))[0])


def _blows(path: F64, lead: F64, levels: F64, known: Known, boxes: F64, vehicle: Vehicle) -> F64:
    """(l <= L, 3) agent, speed and time of the worst blow for each braking up to the first free
    one."""
    moved, rows = _moved(path, known), _most_rows(lead, levels)
    blows = np.empty((len(levels), 3))
    level = softest_free(
        moved, arc_lengths(moved), plain(lead), levels, HORIZON_S, body_of(vehicle), plain(boxes),
        np.empty((rows, 5)), np.empty(rows), blows,
    )  # fmt: skip
    return blows if level == NONE else blows[: level + 1]


def _ghosts(stop: _PathStop, lead: F64, known: Known, vehicle: Vehicle) -> list[str]:
    """What is said of agents that are in the way and too uncertain to be braked for."""
    unsure = np.flatnonzero(~known.seen.confirmed)
    boxes = known.seen.boxes[unsure]
    blow = _blows(stop.path, lead, np.array([stop.braking]), known, boxes, vehicle)[0]
    if blow[0] == NONE:
        return []
    return [f"agent {unsure[int(blow[0])]}, seen once and not sure, is in its way"]


def _map_conflict(
    path: F64, lead: F64, braking: float, known: Known, vehicle: Vehicle
) -> tuple[int, float]:
    """Code and time [s] of the first conflict with lines and ground of the stop that goes
    farthest."""
    begin = int(np.argmax(lead[:, 0] + lead[:, 1] ** 2 / (2.0 * braking)))
    moved, lead = _moved(path, known), plain(lead)
    parts = int(np.ceil((rows_of(lead, begin, braking, HORIZON_S) - 1) / FINE))
    rows = parts * FINE + 1
    fine = np.empty((rows, 5))
    lay_stop(moved, arc_lengths(moved), lead, begin, braking, rows, fine, np.empty(rows))
    code, seconds, _ = kernels.map_conflict(
        fine, PLAN_DT_S, body_of(vehicle), known.seen.scene, np.empty((rows, 4)),
        np.empty((parts + 1, 4)),
    )  # fmt: skip
    return int(code), float(seconds)


def _most_rows(lead: F64, levels: F64) -> int:
    """Rows of the longest stop."""
    longest = max(rows_of(plain(lead), b, float(levels[0]), HORIZON_S) for b in range(len(lead)))
    return int(longest)


def _moved(path: F64, known: Known) -> F64:
    """A path in the frame of what was seen, yaw unwrapped."""
    moved = to_outer(path, known.ego_pose)
    moved[:, 2] = np.unwrap(moved[:, 2])
    return plain(moved)
