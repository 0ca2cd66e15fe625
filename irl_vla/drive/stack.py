"""The policy stack: everything that a bundle brings to drive with.

May import: planner, perception_model, language_model, ranker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from irl_vla.drive.language_model import LanguageModel
from irl_vla.drive.perception_model import PerceptionModel
from irl_vla.drive.ranker import Ranker
from irl_vla.planner.policy import Policy


@dataclass(frozen=True)
class PolicyStack:
    """What a bundle brings: a policy and its perception; a language model and a ranker where it has them.

    pop_latency_ms: milliseconds of each network since it was last asked
    """

    policy: Policy
    perception: PerceptionModel
    bundle_id: str
    pop_latency_ms: Callable[[], dict[str, float]] = dict
    language: LanguageModel | None = None
    ranker: Ranker | None = None


@dataclass(frozen=True)
class ActiveStack:
    """A stack and the epoch that its tokens, memory and commands belong to."""

    stack: PolicyStack
    epoch: int
