"""Ranker: which of the policy's candidates is tried first. May import: types."""

from __future__ import annotations

from typing import Protocol

from irl_vla.types import F64, Candidates, EgoStatus, Intent, SceneTokens, Trajectory


class Ranker(Protocol):
    """An opinion about candidates beside the policy's own confidence; pure. The guard still refuses
    what cannot be driven, whoever prefers it."""

    def rank(
        self, candidates: Candidates, tokens: SceneTokens, ego: EgoStatus, intent: Intent,
        driven: Trajectory | None,
    ) -> F64:  # fmt: skip
        """(K,) the greater the better, in the order of `candidates`.

        driven: what is left of the last plan, in the present ego frame, or None
        """
        ...
