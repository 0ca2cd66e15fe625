"""What an ONNX graph of a bundle may be: checked on its bytes before any runtime sees it.

A graph is code of others. It may not reach outside its file (external data), hold operators that
are not known here, loop, branch, or make more numbers than fit into memory. Every value says its
size, and `onnx_runner` has the runtime refuse a graph whose values have other sizes; so what is
bounded here is bounded there. docs/security.md lists the limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from irl_vla.engine import onnx_wire as wire
from irl_vla.engine.manifest import MAX_IMAGES
from irl_vla.types import InputError

MAX_BYTES = 2**31  # of a file: the limit of protocol buffers
MAX_NODES = 20_000  # paper's planner has about 2000
MAX_NUMBERS = 2**28  # in one value: 1 GiB as float32
MAX_WORK = 2**44  # multiply-adds of one run: minutes on two cores; `paper` needs about 2**40
BATCH = "images"  # the only dimension that is not a number, 1..MAX_IMAGES
DOMAINS = ("", "ai.onnx")
NUMBER_TYPES = {  # of ONNX -> bytes of one number
    1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2,
}  # fmt: skip
OPERATORS = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "Atan", "AveragePool",
        "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant", "Conv",
        "ConvTranspose", "Cos", "DepthToSpace", "DequantizeLinear", "Div", "Elu", "Equal",
        "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND",
        "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual",
        "GridSample", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity",
        "InstanceNormalization", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu",
        "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Mean",
        "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "PRelu",
        "QuantizeLinear", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSumExp",
        "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Relu", "Reshape", "Resize", "RMSNormalization", "Round",
        "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Slice",
        "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum",
        "Tan", "Tanh", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
    }
)  # fmt: skip
SIZES = {"Expand": (1,), "Pad": (1,), "Resize": (2, 3), "Tile": (1,), "TopK": (1,)}  # input numbers

Shape = tuple[int, ...]  # with the largest batch


@dataclass(frozen=True)
class Node:
    """One operation. inputs, outputs: names, empty where left out"""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def check_onnx(content: bytes, where: str) -> None:
    """Raises InputError, with what was found, for a graph that a bundle may not hold."""
    if len(content) > MAX_BYTES:
        raise InputError(f"{where}: {len(content)} bytes, at most {MAX_BYTES} are read")
    model = wire.message(memoryview(content), wire.MODEL, where)
    for entry in model.get(8, []):
        opset = wire.message(wire.part(entry, where), wire.OPSET, where)
        _refuse_domain(wire.text(opset, 1, where), where)
    if 7 not in model:
        raise InputError(f"{where}: holds no graph; is it an ONNX file?")
    graph = wire.message(wire.part(model[7][0], where), wire.GRAPH, where)
    if len(graph.get(1, [])) > MAX_NODES:
        raise InputError(f"{where}: {len(graph[1])} nodes, at most {MAX_NODES} are read")
    nodes = [_node(entry, where) for entry in graph.get(1, [])]
    constants = dict(_tensor(entry, where) for entry in graph.get(5, []))
    shapes = _shapes([*graph.get(11, []), *graph.get(12, []), *graph.get(13, [])], where)
    fixed = (constants.keys() - _names(graph.get(11, []), where)) | {
        node.outputs[0] for node in nodes if node.operator == "Constant" and node.outputs
    }
    _check_sizes(nodes, {**shapes, **constants}, fixed, where)


def _node(entry: Any, where: str) -> Node:
    values = wire.message(wire.part(entry, where), wire.NODE, where)
    operator = wire.text(values, 4, where)
    _refuse_domain(wire.text(values, 7, where), where)
    if operator not in OPERATORS:
        raise InputError(
            f"{where}: holds the operator '{operator:.80}', which a bundle may not have: no "
            "loops, branches, random numbers or operators of other makers"
        )
    tensors = []
    for item in values.get(5, []):
        attribute = wire.message(wire.part(item, where), wire.ATTRIBUTE, where)
        tensors += [*attribute.get(5, []), *attribute.get(10, [])]
    for tensor in tensors:
        _tensor(tensor, where)
    inputs, outputs = (
        tuple(wire.as_text(name, where) for name in values.get(number, [])) for number in (1, 2)
    )
    return Node(operator, inputs, outputs)


def _refuse_domain(domain: str, where: str) -> None:
    if domain not in DOMAINS:
        raise InputError(
            f"{where}: holds operators of '{domain:.80}', which a bundle may not have; only "
            "ONNX's own"
        )


def _tensor(entry: Any, where: str) -> tuple[str, Shape]:
    """Name and shape of stored numbers. Raises InputError where they lie outside the file."""
    values = wire.message(wire.part(entry, where), wire.TENSOR, where)
    name = wire.text(values, 8, where)
    if wire.integer(values, 14, where) != 0:
        raise InputError(
            f"{where}: the weights '{name:.80}' lie in another file (external data), which no hash "
            "covers. Export the graph with one file for everything"
        )
    kind = wire.integer(values, 2, where)
    if kind not in NUMBER_TYPES:
        raise InputError(f"{where}: '{name:.80}' has the type {kind}, which is no kind of number")
    shape = wire.integers(values, 1, where)
    numbers = _numbers(shape, f"{where}: '{name:.80}'")
    if 9 in values and len(wire.part(values[9][0], where)) != numbers * NUMBER_TYPES[kind]:
        raise InputError(f"{where}: '{name:.80}' promises {numbers} numbers and holds others")
    return name, shape


def _names(entries: Iterable[Any], where: str) -> set[str]:
    return {
        wire.text(wire.message(wire.part(entry, where), wire.VALUE_INFO, where), 1, where)
        for entry in entries
    }


def _shapes(entries: Iterable[Any], where: str) -> dict[str, Shape]:
    """Name -> shape of every value that says it. Raises InputError where two say different."""
    found: dict[str, Shape] = {}
    for entry in entries:
        values = wire.message(wire.part(entry, where), wire.VALUE_INFO, where)
        name = wire.text(values, 1, where)
        shape = _declared(values, f"{where}: value '{name:.80}'")
        if found.setdefault(name, shape) != shape:
            raise InputError(f"{where}: the size of '{name:.80}' is given twice, and differs")
    return found


def _declared(values: wire.Values, where: str) -> Shape:
    if 2 not in values:
        raise InputError(f"{where}: has no type")
    kind = wire.message(wire.part(values[2][0], where), wire.TYPE, where)
    if 1 not in kind:
        raise InputError(f"{where}: is no tensor")
    tensor = wire.message(wire.part(kind[1][0], where), wire.TENSOR_TYPE, where)
    if wire.integer(tensor, 1, where) not in NUMBER_TYPES:
        raise InputError(f"{where}: holds no numbers")
    if 2 not in tensor:
        raise InputError(f"{where}: has no size; every value of a bundle's graph says its own")
    shape = wire.message(wire.part(tensor[2][0], where), wire.SHAPE, where)
    return tuple(_dimension(entry, index, where) for index, entry in enumerate(shape.get(1, [])))


def _dimension(entry: Any, index: int, where: str) -> int:
    values = wire.message(wire.part(entry, where), wire.DIMENSION, where)
    if 1 in values:
        return wire.integer(values, 1, where)
    name = wire.text(values, 2, where)
    if index or name != BATCH:
        raise InputError(
            f"{where}: dimension {index} is '{name:.80}', expected a number, or '{BATCH}' in front"
        )
    return MAX_IMAGES


def _numbers(shape: Shape, where: str) -> int:
    """How many numbers a value has. Raises InputError where they are too many."""
    numbers = math.prod(shape) if all(size >= 0 for size in shape) else -1
    if not 0 <= numbers <= MAX_NUMBERS or len(shape) > 16 or max(shape, default=0) > MAX_NUMBERS:
        raise InputError(
            f"{where}: is {'x'.join(map(str, shape)):.80}, at most {MAX_NUMBERS} numbers are "
            "computed in one value"
        )
    return numbers


def _check_sizes(
    nodes: Iterable[Node], shapes: Mapping[str, Shape], constants: set[str], where: str
) -> None:
    """No value without a size, none too large, no size that is only known when it is computed,
    and not too much work in all."""
    work = 0
    for name, shape in shapes.items():
        _numbers(shape, f"{where}: value '{name:.80}'")
    for node in nodes:
        for name in node.outputs:
            if name and name not in shapes:
                raise InputError(
                    f"{where}: the result '{name:.80}' of {node.operator} says no size; every "
                    "value of a bundle's graph says its own"
                )
        for index in SIZES.get(node.operator, ()):
            name = node.inputs[index] if index < len(node.inputs) else ""
            if name and name not in constants:
                raise InputError(
                    f"{where}: the size that {node.operator} makes is computed ('{name:.80}'); in "
                    "a bundle it is a constant"
                )
        work += _work(node, shapes)
    if work > MAX_WORK:
        raise InputError(f"{where}: {work} multiplications a run, at most {MAX_WORK} are computed")


def _work(node: Node, shapes: Mapping[str, Shape]) -> int:
    """Multiply-adds of a node, roughly: numbers that come out, times those summed for each."""
    out = max((math.prod(shapes.get(name, ())) for name in node.outputs if name), default=0)
    ins = [shapes.get(name, ()) for name in node.inputs]
    if node.operator == "MatMul" and ins and ins[0]:
        return out * ins[0][-1]
    if node.operator == "Gemm" and ins:
        return out * max(ins[0], default=1)
    if node.operator in ("Conv", "ConvTranspose") and len(ins) > 1 and ins[1]:
        return out * math.prod(ins[1]) // max(min(ins[1][:2]), 1)
    return out + sum(math.prod(shape) for shape in ins)
