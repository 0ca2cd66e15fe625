"""Every legal transition of every node, in any order, while the real graph drives: it drives again
afterwards, with every camera."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_graph import (
    NODES,
    RULE,
    ProbeNode,
    TopicListener,
    launched,
    needs_ros,
    pids_of,
    until,
)
from sensors import Sensors

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"
ROUNDS = [
    ["deactivate", "activate"],
    ["deactivate", "cleanup", "configure", "activate"],
    ["deactivate", "cleanup", "configure", "cleanup", "configure", "activate"],
]


@dataclass
class Driving:
    """A graph that drives, and what is heard of it."""

    probe: ProbeNode
    frames: TopicListener
    plans: TopicListener
    paths: TopicListener
    diagnostics: TopicListener

    def transition(self, node: str, name: str) -> bool:
        """Ask a node for a transition; whether it succeeded."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        client = self.probe.node.create_client(ChangeState, f"/{node}/change_state")
        until(client.service_is_ready, 10.0, f"{node} can be asked")
        asked = ChangeState.Request(transition=Transition(label=name))
        answer = client.call_async(asked)
        until(answer.done, 20.0, f"{node} answers to {name}")
        self.probe.node.destroy_client(client)
        return bool(answer.result().success)

    def recovered(self) -> None:
        """Wait until whole sets are planned and driven."""
        begin = time.monotonic()
        until(
            lambda: any(not f.message.missing_cameras for f in self.frames.since(begin)[-3:])
            and len(self.plans.since(begin)) > 6 and len(self.paths.since(begin)) > 6,
            20.0, "whole sets are planned and driven",
        )  # fmt: skip

    def state(self, node: str) -> tuple[str, str]:
        """What a node says of itself: its state, and the line's text."""
        begin = time.monotonic()
        lines = until(
            lambda: [
                status for entry in self.diagnostics.since(begin)
                for status in entry.message.status if status.name == f"irl_vla: {node}"
            ],
            5.0, f"a line of {node}",
        )  # fmt: skip
        return {v.key: v.value for v in lines[-1].values}["state"], lines[-1].message


@pytest.fixture(scope="module")
def driving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driving]:
    folder = tmp_path_factory.mktemp("lifecycle")
    with ProbeNode() as probe, launched(folder, "drive.launch.py", bundle=RULE, cameras=NAMES):
        car = Driving(
            probe,
            probe.subscribe("irl_vla_msgs/msg/FrameSet", "/irl_vla/frames"),
            probe.subscribe("irl_vla_msgs/msg/Plan", "/irl_vla/plan"),
            probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory"),
            probe.subscribe("diagnostic_msgs/msg/DiagnosticArray", "/diagnostics"),
        )
        Sensors(probe)
        until(lambda: len(car.paths.heard) > 10, 60.0, "the graph drives")
        yield car


def test_a_lifecycle_manager_leads_the_nodes_also_one_that_was_killed(tmp_path: Path) -> None:
    arguments = {"bundle": RULE, "cameras": NAMES, "namespace": "led"}
    with ProbeNode("probe_led") as probe, launched(tmp_path, "managed.launch.py", **arguments):
        paths = probe.subscribe("nav_msgs/msg/Path", "/led/irl_vla/trajectory")
        plans = probe.subscribe("irl_vla_msgs/msg/Plan", "/led/irl_vla/plan")
        Sensors(probe)
        until(lambda: len(paths.heard) > 10, 60.0, "the graph drives")
        pid = max(pids_of("perception_node"))
        os.kill(pid, signal.SIGKILL)
        begin = time.monotonic()
        until(lambda: len(plans.since(begin + 1.0)) > 10, 30.0, "plans again")


@pytest.mark.parametrize("node", NODES)
def test_a_node_survives_every_legal_transition_twice_while_the_car_drives(
    driving: Driving, node: str
) -> None:
    for _ in range(2):
        for transitions in ROUNDS:
            for name in transitions:
                assert driving.transition(node, name), f"{node}: {name}"
            driving.recovered()
    assert driving.state(node)[0] == "active"


def test_a_transition_that_is_not_legal_changes_nothing(driving: Driving) -> None:
    for node in NODES:
        assert not driving.transition(node, "activate")
    driving.recovered()


def test_what_sleeps_says_nothing_but_its_state(driving: Driving) -> None:
    driving.transition("camera_node", "deactivate")
    time.sleep(0.5)
    begin = time.monotonic()
    assert driving.state("camera_node")[0] == "inactive"
    assert not driving.frames.since(begin)
    driving.transition("camera_node", "activate")
    driving.recovered()


def test_a_configuration_that_fails_says_why_also_in_diagnostics(driving: Driving) -> None:
    """A folder that cannot be one, as a parameter while the node is unconfigured."""
    for name in ("deactivate", "cleanup"):
        driving.transition("camera_node", name)
    for value, word in [("/dev/null/x", "/dev/null/x"), ("/proc/x", "/proc/x")]:
        set_text(driving.probe, "/camera_node", "ring_folder", value)
        assert not driving.transition("camera_node", "configure")
        state, text = driving.state("camera_node")
        assert state == "unconfigured" and "cannot be configured" in text and word in text


def test_a_node_that_was_shut_down_stays_so_and_the_monitor_says_who_drives(
    driving: Driving,
) -> None:
    """The last one: nothing drives any more."""
    for node in NODES:
        assert driving.transition(node, "shutdown"), node
        assert driving.state(node)[0] == "finalized"


def set_text(probe: ProbeNode, node: str, name: str, value: str) -> None:
    """Set a parameter of text."""
    from rcl_interfaces.msg import Parameter, ParameterValue
    from rcl_interfaces.srv import SetParameters

    client: Any = probe.node.create_client(SetParameters, f"{node}/set_parameters")
    until(client.service_is_ready, 10.0, f"{node} can be asked")
    wanted = Parameter(name=name, value=ParameterValue(type=4, string_value=value))
    answer = client.call_async(SetParameters.Request(parameters=[wanted]))
    until(answer.done, 10.0, f"{node} answers")
    assert answer.result().results[0].successful, answer.result().results[0].reason
