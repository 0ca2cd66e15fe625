"""Runners give equal bits to equal inputs, and refuse wrong tensors in words."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from irl_vla.engine.bundle import Bundle, load_bundle
from irl_vla.engine.compare import difference, refuse_difference
from irl_vla.engine.latency import latency
from irl_vla.engine.manifest import GRAPHS
from irl_vla.engine.networks import example_inputs
from irl_vla.engine.onnx_runner import OnnxRunner
from irl_vla.engine.policies import policy_from_bundle
from irl_vla.engine.policy_bundle import write_rule_bundle
from irl_vla.engine.runner import Runner
from irl_vla.engine.torch_runner import TorchRunner
from irl_vla.perception.tokens import scene_tokens
from irl_vla.planner.rule import RuleConfig
from irl_vla.types import Candidates, Command, EgoStatus, InputError, Intent


@pytest.fixture(scope="module", params=["onnx", "torch"])
def runner(request: pytest.FixtureRequest, nano: Bundle) -> Runner:
    return OnnxRunner(nano, 2) if request.param == "onnx" else TorchRunner(nano)


def inputs_of(nano: Bundle, graph: str, seed: int = 0, images: int = 3) -> dict[str, Any]:
    return example_inputs(nano.network.preset, graph, np.random.default_rng(seed), images)


@pytest.mark.parametrize("graph", GRAPHS)
def test_equal_inputs_give_equal_bits_twenty_times(
    runner: Runner, nano: Bundle, graph: str
) -> None:
    inputs = inputs_of(nano, graph)
    first = runner.run(graph, inputs)
    for _ in range(20):
        for name, value in runner.run(graph, inputs).items():
            assert value.tobytes() == first[name].tobytes(), name


def test_the_outputs_of_one_run_are_not_touched_by_the_next(runner: Runner, nano: Bundle) -> None:
    first = runner.run("planner", inputs_of(nano, "planner", 0))["trajectories"]
    kept = first.copy()
    second = runner.run("planner", inputs_of(nano, "planner", 1))["trajectories"]
    assert first.tobytes() == kept.tobytes() != second.tobytes()


def test_outputs_are_written_where_the_caller_wants_them(runner: Runner, nano: Bundle) -> None:
    preset = nano.network.preset
    slots = np.full((8, preset.feature_channels, *preset.feature_size), np.nan, np.float32)
    inputs = inputs_of(nano, "camera", images=3)
    told = runner.run("camera", inputs, out={"features": slots[:3]})
    assert np.shares_memory(told["features"], slots)
    assert slots[:3].tobytes() == runner.run("camera", inputs)["features"].tobytes()
    assert np.isnan(slots[3:]).all()


def test_each_image_has_features_of_its_own(runner: Runner, nano: Bundle) -> None:
    inputs = inputs_of(nano, "camera", images=4)
    together = runner.run("camera", inputs)["features"]
    alone = runner.run("camera", {"images": inputs["images"][2:3]})["features"]
    assert difference(together[2:3], alone) < 1e-5


def test_wrong_tensors_are_refused_in_words(runner: Runner, nano: Bundle) -> None:
    good = inputs_of(nano, "bev")
    without = {name: value for name, value in good.items() if name != "present"}
    for inputs, why in [
        (without, "expected inputs"),
        ({**good, "more": np.zeros(1)}, "expected inputs"),
        (
            {**good, "present": np.ones(8)},
            r"'present': expected bool \[8\] in C order, got float64 \[8\]",
        ),
        (
            {**good, "present": np.ones(6, bool)},
            r"'present': expected bool \[8\] in C order, got bool \[6\]",
        ),
        ({**good, "features": np.zeros((8, 1), np.float32)}, r"'features': expected float32"),
    ]:
        with pytest.raises(InputError, match=why):
            runner.run("bev", inputs)
    for count in (0, 9):
        with pytest.raises(InputError, match=f"1 to 8 images, got {count}"):
            runner.run("camera", {"images": np.zeros((count, 3, 32, 64), np.float32)})


def test_a_wrong_place_for_the_output_is_refused(nano: Bundle) -> None:
    engine, inputs = OnnxRunner(nano, 1), inputs_of(nano, "planner")
    spread = np.zeros((8, 8, 6), np.float32)[:, :, ::2]
    for target in (np.zeros((8, 8, 3)), np.zeros((1, 8, 3), np.float32), spread):
        with pytest.raises(InputError, match="output 'trajectories': expected float32"):
            engine.run("planner", inputs, out={"trajectories": target})
    with pytest.raises(InputError, match="threads: expected at least 1"):
        OnnxRunner(nano, 0)


def through(runner: Runner, nano: Bundle, seed: int) -> Candidates:
    """From features to candidates, as the core does it."""
    outputs = runner.run("bev", inputs_of(nano, "bev"))
    tokens = scene_tokens(outputs, 5_000, 0, None)
    ego = EgoStatus(0, np.array([5.0, 0.0]), np.zeros(2), 0.0, True, "test")
    policy = policy_from_bundle(nano, runner)
    return policy.propose(tokens, Command(0, 0), ego, Intent(), seed)


def test_a_network_bundle_proposes_drivable_candidates(runner: Runner, nano: Bundle) -> None:
    one, again, other = (through(runner, nano, seed) for seed in (0, 0, 1))
    assert one.poses.shape == (8, 8, 3) and np.isfinite(one.poses).all()
    assert one.confidence.sum() == pytest.approx(1.0)
    assert one.poses.tobytes() == again.poses.tobytes() != other.poses.tobytes()


def test_a_network_bundle_without_runner_and_a_rule_bundle_without_networks_are_told_apart(
    nano: Bundle, tmp_path: Any
) -> None:
    with pytest.raises(InputError, match="needs a runner"):
        policy_from_bundle(nano)
    rule = write_rule_bundle(tmp_path / "rule", RuleConfig())
    with pytest.raises(InputError, match="kind 'rule' has no networks"):
        OnnxRunner(rule)


def test_a_runner_loads_what_it_is_asked_for_and_says_what_it_runs(nano: Bundle) -> None:
    for runner in (OnnxRunner(nano, 1, ("planner",)), TorchRunner(nano, graphs=("planner",))):
        assert runner.graphs == ("planner",)
        record = runner.record("planner")
        sha256 = hashlib.sha256(nano.read("planner.fp32.onnx")).hexdigest()
        assert (record.graph, record.variant, record.onnx_sha256) == ("planner", "fp32", sha256)
        name, version = record.backend.split(" ")
        assert name in ("onnxruntime-cpu", "torch-cpu") and version[0].isdigit()
        with pytest.raises(InputError, match="graph 'bev' is not loaded here, only planner"):
            runner.run("bev", inputs_of(nano, "bev"))
        with pytest.raises(InputError, match="graph 'camera' is not loaded"):
            runner.record("camera")


def test_arrays_of_the_runners_device_pass_from_graph_to_graph(nano: Bundle) -> None:
    """On a GPU nothing is copied to the host between two graphs; here the device is the CPU."""
    runner, preset = TorchRunner(nano), nano.network.preset
    inputs = inputs_of(nano, "camera")
    slots = torch.full((8, preset.feature_channels, *preset.feature_size), torch.nan)
    told = runner.run("camera", inputs, out={"features": slots[:3]})
    assert told["features"].data_ptr() == slots.data_ptr()
    np.testing.assert_array_equal(slots[:3].numpy(), runner.run("camera", inputs)["features"])
    more = {**inputs_of(nano, "bev"), "features": slots}
    same = {**more, "features": slots.numpy()}
    for name, value in runner.run("bev", more).items():
        assert value.tobytes() == runner.run("bev", same)[name].tobytes()
    with pytest.raises(InputError, match=r"'features': expected float32 \[8, 8, 2, 4\] in C order"):
        runner.run("bev", {**more, "features": slots.double()})
    with pytest.raises(InputError, match="'features': this runner takes NumPy arrays, got Tensor"):
        OnnxRunner(nano, 1).run("bev", more)


def test_the_car_needs_no_torch(nano: Bundle) -> None:
    code = (
        "import sys, pathlib; from irl_vla.engine.bundle import load_bundle; "
        "from irl_vla.engine.onnx_runner import OnnxRunner; "
        "from irl_vla.engine.runner import verify_golden; "
        "from irl_vla.engine.policies import policy_from_bundle; "
        f"b = load_bundle(pathlib.Path({str(nano.root)!r})); r = OnnxRunner(b, 1); "
        "verify_golden(r, b); policy_from_bundle(b, r); "
        "sys.exit(int('torch' in sys.modules or 'tensorrt' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_differences_are_relative_to_the_largest_number() -> None:
    reference = np.array([100.0, 1.0], np.float32)
    assert difference(reference + np.float32(0.5), reference) == pytest.approx(0.005)
    assert difference(reference, reference) == 0.0


def test_one_step_of_float16_is_forgiven_and_two_are_not() -> None:
    reference = np.array([1.0, 2.0], np.float16)
    one = np.nextafter(reference, np.float16(9))
    assert difference(one, reference) == 0.0
    assert difference(np.nextafter(one, np.float16(9)), reference) > 1e-4


def test_one_tie_in_a_discrete_output_is_forgiven_and_two_are_not() -> None:
    reference = np.arange(30)
    one, two = reference.copy(), reference.copy()
    one[3], two[[3, 4]] = 0, 0
    assert difference(one, reference) == 0.0 and difference(two, reference) == np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_infinitely_far_away(value: float) -> None:
    reference = np.ones(3, np.float32)
    broken = np.array([1.0, value, 1.0], np.float32)
    assert difference(broken, reference) == difference(reference, broken) == np.inf
    assert difference(reference[:2], reference) == np.inf, "and so is another shape"
    with pytest.raises(InputError, match="NaN or infinite"):
        refuse_difference({"x": broken}, {"x": reference}, 0.5, "here")


def test_percentiles_are_in_milliseconds() -> None:
    measured = latency([0.001 * (i + 1) for i in range(101)])
    assert measured.count == 101
    assert [measured.p50, measured.p90, measured.p99] == pytest.approx([51.0, 91.0, 100.0])


def test_a_bundle_reads_its_files_again_with_their_hash(nano: Bundle, nano_copy: Any) -> None:
    bundle = load_bundle(nano_copy)
    (nano_copy / "equality.json").write_bytes(nano.read("equality.json").replace(b"1", b"2"))
    with pytest.raises(InputError, match=r"'equality\.json' is damaged"):
        bundle.read("equality.json")
