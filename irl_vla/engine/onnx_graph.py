"""One torch module -> one ONNX file, typed as its GraphIo says, the same bytes every time."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from torch import nn
from torch.export import Dim

from irl_vla.engine.manifest import MAX_IMAGES
from irl_vla.perception.tokens import GraphIo, TensorSpec

OPSET = 18  # read by ONNX Runtime 1.23 and TensorRT 10; GridSample is there since 16


def to_onnx(module: nn.Module, io: GraphIo, inputs: dict[str, NDArray[Any]]) -> bytes:
    """Export by torch's dynamo exporter; `inputs` are an example (of 2 images for a batch).

    Only dimensions that the GraphIo names are dynamic, 1..8. Names and types are checked against
    it afterwards: a graph that does not say what its contract says is our own mistake.
    """
    images = Dim("images", min=1, max=MAX_IMAGES)
    shapes = tuple({0: images} if isinstance(t.shape[0], str) else None for t in io.inputs)
    dynamic = any(shape is not None for shape in shapes)
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            module, tuple(torch.from_numpy(inputs[t.name]) for t in io.inputs),
            dynamo=True, opset_version=OPSET, verbose=False,
            input_names=[t.name for t in io.inputs], output_names=[t.name for t in io.outputs],
            dynamic_shapes=shapes if dynamic else None,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    _strip(model)
    _assert_typed(model.graph.input, io.inputs, io.graph)
    _assert_typed(model.graph.output, io.outputs, io.graph)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter tells of every unfolded constant and of each package that it could use."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "torch.onnx")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _strip(model: Any) -> None:
    """Remove what tells of the machine and not of the graph: notes, stack traces, file paths."""
    del model.metadata_props[:]
    model.doc_string = ""
    for holder in (model.graph, *(function for function in model.functions)):
        del holder.metadata_props[:]
        holder.doc_string = ""
        values = [*holder.value_info, *getattr(holder, "initializer", [])]
        sides = [] if holder is not model.graph else [*holder.input, *holder.output]
        for item in (*holder.node, *values, *sides):
            del item.metadata_props[:]
            item.doc_string = ""


def _assert_typed(values: Any, specs: tuple[TensorSpec, ...], graph: str) -> None:
    assert len(values) == len(specs), f"graph {graph}: {len(values)} tensors, not {len(specs)}"
    for value, spec in zip(values, specs, strict=True):
        tensor = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
        assert (value.name, dtype, shape) == (spec.name, spec.dtype, list(spec.shape)), (
            f"graph {graph}: {value.name} {dtype} {shape}, expected {spec}"
        )
