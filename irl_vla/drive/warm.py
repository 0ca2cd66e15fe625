"""Machine code of the guard before the first plan: made or loaded when the core is built, not while
the car drives. May import: types, vehicle, checks, fallback, guard.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from irl_vla.drive.checks import Surroundings
from irl_vla.drive.fallback import Known, best_stop, standing_start
from irl_vla.drive.guard import GuardConfig, best_first, choose
from irl_vla.types import HORIZON_POSES, Candidates, EgoStatus
from irl_vla.vehicle import PACIFICA


@cache
def warm_guard() -> None:
    """Once per process: one candidate and one stop, beside one agent, line and cell."""
    agent = np.array([[20.0, 20.0, 0.8, 4.0, 2.0, 1.6, 0.0, 0.0, 0.0]])
    seen = Surroundings(
        agent, np.ones(1, np.bool_), np.zeros((0, 20, 2)), np.full((1, 20, 2), 50.0),
        np.zeros((1, 1), np.bool_), None,
    )  # fmt: skip
    ego = EgoStatus(0, np.zeros(2), np.zeros(2), 0.0, valid=True, source="")
    candidates = Candidates(np.zeros((1, HORIZON_POSES, 3)), np.ones(1))
    choose(candidates, best_first(candidates.confidence), ego, seen, PACIFICA, GuardConfig())
    best_stop([np.zeros((1, 3))], standing_start(0.0), Known.now(seen), PACIFICA)
