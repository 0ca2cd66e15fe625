"""A verified bundle -> a mind that can drive. May import: perception, engine, drive."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from irl_vla.drive.core import Mind
from irl_vla.drive.eyes import NetworkEyes, NoEyes
from irl_vla.engine.bundle import Bundle
from irl_vla.engine.policies import policy_from_bundle
from irl_vla.engine.runner import DEFAULT_THREADS, OnnxRunner, Runner, verify_golden
from irl_vla.perception.tokens import Tensors


def mind_from_bundle(bundle: Bundle, threads: int = DEFAULT_THREADS) -> Mind:
    """Networks run in ONNX Runtime, and prove themselves on their golden inputs before they drive.
    Raises InputError where they give other numbers."""
    if bundle.manifest.kind == "rule":
        return Mind(policy_from_bundle(bundle), NoEyes(), bundle.id)
    runner = TimedRunner(OnnxRunner(bundle, threads))
    verify_golden(runner, bundle)
    runner.take_ms()
    eyes = NetworkEyes(bundle.network.preset, runner)
    return Mind(policy_from_bundle(bundle, runner), eyes, bundle.id, runner.take_ms)


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

    def take_ms(self) -> dict[str, float]:
        """Milliseconds per graph since the last call."""
        taken, self._ms = self._ms, {}
        return taken
