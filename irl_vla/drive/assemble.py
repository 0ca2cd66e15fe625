"""A verified bundle -> a mind that can drive. May import: engine, drive."""

from __future__ import annotations

from irl_vla.drive.core import Mind
from irl_vla.drive.eyes import NetworkEyes, NoEyes
from irl_vla.engine.bundle import Bundle
from irl_vla.engine.policies import policy_from_bundle
from irl_vla.engine.runner import DEFAULT_THREADS, OnnxRunner, verify_golden


def mind_from_bundle(bundle: Bundle, threads: int = DEFAULT_THREADS) -> Mind:
    """Networks run in ONNX Runtime, and prove themselves on their golden inputs before they drive.
    Raises InputError where they give other numbers."""
    if bundle.manifest.kind == "rule":
        return Mind(policy_from_bundle(bundle), NoEyes(), bundle.id)
    runner = OnnxRunner(bundle, threads)
    verify_golden(runner, bundle)
    eyes = NetworkEyes(bundle.network.preset, runner)
    return Mind(policy_from_bundle(bundle, runner), eyes, bundle.id)
