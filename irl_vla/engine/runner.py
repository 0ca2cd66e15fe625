"""Runners: one protocol, several engines, the same numbers.

ONNX Runtime is the default, and needs no torch; `torch_runner.py` is the reference. All check every
tensor they are given: a wrong shape is a sentence, never undefined behaviour inside an engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.compare import refuse_difference
from irl_vla.engine.manifest import GRAPHS, MAX_IMAGES, GraphSpec
from irl_vla.perception.tokens import Tensors, TensorSpec
from irl_vla.types import InputError

FP32 = "fp32"
REFUSALS = (  # what ONNX Runtime raises at a model that it cannot use; no common base of their own
    ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.NotImplemented,
    ort_errors.InvalidProtobuf, ort_errors.NoModel, ort_errors.RuntimeException, RuntimeError,
)  # fmt: skip
DEFAULT_THREADS = 2


class Runner(Protocol):
    """Runs the graphs of one bundle. Not thread-safe: one runner serves one caller at a time."""

    @property
    def variant(self) -> str:
        """Which variant of each graph it runs, such as "fp32"."""
        ...

    def run(self, graph: str, inputs: Tensors, out: Tensors | None = None) -> dict[str, Any]:
        """Inputs -> outputs of one graph, by name.

        out: arrays that the caller owns and that the outputs are written into; without it every
        call gives fresh arrays, which stay as they are. Raises InputError on a wrong tensor.
        """
        ...


class OnnxRunner:
    """ONNX Runtime on the CPU; inputs and outputs are bound where they lie, nothing is copied."""

    variant = FP32

    def __init__(self, bundle: Bundle, threads: int = DEFAULT_THREADS) -> None:
        self._graphs = bundle.network.graphs
        self._sessions = {
            name: onnx_session(
                bundle.read(bundle.variant(name, FP32).onnx), threads, f"{bundle.root}: {name}"
            )
            for name in GRAPHS
        }

    def run(self, graph: str, inputs: Tensors, out: Tensors | None = None) -> dict[str, Any]:
        """See Runner."""
        return run_session(self._sessions[graph], graph, self._graphs[graph], inputs, out)


def onnx_session(model: bytes, threads: int, where: str) -> ort.InferenceSession:
    """A deterministic CPU session. Raises InputError where ONNX Runtime refuses the model."""
    if threads < 1:
        raise InputError(f"threads: expected at least 1, got {threads}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors only
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        raise InputError(f"{where}: ONNX Runtime refuses the model: {error}") from None


def run_session(
    session: ort.InferenceSession, graph: str, spec: GraphSpec, inputs: Tensors, out: Tensors | None
) -> dict[str, NDArray[Any]]:
    """One run with bound memory."""
    ordered, images = checked(graph, spec, inputs)
    binding = session.io_binding()
    for name, value in ordered.items():
        binding.bind_cpu_input(name, value)
    outputs = {}
    for tensor in spec.outputs:
        shape = tuple(images if isinstance(size, str) else size for size in tensor.shape)
        target = None if out is None else out.get(tensor.name)
        if target is None:
            target = np.empty(shape, tensor.dtype)
        _refuse_other(graph, "output", tensor, target, shape)
        outputs[tensor.name] = target
        binding.bind_output(
            tensor.name, "cpu", 0, target.dtype, target.shape, target.ctypes.data
        )  # fmt: skip
    session.run_with_iobinding(binding)
    return outputs


def checked(graph: str, spec: GraphSpec, inputs: Tensors) -> tuple[dict[str, NDArray[Any]], int]:
    """Inputs in the graph's order, each of the promised type and shape, and the batch of images."""
    names = {tensor.name for tensor in spec.inputs}
    if names != set(inputs):
        raise InputError(
            f"graph '{graph}': expected inputs {sorted(names)}, got {sorted(inputs)}"
        )  # fmt: skip
    images, ordered = 1, {}
    for tensor in spec.inputs:
        value = np.ascontiguousarray(inputs[tensor.name])
        if isinstance(tensor.shape[0], str):
            images = value.shape[0] if value.ndim else 0
            if not 1 <= images <= MAX_IMAGES:
                raise InputError(
                    f"graph '{graph}': expected 1 to {MAX_IMAGES} images, got {images}"
                )
        shape = tuple(images if isinstance(size, str) else size for size in tensor.shape)
        _refuse_other(graph, "input", tensor, value, shape)
        ordered[tensor.name] = value
    return ordered, images


def _refuse_other(
    graph: str, side: str, tensor: TensorSpec, value: NDArray[Any], shape: Sequence[int]
) -> None:
    fits = value.shape == tuple(shape) and value.dtype == tensor.dtype
    if not (fits and value.flags.c_contiguous):
        raise InputError(
            f"graph '{graph}', {side} '{tensor.name}': expected {tensor.dtype} {list(shape)} in C "
            f"order, got {value.dtype} {list(value.shape)}"
        )


def verify_golden(runner: Runner, bundle: Bundle) -> None:
    """Run the known inputs of every graph: proves the engine, and warms it up.

    Raises InputError when an output is not finite or leaves the variant's tolerance.
    """
    for graph in GRAPHS:
        golden = bundle.golden(graph, runner.variant)
        known = f"bundle {bundle.root}: graph '{graph}' ({runner.variant})"
        names = {tensor.name for tensor in bundle.graph(graph).outputs}
        if names != set(golden.outputs):
            raise InputError(f"{known}: golden outputs {sorted(golden.outputs)}, expected {names}")
        tolerance = bundle.variant(graph, runner.variant).tolerance
        refuse_difference(runner.run(graph, golden.inputs), golden.outputs, tolerance, known)
