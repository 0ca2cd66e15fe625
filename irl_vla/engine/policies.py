"""A verified bundle -> the policy that it describes."""

from __future__ import annotations

from functools import partial

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.policy_bundle import policy_of_settings
from irl_vla.engine.runner import Runner
from irl_vla.planner.diffusion import DiffusionPolicy
from irl_vla.planner.policy import Policy
from irl_vla.types import InputError


def policy_from_bundle(bundle: Bundle, runner: Runner | None = None) -> Policy:
    """The policy behind the bundle's kind; a network bundle needs the runner of its graphs."""
    if bundle.manifest.network is None:
        return policy_of_settings(bundle)
    if runner is None:
        raise InputError(f"bundle {bundle.root}: a network bundle needs a runner")
    return DiffusionPolicy(bundle.network.preset, partial(runner.run, "planner"))
