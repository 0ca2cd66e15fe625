"""What PDM-Closed believes about the others: where they are now, and where they will be.

Forecast: every box slides on at its present speed along its own axis and never turns. All sizes in
[m], speeds in [m/s], global frame. Source: docs/epdms.md, "PDM-Closed".
May import: frames, scoring.footprint, types, scoring.arena, scoring.compiled, scoring.geometry,
scoring.scene.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from irl_vla.frames import principal_angle
from irl_vla.scoring.arena import touching_at_start
from irl_vla.scoring.compiled import kernel, plain
from irl_vla.scoring.footprint import middle
from irl_vla.scoring.geometry import box_corners, in_ring
from irl_vla.scoring.scene import (
    BICYCLE,
    HEADING,
    I64,
    PEDESTRIAN,
    SIM_DT_S,
    STEPS,
    VEHICLE,
    Mask,
    Polygons,
    Tracks,
)
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle

RADIUS = 100.0  # [m] between the boxes' centres
NEAREST = {VEHICLE: 50, PEDESTRIAN: 25, BICYCLE: 10}  # at most so many of a kind
NEAREST_STATIC = 50
REFRESH = 2  # steps: the forecast moves only every 0.2 s
REFRESH_S = REFRESH * SIM_DT_S
PLAN_STEPS = 51  # 5 s: what is planned, and so what is forecast
MOMENTS = (PLAN_STEPS - 1) // REFRESH + 1  # forecasts 0, 0.2, .. 5.0 s


class Obstacles(NamedTuple):
    """What can be ahead: n rings at t0, static objects first, then vehicles, pedestrians, bicycles,
    each nearest first, then red stretches.

    vertices (V, 2), offsets (n + 1,); centroids (n, 2); radii (n,) of a circle around the centroid;
    drift (n, 2) velocity of the forecast; speeds, headings (n,) of the box as seen;
    red (n,); ignored (n,) never a leader
    """

    vertices: F64
    offsets: I64
    centroids: F64
    radii: F64
    drift: F64
    speeds: F64
    headings: F64
    red: Mask
    ignored: Mask


def seen_now(tracks: Tracks, centre: F64) -> Tracks:
    """The tracks of step 0 that PDM-Closed minds, (n, 1, 5) states, in the order of Obstacles.
    centre: (2,) of the ego's box."""
    away = np.hypot(*(tracks.states[:, 0, :2] - centre).T)
    within = np.flatnonzero(tracks.present[:, 0] & (away <= RADIUS))
    nearest = within[np.argsort(away[within], kind="stable")]
    types = tracks.types[nearest]
    chosen = np.concatenate(
        [nearest[types > BICYCLE][:NEAREST_STATIC]]
        + [nearest[types == kind][:most] for kind, most in NEAREST.items()]
    )
    return Tracks(
        tuple(tracks.ids[i] for i in chosen), tracks.types[chosen], tracks.sizes[chosen],
        tracks.states[chosen, :1], np.ones((len(chosen), 1), np.bool_),
    )  # fmt: skip


def drift_of(seen: Tracks) -> F64:
    """(n, 2) velocity of the forecast. Quirk: the speed is laid along the box's axis (backwards
    where it moves backwards), whatever the velocity's own direction; static objects stand."""
    heading, velocity = seen.states[:, 0, 2], seen.states[:, 0, 3:5]
    off_axis = principal_angle(heading - np.arctan2(velocity[:, 1], velocity[:, 0]))
    backwards = np.abs(off_axis) >= np.pi / 2
    heading = np.where(backwards, heading + np.pi, heading)
    speed = np.where(seen.types > BICYCLE, 0.0, np.hypot(*velocity.T))
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1) * speed[:, None]


def forecast(seen: Tracks, drift: F64) -> Tracks:
    """Tracks (n, 41, 5) as the proposals are scored against: boxes slide every REFRESH steps."""
    passed = np.arange(STEPS) // REFRESH * REFRESH_S
    states = np.repeat(seen.states, STEPS, axis=1)
    states[:, :, :2] += passed[:, None] * drift[:, None]
    return replace(seen, states=states, present=np.ones(states.shape[:2], np.bool_))


@kernel
def _corners_of(states: F64, sizes: F64, out: F64) -> None:
    """Corners of n boxes (n, 5), (n, 2) -> out (n, 4, 2)."""
    for i in range(len(states)):
        box_corners(
            states[i, 0], states[i, 1], np.cos(states[i, 2]), np.sin(states[i, 2]),
            sizes[i, 0] / 2.0, sizes[i, 1] / 2.0, out[i],
        )  # fmt: skip


def centroid_of(ring: F64) -> F64:
    """(2,) centroid of the area of a ring (m, 2)."""
    base = ring - ring[0]
    ahead = np.roll(base, -1, axis=0)
    area = base[:, 0] * ahead[:, 1] - ahead[:, 0] * base[:, 1]
    return np.asarray(ring[0] + (area[:, None] * (base + ahead)).sum(axis=0) / (3.0 * area.sum()))


def encloses(ring: F64, corners: F64) -> bool:
    """Whether the ring (m, 2) contains a whole box (4, 2)."""
    ring = plain(ring)
    return all(in_ring(ring, 0, len(ring), float(x), float(y)) >= 0 for x, y in corners)


def obstacles_of(seen: Tracks, drift: F64, red: Polygons, initial: F64, body: Vehicle) -> Obstacles:
    """Boxes and red stretches as the kernels want them.

    Quirk: what touches the ego at the start never leads; a red stretch does unless it contains the
    whole ego.
    """
    corners = np.empty((len(seen), 4, 2))
    _corners_of(plain(seen.states[:, 0]), plain(seen.sizes), corners)
    rings = [red.ring(i) for i in range(len(red))]
    ego = np.empty((1, 4, 2))
    centre = middle(initial, body)
    _corners_of(
        np.array([[*centre, initial[HEADING], 0.0, 0.0]]),
        np.array([[body.length, body.width]]),
        ego,
    )
    centroids = np.concatenate([seen.states[:, 0, :2], *(centroid_of(r)[None] for r in rings)])
    reach = [np.hypot(*(r - c).T).max() for r, c in zip(rings, centroids[len(seen) :], strict=True)]
    still = np.zeros(len(rings))
    alive = seen.types <= BICYCLE
    return Obstacles(
        plain(np.concatenate([corners.reshape(-1, 2), red.vertices])),
        np.concatenate([np.arange(len(seen)) * 4, red.offsets + 4 * len(seen)]).astype(np.int64),
        plain(centroids),
        np.concatenate([np.hypot(*seen.sizes.T) / 2.0, reach]),
        plain(np.concatenate([drift, np.zeros((len(rings), 2))])),
        np.concatenate([np.where(alive, np.hypot(*seen.states[:, 0, 3:5].T), 0.0), still]),
        np.concatenate([seen.states[:, 0, 2], still]),
        np.concatenate([np.zeros(len(seen)), np.ones(len(rings))]) > 0.0,
        np.concatenate(
            [touching_at_start(seen, initial, body), [encloses(r, ego[0]) for r in rings]]
        ).astype(np.bool_),
    )  # fmt: skip
