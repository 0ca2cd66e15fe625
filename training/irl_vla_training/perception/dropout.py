"""What the car may lack is sometimes taken away: memory, its own motion, what navigation says.

Symbols: B batch, E ego vector (order: perception.tokens.encode_ego).
May import: torch, irl_vla, irl_vla_training's recipe.
"""

from __future__ import annotations

import torch
from torch import Tensor

from irl_vla.perception.tokens import EGO_STATUS_SCALE
from irl_vla.types import IntentDirection
from irl_vla_training.recipe import AugmentRecipe

STATUS = slice(0, len(EGO_STATUS_SCALE) + 1)  # with its validity
INTENT = slice(STATUS.stop, STATUS.stop + len(IntentDirection))
ROUTE = slice(INTENT.stop, None)
UNKNOWN = INTENT.start + list(IntentDirection).index(IntentDirection.UNKNOWN)


def dropped(ego_vector: Tensor, recipe: AugmentRecipe, chance: torch.Generator) -> Tensor:
    """(B, E) -> (B, E): in some samples the status, the intent or the route is not known."""
    out = ego_vector.clone()
    status, intent, route = torch.rand(3, len(out), generator=chance).to(out.device)
    out[status < recipe.drop_status, STATUS] = 0.0
    without = intent < recipe.drop_intent
    out[without, INTENT] = 0.0
    out[without, UNKNOWN] = 1.0
    out[without | (route < recipe.drop_route), ROUTE] = 0.0
    return out


def kept(valid: Tensor, share: float, chance: torch.Generator) -> Tensor:
    """(B, 1) bool memory -> (B, 1) bool: in a share of the samples it is forgotten."""
    return valid & (torch.rand(valid.shape, generator=chance).to(valid.device) >= share)
