"""The graph as a ROS user meets it: topic, param, lifecycle, service, bag; and its messages as
rclpy sees them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_graph import NODES, RULE, ProbeNode, launched, needs_ros, ros2, until
from sensors import Sensors

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"
TOPICS = {
    "/irl_vla/frames": "irl_vla_msgs/msg/FrameSet",
    "/irl_vla/tokens": "irl_vla_msgs/msg/TokensHandle",
    "/irl_vla/command": "irl_vla_msgs/msg/DrivingCommand",
    "/irl_vla/plan": "irl_vla_msgs/msg/Plan",
    "/irl_vla/refusal": "irl_vla_msgs/msg/Refusal",
    "/irl_vla/trajectory": "nav_msgs/msg/Path",
    "/irl_vla/detections": "vision_msgs/msg/Detection3DArray",
    "/irl_vla/map": "visualization_msgs/msg/MarkerArray",
    "/irl_vla/segmentation": "nav_msgs/msg/OccupancyGrid",
    "/irl_vla/candidates": "visualization_msgs/msg/MarkerArray",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def probe(folder: Path) -> Iterator[ProbeNode]:
    arguments = {"bundle": RULE, "cameras": NAMES}
    with ProbeNode() as probe, launched(folder, "drive.launch.py", **arguments):
        paths = probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory")
        Sensors(probe)
        until(lambda: len(paths.heard) > 10, 40.0, "the graph drives")
        yield probe
    ros2(folder, "daemon", "stop")


def test_topics_are_listed_with_their_types(probe: ProbeNode, folder: Path) -> None:
    listed = ros2(folder, "topic", "list", "-t").stdout
    for topic, kind in TOPICS.items():
        assert f"{topic} [{kind}]" in listed


def test_a_plan_is_echoed_with_its_stamp_and_reason(probe: ProbeNode, folder: Path) -> None:
    echoed = ros2(folder, "topic", "echo", "--once", "/irl_vla/plan").stdout
    assert "frame_id: base_link" in echoed and "reason: best_candidate" in echoed
    assert "age at publication" in echoed and "bundle_id: " in echoed


def test_the_rate_is_that_of_the_cameras(probe: ProbeNode, folder: Path) -> None:
    said = ros2(folder, "topic", "hz", "/irl_vla/trajectory", timeout_s=5.0).stdout
    rates = [float(line.split(":")[1]) for line in said.splitlines() if "average rate" in line]
    assert rates and rates[-1] == pytest.approx(10.0, abs=2.0)


def test_parameters_say_what_they_mean_and_refuse_what_is_wrong(
    probe: ProbeNode, folder: Path
) -> None:
    described = ros2(folder, "param", "describe", "/camera_node", "ring_slots").stdout
    assert "frame sets that are kept" in described and "2 to 64" in described
    now = ros2(folder, "param", "set", "/camera_node", "ring_slots", "4").stdout
    assert "read when the node is configured" in now and "lifecycle set" in now
    wrong = ros2(folder, "param", "set", "/camera_node", "ring_slots", "many").stdout
    assert "wrong parameter type" in wrong.lower()


def test_rates_can_be_set_while_the_car_drives(probe: ProbeNode, folder: Path) -> None:
    lines = probe.subscribe("diagnostic_msgs/msg/DiagnosticArray", "/diagnostics")
    said = ros2(folder, "param", "set", "/monitor_node", "diagnostics_hz", "20.0").stdout
    assert "successful" in said
    begin = time.monotonic()

    def graph_lines() -> int:
        names = [s.name for entry in lines.since(begin) for s in entry.message.status]
        return names.count("irl_vla: graph")

    until(lambda: graph_lines() > 20, 2.5, "20 lines a second in place of 2")
    too_fast = ros2(folder, "param", "set", "/monitor_node", "diagnostics_hz", "21.0").stdout
    assert "20" in too_fast and "successful" not in too_fast
    ros2(folder, "param", "set", "/monitor_node", "diagnostics_hz", "2.0")


def test_a_node_can_be_reconfigured_by_hand_and_a_bad_value_is_refused_in_a_sentence(
    probe: ProbeNode, folder: Path
) -> None:
    plans = probe.subscribe("irl_vla_msgs/msg/Plan", "/irl_vla/plan")
    for transition in ("deactivate", "cleanup"):
        done = ros2(folder, "lifecycle", "set", "/planner_node", transition).stdout
        assert "Transitioning successful" in done
    begin = time.monotonic()
    assert "unconfigured" in ros2(folder, "lifecycle", "get", "/planner_node").stdout
    assert not plans.since(begin), "what is not active says nothing"
    wrong = ros2(folder, "param", "set", "/planner_node", "max_input_age_s", "99.0").stdout
    assert "Min: 0.05, Max: 10.0, value: 99.0" in wrong, "the words of rclpy"
    good = ros2(folder, "param", "set", "/planner_node", "max_input_age_s", "0.4").stdout
    assert "successful" in good
    for transition in ("configure", "activate"):
        done = ros2(folder, "lifecycle", "set", "/planner_node", transition).stdout
        assert "Transitioning successful" in done
    begin = time.monotonic()
    until(lambda: len(plans.since(begin)) > 5, 10.0, "plans again")


def test_a_bundle_that_cannot_be_loaded_fails_to_configure_with_the_reason(
    probe: ProbeNode, folder: Path
) -> None:
    for transition in ("deactivate", "cleanup"):
        ros2(folder, "lifecycle", "set", "/planner_node", transition)
    ros2(folder, "param", "set", "/planner_node", "bundle", "/nowhere")
    failed = ros2(folder, "lifecycle", "set", "/planner_node", "configure").stdout
    assert "Transitioning failed" in failed
    log = "".join(path.read_text(errors="replace") for path in folder.glob("drive.*.log"))
    assert "cannot be configured: bundle /nowhere: expected a folder" in log
    ros2(folder, "param", "set", "/planner_node", "bundle", str(RULE))
    for transition in ("configure", "activate"):
        ros2(folder, "lifecycle", "set", "/planner_node", transition)


def test_navigation_may_ask_by_service_and_is_heard_on_the_topic(
    probe: ProbeNode, folder: Path
) -> None:
    intents = probe.subscribe("irl_vla_msgs/msg/Intent", "/navigation/intent")
    tokens = probe.subscribe("irl_vla_msgs/msg/TokensHandle", "/irl_vla/tokens")
    kind, call = "irl_vla_msgs/srv/SetIntent", ("service", "call", "/irl_vla/set_intent")
    said = ros2(folder, *call, kind, "{intent: {direction: 1}}").stdout
    assert "accepted=True" in said
    until(lambda: intents.heard, 5.0, "the intent on its topic")
    until(lambda: tokens.heard[-1].message.intent.direction == 1, 5.0, "left, in the tokens")
    wrong = ros2(folder, *call, kind, "{intent: {direction: 9}}").stdout
    assert "accepted=False" in wrong and "expected 0 to 3" in wrong


def test_a_recording_can_be_made_and_says_what_it_holds(probe: ProbeNode, folder: Path) -> None:
    out = folder / "recording"
    words = ["bag", "record", "--storage", "mcap", "--output", str(out), "--topics"]
    ros2(folder, *words, "/irl_vla/plan", "/irl_vla/trajectory", timeout_s=5.0)
    info = ros2(folder, "bag", "info", str(out)).stdout
    assert "Topic: /irl_vla/plan | Type: irl_vla_msgs/msg/Plan" in info
    assert "Topic: /irl_vla/trajectory | Type: nav_msgs/msg/Path" in info


def test_every_node_is_a_lifecycle_node_that_is_active(probe: ProbeNode, folder: Path) -> None:
    listed = ros2(folder, "lifecycle", "nodes").stdout.split()
    assert {f"/{name}" for name in NODES} <= set(listed)


def test_our_bytes_are_the_bytes_of_rclpy_for_every_message_that_goes_by(
    probe: ProbeNode, folder: Path
) -> None:
    """rclpy reads what we wrote, with field checks on, and writes the same bytes again."""
    from irl_vla_nodes.convert import cdr, from_cdr
    from rclpy.serialization import deserialize_message, serialize_message
    from rosidl_runtime_py.utilities import get_message

    kinds = [*TOPICS.items(), ("/navigation/intent", "irl_vla_msgs/msg/Intent")]
    silent = {"/irl_vla/refusal", "/irl_vla/segmentation", "/navigation/intent"}
    listeners = {
        topic: probe.subscribe(kind, topic) for topic, kind in kinds if topic not in silent
    }
    until(
        lambda: all(listener.heard for listener in listeners.values()),
        10.0,
        "a message of each topic",
    )
    for topic, listener in listeners.items():
        kind, message = dict(kinds)[topic], listener.heard[-1].message
        ours = bytes(cdr(from_cdr(serialize_message(message), kind)))
        again: Any = deserialize_message(ours, get_message(kind))
        assert again == message, topic
