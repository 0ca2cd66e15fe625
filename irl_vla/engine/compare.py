"""How far two answers of one graph lie apart, and when that is too far.

    difference = max |value - reference| / max |reference|      over all numbers of one output
A float16 output is forgiven one step of float16: two float32 values that are equal to 1e-7 may be
rounded to neighbours. Of a discrete output (class, valid) one entry may differ: equal scores tie.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.perception.tokens import Tensors
from irl_vla.types import InputError

TIES = 1  # entries of a discrete output that may differ
SMALLEST_SCALE = 1e-6  # an output of zeros only is compared absolutely, in this unit


def difference(value: NDArray[Any], reference: NDArray[Any]) -> float:
    """Relative difference of one output; inf where only one of them is finite, or shapes differ.

    Discrete outputs: 0 for at most `TIES` differing entries, else inf.
    """
    if value.shape != reference.shape or value.dtype != reference.dtype:
        return float("inf")
    if value.dtype.kind in "bi":
        return 0.0 if int((value != reference).sum()) <= TIES else float("inf")
    if not (np.isfinite(value).all() and np.isfinite(reference).all()):
        return float("inf")
    apart = np.abs(value.astype(np.float64) - reference.astype(np.float64))
    if value.dtype == np.float16:
        apart = np.maximum(apart - np.abs(np.spacing(reference)), 0.0)
    scale = float(np.abs(reference).max(initial=0.0))
    return float(apart.max(initial=0.0)) / max(scale, SMALLEST_SCALE)


def differences(values: Tensors, references: Tensors) -> dict[str, float]:
    """Per output of the reference."""
    return {name: difference(values[name], reference) for name, reference in references.items()}


def refuse_difference(values: Tensors, references: Tensors, tolerance: float, where: str) -> None:
    """InputError where an output is not finite or differs by more than the tolerance."""
    for name, reference in references.items():
        if values[name].dtype.kind == "f" and not np.isfinite(values[name]).all():
            raise InputError(
                f"{where}: output '{name}' has NaN or infinite numbers for the known input; the "
                "weights are damaged. Use another bundle"
            )
        apart = difference(values[name], reference)
        if apart > tolerance:
            raise InputError(
                f"{where}: output '{name}' differs by {apart:.2g} (relative) from the known answer,"
                f" allowed {tolerance:.2g}. Use another runner, or export the bundle again"
            )
