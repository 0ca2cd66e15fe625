"""What each pixel shows: the lessons of the throw-away heads on the camera's features.

They are dropped when the networks are exported. Nothing else tells the camera network so directly
what it looks at, and nothing else what colour a lamp of three pixels has.
Symbols: n pictures, K kinds of surface, h x w pixels of truth.
May import: torch, irl_vla_training.samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from irl_vla_training.samples.batch import UNKNOWN_CLASS, PixelBatch

NONE = 0  # of LAMPS: no lamp, or a dark one


@dataclass(frozen=True)
class PixelGuess:
    """kind: (n, K, h, w) logits; log_depth: (n, h, w); lamp: (n, 4, h, w) logits."""

    kind: Tensor
    log_depth: Tensor
    lamp: Tensor


@dataclass(frozen=True)
class PixelLosses:
    """Each a number."""

    kind: Tensor
    depth: Tensor
    lamp: Tensor


def pixel_losses(guess: PixelGuess, truth: PixelBatch) -> PixelLosses:
    """truth: leading dimension (n,)."""
    return PixelLosses(
        kind_loss(guess.kind, truth.kind.long()),
        depth_loss(guess.log_depth, truth.log_depth),
        lamp_loss(guess.lamp, truth.lamp.long()),
    )


def kind_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels that are known."""
    known = (truth != UNKNOWN_CLASS).sum().clamp(min=1)
    total = nn.functional.cross_entropy(
        logits.float(), truth, ignore_index=UNKNOWN_CLASS, reduction="sum"
    )
    return total / known


def depth_loss(log_depth: Tensor, truth: Tensor) -> Tensor:
    """Mean |ln d - ln d_truth| over the pixels that have a depth."""
    known = truth.isfinite()
    error = (log_depth.float() - truth.nan_to_num(0.0, 0.0, 0.0)).abs() * known
    return error.sum() / known.sum().clamp(min=1)


def lamp_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy of lit pixels + that of all others: a lamp is one pixel of a thousand, and
    must count as much as the thousand."""
    cross = nn.functional.cross_entropy(
        logits.float(), truth, ignore_index=UNKNOWN_CLASS, reduction="none"
    )
    known = truth != UNKNOWN_CLASS
    lit, dark = known & (truth != NONE), known & (truth == NONE)
    return _mean(cross, lit) + _mean(cross, dark)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)
