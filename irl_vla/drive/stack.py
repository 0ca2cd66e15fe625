"""The policy stack: everything that a bundle brings to drive with.

May import: types, perception, planner, perception_model, language_model, ranker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from irl_vla.drive.language_model import LanguageModel
from irl_vla.drive.perception_model import PerceptionModel
from irl_vla.drive.ranker import Ranker
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.planner.policy import Policy
from irl_vla.types import ModelRecord


@dataclass(frozen=True)
class PolicyStack:
    """What a bundle brings: a policy and its perception; a language model and a ranker where it has
    them.

    pop_latency_ms: milliseconds of each network since it was last asked
    classes: by which its tokens are to be read
    model: what was learnt, and the networks that are loaded
    """

    policy: Policy
    perception: PerceptionModel
    bundle_id: str
    pop_latency_ms: Callable[[], dict[str, float]] = dict
    language: LanguageModel | None = None
    ranker: Ranker | None = None
    classes: SceneClasses = CLASSES
    model: ModelRecord = field(default_factory=ModelRecord)


@dataclass(frozen=True)
class ActiveStack:
    """A stack and the epoch that its tokens, memory and commands belong to."""

    stack: PolicyStack
    epoch: int
