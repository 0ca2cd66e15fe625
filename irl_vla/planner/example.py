"""Fresh random inputs of the `planner` graph, for equality checks, golden outputs and benchmarks.

What is masked holds NaN, so that any leak shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.perception.preset import Preset
from irl_vla.planner.tensors import planner_io


def example_planner(preset: Preset, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Tokens as normalised as the perception's, random masks, one time in three no meta at all."""
    inputs: dict[str, NDArray[Any]] = {}
    for spec in planner_io(preset).inputs:
        shape = tuple(int(size) for size in spec.shape)
        if spec.dtype == "bool":
            inputs[spec.name] = rng.random(shape) < 0.5
        else:
            inputs[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
    inputs["meta_age_s"] = rng.uniform(0.0, 2.0, 1).astype(np.float32)
    if rng.random() < 1 / 3:
        inputs["meta_valid"][:] = False
        inputs["meta_age_s"][:] = np.nan
    for name in ("agent", "map", "meta"):
        tokens = inputs["agents" if name == "agent" else name]
        tokens[~inputs[f"{name}_valid"]] = np.nan
    return inputs
