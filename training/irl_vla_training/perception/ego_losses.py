"""What the ego token must know: how the expert goes on, and what the light ahead shows.

Without such a loss the token stays random, and the planner reads noise.
Symbols: B batch, D width, T = 8 steps of 2 action numbers, L = 4 states of a lamp.
May import: torch, irl_vla, irl_vla_training.samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from irl_vla.planner.actions import trajectory_to_action
from irl_vla_training.samples.sample import LAMPS

LAMP_WEIGHTS = {"none": 0.5, "red": 2.0, "amber": 2.0, "green": 1.5}


def action_loss(actions: Tensor, future: Tensor, known: Tensor) -> Tensor:
    """Mean L1 in the planner's action space. actions: (B, 8, 2); future: (B, 8, 3) poses; known:
    (B,) bool."""
    truth = trajectory_to_action(future.double()).float()
    error = (actions.float() - truth).abs().mean(dim=(1, 2)) * known
    return error.sum() / known.sum().clamp(min=1)


def light_loss(logits: Tensor, lamp: Tensor) -> Tensor:
    """Weighted cross-entropy. logits: (B, 4); lamp: (B,) index into LAMPS, -1 unknown."""
    weights = torch.tensor([LAMP_WEIGHTS[name] for name in LAMPS], device=logits.device)
    known = lamp >= 0
    weight = weights[lamp.clamp(min=0)] * known
    cross = nn.functional.cross_entropy(logits.float(), lamp.clamp(min=0), reduction="none")
    return (weight * cross).sum() / weight.sum().clamp(min=1e-6)
