"""Anchors: K trajectories that cover driving, from K-means; the planner's starting points.

Grouped by where the car is (x, y of all poses in metres, as DiffusionDrive does), and represented
by the mean *action* of each group, so that an anchor is a drivable arc, not an average of poses.
Until driving data exist, `synthetic_driving` stands in: speeds, brakings, bends and lane changes of
town driving, drawn by rule. It is a prior of what is drivable, learnt from nobody.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.vq import kmeans2

from irl_vla.planner.actions import actions_of, poses_of
from irl_vla.types import F32, F64, HORIZON_POSES, PLAN_DT_S

SYNTHETIC_COUNT = 4096
MAX_SPEED = 17.0  # [m/s] 61 km/h
STANDING_SHARE = 0.05
LATERAL_BOUND = 2.5  # [m/s^2] half the comfort bound 4.89
TIGHTEST = 0.15  # [1/m] curvature of a turn with the wheel nearly at its stop
LANE_M = 3.5  # [m] between two lanes


def kmeans_anchors(trajectories: F64, count: int, seed: int) -> F32:
    """(n, 8, 3) trajectories -> (count, 8, 2) actions, sorted from right to left, then by distance.

    Deterministic. A group that K-means leaves empty takes the trajectory nearest to its centre.
    """
    if len(trajectories) < count:
        raise ValueError(
            f"anchors: expected at least {count} trajectories, got {len(trajectories)}"
        )
    places = trajectories[..., :2].reshape(len(trajectories), -1)
    centres, group = kmeans2(places, count, minit="++", seed=np.random.default_rng(seed))
    actions = actions_of(trajectories).astype(np.float64)
    anchors = np.zeros((count, HORIZON_POSES, 2))
    for index in range(count):
        members = np.flatnonzero(group == index)
        if not len(members):
            members = np.argmin(((places - centres[index]) ** 2).sum(axis=1), keepdims=True)
        anchors[index] = actions[members].mean(axis=0)
    final = poses_of(anchors.astype(np.float32))[:, -1]
    order = np.lexsort((final[:, 0].round(3), final[:, 2].round(1)))
    return np.asarray(anchors[order], np.float32)


def synthetic_driving(seed: int, count: int = SYNTHETIC_COUNT) -> F64:
    """(count, 8, 3) trajectories of steady acceleration on bends, with some lane changes."""
    rng = np.random.default_rng(seed)
    times = PLAN_DT_S * np.arange(HORIZON_POSES + 1)
    speed = rng.uniform(0.0, MAX_SPEED, (count, 1))
    speed[: int(STANDING_SHARE * count)] = 0.0
    change = rng.normal(0.0, 1.0, (count, 1)).clip(-3.0, 2.0) * (speed > 0.0)
    speeds = (speed + change * times).clip(0.0, MAX_SPEED)
    distance = (speeds[:, 1:] + speeds[:, :-1]) / 2 * PLAN_DT_S
    fastest = speeds.max(axis=1, keepdims=True)
    tightest = np.minimum(TIGHTEST, LATERAL_BOUND / np.maximum(fastest, 1.0) ** 2)
    bend = tightest * rng.uniform(-1.0, 1.0, (count, 1)) ** 3  # mostly gentle
    turn = bend * distance + _lane_change(rng, distance)
    return _arcs(distance, turn)


def _lane_change(rng: np.random.Generator, distance: F64) -> F64:
    """(n, T) turns of one lane to either side over the horizon, for one steady fast car in five.

    Offset y(s) = L (s / S - sin(2 pi s / S) / 2 pi) has the curvature 2 pi L / S^2 sin(2 pi s / S).
    """
    total = distance.sum(axis=1, keepdims=True)
    side = rng.choice([-1.0, 0.0, 1.0], (len(distance), 1), p=[0.1, 0.8, 0.1])
    share = (np.cumsum(distance, axis=1) - distance / 2) / np.maximum(total, 1e-9)
    bend = 2 * np.pi * LANE_M / np.maximum(total, 30.0) ** 2 * np.sin(2 * np.pi * share)
    steady = (total > 30.0) & (distance.min(axis=1, keepdims=True) > 0.8 * total / HORIZON_POSES)
    return np.asarray(side * steady * bend * distance)


def _arcs(distance: F64, turn: F64) -> F64:
    """(n, T) arc lengths and turns -> (n, T, 3) poses."""
    yaw = np.cumsum(turn, axis=1)
    middle = yaw - turn / 2
    chord = distance * np.sinc(turn / 2 / np.pi)
    x, y = (np.cumsum(chord * wave(middle), axis=1) for wave in (np.cos, np.sin))
    return np.stack([x, y, yaw], axis=-1)
