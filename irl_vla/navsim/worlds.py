"""Traffic that answers, and the reference that progress is measured against."""

from __future__ import annotations

import numpy as np

from irl_vla.navsim.detections import detections_of
from irl_vla.navsim.preparation import Preparation
from irl_vla.navsim.records import SceneWindow
from irl_vla.navsim.scoring_scene import ring_of, scoring_scene
from irl_vla.navsim.tracks import tracks_of
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.scoring.reference import pdm_closed
from irl_vla.scoring.scene import Polygons
from irl_vla.scoring.traffic import prepare_reactive
from irl_vla.types import F64


def reference_plan(prepared: Preparation) -> F64:
    """(51, 3) global poses of PDM-Closed every 0.1 s.

    It sees the boxes of the CURRENT frame (a track that is annotated once, later, is not among
    them although the scored world has it from the start) and the red lights of the CORRECTED
    route; the limit is that of the lane the ego starts on.
    """
    limit = prepared.start_lane.speed_limit
    red = Polygons.of([ring_of(lane.polygon) for lane in prepared.red_ahead])
    found = pdm_closed(
        scoring_scene(prepared),
        np.nan if limit is None else limit,
        tracks_of([prepared.now]),
        red,
    )
    return found.plan


def reactive_world(prepared: PreparedScene, plan: F64, window: SceneWindow) -> PreparedScene:
    """The scene under IDM traffic that reacts to the plan (8, 3).

    Vehicles are those annotated in the CURRENT frame: one that is annotated once, later, stands in
    all steps of the logged world, but not in this one. The human is scored in traffic of his own.
    """
    return prepare_reactive(prepared, tracks_of([detections_of(window.now)])).under(plan)
