"""Traffic that answers, and the reference that progress is measured against."""

from __future__ import annotations

from irl_vla.data.navsim.preparation import Preparation
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.types import F64


def reference_plan(prepared: Preparation) -> F64:
    """(51, 3) global poses of PDM-Closed every 0.1 s."""
    raise NotImplementedError


def reactive_world(prepared: PreparedScene, plan: F64) -> PreparedScene:
    """The scene under IDM traffic that reacts to the plan (8, 3)."""
    raise NotImplementedError
