"""The diffusion planner behind the Policy protocol, whatever engine runs its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from irl_vla.perception.preset import Preset
from irl_vla.perception.tokens import Tensors
from irl_vla.planner.tensors import noise_for, planner_inputs
from irl_vla.types import Candidates, Command, EgoStatus, Intent, SceneTokens


@dataclass(frozen=True)
class DiffusionPolicy:
    """run: inputs of the `planner` graph -> its outputs, by name. `ego` and `intent` reach the
    network through the ego token."""

    preset: Preset
    run: Callable[[Tensors], Tensors]

    def propose(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, seed: int
    ) -> Candidates:
        """See Policy. A broken network gives NaN, which the caller must refuse."""
        noise = noise_for(self.preset, tokens.anchor_stamp_ns, seed)
        outputs = self.run(planner_inputs(self.preset, tokens, command, noise))
        confidence = np.asarray(outputs["confidence"], np.float64)
        best_first = np.argsort(-confidence, kind="stable")
        poses = np.asarray(outputs["trajectories"], np.float64)
        return Candidates(poses[best_first], confidence[best_first])
