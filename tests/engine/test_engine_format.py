"""Bundle format 2 grows without breaking: what was written once is read for ever.

`bundles/nano2` was written by the first version that knew the format. It is never written again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import onnx
import pytest

from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.engine import manifest as manifest_module
from irl_vla.engine.bundle import Bundle, load_bundle
from irl_vla.engine.export import Provenance, export_bundle
from irl_vla.engine.manifest import Manifest, from_bytes, to_bytes
from irl_vla.engine.networks import build_networks
from irl_vla.engine.onnx_runner import OnnxRunner
from irl_vla.engine.runner import verify_golden
from irl_vla.engine.torch_runner import TorchRunner
from irl_vla.perception.classes import SceneClasses
from irl_vla.perception.preset import load_preset
from irl_vla.perception.tokens import TensorSpec, scene_tokens, token_arrays
from irl_vla.types import InputError

NANO2 = Path(__file__).parent / "bundles" / "nano2"
FROZEN: dict[str, Any] = {  # defaults are omitted in bundles, so none of them may ever change
    "Manifest.parameters": None,
    "Manifest.network": None,
    "Manifest.training_run": None,
    "Manifest.training_data": (),
    "NetworkPart.quantisation": None,
    "Preset.score_threshold": 0.3,
    "PlannerSize.denoise_steps": 2,
    "ImageSpec.width": 704,
    "ImageSpec.height": 256,
    "ImageSpec.mean": (123.675, 116.28, 103.53),
    "ImageSpec.std": (58.395, 57.12, 57.375),
    "ImageSpec.horizon": 0.3,
    "ImageSpec.tele": None,
    "BevGrid.x": (-16.0, 48.0),
    "BevGrid.y": (-32.0, 32.0),
    "BevGrid.cells": (64, 64),
    "BevGrid.heights": (-1.0, 0.5, 2.0, 5.0),
}
OTHER = SceneClasses(  # fewer, and in another order
    agents=("bicycle", "vehicle", "pedestrian"),
    map=("red_stop_line", "crosswalk", "boundary", "centerline"),
    seg=("vehicle", "road", "nothing", "pedestrian", "centerline", "obstacle"),
)


@pytest.fixture
def nano2(tmp_path: Path) -> Path:
    return Path(shutil.copytree(NANO2, tmp_path / "nano2"))


def dataclasses_of(kind: Any) -> Iterator[Any]:
    """A type and every dataclass inside it."""
    for inner in get_args(kind):
        yield from dataclasses_of(inner)
    if is_dataclass(kind):
        yield kind
        for hint in get_type_hints(kind).values():
            yield from dataclasses_of(hint)


def edit(root: Path, files: dict[str, bytes], change: Any) -> Bundle:
    """An honest bundle with other files and another manifest."""
    data = json.loads((root / "manifest.json").read_bytes())
    for name, content in files.items():
        (root / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        data["files"][name] = {"bytes": len(content), "sha256": digest}
    change(data)
    (root / "manifest.json").write_text(json.dumps(data))
    return load_bundle(root)


def test_the_first_bundle_of_format_2_repeats_its_golden_answers() -> None:
    bundle = load_bundle(NANO2)
    assert bundle.id == "ef56b3d5c82cb28f8908cfa334ae1797f963e999c109402c0175181265d8e161"
    assert bundle.weights_id == "317d5516f3a855e46fb70a0748766a09fdd703addf98d9b8f71a22a4f4479f56"
    for threads in (1, 2):
        verify_golden(OnnxRunner(bundle, threads), bundle)
    assert policy_stack_from_bundle(bundle, 1).bundle_id == bundle.id


def test_networks_of_the_first_scene_tokens_say_nothing_of_closed_lanes() -> None:
    bundle = load_bundle(NANO2)
    for runner in (OnnxRunner(bundle, 1), TorchRunner(bundle)):
        verify_golden(runner, bundle)
        told = runner.run("bev", bundle.golden("bev", "fp32").inputs)
        tokens = scene_tokens(told, 0, 0, None)
        assert tokens.closed is None and "closed" not in token_arrays(tokens)


def test_a_bundle_of_the_second_scene_tokens_says_what_is_closed(nano: Bundle, nano2: Path) -> None:
    assert nano.network.scene_tokens == "SceneTokens/2"
    told = OnnxRunner(nano, 1).run("bev", nano.golden("bev", "fp32").inputs)
    closed = scene_tokens(told, 0, 0, None).closed
    assert closed is not None and closed.shape == (1, *nano.network.preset.bev.cells)

    def promise(data: dict[str, Any]) -> None:
        data["network"]["scene_tokens"] = "SceneTokens/2"

    with pytest.raises(InputError, match="graph 'bev', outputs: 'closed' is missing"):
        edit(nano2, {}, promise)


def test_a_default_that_was_once_released_never_changes() -> None:
    found = {
        f"{kind.__name__}.{entry.name}": entry.default
        for kind in dataclasses_of(Manifest)
        for entry in fields(kind)
        if entry.default is not MISSING
    }
    assert found == FROZEN, "a new setting joins this list, an old one keeps its default"
    every = [entry for kind in dataclasses_of(Manifest) for entry in fields(kind)]
    assert all(entry.default_factory is MISSING for entry in every), "it could not be omitted"


def test_what_has_its_default_is_not_written_and_comes_back(nano: Bundle) -> None:
    text = (nano.root / "manifest.json").read_text()
    for absent in ("score_threshold", "denoise_steps", "quantisation", "training_run", "mean"):
        assert absent not in text
    assert '"agents"' in text and '"boundary"' in text, "a vocabulary is always written"
    trained = replace(nano.manifest, trained=True, training_run="run 7")
    assert from_bytes(to_bytes(trained), "here") == trained
    assert "run 7" in to_bytes(trained).decode()


@dataclass(frozen=True, kw_only=True)
class LaterManifest(Manifest):
    """A version that knows one more setting."""

    card: str | None = None


def test_a_setting_of_a_later_version_leaves_older_bundles_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = load_bundle(NANO2)
    monkeypatch.setattr(manifest_module, "Manifest", LaterManifest)
    later = load_bundle(NANO2)
    assert later.id == known.id and later.manifest == LaterManifest(**vars(known.manifest))
    assert to_bytes(later.manifest) == (NANO2 / "manifest.json").read_bytes()


def with_lamps(root: Path) -> Bundle:
    """The bundle as a later version may export it: its `bev` says one thing more."""
    model = onnx.load(str(root / "bev.fp32.onnx"))
    model.graph.node.append(onnx.helper.make_node("Identity", ["seg"], ["lamps"]))
    seg = next(one for one in model.graph.output if one.name == "seg")
    lamps = model.graph.output.add()
    lamps.CopyFrom(seg)
    lamps.name = "lamps"
    golden = dict(np.load(root / "bev.fp32.golden.npz"))
    np.savez(root / "golden.npz", **golden, **{"out.lamps": golden["out.seg"]})
    files = {
        "bev.fp32.onnx": model.SerializeToString(),
        "bev.fp32.golden.npz": (root / "golden.npz").read_bytes(),
    }
    (root / "golden.npz").unlink()

    def change(data: dict[str, Any]) -> None:
        outputs = data["network"]["graphs"]["bev"]["outputs"]
        outputs.append({**outputs[-1], "name": "lamps"})

    return edit(root, files, change)


def test_an_output_that_this_version_does_not_know_is_left_alone(nano2: Path) -> None:
    bundle = with_lamps(nano2)
    runner = OnnxRunner(bundle, 1)
    verify_golden(runner, bundle)
    told = runner.run("bev", bundle.golden("bev", "fp32").inputs)
    assert "lamps" in told and "lamps" not in token_arrays(scene_tokens(told, 0, 0, None))
    policy_stack_from_bundle(bundle, 1)


def test_an_output_that_a_later_version_adds_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, nano2: Path
) -> None:
    """What adding `lamps` takes: the tensor at the end of the graph's outputs, named optional."""
    now = manifest_module.bev_io

    def later(*sizes: Any) -> Any:
        io = now(*sizes)
        lamps = TensorSpec("lamps", "float16", (7, *io.outputs[-1].shape[1:]))
        return replace(io, outputs=(*io.outputs, lamps), optional=io.optional | {"lamps"})

    monkeypatch.setattr(manifest_module, "bev_io", later)
    verify_golden(OnnxRunner(load_bundle(NANO2), 1), load_bundle(NANO2))
    with_lamps(nano2)


def test_a_bundle_may_have_optional_graphs_and_they_are_loaded_only_when_asked_for(
    nano2: Path,
) -> None:
    def change(data: dict[str, Any]) -> None:
        graphs = data["network"]["graphs"]
        graphs["reward"] = {**graphs["planner"], "inputs": graphs["planner"]["inputs"]}

    bundle = edit(nano2, {}, change)
    assert OnnxRunner(bundle, 1).graphs == ("camera", "bev", "planner")
    runner = OnnxRunner(bundle, 1, graphs=("reward",))
    verify_golden(runner, bundle)
    with pytest.raises(InputError, match="graph 'bev' is not loaded here, only reward"):
        runner.run("bev", {})
    with pytest.raises(InputError, match="has no graph 'language', only bev, camera, planner, rew"):
        OnnxRunner(bundle, 1, graphs=("language",))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    networks = build_networks(load_preset("nano"), 0, OTHER)
    root = tmp_path_factory.mktemp("other") / "nano"
    return export_bundle(networks, root, Provenance(name="other", seed=0), lambda _: None, 2)


def test_a_bundle_of_other_classes_is_read_by_its_own_words(other: Bundle) -> None:
    assert load_bundle(other.root).network.vocabulary.seg == OTHER.seg
    for runner in (OnnxRunner(other, 1), TorchRunner(other)):
        verify_golden(runner, other)
    golden = other.golden("bev", "fp32")
    assert golden.outputs["seg"].shape == (6, 16, 16)
    likely = golden.outputs["seg"].mean(axis=(1, 2)).argmax()
    assert OTHER.seg[likely] == "nothing", "an untrained network sees nothing"
    assert policy_stack_from_bundle(other, 1).classes.map == OTHER.map


@pytest.mark.parametrize(
    ("kind", "name"),
    [("map", "boundary"), ("map", "red_stop_line"), ("seg", "road"), ("seg", "vehicle")],
)
def test_a_bundle_without_a_class_that_the_guard_needs_does_not_drive(
    nano2: Path, kind: str, name: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        words = data["network"]["vocabulary"][kind]
        words[words.index(name)] = "something_else"

    bundle = edit(nano2, {}, change)
    with pytest.raises(InputError, match=f"no class '{name}' under '{kind}', which the guard need"):
        policy_stack_from_bundle(bundle, 1)


def test_another_precision_is_another_bundle_of_the_same_weights(nano: Bundle, nano2: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        variants = data["network"]["graphs"]["planner"]["variants"]
        variants["int8-cpu"] = {**variants["fp32"], "tolerance": 0.05}

    both = edit(nano2, {}, change)
    assert both.id != load_bundle(NANO2).id and both.weights_id == load_bundle(NANO2).weights_id
    runner = OnnxRunner(both, 1, variants={"planner": "int8-cpu"})
    verify_golden(runner, both)
    ran = {name: runner.record(name).variant for name in runner.graphs}
    assert ran == {"camera": "fp32", "bev": "fp32", "planner": "int8-cpu"}
    with pytest.raises(InputError, match="graph 'bev' has no variant 'int8-cpu', only fp32"):
        OnnxRunner(both, 1, variants={"bev": "int8-cpu"})
