"""The focal loss: of thirty guesses most stand for nothing, and must not shout the others down.

Symbols: p predicted probability of a class, y its truth; alpha, gamma as published.
Source: Lin et al., "Focal Loss for Dense Object Detection" (arXiv 1708.02002), equation 5.
May import: torch.
"""

from __future__ import annotations

from torch import Tensor, nn

ALPHA, GAMMA = 0.25, 2.0


def focal(logits: Tensor, truth: Tensor) -> Tensor:
    """-alpha_t (1 - p_t)^gamma log p_t, per entry. logits, truth (0 or 1): (...) -> (...)."""
    p = logits.sigmoid()
    cross = nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    right = p * truth + (1.0 - p) * (1.0 - truth)
    alpha = ALPHA * truth + (1.0 - ALPHA) * (1.0 - truth)
    return alpha * (1.0 - right) ** GAMMA * cross


def focal_cost(logits: Tensor) -> Tensor:
    """What calling an entry present would change: focal(y = 1) - focal(y = 0). (...) -> (...)."""
    p = logits.sigmoid()
    present = ALPHA * (1.0 - p) ** GAMMA * -nn.functional.logsigmoid(logits)
    absent = (1.0 - ALPHA) * p**GAMMA * -nn.functional.logsigmoid(-logits)
    return present - absent
