"""A scene as a picture: what the cameras saw, what was made of it, and beside it the truth.

In: Batch of one, SceneTokens   Out: RGB   May import: irl_vla (view too), irl_vla_training.samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from irl_vla.camera.projection import BevGrid
from irl_vla.perception.preset import SEG_CLASSES
from irl_vla.types import U8, SceneTokens
from irl_vla.view import drawing
from irl_vla.view.frame import Overlay, paint_bev
from irl_vla.view.mosaic import contact_sheet
from irl_vla_training.samples.batch import Batch

HEIGHT = 420  # [px] of a bird's eye
SHOWN = 3  # pictures beside one another


def painted_scene(batch: Batch, tokens: SceneTokens, grid: BevGrid, title: str) -> U8:
    """Cameras above, detected and true ground below."""
    there = batch.views.present[0, : batch.views.images.shape[1]]
    images = batch.views.images[0][there].permute(0, 2, 3, 1).numpy()
    cameras = contact_sheet([np.ascontiguousarray(image) for image in images], SHOWN)
    pair = []
    for name, one in (("detected", tokens), ("truth", true_tokens(batch))):
        above = paint_bev(Overlay(tokens=one, area=grid), HEIGHT)
        drawing.chip(above, name, 6, 6)
        pair.append(above)
    below = contact_sheet(pair, 2)
    sheet = contact_sheet([cameras, below])
    drawing.chip(sheet, title, 6, 6)
    return sheet


def true_tokens(batch: Batch) -> SceneTokens:
    """The truth of a batch of one, as perception would have said it."""
    seg = np.eye(len(SEG_CLASSES), dtype=np.float16)[batch.seg[0].numpy()].transpose(2, 0, 1)
    boxes = batch.boxes[0].numpy()
    score = np.ones((len(boxes), 1), np.float32)
    return replace(
        SceneTokens.blind(0, 0), seg=seg, closed=batch.closed[:1].numpy().astype(np.float16),
        boxes=np.hstack([boxes, score]).astype(np.float16),
        agent_class=batch.box_kind[0].numpy(), agent_valid=batch.box_valid[0].numpy(),
        polylines=batch.lines[0].numpy().astype(np.float16),
        map_class=batch.line_kind[0].numpy(), map_valid=batch.line_valid[0].numpy(),
    )  # fmt: skip
