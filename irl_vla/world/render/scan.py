"""Which quad each pixel sees, and how far it is. Symbols: see raster.py, which makes the rows.

May import: scoring.compiled, world.render.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from irl_vla.scoring.compiled import kernel
from irl_vla.world.render.quads import CROWN, CUT, FLAT, PANEL, POST


@kernel
def _solid(row: Any, box: Any, quad: Any, rays: Any, nearest: Any, found: Any) -> Any:
    a0, a1, a2 = row[0], row[1], row[2]
    b0, b1, b2, c0, c1, c2 = row[3], row[4], row[5], row[6], row[7], row[8]
    d0, d1, d2, e0, e1, e2 = row[9], row[10], row[11], row[12], row[13], row[14]
    for v in range(box[2], box[3]):
        xs, ys = rays[0, v, box[0] : box[1]], rays[1, v, box[0] : box[1]]
        near, who = nearest[v, box[0] : box[1]], found[v, box[0] : box[1]]
        for i in range(xs.shape[0]):
            x, y = xs[i], ys[i]
            w = a0 * x + a1 * y + a2
            first = min(b0 * x + b1 * y + b2, c0 * x + c1 * y + c2)
            second = min(d0 * x + d1 * y + d2, e0 * x + e1 * y + e2)
            hit = (min(first, second) >= np.float32(0.0)) & (w > near[i])
            near[i] = w if hit else near[i]
            who[i] = quad if hit else who[i]


@kernel
def _holed(row: Any, box: Any, quad: Any, rays: Any, nearest: Any, found: Any, atlas: Any) -> Any:
    """Discs, balls and textures with holes: a hit counts where there is something."""
    kind = box[4]
    for v in range(box[2], box[3]):
        for i in range(box[0], box[1]):
            x, y = rays[0, v, i], rays[1, v, i]
            w = row[0] * x + row[1] * y + row[2]
            if not w > nearest[v, i]:
                continue
            if row[3] * x + row[4] * y + row[5] < np.float32(0.0):
                continue
            if row[6] * x + row[7] * y + row[8] < np.float32(0.0):
                continue
            if row[9] * x + row[10] * y + row[11] < np.float32(0.0):
                continue
            if row[12] * x + row[13] * y + row[14] < np.float32(0.0):
                continue
            s = (row[15] * x + row[16] * y + row[17]) / w
            t = (row[18] * x + row[19] * y + row[20]) / w
            if kind in (CUT, CROWN):
                across = min(63, max(0, int(s * np.float32(64.0))))
                down = min(63, max(0, int((np.float32(1.0) - t) * np.float32(64.0))))
                if atlas[box[5], down, across] >> np.uint32(24) < 128:
                    continue
            else:
                s, t = np.float32(2.0) * s - np.float32(1.0), np.float32(2.0) * t - np.float32(1.0)
                if s * s + t * t > np.float32(1.0):
                    continue
            nearest[v, i] = w
            found[v, i] = quad


@kernel
def scan(
    floats: Any, ints: Any, count: Any, rays: Any, atlas: Any, nearest: Any, found: Any
) -> Any:
    """Fills nearest (H, W) inverse depth and found (H, W) quad wherever one of the `count` placed
    quads is nearer than what was there. atlas: (tiles, 64, 64) RGBA, its finest level."""
    for q in range(count):
        kind = ints[q, 4]
        if kind in (FLAT, PANEL, POST):
            _solid(floats[q], ints[q], np.int32(q), rays, nearest, found)
        else:
            _holed(floats[q], ints[q], np.int32(q), rays, nearest, found, atlas)
