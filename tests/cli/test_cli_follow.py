"""Repeating a schedule and noticing drift, on the drawn street with real network bundles."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from drawn_street import write_street_bag
from typer.testing import CliRunner

from irl_vla.bag.bag import read_plans
from irl_vla.bag.bag_writer import BagWriter
from irl_vla.cli.app import app
from irl_vla.engine.bundle import Bundle
from irl_vla.engine.policy_bundle import write_rule_bundle
from irl_vla.evaluation.plan_comparison import compare_plans
from irl_vla.evaluation.read_ahead import DEPTH, read_ahead
from irl_vla.planner.rule import RuleConfig
from irl_vla.resources import resource
from irl_vla.types import InputError, Plan, Trajectory

RULE = resource("models/rule")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bag = tmp_path_factory.mktemp("follow") / "street"
    write_street_bag(bag, seconds=2.0, seed=0)
    return bag


def replay(bag: Path, bundle: Path, out: Path, *more: str) -> tuple[int, str]:
    words = ["replay", str(bag), "--bundle", str(bundle), "--out", str(out), *more]
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, InputError):
        return 3, str(done.exception)
    return done.exit_code, done.output


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "plans.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def driven(street: Path, nano: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("driven") / "out"
    assert replay(street, nano.root, out, "--seed", "7")[0] == 0
    return out


def test_following_a_drive_gives_the_same_plans_bit_for_bit(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    """Also the seed comes from the drive, not from the command line."""
    again = tmp_path / "again"
    code, text = replay(
        street, nano.root, again, "--follow", str(driven / "plans.mcap"), "--check", str(driven)
    )
    assert code == 0 and "drift     0.000000 m" in text and "the same bit for bit" in text
    assert (again / "plans.jsonl").read_bytes() == (driven / "plans.jsonl").read_bytes()
    schedules = [line["schedule"] for line in lines(driven)]
    assert any(schedule["memory_stamp_ns"] is not None for schedule in schedules)  # type: ignore[index]


def test_another_seed_gives_other_plans_and_check_says_so(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    code, text = replay(street, nano.root, tmp_path / "b", "--seed", "8", "--check", str(driven))
    assert code == 4 and "tolerated: 0.01 m" in text


def test_a_drive_of_another_bundle_cannot_be_followed(
    street: Path, driven: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text = replay(street, RULE, out, "--follow", str(driven / "plans.mcap"))
    assert code == 3 and "was driven by bundle" in text
    assert not out.exists()


def edited(bundle: Bundle, root: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy with another manifest: another bundle of the same networks."""
    shutil.copytree(bundle.root, root)
    data = json.loads((root / "manifest.json").read_bytes())
    change(data)
    (root / "manifest.json").write_text(json.dumps(data))
    return root


def test_every_plan_names_the_networks_that_made_it(nano: Bundle, driven: Path) -> None:
    plans = list(read_plans(driven / "plans.mcap"))
    assert plans and len({plan.model for plan in plans}) == 1
    model = plans[0].model
    weights = hashlib.sha256(nano.read("weights.safetensors")).hexdigest()
    assert (plans[0].bundle_id, model.weights_id) == (nano.id, weights)
    for record, graph in zip(model.graphs, ("camera", "bev", "planner"), strict=True):
        onnx = hashlib.sha256(nano.read(f"{graph}.fp32.onnx")).hexdigest()
        assert (record.graph, record.variant, record.onnx_sha256) == (graph, "fp32", onnx)
        assert record.backend == f"onnxruntime-cpu {onnxruntime.__version__}"
    assert lines(driven)[0]["model"] == json.loads(json.dumps(asdict(model)))


def test_any_bundle_that_holds_the_same_graphs_can_be_followed_with(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    """Here its float32 planner stands beside one of another precision, under another name."""

    def change(data: dict[str, Any]) -> None:
        data["name"] = "another"
        variants = data["network"]["graphs"]["planner"]["variants"]
        variants["float32"] = variants.pop("fp32")
        variants["fp32"] = {**variants["float32"], "onnx": "bev.fp32.onnx"}

    other = edited(nano, tmp_path / "other", change)
    out, record = tmp_path / "out", str(driven / "plans.mcap")
    code, text = replay(street, other, out, "--follow", record)
    assert code == 0 and "the same bits are expected" in text, text
    assert [line["poses"] for line in lines(out)] == [line["poses"] for line in lines(driven)]
    assert lines(out)[0]["bundle_id"] != nano.id
    assert lines(out)[0]["model"]["graphs"][2]["variant"] == "float32"  # type: ignore[index]


def test_a_bundle_that_lacks_one_graph_of_the_drive_is_refused(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    root = tmp_path / "other"

    def change(data: dict[str, Any]) -> None:
        content = (root / "planner.fp32.onnx").read_bytes() + b""
        model = onnx.load_from_string(content)
        model.doc_string = "another export"
        (root / "planner.fp32.onnx").write_bytes(model.SerializeToString())
        content = (root / "planner.fp32.onnx").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        data["files"]["planner.fp32.onnx"] = {"bytes": len(content), "sha256": digest}

    edited(nano, root, change)
    out = tmp_path / "out"
    code, text = replay(street, root, out, "--follow", str(driven / "plans.mcap"))
    assert code == 3 and "graph 'planner' fp32 of ONNX" in text and "does not hold" in text
    assert not out.exists()


def rewritten(source: Path, out: Path, change: Callable[[Plan], Plan]) -> Path:
    """A drive whose plans are others."""
    writer = BagWriter(out)
    for plan in read_plans(source):
        writer.write_plan(change(plan), {})
    writer.close()
    return out


def test_another_back_end_need_not_give_the_same_bits_but_the_user_says_how_far(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    def elsewhere(plan: Plan) -> Plan:
        """As another back-end may give it: 1 cm further, and said so."""
        graphs = tuple(replace(one, backend="engine-gpu 10.3") for one in plan.model.graphs)
        poses = plan.trajectory.poses + np.array([0.01, 0.0, 0.0])
        model = replace(plan.model, graphs=graphs)
        return replace(plan, trajectory=Trajectory(poses), model=model)

    record = str(rewritten(driven / "plans.mcap", tmp_path / "elsewhere.mcap", elsewhere))
    code, text = replay(street, nano.root, tmp_path / "a", "--follow", record)
    assert code == 3 and "was run by engine-gpu 10.3, here it is run by onnxruntime-cpu" in text
    assert "--follow-tolerance" in text and not (tmp_path / "a").exists()
    words = ("--follow", record, "--follow-tolerance")
    code, text = replay(street, nano.root, tmp_path / "b", *words, "0.02")
    assert code == 0 and "largest difference 0.010000 m" in text, text
    code, text = replay(street, nano.root, tmp_path / "c", *words, "0.005")
    assert code == 4 and "largest difference 0.010000 m" in text


@pytest.mark.parametrize("part", ["trajectory", "fallback"])
def test_on_the_same_back_end_the_last_bit_counts(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path, part: str
) -> None:
    def nudged(plan: Plan) -> Plan:
        kept = plan.trajectory if part == "trajectory" else plan.fallback.trajectory
        poses = kept.poses.copy()
        poses[7, 0] = np.nextafter(poses[7, 0], np.inf)
        if part == "trajectory":
            return replace(plan, trajectory=Trajectory(poses))
        return replace(plan, fallback=replace(plan.fallback, trajectory=Trajectory(poses)))

    record = str(rewritten(driven / "plans.mcap", tmp_path / "nudged.mcap", nudged))
    code, text = replay(street, nano.root, tmp_path / "a", "--follow", record)
    assert code == 4 and " 0 the same bit for bit; largest difference 0.000000 m" in text


def test_a_plan_that_does_not_come_again_is_a_difference(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    def moved(plan: Plan) -> Plan:
        return replace(plan, anchor_stamp_ns=plan.anchor_stamp_ns + 10**10)

    record = str(rewritten(driven / "plans.mcap", tmp_path / "moved.mcap", moved))
    code, text = replay(street, nano.root, tmp_path / "a", "--follow", record)
    assert code == 4 and "in the drive, not in this replay" in text


def test_a_drive_of_the_rule_is_followed_by_its_parameters(street: Path, tmp_path: Path) -> None:
    assert replay(street, RULE, tmp_path / "a")[0] == 0
    record = str(tmp_path / "a" / "plans.mcap")
    assert replay(street, RULE, tmp_path / "b", "--follow", record)[0] == 0
    other = write_rule_bundle(tmp_path / "rule", RuleConfig(lookahead_s=0.9)).root
    code, text = replay(street, other, tmp_path / "c", "--follow", record)
    assert code == 3 and "was driven by bundle" in text
    code, text = replay(street, RULE, tmp_path / "d", "--follow-tolerance", "0.1")
    assert code == 3 and "does nothing without --follow" in text


def test_a_reference_that_is_none_or_would_be_overwritten_is_refused_before_driving(
    street: Path, driven: Path, tmp_path: Path
) -> None:
    code, text = replay(street, RULE, tmp_path / "out", "--check", str(tmp_path))
    assert code == 3 and "has no plans.jsonl" in text and not (tmp_path / "out").exists()
    before = (driven / "plans.jsonl").read_bytes()
    code, text = replay(street, RULE, driven, "--check", str(driven))
    assert code == 3 and "would be overwritten" in text
    assert (driven / "plans.jsonl").read_bytes() == before


def test_drift_is_measured_in_metres_at_the_worst_pose(driven: Path, tmp_path: Path) -> None:
    other = tmp_path / "plans.jsonl"
    shutil.copy(driven / "plans.jsonl", other)
    changed = lines(driven)
    changed[3]["poses"][7][1] += 0.25  # type: ignore[index]
    del changed[-1]
    other.write_text("".join(json.dumps(line) + "\n" for line in changed))
    drift = compare_plans(other, driven / "plans.jsonl")
    assert drift.metres == pytest.approx(0.25)
    assert drift.worst_ns == changed[3]["anchor_stamp_ns"]
    assert drift.changed == [
        f"anchor {lines(driven)[-1]['anchor_stamp_ns']}: only in the reference"
    ]


def test_reading_ahead_keeps_the_order_and_raises_errors_where_they_belong() -> None:
    def events() -> Iterator[int]:
        yield from range(100)
        raise InputError("the recording breaks here")

    seen = []
    with pytest.raises(InputError, match="breaks here"):
        for value in read_ahead(events(), lambda value: 2 * value):
            seen.append(value)  # noqa: PERF402 - the error must come after these
    assert seen == [2 * value for value in range(100)]


def test_who_stops_reading_stops_the_thread_and_it_never_runs_far_ahead() -> None:
    produced = []

    def endless() -> Iterator[int]:
        while True:
            produced.append(len(produced))
            yield produced[-1]

    threads = threading.active_count()
    reading = read_ahead(endless(), lambda value: value)
    assert [next(reading) for _ in range(3)] == [0, 1, 2]
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == threads
    assert len(produced) <= 3 + DEPTH + 2
