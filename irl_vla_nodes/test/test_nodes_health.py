"""What /diagnostics says, and that it says it also when everything is silent. No ROS."""

from __future__ import annotations

from irl_vla_nodes.convert import NOWHERE, FramesHandle, cdr, from_cdr
from irl_vla_nodes.health import ERROR, OK, STALE, WARN, Health, Status, diagnostics_message
from irl_vla_nodes.watchdog import Watchdog

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
    for _ in range(6):
        health.take_plan("b" * 64, 2, {"age at publication": 80.0, "plan": 3.0})
    health.take_refusal("stale_input", "0.7 s old")
    values = said(health, 1.0)["graph"].values
    assert values["frame sets"] == "10" and values["plans"] == "6"
    assert values["skipped, latest only"] == "3" and values["refused: stale_input"] == "1"
    assert values["age at publication p50 [ms]"] == "80.0" and values["epoch"] == "2"


def test_two_cars_have_lines_of_their_own() -> None:
    dog = Watchdog(0.27, 1.0, 5)
    names = {status.name for status in Health(CAMERAS, "/car1").statuses(dog, 0.0)}
    assert names == {
        f"car1/irl_vla: {x}" for x in ("camera front", "camera left", "graph", "control authority")
    }


def test_the_message_holds_every_status() -> None:
    statuses = Health(CAMERAS).statuses(Watchdog(0.27, 1.0, 5), 0.0)
    message = diagnostics_message(statuses, 5)
    back = from_cdr(cdr(message), message.__msgtype__)
    assert [entry.name for entry in back.status] == [status.name for status in statuses]
    assert [int(entry.level) for entry in back.status] == [status.level for status in statuses]
