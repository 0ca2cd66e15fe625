"""An exported bundle proves that its graphs say what torch says, and refuses what does not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.engine import export as export_module
from irl_vla.engine.bundle import Bundle, file_entries, load_bundle, write_bundle
from irl_vla.engine.compare import difference
from irl_vla.engine.export import Provenance, export_bundle, stored_differences
from irl_vla.engine.manifest import GRAPHS, MAX_IMAGES
from irl_vla.engine.networks import build_networks, example_inputs, weights_to_bytes
from irl_vla.engine.onnx_graph import to_onnx
from irl_vla.engine.onnx_runner import OnnxRunner
from irl_vla.engine.runner import verify_golden
from irl_vla.engine.torch_runner import TorchRunner
from irl_vla.perception.preset import load_preset
from irl_vla.types import InputError


def edit(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest of a bundle, in its canonical spelling."""
    path = root / "manifest.json"
    data = json.loads(path.read_bytes())
    change(data)
    path.write_bytes((json.dumps(data, sort_keys=True, indent=1) + "\n").encode())


def replace_file(root: Path, name: str, content: bytes) -> None:
    """Change a file and its hash: an honest bundle with other content."""
    (root / name).write_bytes(content)
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit(root, lambda data: data["files"].update({name: entry}))


def test_the_exported_graphs_equal_torch_to_one_in_ten_thousand(nano: Bundle) -> None:
    measured = stored_differences(nano)
    assert set(measured) == set(GRAPHS)
    assert all(0.0 <= apart <= 1e-4 for apart in measured.values())
    report = json.loads(nano.read("equality.json"))
    assert all(row["threads"] == [1, 2] and row["repetitions"] == 20 for row in report.values())


@pytest.mark.parametrize("threads", [1, 2])
def test_fresh_scenes_give_the_same_answers_in_torch_and_onnx_runtime(
    nano: Bundle, threads: int
) -> None:
    rng = np.random.default_rng()  # other scenes in every run of the tests
    reference, engine = TorchRunner(nano), OnnxRunner(nano, threads)
    for graph in GRAPHS:
        for images in range(1, 9):
            inputs = example_inputs(nano.network.preset, graph, rng, images)
            told, expected = engine.run(graph, inputs), reference.run(graph, inputs)
            for name, value in expected.items():
                assert difference(told[name], value) <= 1e-4, f"{graph}: {name}"


def test_an_export_in_the_middle_of_training_leaves_the_networks_in_training(
    tmp_path: Path,
) -> None:
    networks = build_networks(load_preset("nano"), 0)
    parts = networks.parts().values()
    for part in parts:
        part.train()
    before = {name: value.clone() for name, value in networks.weights().items()}
    graphs = networks.graphs()
    assert all(module.training for part in parts for module in part.modules())
    assert not any(module.training for graph in graphs.values() for module in graph.modules())
    with torch.no_grad():
        for weight in graphs["camera"].parameters():
            weight.zero_()
    assert all(torch.equal(value, before[name]) for name, value in networks.weights().items())


def test_an_untrained_bundle_says_so(nano: Bundle) -> None:
    manifest = nano.manifest
    assert (manifest.trained, manifest.training_run, manifest.training_data) == (False, None, ())
    assert nano.network.quantisation is None
    with pytest.raises(InputError, match="no variant 'int8-trt', only fp32"):
        nano.variant("bev", "int8-trt")


def test_a_batch_holds_the_images_of_the_largest_rig() -> None:
    assert MAX_IMAGES == MAX_CAMERAS


def test_only_the_number_of_images_is_dynamic(nano: Bundle) -> None:
    for graph in GRAPHS:
        model = onnx.load_from_string(nano.read(f"{graph}.fp32.onnx"))
        dynamic = {
            dim.dim_param
            for value in (*model.graph.input, *model.graph.output)
            for dim in value.type.tensor_type.shape.dim
            if dim.dim_param
        }
        assert dynamic == ({"images"} if graph == "camera" else set())
        onnx.checker.check_model(model, full_check=True)


def test_the_graphs_do_not_scatter_and_tell_nothing_of_the_machine(nano: Bundle) -> None:
    for graph in GRAPHS:
        content = nano.read(f"{graph}.fp32.onnx")
        kinds = {node.op_type for node in onnx.load_from_string(content).graph.node}
        assert not {kind for kind in kinds if kind.startswith("Scatter")}, kinds
        for word in (b"site-packages", b".py", b"/home", b"/root", b"irl_vla/"):
            assert word not in content, f"{graph} contains {word!r}"


class Wrong(nn.Module):
    """A network whose export forgets a part: it looks at the clock of the exporter."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.inner(images)
        return out * 1.001 if torch.compiler.is_exporting() else out


def test_a_graph_that_differs_by_a_thousandth_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = build_networks(load_preset("nano"), 0)
    graphs = {"camera": Wrong(networks.graphs()["camera"]).eval()}
    monkeypatch.setattr(type(networks), "graphs", lambda _: graphs)
    with pytest.raises(InputError, match=r"'camera': ONNX Runtime differs from torch by 0\.001"):
        export_bundle(networks, tmp_path / "b", Provenance(name="b", seed=0), lambda _: None, 2)
    assert list(tmp_path.iterdir()) == []
    assert export_module.PROOF_TOLERANCE == 1e-4


def files_of(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_file())


def test_a_flipped_bit_in_any_kind_of_file_is_refused(nano: Bundle, tmp_path: Path) -> None:
    assert len(files_of(nano.root)) == 9, "3 graphs, 3 golden answers, weights, report, manifest"
    rng = np.random.default_rng(0)
    for name in files_of(nano.root):
        root = Path(shutil.copytree(nano.root, tmp_path / name))
        content = bytearray((root / name).read_bytes())
        if name == "manifest.json":  # inside a hash; elsewhere it may be another valid bundle
            position = content.index(b"sha256") + 12
        else:
            position = int(rng.integers(len(content)))
        content[position] ^= 1
        (root / name).write_bytes(bytes(content))
        with pytest.raises(InputError, match=r"damaged|hexadecimal"):
            load_bundle(root)


@pytest.mark.parametrize("name", ["bev.fp32.onnx", "weights.safetensors", "camera.fp32.golden.npz"])
def test_a_missing_file_is_refused_by_name(nano_copy: Path, name: str) -> None:
    (nano_copy / name).unlink()
    with pytest.raises(InputError, match=f"'{name}' is missing"):
        load_bundle(nano_copy)


def test_a_bundle_of_other_contracts_is_refused_in_words(nano_copy: Path) -> None:
    good = (nano_copy / "manifest.json").read_bytes()

    def tokens(data: dict[str, Any]) -> None:
        data["network"]["scene_tokens"] = "SceneTokens/3"

    def preset(data: dict[str, Any]) -> None:
        data["network"]["preset"]["map_queries"] = 9

    def impossible(data: dict[str, Any]) -> None:
        data["network"]["preset"]["d_model"] = 0

    def graph(data: dict[str, Any]) -> None:
        del data["network"]["graphs"]["bev"]

    def renamed(data: dict[str, Any]) -> None:
        data["network"]["graphs"]["bev"]["inputs"][0]["name"] = "feature"

    def words(data: dict[str, Any]) -> None:
        data["network"]["vocabulary"]["seg"].append("puddle")

    def twice(data: dict[str, Any]) -> None:
        data["network"]["vocabulary"]["map"][0] = "divider"

    def variant(data: dict[str, Any]) -> None:
        data["network"]["graphs"]["bev"]["variants"] = {}

    def newer(data: dict[str, Any]) -> None:
        data["network"]["graphs"]["radar"] = data["network"]["graphs"]["bev"]

    def loose(data: dict[str, Any]) -> None:
        data["network"]["graphs"]["bev"]["variants"]["fp32"]["tolerance"] = 0.06

    def asks(data: dict[str, Any]) -> None:
        more = {"name": "mood", "dtype": "float32", "shape": [1]}
        data["network"]["graphs"]["bev"]["inputs"].append(more)

    def setting(data: dict[str, Any]) -> None:
        data["network"]["preset"]["moods"] = 3

    for change, why in [
        (tokens, r"reads 'SceneTokens/2, SceneTokens/1', got 'SceneTokens/3'"),
        (preset, r"'map': the bundle's preset .* ask for float16 \[9, 16\], got float16 \[8, 16\]"),
        (impossible, r"d_model: expected at least 1, got 0"),
        (graph, r"graphs: expected camera, bev, planner, got camera, planner"),
        (renamed, r"graph 'bev', inputs: 'features' is missing, got feature,"),
        (words, r"'seg': the bundle's preset and vocabulary ask for float16 \[8, 16, 16\], got"),
        (twice, r"vocabulary: expected different names under 'map'"),
        (newer, r"this version knows no 'radar'.*A newer version of irl-vla is needed"),
        (loose, r"tolerance: expected above 0 and at most 0\.05, got 0\.06"),
        (asks, r"inputs: this version knows no 'mood'\. A newer version of irl-vla is needed"),
        (
            setting,
            r"unknown setting 'network\.preset\.moods'.*a newer version of irl-vla is needed",
        ),
        (variant, r"graph 'bev': expected at least one variant"),
    ]:
        edit(nano_copy, change)
        with pytest.raises(InputError, match=why):
            load_bundle(nano_copy)
        (nano_copy / "manifest.json").write_bytes(good)


def test_the_golden_answers_of_a_good_bundle_are_met_by_every_runner(nano: Bundle) -> None:
    verify_golden(OnnxRunner(nano, 1), nano)
    verify_golden(TorchRunner(nano), nano)


def poisoned(root: Path, graph: str, value: float) -> None:
    """A bundle with honest hashes around one spoiled weight."""
    name = f"{graph}.fp32.onnx"
    model = onnx.load_from_string((root / name).read_bytes())
    weights = [w for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT]
    largest = max(weights, key=lambda w: len(w.raw_data))
    array = onnx.numpy_helper.to_array(largest).copy()
    array.reshape(-1)[::2] *= value
    largest.CopyFrom(onnx.numpy_helper.from_array(array, largest.name))
    replace_file(root, name, model.SerializeToString())


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_weight_that_is_nan_is_found_before_it_drives(nano_copy: Path, graph: str) -> None:
    poisoned(nano_copy, graph, float("nan"))
    bundle = load_bundle(nano_copy)
    with pytest.raises(InputError, match=f"graph '{graph}' .*NaN or infinite"):
        verify_golden(OnnxRunner(bundle, 1), bundle)


@pytest.mark.parametrize("graph", GRAPHS)
def test_weights_that_were_exchanged_are_found_before_they_drive(
    nano_copy: Path, graph: str
) -> None:
    poisoned(nano_copy, graph, -3.0)
    bundle = load_bundle(nano_copy)
    with pytest.raises(InputError, match=f"graph '{graph}' .*differs by"):
        verify_golden(OnnxRunner(bundle, 1), bundle)


def test_files_of_another_kind_are_refused_though_hashed(nano: Bundle, nano_copy: Path) -> None:
    for name, load, why in [
        ("bev.fp32.onnx", lambda b: OnnxRunner(b, 1), "'bev.fp32.onnx': the model has field"),
        ("weights.safetensors", TorchRunner, "no safetensors file"),
        ("camera.fp32.golden.npz", lambda b: b.golden("camera", "fp32"), r"not a readable \.npz"),
    ]:
        replace_file(nano_copy, name, b"\x80\x04K\x01.")  # a pickle of the number 1
        with pytest.raises(InputError, match=why):
            load(load_bundle(nano_copy))
        replace_file(nano_copy, name, nano.read(name))


def test_weights_of_another_preset_are_refused(nano_copy: Path) -> None:
    other = build_networks(load_preset("tiny"), 0)
    replace_file(nano_copy, "weights.safetensors", weights_to_bytes(other))
    with pytest.raises(InputError, match=r"weight .* for preset 'nano'|preset 'nano' has"):
        TorchRunner(load_bundle(nano_copy))


def test_a_bundle_written_again_from_its_own_parts_keeps_its_id(
    nano: Bundle, tmp_path: Path
) -> None:
    files = {name: nano.read(name) for name in nano.manifest.files}
    assert file_entries(files) == nano.manifest.files
    assert write_bundle(tmp_path / "copy", nano.manifest, files).id == nano.id


def test_a_module_that_breaks_its_contract_is_not_exported() -> None:
    preset = load_preset("nano")
    networks = build_networks(preset, 0)
    inputs = example_inputs(preset, "camera", np.random.default_rng(0), 2)
    wrong = load_preset("tiny")
    with pytest.raises(AssertionError, match="graph camera"):
        to_onnx(networks.graphs()["camera"], export_module.graph_ios(wrong)["camera"], inputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "base"])
def test_larger_presets_export_and_prove_themselves(name: str, tmp_path: Path) -> None:
    networks = build_networks(load_preset(name), 0)
    origin = Provenance(name=name, seed=0)
    bundle = export_bundle(networks, tmp_path / name, origin, lambda _: None, repetitions=3)
    verify_golden(OnnxRunner(bundle, 2), bundle)
