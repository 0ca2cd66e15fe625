"""Recordings through the real graph: what it publishes is what the desk computes, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bags import exported, plan_bytes, replayed, world_bag
from real_graph import ROOT, RULE, launched, needs_ros

pytestmark = pytest.mark.ros
needs_ros()

DGP = ROOT / ".." / "shared" / "recordings" / "dgp_scene02_6cam"
SECONDS = 3.0


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("nano", tmp_path_factory.mktemp("bundle") / "nano")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_bag(tmp_path_factory.mktemp("world") / "bag", SECONDS)


def lockstep(bag: Path, bundle: Path, folder: Path) -> tuple[dict[str, object], Path]:
    """What came of a recording in lock-step, and the recording of the graph."""
    results, record = folder / "lockstep.json", folder / "record"
    arguments = {"bag": bag, "bundle": bundle, "lockstep": "true", "results": results}
    with launched(folder, "replay.launch.py", record=record, **arguments) as graph:
        assert graph.wait(120.0) == 0, graph.text()
    return json.loads(results.read_text()), record


def test_in_lockstep_every_plan_is_the_desks_and_the_graphs_recording_can_be_followed(
    bag: Path, nano: Path, tmp_path: Path
) -> None:
    result, record = lockstep(bag, nano, tmp_path)
    assert result == {"anchors": 30, "plans": 30, "refusals": 0, "different": []}
    driven = plan_bytes(record)
    assert len(driven) == 30
    assert plan_bytes(replayed(bag, nano, tmp_path / "desk") / "plans.mcap") == driven
    followed = replayed(record, nano, tmp_path / "followed", follow=record) / "plans.mcap"
    assert plan_bytes(followed) == driven


def test_in_real_time_the_graphs_recording_is_followed_bit_for_bit(
    bag: Path, nano: Path, tmp_path: Path
) -> None:
    """Which plans come in time depends on the machine; that they can be repeated does not."""
    record = tmp_path / "record"
    arguments = {"bag": bag, "bundle": nano, "record": record}
    with launched(tmp_path, "replay.launch.py", **arguments) as graph:
        assert graph.wait(120.0) == 0, graph.text()
    driven = plan_bytes(record)
    assert len(driven) >= 10
    followed = plan_bytes(
        replayed(record, nano, tmp_path / "followed", follow=record) / "plans.mcap"
    )
    assert {stamp: followed[stamp] for stamp in driven} == driven


@pytest.mark.skipif(not DGP.exists(), reason=f"no real recording at {DGP}")
def test_a_real_six_camera_recording_in_lockstep(tmp_path: Path) -> None:
    result, record = lockstep(DGP, RULE, tmp_path)
    assert result["anchors"] == 3 and result["plans"] == 2 and result["different"] == []
    followed = replayed(record, RULE, tmp_path / "followed", follow=record) / "plans.mcap"
    assert plan_bytes(followed) == plan_bytes(record)
