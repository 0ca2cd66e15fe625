"""A verified bundle -> the policy that it describes."""

from __future__ import annotations

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.rule_bundle import rule_policy
from irl_vla.planner.policy import Policy
from irl_vla.types import InputError


def policy_from_bundle(bundle: Bundle) -> Policy:
    """The policy behind the bundle's kind. Raises InputError in one sentence."""
    if bundle.manifest.kind == "rule":
        return rule_policy(bundle)
    raise InputError(f"bundle {bundle.root}: kind '{bundle.manifest.kind}' is not supported")
