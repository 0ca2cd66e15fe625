"""EP: progress along the centreline, relative to the best that keeps all the rules.

May import: types.
"""

from __future__ import annotations

import numpy as np

from irl_vla.types import F64

PROGRESS_THRESHOLD = 5.0  # [m] where nobody gets further, everybody gets 1


def normalised(progress: F64, best: F64) -> F64:
    """Raw progress (P,) [m] over M -> EP (P,); 1 where M <= 5 m.

    best: () or (P,) M = max of raw progress · multipliers over the proposals scored together.
    Quirk: the proposal's own multipliers are in M but not in the numerator.
    """
    best = np.asarray(best)
    enough = best > PROGRESS_THRESHOLD
    return np.where(enough, np.clip(progress / np.where(enough, best, 1.0), 0.0, 1.0), 1.0)


def normalised_v1(progress: F64, multipliers: F64, best: F64) -> F64:
    """EP of PDMS v1: the numerator includes the multipliers, and a proposal that breaks a rule
    gets 0 even where M <= 5 m."""
    best = np.asarray(best)
    enough = best > PROGRESS_THRESHOLD
    raw = progress * multipliers
    return np.where(enough, raw / np.where(enough, best, 1.0), (multipliers != 0.0) * 1.0)
