"""Runners: one protocol, several engines, the same numbers.

`onnx_runner.py` is the default and needs no torch; `torch_runner.py` is the reference. All check
every tensor they are given: a wrong shape is a sentence, never undefined behaviour inside an
engine. No engine is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.compare import refuse_difference
from irl_vla.engine.manifest import MAX_IMAGES, GraphSpec
from irl_vla.perception.tokens import TensorSpec
from irl_vla.types import GraphRecord, InputError

FP32 = "fp32"
DEFAULT_THREADS = 2

Arrays = Mapping[str, Any]  # NumPy's, and where a runner says so those of its device


class Runner(Protocol):
    """Runs graphs of one bundle. Not thread-safe: one runner serves one caller at a time."""

    @property
    def graphs(self) -> tuple[str, ...]:
        """The graphs that it has loaded; others it refuses."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: "cpu", or a device whose arrays `run` takes and fills as well as
        NumPy's, so that nothing is copied between two graphs ("cuda": torch.Tensor)."""
        ...

    def record(self, graph: str) -> GraphRecord:
        """Which file of the bundle it runs for a graph, and by what."""
        ...

    def run(self, graph: str, inputs: Arrays, out: Arrays | None = None) -> dict[str, Any]:
        """Inputs -> outputs of one graph, by name.

        out: arrays that the caller owns and that the outputs are written into, NumPy's or of
        `device`; every other output is a fresh NumPy array, which stays as it is. Raises InputError
        on a wrong tensor, or a graph that is not loaded.
        """
        ...


def chosen_variants(
    bundle: Bundle, graphs: Iterable[str], variants: Mapping[str, str] | None
) -> dict[str, str]:
    """Which variant of each graph to run: the one that `variants` names, else fp32.

    Raises InputError for a graph or variant that the bundle does not have.
    """
    wanted = variants or {}
    chosen = {graph: wanted.get(graph, FP32) for graph in graphs}
    for graph, variant in chosen.items():
        bundle.variant(graph, variant)
    return chosen


class LoadedGraphs:
    """What every runner keeps of its bundle: which graphs are loaded, and in which variants."""

    def __init__(
        self, bundle: Bundle, graphs: Iterable[str], variants: Mapping[str, str] | None,
        backend: str,
    ) -> None:  # fmt: skip
        self._variants = chosen_variants(bundle, graphs, variants)
        self._specs = {name: bundle.graph(name) for name in self._variants}
        self._records = {
            name: GraphRecord(name, variant, bundle.onnx_sha256(name, variant), backend)
            for name, variant in self._variants.items()
        }

    @property
    def graphs(self) -> tuple[str, ...]:
        """See Runner."""
        return tuple(self._specs)

    def record(self, graph: str) -> GraphRecord:
        """See Runner."""
        self.spec(graph)
        return self._records[graph]

    def spec(self, graph: str) -> GraphSpec:
        """The graph's tensors. Raises InputError for one that was not asked to be loaded."""
        if graph not in self._specs:
            raise InputError(f"graph '{graph}' is not loaded here, only {', '.join(self._specs)}")
        return self._specs[graph]


def checked(graph: str, spec: GraphSpec, inputs: Arrays) -> tuple[dict[str, Any], int]:
    """Inputs in the graph's order, each of the promised type and shape, and the batch of images.

    NumPy's arrays are made contiguous; arrays of a device have to be.
    """
    names = {tensor.name for tensor in spec.inputs}
    if names != set(inputs):
        raise InputError(
            f"graph '{graph}': expected inputs {sorted(names)}, got {sorted(inputs)}"
        )  # fmt: skip
    images, ordered = 1, {}
    for tensor in spec.inputs:
        value = inputs[tensor.name]
        if isinstance(value, np.ndarray):
            value = np.ascontiguousarray(value)
        if isinstance(tensor.shape[0], str):
            images = value.shape[0] if value.ndim else 0
            if not 1 <= images <= MAX_IMAGES:
                raise InputError(
                    f"graph '{graph}': expected 1 to {MAX_IMAGES} images, got {images}"
                )
        refuse_other(graph, "input", tensor, value, shape_of(tensor, images))
        ordered[tensor.name] = value
    return ordered, images


def shape_of(tensor: TensorSpec, images: int) -> tuple[int, ...]:
    """Its shape for a batch of so many images."""
    return tuple(images if isinstance(size, str) else size for size in tensor.shape)


def refuse_other(
    graph: str, side: str, tensor: TensorSpec, value: Any, shape: Sequence[int]
) -> None:
    """InputError unless an array has this type and shape, and lies in one piece."""
    dtype = str(value.dtype).removeprefix("torch.")
    in_order = value.flags.c_contiguous if isinstance(value, np.ndarray) else value.is_contiguous()
    if (tuple(value.shape), dtype) != (tuple(shape), tensor.dtype) or not in_order:
        raise InputError(
            f"graph '{graph}', {side} '{tensor.name}': expected {tensor.dtype} {list(shape)} in C "
            f"order, got {dtype} {list(value.shape)}"
        )


def verify_golden(runner: Runner, bundle: Bundle) -> None:
    """Run the known inputs of every loaded graph: proves the engine, and warms it up.

    Raises InputError when an output is not finite or leaves the variant's tolerance.
    """
    for graph in runner.graphs:
        variant = runner.record(graph).variant
        golden = bundle.golden(graph, variant)
        known = f"bundle {bundle.root}: graph '{graph}' ({variant})"
        names = {tensor.name for tensor in bundle.graph(graph).outputs}
        if names != set(golden.outputs):
            raise InputError(f"{known}: golden outputs {sorted(golden.outputs)}, expected {names}")
        tolerance = bundle.variant(graph, variant).tolerance
        refuse_difference(runner.run(graph, golden.inputs), golden.outputs, tolerance, known)
