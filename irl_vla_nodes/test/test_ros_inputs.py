"""Two cars in one domain, and input that no car should believe, on the real graph."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_graph import (
    NODES,
    RULE,
    Launched,
    ProbeNode,
    TopicListener,
    environment,
    launched,
    needs_ros,
    until,
)
from sensors import Sensors

from irl_vla.frames import rigid_from_pose
from irl_vla.messages.geometry_messages import odometry_message
from irl_vla.types import EgoMotion, Intent, IntentDirection

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"
WANTED = "/navigation/intent"


@dataclass
class Driving:
    """A graph that drives, and what is heard of it."""

    probe: ProbeNode
    sensors: Sensors
    launch: Launched
    folder: Path
    tokens: TopicListener
    refusals: TopicListener
    diagnostics: TopicListener

    def line(self, name: str, word: str) -> Any:
        """A line of /diagnostics with a word in its text."""
        begin = time.monotonic()
        found = until(
            lambda: [
                s for entry in self.diagnostics.since(begin) for s in entry.message.status
                if s.name == f"irl_vla: {name}" and word in s.message
            ],
            10.0, f"a line of {name} with '{word}'",
        )  # fmt: skip
        return found[-1]

    def publisher(self, msgtype: str, topic: str) -> Any:
        from irl_vla_nodes.ros_io import qos
        from rosidl_runtime_py.utilities import get_message

        made = self.probe.node.create_publisher(get_message(msgtype), topic, qos(10))
        until(made.get_subscription_count, 10.0, f"somebody hears {topic}")
        return made


@pytest.fixture(scope="module")
def driving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driving]:
    folder = tmp_path_factory.mktemp("inputs")
    arguments = {"bundle": RULE, "cameras": f" {NAMES.replace(',', ' , ')}", "period_s": 1}
    arguments |= {"period_s": "0.1", "use_sim_time": "False"}
    with ProbeNode() as probe, launched(folder, "drive.launch.py", **arguments) as launch:
        car = Driving(
            probe, Sensors(probe), launch, folder,
            probe.subscribe("irl_vla_msgs/msg/TokensHandle", "/irl_vla/tokens"),
            probe.subscribe("irl_vla_msgs/msg/Refusal", "/irl_vla/refusal"),
            probe.subscribe("diagnostic_msgs/msg/DiagnosticArray", "/diagnostics"),
        )  # fmt: skip
        paths = probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory")
        until(lambda: len(paths.heard) > 10, 60.0, "the graph drives")
        yield car


def test_a_second_launch_in_the_domain_is_refused_by_every_node(
    driving: Driving, tmp_path: Path
) -> None:
    with launched(tmp_path, "drive.launch.py", bundle=RULE, cameras=NAMES) as second:
        until(
            lambda: all(
                f"{node}]: cannot be configured: topic /irl_vla/" in second.text() for node in NODES
            ),
            60.0, "every node refuses",
        )  # fmt: skip
        assert "Stop that one, or give this car another namespace or ROS_DOMAIN_ID" in second.text()


def test_a_monitor_in_another_namespace_with_the_same_topic_is_refused(driving: Driving) -> None:
    command = [
        sys.executable, "-c", "from irl_vla_nodes.monitor_node import main; main()", "--ros-args",
        "-r", "__ns:=/other", "-r", "irl_vla/trajectory:=/irl_vla/trajectory",
        "-r", "__node:=monitor_node",
    ]  # fmt: skip
    log = driving.folder / "other.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment(driving.folder), stderr=out)
    try:
        words = "cannot be configured: topic /irl_vla/trajectory: process"
        until(lambda: words in log.read_text(), 30.0, "a refusal")
        assert "(/monitor_node) publishes it already" in log.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_publisher_that_holds_no_lock_is_an_error_and_who_was_first_drives_on(
    driving: Driving,
) -> None:
    from irl_vla_nodes.ros_io import qos
    from rosidl_runtime_py.utilities import get_message

    kind = get_message("nav_msgs/msg/Path")
    stranger = driving.probe.node.create_publisher(kind, "/irl_vla/trajectory", qos(10))
    line = driving.line("monitor_node", "topic /irl_vla/trajectory has 1 other publisher")
    assert line.level == b"\x02" and "for " in line.message
    driving.probe.node.destroy_publisher(stranger)
    driving.line("monitor_node", "active")


@pytest.mark.parametrize(
    ("points", "word"),
    [(np.zeros((25, 2)), "expected shape"), (np.full((3, 2), np.nan), "not finite")],
)
def test_a_broken_intent_is_counted_with_its_reason(
    driving: Driving, points: np.ndarray, word: str
) -> None:
    from irl_vla_nodes.convert import cdr

    from irl_vla.messages.plan_messages import intent_to_message

    out = driving.publisher("irl_vla_msgs/msg/Intent", WANTED)
    message = intent_to_message(Intent(IntentDirection.LEFT, np.zeros((1, 2)), 1), "base_link")
    message.route_x, message.route_y = points[:, 0].copy(), points[:, 1].copy()
    out.publish(bytes(cdr(message)))
    line = driving.line("perception_node", f"{WANTED} not used")
    assert word in line.message and f"{WANTED} not used" in driving.launch.text()
    assert int({v.key: v.value for v in line.values}[f"dropped: {WANTED}"]) >= 1
    driving.probe.node.destroy_publisher(out)


def test_a_route_in_the_map_is_driven_from_where_the_car_is(driving: Driving) -> None:
    """The car drives along the map's x axis: a point 3 m to the left stays there."""
    from irl_vla_nodes.convert import cdr

    from irl_vla.messages.plan_messages import intent_to_message

    out = driving.publisher("irl_vla_msgs/msg/Intent", WANTED)
    ahead = np.array([[1e4, 3.0], [2e4, 3.0]])
    stamp = driving.sensors.now_ns()
    out.publish(bytes(cdr(intent_to_message(Intent(IntentDirection.LEFT, ahead, stamp), "map"))))
    begin = time.monotonic()
    found = until(
        lambda: [t for t in driving.tokens.since(begin) if t.message.intent.has_route],
        5.0, "the route, in the tokens",
    )[0].message.intent  # fmt: skip
    assert found.route_y[0] == pytest.approx(3.0, abs=1e-6) and found.route_x[0] < 1e4
    driving.probe.node.destroy_publisher(out)


def test_odometry_that_tf_does_not_place_is_the_named_cause(driving: Driving) -> None:
    driving.sensors.faults.odometry_silent = True
    out = driving.publisher("nav_msgs/msg/Odometry", "/localization/kinematic_state")
    from irl_vla_nodes.convert import cdr

    begin = time.monotonic()
    end = begin + 3.0
    while time.monotonic() < end:
        motion = EgoMotion(
            driving.sensors.now_ns(), rigid_from_pose(np.zeros(3)), np.array([8.0, 0.0, 0.0]), ""
        )
        out.publish(bytes(cdr(odometry_message(motion, "map", "imu_link"))))
        time.sleep(0.1)
    refusals = [entry.message for entry in driving.refusals.since(begin + 1.5)]
    driving.sensors.faults.odometry_silent = False
    driving.probe.node.destroy_publisher(out)
    assert refusals and "the odometry moves frame 'imu_link'" in refusals[-1].detail
    driving.line("planner_node", "imu_link")
