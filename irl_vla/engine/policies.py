"""A verified bundle -> the policy that it describes."""

from __future__ import annotations

from functools import partial

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.rule_bundle import rule_policy
from irl_vla.engine.runner import Runner
from irl_vla.planner.diffusion import DiffusionPolicy
from irl_vla.planner.policy import Policy
from irl_vla.types import InputError


def policy_from_bundle(bundle: Bundle, runner: Runner | None = None) -> Policy:
    """The policy behind the bundle's kind; a network bundle needs the runner of its graphs."""
    if bundle.manifest.kind == "rule":
        return rule_policy(bundle)
    if runner is None:
        raise InputError(f"bundle {bundle.root}: a network bundle needs a runner")
    return DiffusionPolicy(bundle.network.preset, partial(runner.run, "planner"))
