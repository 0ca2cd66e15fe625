"""Multi-head attention with masked keys, from plain linear layers so that they can be quantised.

Symbols: B batch, Q queries, K keys, D width, h heads; softmax(q k^T / sqrt(D / h)) v per head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_MASKED_SCORE = -1e4  # exp(-1e4) is exactly 0 in float32, and float16 can still hold the number


class Attention(nn.Module):
    """Queries read from a context; own q, k, v and output layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.to_query = nn.Linear(width, width)
        self.to_key = nn.Linear(width, width)
        self.to_value = nn.Linear(width, width)
        self.to_out = nn.Linear(width, width)

    def forward(self, queries: Tensor, context: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, Q, D) queries, (B, K, D) context, (B, K) bool valid or None -> (B, Q, D).

        What a masked place of the context holds, NaN included, cannot change the result. Where
        nothing is valid the result is 0.
        """
        if valid is not None:
            context = torch.where(valid[..., None], context, 0.0)
        query = self._split(self.to_query(queries)) * self.scale
        key, value = self._split(self.to_key(context)), self._split(self.to_value(context))
        scores = query @ key.transpose(-2, -1)
        if valid is not None:
            scores = torch.where(valid[:, None, None, :], scores, _MASKED_SCORE)
        read = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out(read)
        if valid is not None:
            out = torch.where(valid.any(dim=1)[:, None, None], out, 0.0)
        return out

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, heads, T, D / heads)."""
        batch, count, _ = tokens.shape
        return tokens.reshape(batch, count, self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        out: Tensor = self.narrow(torch.relu(self.widen(tokens)))
        return out
