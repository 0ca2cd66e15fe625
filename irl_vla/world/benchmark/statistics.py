"""How a world moves, as samples: to lay the built-in world beside recorded ones.

    ours, theirs = statistics_of(built_in_episodes), statistics_of(recorded_episodes)
    shares = histogram(ours.speed, SPEED_EDGES);  distances(ours, theirs)
Vehicles are the ego and every vehicle within 50 m of it, looked at once a second, so that one
recording of 20 s gives some hundred samples whoever made it.
May import: types, frames, scoring.scene, world.episode.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from scipy.stats import wasserstein_distance

from irl_vla.frames import wrap_angle
from irl_vla.scoring.scene import (
    BICYCLE,
    HEADING,
    PEDESTRIAN,
    SIM_DT_S,
    VEHICLE,
    VX,
    VY,
    Mask,
    X,
    Y,
)
from irl_vla.types import F64
from irl_vla.world.episode import Episode

NEAR = 50.0  # [m] from the ego; farther, recordings see less and less
SECOND = 10  # steps
MOVING = 0.5  # [m/s] slower is standing
LONG_ENOUGH = 2.0  # [m] within a second; shorter ways say nothing about curvature
LEADER_REACH, CORRIDOR = 60.0, 1.5  # [m] gap, and to either side, where a leader is sought
ALIGNED = np.deg2rad(45.0)  # a leader heads the same way
SPEED_EDGES = np.arange(0.0, 21.0, 1.0)  # [m/s]
ACCELERATION_EDGES = np.arange(-5.0, 5.1, 0.5)  # [m/s²]
CURVATURE_EDGES = np.arange(-0.2, 0.201, 0.02)  # [1/m]
GAP_EDGES = np.arange(0.0, 61.0, 5.0)  # [m]
AGENT_EDGES = np.arange(0.0, 61.0, 5.0)


@dataclass(frozen=True)
class Statistics:
    """Samples, each (n,).

    speed [m/s], acceleration [m/s²] over a second, curvature [1/m, left positive]: of moving
    vehicles, the ego among them; gap [m]: bumper to bumper to the leader, where there is one
    standing: 1 or 0 of each vehicle; vehicles, pedestrians, bicycles: others near the ego
    """

    speed: F64
    acceleration: F64
    curvature: F64
    gap: F64
    standing: F64
    vehicles: F64
    pedestrians: F64
    bicycles: F64


def statistics_of(episodes: Iterable[Episode]) -> Statistics:
    """The samples of all episodes, one instant a second; empty arrays where nothing was seen."""
    found: dict[str, list[F64]] = {item.name: [np.zeros(0)] for item in fields(Statistics)}
    for episode in episodes:
        for step in range(0, len(episode) - SECOND, SECOND):
            for name, values in _instant(episode, step).items():
                found[name].append(values)
    return Statistics(**{name: np.concatenate(values) for name, values in found.items()})


def histogram(samples: F64, edges: F64) -> F64:
    """(len(edges) - 1,) shares that sum to 1; what lies beyond the ends counts as at them."""
    counts, _ = np.histogram(np.clip(samples, edges[0], edges[-1]), edges)
    return counts / max(len(samples), 1)


def distances(a: Statistics, b: Statistics) -> dict[str, float]:
    """How far apart two worlds are in each quantity, in its own unit: Wasserstein distance, NaN
    where one of them has no sample."""
    result = {}
    for item in fields(Statistics):
        one, other = getattr(a, item.name), getattr(b, item.name)
        both = len(one) > 0 and len(other) > 0
        result[item.name] = float(wasserstein_distance(one, other)) if both else float("nan")
    return result


def _instant(episode: Episode, step: int) -> dict[str, F64]:
    """What one instant contributes. Row 0 is the ego, the others follow."""
    states, present = _everybody(episode, step)
    after, present_after = _everybody(episode, step + SECOND)
    kinds = np.concatenate([[VEHICLE], episode.actors.types])
    lengths = np.concatenate([[episode.vehicle.length], episode.actors.sizes[:, 0]])
    near = present & (np.hypot(*(states[:, :2] - states[0, :2]).T) <= NEAR)
    vehicle = near & (kinds == VEHICLE)
    speed, speed_after = np.hypot(*states[:, 3:].T), np.hypot(*after[:, 3:].T)
    moving = vehicle & (speed > MOVING)
    kept = moving & present_after
    way = np.hypot(*(after[:, :2] - states[:, :2]).T)
    bends = kept & (way > LONG_ENOUGH)
    others = np.arange(len(kinds)) > 0
    return {
        "speed": speed[moving],
        "acceleration": (speed_after - speed)[kept] / (SECOND * SIM_DT_S),
        "curvature": wrap_angle(after[bends, 2] - states[bends, 2]) / way[bends],
        "gap": _gaps(states[vehicle], lengths[vehicle], moving[vehicle]),
        "standing": np.asarray(speed[vehicle] <= MOVING, np.float64),
        "vehicles": np.array([np.sum(vehicle & others)], np.float64),
        "pedestrians": np.array([np.sum(near & (kinds == PEDESTRIAN))], np.float64),
        "bicycles": np.array([np.sum(near & (kinds == BICYCLE))], np.float64),
    }


def _everybody(episode: Episode, step: int) -> tuple[F64, Mask]:
    """(1 + A, 5) states of the middle of the box, the ego first, 0 where absent; (1 + A,)."""
    ego = episode.ego[step]
    cos, sin = np.cos(ego[HEADING]), np.sin(ego[HEADING])
    ahead = episode.vehicle.centre
    first = [
        ego[X] + ahead * cos, ego[Y] + ahead * sin, ego[HEADING],
        cos * ego[VX] - sin * ego[VY], sin * ego[VX] + cos * ego[VY],
    ]  # fmt: skip
    present = np.concatenate([[True], episode.present[step]])
    return np.where(present[:, None], np.vstack([first, episode.states[step]]), 0.0), present


def _gaps(states: F64, lengths: F64, moving: Mask) -> F64:
    """Bumper to bumper [m] of each moving vehicle to the nearest one straight ahead that heads the
    same way; vehicles with nobody there give nothing."""
    away = states[None, :, :2] - states[:, None, :2]
    cos, sin = np.cos(states[:, 2])[:, None], np.sin(states[:, 2])[:, None]
    ahead = cos * away[..., 0] + sin * away[..., 1]
    aside = cos * away[..., 1] - sin * away[..., 0]
    turn = np.abs(wrap_angle(states[None, :, 2] - states[:, None, 2]))
    leads = (ahead > 0.0) & (np.abs(aside) <= CORRIDOR) & (turn <= ALIGNED)
    gap = np.where(leads, ahead - (lengths[None] + lengths[:, None]) / 2.0, np.inf)
    nearest = gap.min(axis=1, initial=np.inf)[moving]
    return np.asarray(np.maximum(nearest[nearest <= LEADER_REACH], 0.0), np.float64)
