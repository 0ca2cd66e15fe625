"""Curves that a car can drive: straight pieces joined by bends whose curvature swells and ebbs.

A bend turns by `turn` [rad] within `length` [m]; its curvature rises over the first quarter, stays,
and falls over the last quarter. Seen from outside it rounds a corner: both its ends lie `reach`
[m] from the point where the straight lines would meet.
May import: frames, types.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from irl_vla.frames import wrap_angle
from irl_vla.types import F64

RAMP = 0.25  # share of a bend over which its curvature rises, and falls again
_NO_STEP_M = 0.03  # between points that are one
LEAD_M = 5.0  # usual straight pieces at the ends of a sideways shift
SHIFT_M = 18.0  # that the shift itself takes at least
_SLANT = 6.5  # metres that a shift takes at least per metre sideways
_LEAD_SHARE = 0.2  # of a shift's points, for either straight piece
_NODES = 65  # samples of the integral that relates length and reach
_SLIGHT_TURN, _CLEAR_TURN = 0.05, 0.45  # [rad] less is a sideways shift; more is always a bend
_SLIGHT = 1e-4  # [rad] a turn below it is none


def swell(u: F64) -> F64:
    """Share of a bend's turn that is done after a share u of its length; 0 before, 1 after."""
    u = np.clip(u, 0.0, 1.0)
    rest = 1.0 - u
    middle = u - 0.5 * RAMP
    begin, end = 0.5 * u * u / RAMP, 0.5 * rest * rest / RAMP
    done = np.where(u < RAMP, begin, np.where(rest < RAMP, 1.0 - RAMP - end, middle))
    return np.asarray(done / (1.0 - RAMP))


def smooth(u: F64) -> F64:
    """From 0 to 1 with no slope and no curvature at either end: 10 u^3 - 15 u^4 + 6 u^5."""
    u = np.clip(u, 0.0, 1.0)
    return np.asarray(u * u * u * (10.0 + u * (6.0 * u - 15.0)))


def steepness(u: F64) -> F64:
    """Slope of `smooth`: 30 u^2 (1 - u)^2."""
    u = np.clip(u, 0.0, 1.0)
    return np.asarray(30.0 * (u * (1.0 - u)) ** 2)


_SHARES = swell(np.linspace(0.0, 1.0, _NODES))
_SIMPSON = np.where(np.arange(_NODES) % 2 == 1, 4.0, 2.0)
_SIMPSON[[0, -1]] = 1.0
_SIMPSON /= 3.0 * (_NODES - 1)


def reach_of(turn: F64) -> F64:
    """(k,) reach of bends of length 1."""
    turn = np.maximum(np.abs(turn), _SLIGHT)
    sideways = np.sin(turn[:, None] * _SHARES) @ _SIMPSON
    return np.asarray(sideways / np.sin(turn))


def tightest_radius(turn: F64, reach: F64) -> F64:
    """(k,) radius [m] at the sharpest place of bends."""
    length = reach / reach_of(turn)
    return np.asarray(length * (1.0 - RAMP) / np.maximum(np.abs(turn), _SLIGHT))


def reach_for(turn: F64, radius: F64) -> F64:
    """(k,) reach [m] of bends with that radius at their sharpest place."""
    return np.asarray(radius * np.abs(turn) / (1.0 - RAMP) * reach_of(turn))


def follow(start: F64, end: F64, heading: F64, stations: F64) -> F64:
    """Poses along curves of known heading.

    start, end: (k, 2); heading: (k, 2 n - 1) at n places and midway between them; stations: (k, n)
    metres along -> (k, n, 3). What numerical integration misses `end` by is spread over the curve.
    """
    way = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    step = np.diff(stations, axis=1)[..., None] / 6.0
    moves = step * (way[:, :-2:2] + 4.0 * way[:, 1::2] + way[:, 2::2])
    poses = np.empty((*stations.shape, 3))
    poses[:, 0, :2] = 0.0
    np.cumsum(moves, axis=1, out=poses[:, 1:, :2])
    missed = end - start - poses[:, -1, :2]
    share = (stations - stations[:, :1]) / (stations[:, -1:] - stations[:, :1])
    poses[..., :2] += start[:, None] + share[..., None] * missed[:, None]
    poses[:, 0, :2], poses[:, -1, :2] = start, end
    poses[..., 2] = heading[:, ::2]
    return poses


def polyline(corners: F64, reach: F64, straight_m: float, bend_m: float) -> tuple[F64, F64]:
    """A line through corners, each rounded. corners: (c, 2), first and last are the ends; reach:
    (c - 2,) of the inner ones -> (n, 3) poses at most straight_m, on bends bend_m, apart, and the
    (n,) metres along them."""
    legs = np.diff(corners, axis=0)
    headings = np.unwrap(np.arctan2(legs[:, 1], legs[:, 0]))
    turn = np.diff(headings)
    length = reach / reach_of(turn)
    run = np.hypot(legs[:, 0], legs[:, 1])
    run[:-1] -= reach
    run[1:] -= reach
    begins = np.cumsum(run[:-1]) + np.cumsum(np.concatenate([[0.0], length]))[:-1]
    edges = np.concatenate([[0.0], np.stack([begins, begins + length], axis=1).ravel()])
    edges = np.append(edges, edges[-1] + run[-1])
    steps = [
        max(1, int(np.ceil(b - a) / (bend_m if i % 2 else straight_m) + 1))
        for i, (a, b) in enumerate(pairwise(edges))
    ]
    parts = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip(edges[:-1], edges[1:], steps, strict=True)
    ]
    along = np.append(np.concatenate(parts), edges[-1])
    along = along[np.append(np.diff(along) > _NO_STEP_M, True)]  # where two bends touch
    every = np.empty(2 * len(along) - 1)
    every[::2], every[1::2] = along, 0.5 * (along[1:] + along[:-1])
    heading = headings[0] + (
        turn[:, None] * swell((every - begins[:, None]) / length[:, None])
    ).sum(axis=0)
    return follow(corners[:1], corners[-1:], heading[None], along[None])[0], along


def turned(start: F64, end: F64) -> F64:
    """(k,) turn from poses to poses (k, 3), within [-pi, pi)."""
    return wrap_angle(end[:, 2] - start[:, 2])


def meeting(start: F64, end: F64) -> tuple[F64, F64]:
    """(k,) how far ahead of start, and how far behind end, the lines of poses (k, 3) meet."""
    gap = end[:, :2] - start[:, :2]
    sine = np.sin(end[:, 2] - start[:, 2])
    before = gap[:, 0] * np.sin(end[:, 2]) - gap[:, 1] * np.cos(end[:, 2])
    after = gap[:, 1] * np.cos(start[:, 2]) - gap[:, 0] * np.sin(start[:, 2])
    return np.asarray(before / sine), np.asarray(after / sine)


def rounds(start: F64, end: F64) -> NDArray[np.bool_]:
    """(k,) whether one bend leads from start to end (k, 3); else it takes a sideways shift."""
    turn = np.abs(turned(start, end))
    safe = np.where((turn > _SLIGHT_TURN)[:, None], end, start + np.array([0.0, 0.0, 1.0]))
    before, after = meeting(start, safe)
    even = np.minimum(before, after) > 0.25 * np.maximum(before, after)
    return np.asarray((turn > _SLIGHT_TURN) & ((turn > _CLEAR_TURN) | even))


def roundings(start: F64, end: F64, reach: F64, count: int) -> F64:
    """Curves that leave one pose and arrive at another by a straight piece, one bend, a straight
    piece. start, end: (k, 3) whose lines meet ahead of start and behind end; reach: (k,), cut to
    what there is -> (k, count, 3)."""
    turn = turned(start, end)
    before, after = meeting(start, end)
    reach = np.minimum(reach, np.minimum(before, after))
    length = reach / reach_of(turn)
    first = before - reach
    whole = first + length + after - reach
    shares = np.linspace(0.0, 1.0, 2 * count - 1)
    every = shares * whole[:, None]
    heading = start[:, 2:] + turn[:, None] * swell((every - first[:, None]) / length[:, None])
    return follow(start[:, :2], end[:, :2], heading, every[:, ::2])


def shifts(start: F64, end: F64, leads: F64, count: int) -> F64:
    """Curves between poses that face nearly the same way: a straight piece, a quintic without
    curvature at its ends, a straight piece. start, end: (k, 3); leads: (k, 2) metres of the
    straight pieces, less where the shift needs the room -> (k, count, 3)."""
    way, out = (np.stack([np.cos(p[:, 2]), np.sin(p[:, 2])], axis=1) for p in (start, end))
    straight = np.hypot(*(end[:, :2] - start[:, :2]).T)
    mean = 0.5 * (way + out)
    gap = end[:, :2] - start[:, :2]
    sideways = np.abs(mean[:, 0] * gap[:, 1] - mean[:, 1] * gap[:, 0])
    room = np.maximum(straight - np.maximum(SHIFT_M, _SLANT * sideways), 0.04 * straight)
    leads = leads * np.minimum(1.0, room / leads.sum(axis=1))[:, None]
    first, last = start[:, :2] + leads[:, :1] * way, end[:, :2] - leads[:, 1:] * out
    lead = int(_LEAD_SHARE * count)
    d = last - first
    size = np.hypot(d[:, 0], d[:, 1])[:, None]
    v0, v1 = size * way, size * out
    a3, a4, a5 = 10 * d - 6 * v0 - 4 * v1, -15 * d + 8 * v0 + 7 * v1, 6 * d - 3 * v0 - 3 * v1
    u = np.linspace(0.0, 1.0, count - 2 * lead)[:, None]
    begin, v0, a3, a4, a5 = (a[:, None] for a in (first, v0, a3, a4, a5))
    poses = np.empty((len(start), count, 3))
    share = np.linspace(0.0, 1.0, lead, endpoint=False)[:, None]
    poses[:, :lead, :2] = start[:, None, :2] + share * (first - start[:, :2])[:, None]
    poses[:, lead:-lead, :2] = begin + u * (v0 + u * u * (a3 + u * (a4 + u * a5)))
    poses[:, -lead:, :2] = last[:, None] + (share + 1.0 / lead) * (end[:, :2] - last)[:, None]
    slope = v0 + u * u * (3 * a3 + u * (4 * a4 + u * 5 * a5))
    extra = np.arctan2(slope[..., 1], slope[..., 0]) - start[:, 2:]
    poses[..., 2] = start[:, 2:]
    poses[:, lead:-lead, 2] += wrap_angle(extra)
    poses[:, -lead:, 2] = poses[:, -lead - 1 : -lead, 2]
    poses[:, -1, :2] = end[:, :2]
    return poses


def beside(poses: F64, offset: F64 | float) -> F64:
    """(..., n, 2) points `offset` [m] to the left of poses (..., n, 3)."""
    points = np.empty((*poses.shape[:-1], 2))
    heading = poses[..., 2]
    points[..., 0] = poses[..., 0] - offset * np.sin(heading)
    points[..., 1] = poses[..., 1] + offset * np.cos(heading)
    return points


def ribbon(poses: F64, left: F64 | float, right: F64 | float) -> F64:
    """(2 n, 2) ring between two offsets of poses (n, 3); left > right."""
    count = len(poses)
    ring = np.empty((2 * count, 2))
    sine, cosine = np.sin(poses[:, 2]), np.cos(poses[:, 2])
    ring[:count, 0] = poses[:, 0] - right * sine
    ring[:count, 1] = poses[:, 1] + right * cosine
    ring[count:, 0] = (poses[:, 0] - left * sine)[::-1]
    ring[count:, 1] = (poses[:, 1] + left * cosine)[::-1]
    return ring
