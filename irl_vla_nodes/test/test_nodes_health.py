"""What /diagnostics says, and that it says it also when everything is silent. No ROS."""

from __future__ import annotations

import pytest
from irl_vla_nodes.convert import NOWHERE, FramesHandle, cdr, from_cdr
from irl_vla_nodes.diagnostics import (
    ERROR,
    OK,
    STALE,
    WARN,
    NodeReport,
    Status,
    diagnostics_message,
)
from irl_vla_nodes.health import Health
from irl_vla_nodes.watchdog import ControlAuthority, Watchdog

CAMERAS = ("front", "left")


def frames(missing: dict[str, str] | None = None) -> FramesHandle:
    missing = missing or {}
    there = {name: 1 for name in CAMERAS if name not in missing}
    return FramesHandle(1, NOWHERE, "rig", there, missing)


def said(health: Health, now_s: float) -> dict[str, Status]:
    statuses = health.statuses(Watchdog(0.27, 1.0, 5), now_s)
    return {status.name.removeprefix("irl_vla: "): status for status in statuses}


def test_cameras_that_never_spoke_are_named_and_stale() -> None:
    found = said(Health(CAMERAS), 0.0)
    assert found["camera front"].level == found["camera left"].level == STALE
    assert found["graph"].level == ERROR


def test_a_missing_camera_is_an_error_with_its_reason_and_the_others_are_well() -> None:
    health = Health(CAMERAS)
    for i in range(20):
        health.take_frames(frames({"left": "stopped: its last image is 1.2 s old"}), i / 10)
    found = said(health, 2.0)
    assert found["camera left"].level == ERROR and "stopped" in found["camera left"].message
    assert found["camera front"].level == OK


def test_gaps_are_a_warning_until_they_are_rare() -> None:
    health = Health(CAMERAS)
    for i in range(100):
        missing = {"left": "late: 3 ms"} if i % 5 == 0 else {}
        health.take_frames(frames(missing), i / 10)
    assert said(health, 10.0)["camera left"].level == WARN
    for i in range(100, 200):
        health.take_frames(frames(), i / 10)
    assert said(health, 20.0)["camera left"].level == OK


def test_all_cameras_dead_is_an_error_of_each_after_a_second() -> None:
    health = Health(CAMERAS)
    health.take_frames(frames(), 1.0)
    found = said(health, 2.5)
    assert all(found[f"camera {name}"].level == ERROR for name in CAMERAS)
    assert "1.5 s" in found["camera front"].message and found["graph"].level == ERROR


def test_the_graph_counts_plans_refusals_and_skipped_sets() -> None:
    health = Health(CAMERAS)
    for i in range(10):
        health.take_frames(frames(), i / 10)
    for i in range(6):
        health.take_plan("b" * 64, 2, {"age at publication": 80.0, "plan": 3.0}, i / 10)
    health.take_refusal("stale_input", "0.7 s old", 0.9)
    values = said(health, 1.0)["graph"].values
    assert values["frame sets"] == "10" and values["plans"] == "6"
    assert values["skipped, latest only"] == "3" and values["refused"] == "1 x stale_input"
    assert values["age at publication p50 [ms]"] == "80.0" and values["epoch"] == "2"


def test_two_cars_have_lines_of_their_own() -> None:
    dog = Watchdog(0.27, 1.0, 5)
    names = {status.name for status in Health(CAMERAS, "/car1").statuses(dog, 0.0)}
    assert names == {
        f"car1/irl_vla: {x}"
        for x in ("camera front", "camera left", "graph", "control authority", "nodes")
    }


def drive(health: Health, since_s: float, until_s: float, planned: int = 1) -> None:
    """Frame sets at 10 Hz, each `planned`-th of them planned; others are skipped."""
    for i in range(round(since_s * 10), round(until_s * 10)):
        health.take_frames(frames(), i / 10)
        if i % planned == 0:
            health.take_plan("b", 0, {"age at publication": 90.0}, i / 10)


def test_rates_are_those_of_the_last_seconds_beside_what_is_expected() -> None:
    health = Health(CAMERAS, period_s=0.1)
    drive(health, 0.0, 30.0)
    graph = said(health, 30.0)["graph"]
    assert graph.level == OK and graph.values["expected [Hz]"] == "10.0"
    assert float(graph.values["frame sets [Hz]"]) == pytest.approx(10.0, abs=0.1)
    slow = Health(CAMERAS, period_s=0.05)
    drive(slow, 0.0, 30.0)
    graph = said(slow, 30.0)["graph"]
    assert graph.level == WARN and "10.0 frame sets a second, expected 20.0" in graph.message


def test_sets_that_are_skipped_are_no_good_health() -> None:
    half = Health(CAMERAS)
    drive(half, 0.0, 20.0, planned=3)
    found = said(half, 20.0)["graph"]
    assert found.level == ERROR and "67% of the frame sets skipped" in found.message


def test_what_is_over_is_forgotten_after_ten_seconds() -> None:
    health = Health(CAMERAS)
    for i in range(100):
        health.take_frames(frames({"left": "late: 3 ms"}), i / 10)
        health.take_refusal("stale_input", "0.7 s old", i / 10)
    assert "100% refused: 100 x stale_input" in said(health, 10.0)["graph"].message
    drive(health, 10.0, 20.5)
    found = said(health, 20.5)
    assert found["graph"].level == found["camera left"].level == OK
    assert "stale_input" not in str(found["graph"])


def test_an_overload_is_one_warning_with_its_reason_while_the_planner_drives() -> None:
    dog = Watchdog(0.27, 1.0, 5)
    dog.authority, dog._late_stops = ControlAuthority.PLANNER, 3
    status = Health(CAMERAS).statuses(dog, 0.0)[-2]
    assert status.level == WARN and "overload: plans came late 3 times" in status.message


def test_nodes_that_are_not_there_are_named() -> None:
    status = Health(CAMERAS).statuses(Watchdog(0.27, 1.0, 5), 0.0, ["planner_node"])[-1]
    assert status.level == ERROR and status.message == "not running: planner_node"


def test_a_node_says_its_state_and_what_it_dropped_and_why() -> None:
    report = NodeReport("planner_node", "/car1")
    assert report.status(0.0).name == "car1/irl_vla: planner_node"
    assert report.status(0.0).level == WARN and report.status(0.0).message == "unconfigured"
    report.state = "active"
    assert report.status(0.0).level == OK
    lines = [report.drop("/intent", "25 points", i * 0.1) for i in range(100)]
    assert [i for i, line in enumerate(lines) if line] == [0, 50], "one line each 5 s"
    assert lines[50] == "/intent not used: 25 points (50 such messages)"
    status = report.status(10.0)
    assert status.level == WARN and status.values["dropped: /intent"] == "100"
    assert "25 points" in status.message
    after = report.status(21.0)
    assert after.level == OK and after.values["dropped: /intent"] == "100"
    report.failure = "cannot be configured: no bundle"
    assert report.status(21.0).level == ERROR and "no bundle" in report.status(21.0).message


def test_the_message_holds_every_status() -> None:
    statuses = Health(CAMERAS).statuses(Watchdog(0.27, 1.0, 5), 0.0)
    message = diagnostics_message(statuses, 5)
    back = from_cdr(cdr(message), message.__msgtype__)
    assert [entry.name for entry in back.status] == [status.name for status in statuses]
    assert [int(entry.level) for entry in back.status] == [status.level for status in statuses]
