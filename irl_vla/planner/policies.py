"""The policies without a network that a bundle may hold: one entry in POLICIES each.

Your own: a module with a settings dataclass and a Policy made of it, and
`POLICIES["mine"] = PolicyKind(MySettings, MyPolicy)` (docs/extending.md).
May import: planner.policy, planner.rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from irl_vla.planner.policy import Policy
from irl_vla.planner.rule import RuleConfig, RulePolicy


class PolicyKind(NamedTuple):
    """settings: frozen dataclass, the shape of the YAML file in the bundle; make: the policy of
    such settings."""

    settings: type[Any]
    make: Callable[[Any], Policy]


POLICIES: dict[str, PolicyKind] = {"rule": PolicyKind(RuleConfig, RulePolicy)}
