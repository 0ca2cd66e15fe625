"""The default runner: ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.manifest import GRAPHS, GraphSpec
from irl_vla.engine.runner import (
    DEFAULT_THREADS,
    Arrays,
    LoadedGraphs,
    checked,
    refuse_other,
    shape_of,
)
from irl_vla.foreign import brief, cut
from irl_vla.types import InputError

BACKEND = f"onnxruntime-cpu {ort.__version__}"
REFUSALS = (  # what ONNX Runtime raises at a model that it cannot use; no common base of their own
    ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.NotImplemented,
    ort_errors.InvalidProtobuf, ort_errors.NoModel, ort_errors.RuntimeException, RuntimeError,
)  # fmt: skip


DTYPES = {  # ONNX Runtime's names of ours
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
    "tensor(bool)": "bool", "tensor(int64)": "int64", "tensor(int32)": "int32",
    "tensor(int8)": "int8", "tensor(uint8)": "uint8",
}  # fmt: skip


class OnnxRunner(LoadedGraphs):
    """See runner.Runner. Inputs and outputs are bound where they lie, nothing is copied."""

    device = "cpu"

    def __init__(
        self, bundle: Bundle, threads: int = DEFAULT_THREADS, graphs: Sequence[str] = GRAPHS,
        variants: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """variants: by graph; those not named run fp32."""
        super().__init__(bundle, graphs, variants, BACKEND)
        self._sessions = {
            name: onnx_session(
                bundle.read(bundle.variant(name, variant).onnx), threads, f"{bundle.root}: {name}"
            )
            for name, variant in self._variants.items()
        }

        for name, session in self._sessions.items():
            refuse_other_tensors(session, bundle.graph(name), f"{bundle.root}: graph '{name}'")

    def run(self, graph: str, inputs: Arrays, out: Arrays | None = None) -> dict[str, Any]:
        """See Runner."""
        spec = self.spec(graph)
        return run_session(self._sessions[graph], graph, spec, inputs, out)


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
    # A value that is larger than the graph says is refused: onnx_check bounds what it says.
    options.add_session_config_entry("session.strict_shape_type_inference", "1")
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        raise InputError(f"{where}: ONNX Runtime refuses the model: {cut(error)}") from None


def run_session(
    session: ort.InferenceSession, graph: str, spec: GraphSpec, inputs: Arrays, out: Arrays | None
) -> dict[str, NDArray[Any]]:
    """One run with bound memory."""
    for name, value in inputs.items():
        _refuse_device(graph, name, value)
    ordered, images = checked(graph, spec, inputs)
    binding = session.io_binding()
    for name, value in ordered.items():
        binding.bind_cpu_input(name, value)
    outputs = {}
    for tensor in spec.outputs:
        shape = shape_of(tensor, images)
        target = None if out is None else out.get(tensor.name)
        if target is None:
            target = np.empty(shape, tensor.dtype)
        _refuse_device(graph, tensor.name, target)
        refuse_other(graph, "output", tensor, target, shape)
        outputs[tensor.name] = target
        binding.bind_output(
            tensor.name, "cpu", 0, target.dtype, target.shape, target.ctypes.data
        )  # fmt: skip
    try:
        session.run_with_iobinding(binding)
    except REFUSALS as error:
        raise InputError(f"graph '{graph}': ONNX Runtime cannot run it: {cut(error)}") from None
    return outputs


def refuse_other_tensors(session: ort.InferenceSession, spec: GraphSpec, where: str) -> None:
    """InputError where the graph does not have the inputs and outputs that the manifest says."""
    for side, there, wanted in (
        ("inputs", session.get_inputs(), spec.inputs),
        ("outputs", session.get_outputs(), spec.outputs),
    ):
        found = {value.name: (DTYPES.get(value.type, value.type), value.shape) for value in there}
        said = {tensor.name: (tensor.dtype, list(tensor.shape)) for tensor in wanted}
        if found != said:
            name = min(n for n in {*found, *said} if found.get(n) != said.get(n))
            raise InputError(
                f"{where}: {side}: the manifest says '{name}' is {brief(said.get(name))}, the "
                f"graph says {brief(found.get(name))}. Export the bundle again"
            )


def _refuse_device(graph: str, name: str, value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise InputError(
            f"graph '{graph}', '{name}': this runner takes NumPy arrays, got {type(value).__name__}"
        )
