"""The normalised action space in which the planner diffuses: noise in it is a smooth plan.

    d_i [m] distance driven in step i        u_i [rad] turn in step i, at 4 m/s and above
    turn_i = u_i d_i / max(|d_i|, D0)         every step is a circular arc of length d_i
    yaw_i = sum turn       xy_i = sum chord_j (cos, sin)(yaw_{j-1} + turn_j / 2)
    chord_j = d_j sinc(turn_j / 2)            a = S^-1 B (d, u), B the orthonormal DCT-II over time

Why this one. White noise on positions makes a car jump sideways; on speeds and turns it makes it
shake. Here coefficient k of the cosine basis has a unit S_k that falls with k, so that unit noise
has little of the fast ripples and the truncated noise level stays within comfort bounds. Wheels
roll: no plan slips sideways, and one that stands (d = 0) cannot spin, whatever its noise, which
would not hold for yaw rates. Above D0 / 0.5 s = 4 m/s, u is the turn itself: equal noise means
equal yaw rate, not equal curvature, whose lateral acceleration would grow with v^2.
The basis and the scales are our own choice; DiffusionDrive diffuses positions.
Legend of shapes: T = 8 steps, 2 channels (d, u), 3 numbers of a pose.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from irl_vla.types import F32, F64, HORIZON_POSES, PLAN_DT_S

TURN_FLOOR_M = 4.0 * PLAN_DT_S  # [m] D0: shorter steps turn in proportion to their length
MEAN_SPEED = 7.5  # [m/s] of the action 0: town driving
UNIT_SPEED = 7.5  # [m/s] steady difference of one unit: 0..15 m/s is -1..1
UNIT_TURN = 0.25  # [rad] per step, steady, of one unit: 0.5 rad/s, half the comfort bound 0.95
ROUGHNESS_POWERS = (2.0, 1.0)  # S_k falls with (1 + k)^-p: speed (as white jerk does), turn
READABLE_M = 0.05  # [m] of a shorter step (0.1 m/s) no turn is read
STANDS_M = 1e-12  # [m] keeps the derivative of a chord of length 0 finite
SLOW_TURN = 0.5 * TURN_FLOOR_M  # [rad] u of a curve of 2 m radius, tighter than any car turns
_SMALL = 1e-3  # [rad] below it sin(h) / h is 1 - h^2 / 6 to 1e-13


def cosine_basis() -> F64:
    """(T, T) orthonormal DCT-II: row k is the wave with k half periods over the horizon."""
    k, i = np.meshgrid(np.arange(HORIZON_POSES), np.arange(HORIZON_POSES), indexing="ij")
    waves = np.cos(np.pi * (i + 0.5) * k / HORIZON_POSES) * np.sqrt(2.0 / HORIZON_POSES)
    waves[0] /= np.sqrt(2.0)
    return np.asarray(waves)


def units() -> F64:
    """(T, 2) what one unit of each coefficient is worth: metres and radians times sqrt(T)."""
    falling = (1.0 + np.arange(HORIZON_POSES)[:, None]) ** -np.array(ROUGHNESS_POWERS)
    return np.asarray(falling * math.sqrt(HORIZON_POSES) * [UNIT_SPEED * PLAN_DT_S, UNIT_TURN])


def action_to_trajectory(action: Tensor) -> Tensor:
    """(..., T, 2) normalised actions -> (..., T, 3) poses in the ego frame; yaw is not wrapped."""
    decode = _constant(cosine_basis().T, action)
    steps = decode @ (action * _constant(units(), action))
    distance = steps[..., 0] + MEAN_SPEED * PLAN_DT_S
    turn = steps[..., 1] * distance / distance.abs().clamp(min=TURN_FLOOR_M)
    return _drive(distance, turn)


def _drive(distance: Tensor, turn: Tensor) -> Tensor:
    """(..., T) arc lengths [m] and turns [rad] -> (..., T, 3) poses at their ends."""
    total = _constant(np.tril(np.ones((HORIZON_POSES, HORIZON_POSES))), distance).T
    yaw = turn @ total
    middle, half = yaw - turn / 2, turn / 2
    chord = distance * _sinc(half)
    return torch.stack([(chord * middle.cos()) @ total, (chord * middle.sin()) @ total, yaw], -1)


def trajectory_to_action(poses: Tensor) -> Tensor:
    """(..., T, 3) poses -> (..., T, 2) normalised actions.

    Undoes `action_to_trajectory` where every step is at least 5 cm long, turns by less than pi and
    has a radius of at least 2 m. What is shorter or tighter is the noise of a standing car's log:
    no turn is read from it, or a bounded one. Of a trajectory that slips sideways the headings
    and the distances are kept.
    """
    before = torch.cat([torch.zeros_like(poses[..., :1, :]), poses[..., :-1, :]], dim=-2)
    dx, dy, dyaw = (poses - before).unbind(-1)
    turn = torch.remainder(dyaw + math.pi, 2 * math.pi) - math.pi
    middle = before[..., 2] + turn / 2
    forward = dx * middle.cos() + dy * middle.sin()  # < 0 when reversing
    chord = torch.hypot(dx, torch.where(dx == 0.0, dy + STANDS_M, dy))  # its slope at 0 is finite
    distance = chord * forward.sign() / _sinc(turn / 2)
    long = distance.abs()
    slow = turn * TURN_FLOOR_M / long.clamp(min=READABLE_M)
    slow = torch.where(long < READABLE_M, 0.0, slow.clamp(-SLOW_TURN, SLOW_TURN))
    steady = torch.where(long < TURN_FLOOR_M, slow, turn) * forward.sign()
    steps = torch.stack([distance - MEAN_SPEED * PLAN_DT_S, steady], dim=-1)
    return (_constant(cosine_basis(), steps) @ steps) / _constant(units(), steps)


def actions_of(poses: F64) -> F32:
    """(..., T, 3) poses -> (..., T, 2) actions, NumPy in and out, computed in float64."""
    return np.asarray(trajectory_to_action(torch.from_numpy(poses)).numpy(), np.float32)


def poses_of(actions: F32) -> F64:
    """(..., T, 2) actions -> (..., T, 3) poses, NumPy in and out, computed in float64."""
    return np.asarray(action_to_trajectory(torch.from_numpy(actions.astype(np.float64))).numpy())


def _sinc(half: Tensor) -> Tensor:
    """sin(h) / h, also with its gradient at 0."""
    small = half.abs() < _SMALL
    safe = torch.where(small, 1.0, half)
    return torch.where(small, 1.0 - half**2 / 6.0, safe.sin() / safe)


def _constant(values: F64, like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)
