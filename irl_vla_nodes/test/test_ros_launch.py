"""The graph under ROS's own launch_testing, in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from real_graph import RULE, environment, needs_ros

pytestmark = pytest.mark.ros
needs_ros()


def test_launch_testing_finds_every_node_active_and_ending_cleanly(tmp_path: Path) -> None:
    tester = shutil.which("launch_test")
    if tester is None:
        pytest.skip("launch_test is not installed (ros-jazzy-launch-testing)")
    variables = {"TEST_BUNDLE": str(RULE), "TEST_PYTHON": sys.executable}
    done = subprocess.run(
        [tester, str(Path(__file__).with_name("launch_graph.py"))],
        env=environment(tmp_path) | variables, capture_output=True, text=True, timeout=120.0,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stderr + done.stdout
