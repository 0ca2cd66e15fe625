"""Road users: where they are, how large, which way they face, and how they move.

Symbols: B batch, A = 30 queries, T places for truth, K classes, n matched pairs.
A guess near somebody who is there and cannot be seen is neither right nor wrong.
Velocity has a loss of its own: it is what memory is for, and those who move are few.
May import: torch, irl_vla, focal, matching.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irl_vla.perception.heads import Detections
from irl_vla_training.perception.focal import focal, focal_cost
from irl_vla_training.perception.matching import Matches, match

CLASS_COST, PLACE_COST = 2.0, 0.25  # per unit of focal loss; per metre
PLACE, HEIGHT, SIZE, HEADING = 0.25, 0.25, 0.5, 0.5  # per m, m, ln of a ratio, unit of sin and cos
MOVES_M_S, MOVES_WEIGHT = 2.0, 3.0  # a mover's velocity weighs three times
VELOCITY_SCALE = 0.1  # per m/s
NEAR_HIDDEN_M = 3.0


@dataclass(frozen=True)
class BoxTargets:
    """boxes: (B, T, 9) x y z l w h yaw vx vy; kind: (B, T); valid, hidden, velocity_known: (B, T)
    bool; known: (B,) bool: whether the source says anything of road users."""

    boxes: Tensor
    kind: Tensor
    valid: Tensor
    hidden: Tensor
    velocity_known: Tensor
    known: Tensor


@dataclass(frozen=True)
class BoxLosses:
    """Each a number, already divided by the number of pairs."""

    classes: Tensor
    box: Tensor
    velocity: Tensor


def box_losses(found: Detections, target: BoxTargets) -> BoxLosses:
    """Of one decoder layer."""
    valid = target.valid & target.known[:, None]
    pairs = match(box_cost(found, target), valid)
    count = max(len(pairs), 1)
    boxes, truth = pairs.of_queries(found.boxes.float()), pairs.of_truth(target.boxes.float())
    moving = pairs.of_truth(target.velocity_known)
    return BoxLosses(
        class_loss(found, target, pairs) / count,
        shape_loss(boxes, truth).sum() / count,
        velocity_loss(boxes[:, 8:], truth[:, 7:].nan_to_num(), moving).sum() / count,
    )


@torch.no_grad()
def box_cost(found: Detections, target: BoxTargets) -> Tensor:
    """(B, A, T): focal cost of the truth's class + distance."""
    kind = target.kind.clamp(min=0)[:, None, :].expand(-1, found.agent_logits.shape[1], -1)
    classes = focal_cost(found.agent_logits.float()).gather(2, kind)
    away = torch.cdist(found.boxes[..., :2].float(), target.boxes[..., :2].float(), p=1.0)
    return CLASS_COST * classes + PLACE_COST * away


def class_loss(found: Detections, target: BoxTargets, pairs: Matches) -> Tensor:
    """Sum of the focal loss over all guesses that can be judged."""
    logits = found.agent_logits.float()
    truth = torch.zeros_like(logits)
    truth[pairs.sample, pairs.query, pairs.of_truth(target.kind)] = 1.0
    away = torch.cdist(found.boxes[..., :2].detach().float(), target.boxes[..., :2].float())
    near = ((away < NEAR_HIDDEN_M) & target.hidden[:, None, :]).any(dim=2)
    judged = ~near & target.known[:, None]
    judged[pairs.sample, pairs.query] = True
    return (focal(logits, truth).sum(dim=2) * judged).sum()


def shape_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """(n, 10) boxes as heads.Detections has them, (n, 9) truth -> (n,) weighted L1."""
    place = (boxes[:, :2] - truth[:, :2]).abs().sum(dim=1)
    height = (boxes[:, 2] - truth[:, 2]).abs()
    size = (boxes[:, 3:6].clamp(min=1e-2).log() - truth[:, 3:6].clamp(min=1e-2).log()).abs()
    facing = torch.stack([truth[:, 6].sin(), truth[:, 6].cos()], dim=1)
    heading = (boxes[:, 6:8] - facing).abs().sum(dim=1)
    return PLACE * place + HEIGHT * height + SIZE * size.sum(dim=1) + HEADING * heading


def velocity_loss(velocity: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """(n, 2) [m/s] each, (n,) bool -> (n,) weighted length of the error."""
    moves = truth.norm(dim=1) > MOVES_M_S
    weight = torch.where(moves, MOVES_WEIGHT, 1.0) * known
    error = nn.functional.smooth_l1_loss(velocity, truth, reduction="none", beta=0.5).sum(dim=1)
    return VELOCITY_SCALE * weight * error
