"""A verified bundle -> a policy stack that can drive. May import: perception, engine, drive."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from irl_vla.drive.perception_model import NetworkPerception, NullPerception
from irl_vla.drive.stack import PolicyStack
from irl_vla.engine.bundle import Bundle
from irl_vla.engine.policies import policy_from_bundle
from irl_vla.engine.runner import DEFAULT_THREADS, OnnxRunner, Runner, verify_golden
from irl_vla.perception.tokens import Tensors


def policy_stack_from_bundle(bundle: Bundle, threads: int = DEFAULT_THREADS) -> PolicyStack:
    """Networks run in ONNX Runtime, and prove themselves on their golden inputs before they drive.
    Raises InputError where they give other numbers."""
    if bundle.manifest.network is None:
        return PolicyStack(policy_from_bundle(bundle), NullPerception(), bundle.id)
    runner = TimedRunner(OnnxRunner(bundle, threads))
    verify_golden(runner, bundle)
    runner.pop_latency_ms()
    perception = NetworkPerception(bundle.network.preset, runner)
    return PolicyStack(
        policy_from_bundle(bundle, runner), perception, bundle.id, runner.pop_latency_ms
    )


class TimedRunner:
    """A runner that remembers how long each graph took."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._ms: dict[str, float] = {}

    @property
    def variant(self) -> str:
        """See Runner."""
        return self._runner.variant

    def run(self, graph: str, inputs: Tensors, out: Tensors | None = None) -> dict[str, Any]:
        """See Runner."""
        start = perf_counter()
        outputs = self._runner.run(graph, inputs, out)
        name = f"network {graph}"
        self._ms[name] = self._ms.get(name, 0.0) + (perf_counter() - start) * 1e3
        return outputs

    def pop_latency_ms(self) -> dict[str, float]:
        """Milliseconds per graph since the last call."""
        taken, self._ms = self._ms, {}
        return taken
