"""Traffic that answers, and the reference that progress is measured against."""

from __future__ import annotations

from irl_vla.data.navsim.preparation import Preparation
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.types import F64, InputError


def reference_plan(prepared: Preparation) -> F64:
    """(51, 3) global poses of PDM-Closed every 0.1 s."""
    raise InputError(f"scene {prepared.window.token}: the scorer has no PDM-Closed reference yet")


def reactive_world(prepared: PreparedScene, plan: F64) -> PreparedScene:
    """The scene under IDM traffic that reacts to the plan (8, 3)."""
    raise InputError(f"scene {prepared.scene.id}: the scorer has no reactive traffic yet")
