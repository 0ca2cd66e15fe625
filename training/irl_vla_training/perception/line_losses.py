"""Map elements: which they are, and twenty points along each.

Symbols: B batch, M queries, T places for truth, K classes, n matched pairs.
A line that is no lane may run either way: the better of the two directions counts.
May import: torch, irl_vla, focal, matching.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from irl_vla.perception.heads import Detections
from irl_vla.perception.preset import MAP_CLASSES
from irl_vla_training.perception.focal import focal, focal_cost
from irl_vla_training.perception.matching import Matches, match

CLASS_COST, POINT_COST = 2.0, 0.2  # per unit of focal loss; per metre of the points' mean L1
POINT = 0.2  # per metre of the points' mean L1
NEAR_HIDDEN_M = 4.0
DIRECTED = MAP_CLASSES.index("centerline")  # the only class whose direction means something


@dataclass(frozen=True)
class LineTargets:
    """points: (B, T, 20, 2); kind: (B, T); valid, hidden: (B, T) bool, hidden: there, and hardly
    looked at; known: (B, K) bool: classes that the source knows."""

    points: Tensor
    kind: Tensor
    valid: Tensor
    hidden: Tensor
    known: Tensor


@dataclass(frozen=True)
class LineLosses:
    """Each a number, already divided by the number of pairs."""

    classes: Tensor
    points: Tensor


def line_losses(found: Detections, target: LineTargets) -> LineLosses:
    """Of one decoder layer."""
    away = line_distances(found.polylines.float(), target)
    kind = target.kind.clamp(min=0)[:, None, :].expand(-1, found.map_logits.shape[1], -1)
    cost = CLASS_COST * focal_cost(found.map_logits.float()).gather(2, kind) + POINT_COST * away
    pairs = match(cost.detach(), target.valid)
    count = max(len(pairs), 1)
    points = away[pairs.sample, pairs.query, pairs.truth].sum()
    return LineLosses(class_loss(found, target, pairs, away) / count, POINT * points / count)


def line_distances(lines: Tensor, target: LineTargets) -> Tensor:
    """(B, M, 20, 2) -> (B, M, T) mean over the points of |dx| + |dy| [m]."""
    flat, truth = lines.flatten(2), target.points.float()
    count = lines.shape[2]
    same = torch.cdist(flat, truth.flatten(2), p=1.0) / count
    turned = torch.cdist(flat, truth.flip(2).flatten(2), p=1.0) / count
    either = torch.minimum(same, turned)
    return torch.where((target.kind == DIRECTED)[:, None, :], same, either)


def class_loss(found: Detections, target: LineTargets, pairs: Matches, away: Tensor) -> Tensor:
    """Sum of the focal loss over guesses and classes that can be judged."""
    logits = found.map_logits.float()
    truth = torch.zeros_like(logits)
    truth[pairs.sample, pairs.query, pairs.of_truth(target.kind)] = 1.0
    near = ((away.detach() < NEAR_HIDDEN_M) & target.hidden[:, None, :]).any(dim=2)
    judged = ~near
    judged[pairs.sample, pairs.query] = True
    return (focal(logits, truth) * judged[:, :, None] * target.known[:, None, :]).sum()
