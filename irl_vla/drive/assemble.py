"""A verified bundle -> a policy stack that can drive. May import: perception, engine, drive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from irl_vla.drive.checks import GuardClasses
from irl_vla.drive.perception_model import NetworkPerception, NullPerception
from irl_vla.drive.stack import PolicyStack
from irl_vla.engine.bundle import Bundle
from irl_vla.engine.manifest import GRAPHS
from irl_vla.engine.policies import policy_from_bundle
from irl_vla.engine.runner import DEFAULT_THREADS, Arrays, Runner, verify_golden
from irl_vla.types import GraphRecord, InputError, ModelRecord


def policy_stack_from_bundle(
    bundle: Bundle, threads: int = DEFAULT_THREADS, graphs: Sequence[str] = GRAPHS,
    variants: Mapping[str, str] | None = None,
) -> PolicyStack:  # fmt: skip
    """Networks run in ONNX Runtime and are checked on their golden inputs before they drive.

    graphs: to load and prove, for a process that does not run all of them; variants: by graph.
    Raises InputError where a network gives other numbers, or does not know a class that the guard
    needs.
    """
    if bundle.manifest.network is None:
        model = ModelRecord(bundle.weights_id)
        return PolicyStack(policy_from_bundle(bundle), NullPerception(), bundle.id, model=model)
    from irl_vla.engine.onnx_runner import OnnxRunner  # 117 MB that only networks need

    classes = bundle.network.vocabulary
    try:
        GuardClasses.of(classes)
    except InputError as error:
        raise InputError(f"bundle {bundle.root}: {error}") from None
    runner = TimedRunner(OnnxRunner(bundle, threads, graphs, variants))
    verify_golden(runner, bundle)
    runner.pop_latency_ms()
    perception = NetworkPerception(bundle.network.preset, runner)
    records = tuple(runner.record(graph) for graph in runner.graphs)
    model = ModelRecord(bundle.weights_id, records)
    policy = policy_from_bundle(bundle, runner)
    return PolicyStack(
        policy, perception, bundle.id, runner.pop_latency_ms, classes=classes, model=model
    )


class TimedRunner:
    """A runner that remembers how long each graph took."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.device = runner.device
        self._ms: dict[str, float] = {}

    @property
    def graphs(self) -> tuple[str, ...]:
        """See Runner."""
        return self._runner.graphs

    def record(self, graph: str) -> GraphRecord:
        """See Runner."""
        return self._runner.record(graph)

    def run(self, graph: str, inputs: Arrays, out: Arrays | None = None) -> dict[str, Any]:
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
