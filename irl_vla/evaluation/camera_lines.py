"""Ways on the ground as lines in camera pixels, through the whole lens model.

In: (n, 2) points in the ego frame, Camera   Out: pieces of (m, 2) pixels
"""

from __future__ import annotations

import numpy as np

from irl_vla.camera.projection import project
from irl_vla.camera.rig import Camera
from irl_vla.frames import arc_lengths, evenly_along, inverse, move
from irl_vla.types import F64

PIECE_M = 0.5  # between points


def ground_line(camera: Camera, way: F64) -> list[F64]:
    """The stretches of a way from the ego onwards that the camera sees; way: (n, 2 or 3), of which
    x and y count."""
    points = np.vstack([np.zeros(2), way[:, :2]])
    count = max(2, min(200, int(arc_lengths(points)[-1] / PIECE_M) + 2))
    dense = np.column_stack([evenly_along(points, count), np.zeros(count)])
    pixels = project(camera, move(dense, inverse(camera.ego_from_cam))).pixels
    with np.errstate(invalid="ignore"):
        seen = ((pixels >= 0) & (pixels <= [camera.width, camera.height])).all(1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8)))
    return [pixels[a:b] for a, b in edges.reshape(-1, 2) if b - a > 1]
