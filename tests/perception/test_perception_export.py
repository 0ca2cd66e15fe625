"""ONNX: the exported graphs are the networks, on fresh scenes, with one thread and with two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from irl_vla.perception.example import example_bev, example_camera
from irl_vla.perception.networks import _probability, build
from irl_vla.perception.preset import load_preset
from irl_vla.perception.tokens import GraphIo, bev_io, camera_io

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

NANO = load_preset("nano")
FLOAT16_STEP = 2.0**-10  # relative distance of neighbouring float16 numbers, at most
CAMERA, BEV = build(NANO, seed=0).graphs()


def export(io: GraphIo, net: torch.nn.Module, example: dict[str, Any], path: Path) -> Path:
    tensors = tuple(torch.from_numpy(value) for value in example.values())
    dynamic = {0: torch.export.Dim("images", min=1, max=8)} if io.graph == "camera" else None
    torch.onnx.export(
        net, tensors, path, dynamo=True, opset_version=18, verbose=False,
        input_names=[spec.name for spec in io.inputs],
        output_names=[spec.name for spec in io.outputs],
        dynamic_shapes=(dynamic,) if dynamic else None,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, rng = tmp_path_factory.mktemp("onnx"), np.random.default_rng(0)
    return {
        "camera": export(
            camera_io(NANO), CAMERA, example_camera(NANO, rng, 2), folder / "camera.onnx"
        ),
        "bev": export(bev_io(NANO), BEV, example_bev(NANO, rng), folder / "bev.onnx"),
    }


def run(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("threads", [1, 2])
def test_exported_graphs_equal_the_networks(files: dict[str, Path], threads: int) -> None:
    camera, bev = run(files["camera"], threads), run(files["bev"], threads)
    for repetition in range(20):
        rng = np.random.default_rng(repetition)
        cameras = 1 + repetition % 8
        images = example_camera(NANO, rng, cameras)
        with torch.no_grad():
            features = CAMERA(torch.from_numpy(images["images"])).numpy()
        got = camera.run(None, images)[0]
        assert np.abs(got - features).max() <= 1e-4 * np.abs(features).max()
        scene = example_bev(NANO, rng, cameras)
        with torch.no_grad():
            expected = BEV(*(torch.from_numpy(value) for value in scene.values()))
        for spec, want, have in zip(
            bev_io(NANO).outputs, expected, bev.run(None, scene), strict=True
        ):
            wide = want.numpy().astype(np.float64)
            room = 1e-4 * np.abs(wide).max() + FLOAT16_STEP * np.abs(wide)
            assert (np.abs(have.astype(np.float64) - wide) <= room).all(), spec.name


def test_no_graph_scatters_and_only_the_camera_batch_is_dynamic(files: dict[str, Path]) -> None:
    for name, path in files.items():
        graph = onnx.load(path).graph
        assert not {node.op_type for node in graph.node if "Scatter" in node.op_type}
        sizes = [
            dim.dim_param
            for tensor in (*graph.input, *graph.output)
            for dim in tensor.type.tensor_type.shape.dim
            if dim.dim_param
        ]
        assert len(sizes) == (2 if name == "camera" else 0), sizes


class Closed(torch.nn.Module):
    """The last step of `closed` alone."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return _probability(logits)


def test_what_is_hardly_probable_is_told_as_exactly_as_by_torch(tmp_path: Path) -> None:
    """Where nothing is closed a trained network says 1e-5 everywhere: relative to that."""
    logits = torch.linspace(-14.0, -9.0, 400).reshape(1, 1, 20, 20)
    path = tmp_path / "closed.onnx"
    torch.onnx.export(Closed(), (logits,), path, dynamo=True, opset_version=18, verbose=False)
    (told,) = run(path, 1).run(None, {"logits": logits.numpy()})
    want = torch.sigmoid(logits.double()).numpy()
    assert np.abs(told - want).max() <= 1e-6 * want.max()
