"""Networks -> a bundle: ONNX graphs, weights, golden answers, equality report.

Deterministic: on one machine, the same preset, weights and seed give the same bytes and id.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from irl_vla import __version__
from irl_vla.engine.bundle import Bundle, file_entries, write_bundle
from irl_vla.engine.compare import differences
from irl_vla.engine.manifest import (
    FORMAT,
    DataSource,
    GraphSpec,
    Manifest,
    NetworkPart,
    Variant,
    Vocabulary,
    graph_ios,
)
from irl_vla.engine.networks import Networks, example_inputs, run_module, weights_to_bytes
from irl_vla.engine.onnx_graph import to_onnx
from irl_vla.engine.onnx_runner import onnx_session, run_session
from irl_vla.engine.runner import FP32
from irl_vla.perception.tokens import SCENE_TOKENS, GraphIo, Tensors
from irl_vla.types import InputError

PROOF_TOLERANCE = 1e-4  # largest relative difference (compare.py) between torch and ONNX Runtime
GOLDEN_TOLERANCE = 1e-3  # other processors add in other orders
PROOF_THREADS = (1, 2)
REPETITIONS = 20
BATCHES = (1, 2, 1, 3, 1, 6, 1, 8)  # images per repetition, in turn
WEIGHTS, EQUALITY = "weights.safetensors", "equality.json"

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the weights come from."""

    name: str
    seed: int
    trained: bool = False
    training_run: str | None = None
    training_data: tuple[DataSource, ...] = ()


def export_bundle(
    networks: Networks, root: Path, origin: Provenance, tell: Tell, repetitions: int = REPETITIONS
) -> Bundle:
    """Export all graphs, prove that they equal torch, and write the bundle folder.

    tell: is told what is being done. Raises InputError where a graph differs too much.
    """
    files: dict[str, bytes] = {WEIGHTS: weights_to_bytes(networks)}
    graphs, proofs = {}, {}
    with _one_torch_thread():
        for name, module in networks.graphs().items():
            spec = graph_ios(networks.preset, networks.classes)[name]
            tell(f"{name}: exporting")
            rng = np.random.default_rng([origin.seed, 1])
            model = to_onnx(module, spec, example_inputs(networks.preset, name, rng, images=2))
            variant = Variant(
                onnx=f"{name}.{FP32}.onnx", golden=f"{name}.{FP32}.golden.npz",
                tolerance=GOLDEN_TOLERANCE,
            )  # fmt: skip
            graph = GraphSpec(inputs=spec.inputs, outputs=spec.outputs, variants={FP32: variant})
            files[variant.onnx] = model
            files[variant.golden] = _golden(networks, module, spec, origin.seed)
            graphs[name] = graph
            proofs[name] = _prove(
                networks, module, graph, name, model, origin.seed, repetitions, tell
            )
    files[EQUALITY] = (json.dumps(proofs, indent=1, sort_keys=True) + "\n").encode()
    network = NetworkPart(
        scene_tokens=SCENE_TOKENS, preset=networks.preset,
        vocabulary=Vocabulary.of(networks.classes), graphs=graphs,
        weights=WEIGHTS, equality=EQUALITY, seed=origin.seed,
    )  # fmt: skip
    tell("writing the bundle")
    manifest = Manifest(
        format=FORMAT, kind="network", name=origin.name, made_by=f"irl-vla {__version__}",
        trained=origin.trained, files=file_entries(files), network=network,
        training_run=origin.training_run, training_data=origin.training_data,
    )  # fmt: skip
    return write_bundle(root, manifest, files)


def _golden(networks: Networks, module: nn.Module, spec: GraphIo, seed: int) -> bytes:
    """npz bytes: one scene's inputs as in.<name> and torch's outputs as out.<name>."""
    rng = np.random.default_rng([seed, 2])
    inputs = example_inputs(networks.preset, spec.graph, rng)
    outputs = run_module(module, inputs, tuple(tensor.name for tensor in spec.outputs))
    entries = {f"in.{name}": value for name, value in inputs.items()}
    entries |= {f"out.{name}": value for name, value in outputs.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **entries)  # type: ignore[arg-type]  # numpy types its own flag
    return buffer.getvalue()


def _prove(
    networks: Networks, module: nn.Module, graph: GraphSpec, name: str, model: bytes,
    seed: int, repetitions: int, tell: Tell,
) -> dict[str, Any]:  # fmt: skip
    """Torch against ONNX Runtime on fresh scenes, with one thread and with two, each run twice."""
    sessions = {n: onnx_session(model, n, f"graph '{name}'") for n in PROOF_THREADS}
    outputs = tuple(tensor.name for tensor in graph.outputs)
    worst = {n: dict.fromkeys(outputs, 0.0) for n in PROOF_THREADS}
    rng = np.random.default_rng([seed, 3])  # other scenes than the golden one
    for repetition in range(repetitions):
        tell(f"{name}: comparing with torch, scene {repetition + 1} of {repetitions}")
        inputs = example_inputs(networks.preset, name, rng, BATCHES[repetition % len(BATCHES)])
        reference = run_module(module, inputs, outputs)
        for threads, session in sessions.items():
            result = run_session(session, name, graph, inputs, None)
            _refuse_unequal(result, run_session(session, name, graph, inputs, None), name, threads)
            for output, apart in differences(result, reference).items():
                worst[threads][output] = max(worst[threads][output], apart)
    largest = max(apart for row in worst.values() for apart in row.values())
    if not largest <= PROOF_TOLERANCE:
        raise InputError(
            f"graph '{name}': ONNX Runtime differs from torch by {largest:.2g} (relative), allowed "
            f"{PROOF_TOLERANCE:g}: {worst}. Nothing was written"
        )
    return {
        "repetitions": repetitions,
        "threads": list(PROOF_THREADS),
        "tolerance": PROOF_TOLERANCE,
        "largest_relative_difference": float(f"{largest:.2g}"),
    }


def _refuse_unequal(first: Tensors, second: Tensors, name: str, threads: int) -> None:
    for output, value in first.items():
        if value.tobytes() != second[output].tobytes():
            raise InputError(
                f"graph '{name}', {threads} threads: ONNX Runtime gave two answers to one input "
                f"('{output}'). Nothing was written"
            )


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """The order of torch's sums, and with it the last bit, depends on its threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def stored_differences(bundle: Bundle) -> dict[str, float]:
    """Per graph, the largest relative difference that the export measured."""
    report = json.loads(bundle.read(bundle.network.equality))
    return {name: float(row["largest_relative_difference"]) for name, row in report.items()}
