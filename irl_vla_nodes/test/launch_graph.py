"""For `launch_test`: the graph comes up, every node becomes active, and ends cleanly."""

from __future__ import annotations

import os
import subprocess
import unittest

import launch_testing
from irl_vla_nodes.graph import CarConfig, tool
from launch_testing.actions import ReadyToTest

from launch import LaunchDescription

CAMERAS = {"front": ("/front/compressed", "/front/info")}
CAR = CarConfig(
    bundle=os.environ["TEST_BUNDLE"], cameras=CAMERAS, python=os.environ["TEST_PYTHON"],
    respawn=False,
)  # fmt: skip


def generate_test_description() -> LaunchDescription:
    """What `launch_test` asks for."""
    return LaunchDescription([*CAR.nodes(), ReadyToTest()])


class TestGraph(unittest.TestCase):
    """While it runs."""

    def test_every_node_becomes_active(self) -> None:
        names = [
            "/camera_node",
            "/perception_node",
            "/command_node",
            "/planner_node",
            "/monitor_node",
        ]
        command = [*tool(os.environ["TEST_PYTHON"], "await_active"), *names]
        subprocess.run(command, check=True, timeout=60.0)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    """After SIGINT."""

    def test_every_node_ends_cleanly(self, proc_info: object) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
