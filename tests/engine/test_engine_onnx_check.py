"""A graph of a bundle cannot reach outside its file, loop, branch or fill the memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from irl_vla.engine.bundle import Bundle, load_bundle
from irl_vla.engine.onnx_check import MAX_NODES, check_onnx
from irl_vla.engine.onnx_runner import onnx_session
from irl_vla.resources import resource
from irl_vla.types import InputError

NANO2 = Path(__file__).parent / "bundles" / "nano2"
GRAPHS = sorted(NANO2.glob("*.onnx"))
HUGE = 10**12


def value(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def numbers(name: str, values: Sequence[int]) -> Any:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))


def model(
    nodes: Sequence[Any], infos: Sequence[Any] = (), stored: Sequence[Any] = (),
    out: Sequence[int | str] = (2,), **more: Any,
) -> bytes:  # fmt: skip
    """x (2,) -> y"""
    graph = helper.make_graph(
        list(nodes), "g", [value("x", [2])], [value("y", out)], list(stored), value_info=list(infos)
    )
    opset = more.pop("opset_imports", [helper.make_opsetid("", 18)])
    made = helper.make_model(graph, opset_imports=opset, ir_version=10, **more)
    return bytes(made.SerializeToString())


def branch(name: str, stored: Sequence[Any] = ()) -> Any:
    return helper.make_graph(
        [helper.make_node("Identity", ["w"], [name])], name, [], [value(name, [2])], list(stored)
    )


def outside(name: str = "w") -> Any:
    """Weights that lie in another file."""
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [2], [0.0, 0.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": "/etc/passwd", "offset": "0", "length": "8"}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    return tensor


def refused(content: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        check_onnx(content, "bundle b: 'g.onnx'")
    assert str(caught.value).startswith("bundle b: 'g.onnx'") and len(str(caught.value)) < 500


def test_a_plain_graph_passes_and_runs() -> None:
    content = model([helper.make_node("Add", ["x", "x"], ["y"])])
    check_onnx(content, "g")
    assert onnx_session(content, 1, "g").run(None, {"x": np.ones(2, np.float32)})[0].sum() == 4.0


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.name)
def test_what_this_library_exports_passes(path: Path) -> None:
    check_onnx(path.read_bytes(), path.name)


def test_weights_outside_the_file_are_refused_wherever_they_are_named() -> None:
    add = helper.make_node("Add", ["x", "w"], ["y"])
    refused(model([add], stored=[outside()]), "external data")
    constant = helper.make_node("Constant", [], ["w"], value=outside())
    refused(model([constant, add], [value("w", [2])]), "external data")
    many = helper.make_node("Constant", [], ["w"])
    many.attribute.append(helper.make_attribute("tensors", [outside()]))
    refused(model([many, add], [value("w", [2])]), "external data")
    condition = helper.make_node(
        "If", ["c"], ["y"], then_branch=branch("a", [outside()]), else_branch=branch("b")
    )
    refused(model([condition]), "operator 'If'")
    relu = helper.make_node("Relu", ["x"], ["y"])
    relu.attribute.append(helper.make_attribute("body", branch("a", [outside()])))
    refused(model([relu]), "attribute has a subgraph")
    function = helper.make_function(
        "own", "F", ["x"], ["y"], [constant, add], [helper.make_opsetid("", 18)]
    )
    refused(model([add], functions=[function]), "functions")
    sparse = helper.make_sparse_tensor(outside("values"), numbers("i", [0, 1]), [4])
    dense = onnx.load_from_string(model([add], stored=[]))
    dense.graph.sparse_initializer.append(sparse)
    refused(dense.SerializeToString(), "sparse")


def test_a_marked_location_without_a_file_is_refused_too() -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [0.0, 0.0])
    tensor.data_location = TensorProto.EXTERNAL
    refused(model([helper.make_node("Add", ["x", "w"], ["y"])], stored=[tensor]), "another file")


def loop() -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["go"])], "body",
        [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL)],
        [value("go", [], TensorProto.BOOL)],
    )  # fmt: skip
    stored = [numbers("n", [10**15]), helper.make_tensor("t", TensorProto.BOOL, [], [True])]
    return model([helper.make_node("Loop", ["n", "t"], ["y"], body=body)], stored=stored)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (loop(), "operator 'Loop'.*no loops"),
        (model([helper.make_node("RandomNormal", [], ["y"], shape=[2])]), "'RandomNormal'"),
        (model([helper.make_node("Relu", ["x"], ["y"], domain="com.evil")]), "'com.evil'"),
        (model([helper.make_node("Relu", ["x"], ["y"])],
               opset_imports=[helper.make_opsetid("com.evil", 1)]), "'com.evil'"),
        (model([helper.make_node("Relu", ["x"], [f"y{i}" if i else "y"])
                for i in range(MAX_NODES + 1)]), "nodes, at most"),
        (b"", "no graph"),
        (b"hello world, this is no model", "no ONNX|not known"),
    ],
    ids=["loop", "random", "domain", "opset", "nodes", "empty", "text"],
)  # fmt: skip
def test_loops_foreign_operators_and_other_files_are_refused(content: bytes, why: str) -> None:
    refused(content, why)


def test_a_value_has_a_bounded_size_or_is_refused() -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    refused(model([relu], out=[HUGE]), f"is {HUGE}, at most")
    refused(model([relu], out=["n"]), "dimension 0 is 'n', expected a number")
    refused(model([relu], out=[2, "images"]), "dimension 1 is 'images'")
    two = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    refused(model(two), "'a' of Relu says no size")
    refused(model(two, [value("a", [2]), value("a", [3])]), "given twice, and differs")
    promised = helper.make_tensor("w", TensorProto.FLOAT, [2], b"\0" * 8, raw=True)
    promised.dims[0] = 3
    refused(model([relu], stored=[promised]), "promises 3 numbers")
    refused(model([helper.make_node("Expand", ["x", "x"], ["y"])]), "size that Expand makes is com")


def test_too_much_work_is_refused_though_every_value_is_small() -> None:
    wide = [value(f"a{i}", [2**14, 2**14]) for i in range(9)]
    nodes = [helper.make_node("MatMul", [f"a{i}", f"a{i}"], [f"a{i + 1}"]) for i in range(8)]
    refused(model(nodes, wide), "multiplications a run")


@pytest.mark.parametrize("factor", [2, 30])
def test_a_graph_that_lies_about_a_size_does_not_load(factor: int) -> None:
    """The check believes the sizes; the runtime holds the graph to them."""
    nodes = [
        helper.make_node("Expand", ["x", "s"], ["a"]),
        helper.make_node("ReduceSum", ["a", "axis"], ["y"], keepdims=0),
    ]
    content = model(nodes, [value("a", [1, 2])], [numbers("s", [factor, 2]), numbers("axis", [0])])
    check_onnx(content, "g")
    with pytest.raises(InputError, match="ONNX Runtime refuses"):
        onnx_session(content, 1, "g")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_pass_or_are_refused_in_a_sentence(data: st.DataObject) -> None:
    content = bytearray(GRAPHS[0].read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content) // 2, 100]))
    try:
        check_onnx(bytes(content[:cut]), "g")
    except InputError as error:
        assert len(str(error)) < 500


def with_graph(root: Path, change: Callable[[Any], None]) -> None:
    """An honest bundle around a changed planner."""
    path = root / "planner.fp32.onnx"
    made = onnx.load_from_string(path.read_bytes())
    change(made)
    path.write_bytes(made.SerializeToString())
    content, manifest = path.read_bytes(), root / "manifest.json"
    data = json.loads(manifest.read_bytes())
    digest = hashlib.sha256(content).hexdigest()
    data["files"][path.name] = {"bytes": len(content), "sha256": digest}
    manifest.write_text(json.dumps(data))


def test_a_bundle_with_such_a_graph_is_refused_though_hashed(nano_copy: Path) -> None:
    with_graph(nano_copy, lambda made: made.graph.initializer[0].CopyFrom(outside()))
    with pytest.raises(InputError, match=r"'planner\.fp32\.onnx': the tensor has external data"):
        load_bundle(nano_copy)


@pytest.mark.parametrize("place", ["planner.fp32.onnx", "manifest.json", "engines/a.engine"])
def test_a_second_name_of_a_file_counts_as_a_link(
    nano_copy: Path, tmp_path: Path, place: str
) -> None:
    path = nano_copy / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.link(path, tmp_path / "second")
    with pytest.raises(InputError, match=f"'{place}' has a second name"):
        load_bundle(nano_copy)


def test_a_link_in_a_subfolder_is_refused(nano_copy: Path, tmp_path: Path) -> None:
    (nano_copy / "engines" / "deep").mkdir(parents=True)
    (nano_copy / "engines" / "deep" / "x").symlink_to(tmp_path)
    with pytest.raises(InputError, match="'engines/deep/x' is a symbolic link"):
        load_bundle(nano_copy)


def test_what_came_with_the_software_may_be_linked_by_its_installer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = tmp_path / "shipped"
    rule = shipped / "models" / "rule"
    rule.mkdir(parents=True)
    for path in resource("models/rule").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
        os.link(tmp_path / path.name, rule / path.name)
    with pytest.raises(InputError, match="second name"):
        load_bundle(rule)
    monkeypatch.setattr("irl_vla.resources._SHIPPED", shipped)
    assert isinstance(load_bundle(rule), Bundle)


def test_the_tolerance_of_a_full_precision_graph_has_a_bound_of_ours(nano_copy: Path) -> None:
    manifest = nano_copy / "manifest.json"
    data = json.loads(manifest.read_bytes())
    for loose in (0.999, 0.05):
        data["network"]["graphs"]["planner"]["variants"]["fp32"]["tolerance"] = loose
        manifest.write_text(json.dumps(data))
        with pytest.raises(InputError, match="tolerance: expected"):
            load_bundle(nano_copy)
