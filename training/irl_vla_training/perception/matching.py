"""Which guess answers for which truth: the assignment of least total cost (Hungarian method).

Symbols: B batch, Q queries, T places for truth, of which those with `valid` are real.
Source: Carion et al., "End-to-End Object Detection with Transformers" (arXiv 2005.12872).
May import: torch, scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """n pairs over the whole batch. sample, query, truth: (n,) indices; each pair is one guess and
    the truth it answers for."""

    sample: Tensor
    query: Tensor
    truth: Tensor

    def __len__(self) -> int:
        return len(self.sample)

    def of_queries(self, values: Tensor) -> Tensor:
        """(B, Q, ...) -> (n, ...)."""
        return values[self.sample, self.query]

    def of_truth(self, values: Tensor) -> Tensor:
        """(B, T, ...) -> (n, ...)."""
        return values[self.sample, self.truth]


@torch.no_grad()
def match(cost: Tensor, valid: Tensor) -> Matches:
    """cost: (B, Q, T); valid: (B, T) bool -> pairs; of the truth no place is used twice."""
    pairs = [_pairs(*one) for one in zip(cost.float().cpu().numpy(), valid.cpu(), strict=True)]
    sample = np.repeat(np.arange(len(pairs)), [len(query) for query, _ in pairs])
    query, truth = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    return Matches(
        *(torch.from_numpy(part).long().to(cost.device) for part in (sample, query, truth))
    )


def _pairs(cost: np.ndarray, valid: Tensor) -> tuple[np.ndarray, np.ndarray]:
    real = np.flatnonzero(valid.numpy())
    query, place = linear_sum_assignment(np.nan_to_num(cost[:, real], nan=1e6, posinf=1e6))
    return query, real[place]
