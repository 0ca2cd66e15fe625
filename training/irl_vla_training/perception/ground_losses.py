"""What cells of the ground are, and which of them a red light closes.

Symbols: B batch, K classes, R x S cells, w weight of a cell, p predicted probability, y truth.
    CE   = sum w w_class -log p_truth / sum w w_class
    Dice = mean over classes of 1 - (2 sum w p y + 1) / (sum w p + sum w y + 1)
Cells that no camera sees weigh little: there the network may guess, and is told whether well.
Dice source: Milletari et al., "V-Net" (arXiv 1606.04797). May import: torch, irl_vla.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from irl_vla.perception.preset import SEG_CLASSES

UNSEEN = 0.2  # weight of a cell that no camera sees
CLASS_WEIGHTS = {  # rare ones weigh more
    "nothing": 0.6, "road": 1.0, "walkway": 1.5, "centerline": 1.5, "obstacle": 4.0,
    "vehicle": 3.0, "pedestrian": 6.0,
}  # fmt: skip
CLOSED_WEIGHT = 15.0  # of a closed cell against an open one: one of two hundred is closed
_NOTHING = SEG_CLASSES.index("nothing")


def cell_weights(known: Tensor, seen: Tensor) -> Tensor:
    """(B, R, S) bool each -> (B, R, S)."""
    return known.float() * torch.where(seen, 1.0, UNSEEN)


def segmentation_loss(logits: Tensor, truth: Tensor, weight: Tensor, classes: Tensor) -> Tensor:
    """CE + Dice over all classes but "nothing".

    logits: (B, K, R, S); truth: (B, R, S) int64; weight: (B, R, S); classes: (B, K) bool: that the
    source knows. Cells of an unknown class are told as "nothing": the two count as one there.
    """
    log_p = _merged(logits.float().log_softmax(dim=1), classes)
    per_class = torch.tensor([CLASS_WEIGHTS[name] for name in SEG_CLASSES], device=logits.device)
    total = weight * per_class[truth]
    cross = -log_p.gather(1, truth[:, None])[:, 0]
    entropy = (total * cross).sum() / total.sum().clamp(min=1.0)
    y = nn.functional.one_hot(truth, len(SEG_CLASSES)).permute(0, 3, 1, 2).float()
    told = weight[:, None] * classes[:, :, None, None].float()
    things = [k for k in range(len(SEG_CLASSES)) if k != _NOTHING]
    return entropy + dice(log_p.exp()[:, things], y[:, things], told[:, things]).mean()


def _merged(log_p: Tensor, classes: Tensor) -> Tensor:
    """(B, K, R, S) log probabilities, "nothing" together with the classes that are not known."""
    one = ~classes
    one[:, _NOTHING] = True
    together = log_p.masked_fill(~one[:, :, None, None], -torch.inf).logsumexp(dim=1, keepdim=True)
    index = torch.arange(log_p.shape[1], device=log_p.device)[None, :, None, None]
    return torch.where(index == _NOTHING, together, log_p)


def closed_loss(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy, closed cells weighing more, + Dice where anything is closed: over cells
    that are all open Dice is near 1 whatever is said, and its gradient near 0.

    logits: (B, 1, R, S); truth: (B, R, S) 0 or 1; weight: (B, R, S)
    """
    flat = logits[:, 0].float()
    total = weight * torch.where(truth > 0.5, CLOSED_WEIGHT, 1.0)
    cross = nn.functional.binary_cross_entropy_with_logits(flat, truth, reduction="none")
    entropy = (total * cross).sum() / total.sum().clamp(min=1.0)
    overlap = dice(flat.sigmoid()[:, None], truth[:, None], weight[:, None]).mean()
    return entropy + overlap * (weight * truth).amax().clamp(max=1.0).ceil()


def dice(p: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """1 - (2 sum w p y + 1) / (sum w p + sum w y + 1) over batch and cells. (B, K, R, S) each ->
    (K,)."""
    over = (0, 2, 3)
    both = (weight * p * y).sum(dim=over)
    either = (weight * p).sum(dim=over) + (weight * y).sum(dim=over)
    return 1.0 - (2.0 * both + 1.0) / (either + 1.0)
