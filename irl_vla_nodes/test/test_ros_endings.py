"""Launches that cannot work end at once, with the reason and an exit code; nodes that always die of
one reason are given up; values that mean the same are the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from real_graph import RULE, ProbeNode, environment, launched, needs_ros, until
from sensors import Sensors

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"
FAILING = """
import sys
from irl_vla_nodes.restart import after
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess, TimerAction
player = ExecuteProcess(cmd=["sh", "-c", "exit " + sys.argv[1]])
service = LaunchService()
service.include_launch_description(LaunchDescription([
    player, after(player, "the player", []), TimerAction(period=1.0, actions=[])]))
sys.exit(service.run())
"""


def with_parameters(folder: Path, node: str, values: dict[str, object]) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump({f"/**/{node}": {"ros__parameters": values}}))
    return path


def test_a_bundle_that_is_not_there_ends_the_world_at_once_with_the_reason(tmp_path: Path) -> None:
    with launched(tmp_path, "world.launch.py", bundle="/nowhere") as graph:
        assert graph.wait(60.0) == 1
    assert "cannot be configured: bundle /nowhere: expected a folder" in graph.text()
    assert "await_active ended with exit code 1" in graph.text()


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_of_a_launch_is_that_of_its_player(code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FAILING, str(code)]
    done = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, timeout=60.0,
        check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert ("the player ended with exit code 1" in said) == bool(code)


def test_a_node_that_always_dies_of_one_reason_is_given_up(tmp_path: Path) -> None:
    """A processor that this machine does not have."""
    arguments = {"bundle": RULE, "cameras": NAMES, "cpus_planner": "9999"}
    with launched(tmp_path, "drive.launch.py", **arguments) as graph:
        words = "planner_node died 3 times of the same reason and is given up: exit code"
        until(lambda: words in graph.text(), 90.0, "it is given up")
        assert graph.process.poll() is None, "the others go on"


def test_whole_numbers_are_numbers_and_other_types_are_named(tmp_path: Path) -> None:
    arguments = {"bundle": RULE, "cameras": NAMES, "use_sim_time": "False", "reliable": "True"}
    good = with_parameters(tmp_path, "monitor_node", {"diagnostics_hz": 4})
    with ProbeNode() as probe, launched(
        tmp_path, "drive.launch.py", **arguments, params_file=good
    ) as graph:  # fmt: skip
        paths = probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory")
        Sensors(probe)
        until(lambda: len(paths.heard) > 10, 60.0, "the graph drives")
        warnings = [line for line in graph.text().splitlines() if "WARN" in line]
        assert not any("drives" in line for line in warnings), "who drives is no warning"
    wrong = with_parameters(tmp_path, "monitor_node", {"diagnostics_hz": "often"})
    with launched(tmp_path, "drive.launch.py", **arguments, params_file=wrong) as graph:
        words = "parameter 'diagnostics_hz' is 'often', expected a number"
        until(lambda: words in graph.text(), 60.0, "a sentence")


def test_a_value_that_is_no_choice_is_refused_by_the_launch(tmp_path: Path) -> None:
    arguments = {"bundle": RULE, "cameras": NAMES, "use_sim_time": "perhaps"}
    with launched(tmp_path, "drive.launch.py", **arguments) as graph:
        assert graph.wait(30.0) == 1
    assert "use_sim_time" in graph.text() and "perhaps" in graph.text()
