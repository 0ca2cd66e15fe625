"""How weights move: AdamW on groups of weights, warm-up, cosine, and its state as named tensors.

    rate(k) = peak * (k + 1) / warm_up                                              k < warm_up
            = peak * (last + (1 - last) * (1 + cos(pi * done)) / 2)                 afterwards
with done = the share of the steps after the warm-up that are over.
May import: torch, irl_vla_training.recipe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from irl_vla_training.recipe import OptimiserRecipe

MOMENTS = ("exp_avg", "exp_avg_sq")


def rate_at(step: int, steps: int, recipe: OptimiserRecipe) -> float:
    """The learning rate of a step; step 0 is the first."""
    if step < recipe.warm_up:
        return recipe.peak_rate * (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(steps - recipe.warm_up, 1)
    cosine = (1.0 + math.cos(math.pi * min(done, 1.0))) / 2.0
    return recipe.peak_rate * (recipe.last_share + (1.0 - recipe.last_share) * cosine)


def adamw(net: nn.Module, recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """Matrices and filters decay; norms, biases and other vectors do not."""
    weights = [one for one in net.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in weights if one.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [one for one in weights if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=recipe.betas)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """For the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(net: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The two moments of every weight, as `exp_avg.<weight>` and `exp_avg_sq.<weight>`."""
    found: dict[str, Tensor] = {}
    for name, weight in net.named_parameters():
        state = optimiser.state.get(weight, {})
        found |= {f"{moment}.{name}": state[moment] for moment in MOMENTS if moment in state}
    return found


def restore_optimiser(
    net: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], step: int
) -> None:
    """Undoes `optimiser_tensors`; step: how many were taken."""
    for name, weight in net.named_parameters():
        if f"exp_avg.{name}" not in tensors:
            continue
        state = {"step": torch.tensor(float(step))}
        for moment in MOMENTS:
            state[moment] = torch.zeros_like(weight).copy_(tensors[f"{moment}.{name}"])
        optimiser.state[weight] = state
