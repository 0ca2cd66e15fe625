"""The example of a vehicle interface drives the built-in world by its commands alone."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from real_graph import ROOT, RULE, ProbeNode, launched, needs_ros, pids_of, until

pytestmark = pytest.mark.ros
needs_ros()

SHORT_M = 40.0
BESIDE_M = 0.5  # a tenth of a second later, beside the trajectory
TABLE = ROOT / "out" / "ros" / "follower.json"


def driven(folder: Path, seed: int, control: str, route_m: float = 0.0) -> dict[str, Any]:
    results = folder / f"{seed}-{control}.json"
    arguments = {"bundle": RULE, "seed": seed, "results": results, "control": control}
    with launched(folder, "world.launch.py", **arguments, route_m=route_m) as graph:
        assert graph.wait(550.0) == 0, graph.text()
    return dict(json.loads(results.read_text()))


def test_a_short_route_is_completed_by_twists_alone(tmp_path: Path) -> None:
    result = driven(tmp_path, 1, "twist", SHORT_M)
    assert result["ending"] == "route completed" and result["control"] == "twist"
    assert result["cross_track_m"]["max"] < BESIDE_M


def test_ackermann_does_the_same_or_says_which_package_it_lacks(tmp_path: Path) -> None:
    pytest.importorskip("ackermann_msgs", reason="ackermann_msgs is not installed")
    result = driven(tmp_path, 1, "ackermann", SHORT_M)
    assert result["ending"] == "route completed"


@pytest.mark.parametrize("node", ["follower_node", "monitor_node"])
def test_the_car_stops_when_a_part_of_the_chain_is_killed(node: str, tmp_path: Path) -> None:
    """The monitor is started again where it dies; here it is killed for good."""
    arguments = {"bundle": RULE, "seed": 1, "control": "twist", "route_m": 2000.0}
    with ProbeNode() as probe, launched(tmp_path, "world.launch.py", **arguments) as graph:
        motion = probe.subscribe("nav_msgs/msg/Odometry", "/localization/kinematic_state")

        def speed() -> float:
            return float(motion.heard[-1].message.twist.twist.linear.x) if motion.heard else 0.0

        until(lambda: len(motion.heard) > 30 and speed() > 2.0, 90.0, "the car drives")

        def killed_and_standing() -> bool:
            for pid in pids_of(node):
                os.kill(pid, signal.SIGKILL)
            return speed() == 0.0

        until(killed_and_standing, 90.0, f"the car stands without {node}: {graph.log}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_ten_routes_beside_those_of_the_trajectory_itself(seed: int, tmp_path: Path) -> None:
    rows = {control: driven(tmp_path, seed, control) for control in ("trajectory", "twist")}
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    table[str(seed)] = rows
    TABLE.write_text(json.dumps(table, indent=2) + "\n")
    assert rows["twist"]["cross_track_m"]["max"] < BESIDE_M
