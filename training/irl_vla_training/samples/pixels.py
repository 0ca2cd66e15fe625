"""What is known of every pixel, at half of the pictures' size, and as bytes.

May import: irl_vla, samples.sample.
"""

from __future__ import annotations

import numpy as np

from irl_vla.types import F32, U8
from irl_vla.world.render.renderer import PixelTruth
from irl_vla_training.samples.sample import I32, PictureTruth

HALF = 2  # pixels of a picture per pixel of truth, each way
NEAREST_M, FARTHEST_M = 0.5, 300.0  # [m] depths that bytes tell apart; nearer and farther are cut
NO_DEPTH, SKY_DEPTH, STEPS = 0, 255, 253  # codes, and steps of ln(depth) between 1 and 254


def picture_truth(found: PixelTruth) -> PictureTruth:
    """Every second pixel; a lamp is kept if any of the four shows it, because it is small."""
    rows, columns = (side // HALF * HALF for side in found.semantic.shape)
    lamp = found.lamp[:rows, :columns].reshape(rows // HALF, HALF, columns // HALF, HALF)
    depth = found.depth[:rows:HALF, :columns:HALF]
    kind = found.semantic[:rows:HALF, :columns:HALF]
    return PictureTruth(kind.copy(), lamp.max(axis=(1, 3)), depth.astype(np.float32))


def pixels_of(found: PixelTruth, count: int) -> I32:
    """(count,) pixels of each road user in a picture."""
    shows = found.instance[found.instance >= 0]
    return np.bincount(shows, minlength=count)[:count].astype(np.int32)


def depth_as_bytes(depth: F32) -> U8:
    """Depth [m] -> its logarithm in 254 steps of 2.6 %, SKY_DEPTH for inf, NO_DEPTH for NaN."""
    known = np.isfinite(depth)
    share = np.log(np.clip(np.where(known, depth, 1.0), NEAREST_M, FARTHEST_M) / NEAREST_M)
    code = 1.0 + np.round(share / np.log(FARTHEST_M / NEAREST_M) * STEPS)
    code = np.where(np.isinf(depth), SKY_DEPTH, np.where(known, code, NO_DEPTH))
    return code.astype(np.uint8)


def depth_from_bytes(code: U8) -> F32:
    """Undoes depth_as_bytes, to within half a step."""
    return _DEPTHS[code]


def _depths() -> F32:
    table = NEAREST_M * (FARTHEST_M / NEAREST_M) ** ((np.arange(256) - 1.0) / STEPS)
    table[NO_DEPTH], table[SKY_DEPTH] = np.nan, np.inf
    return table.astype(np.float32)


_DEPTHS = _depths()
