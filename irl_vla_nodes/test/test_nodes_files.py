"""The files beside the nodes: they parse, and speak of topics and nodes that exist. No ROS."""

from __future__ import annotations

import ast
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH, PACKAGE = ROOT / "launch", ROOT / "irl_vla_nodes"
NODES = {"camera_node", "perception_node", "command_node", "planner_node", "monitor_node"}
VEHICLE = ("/sensing/", "/world/", "/diagnostics")  # not of our own making


def our_topics() -> set[str]:
    """Every irl_vla/... text in the nodes."""
    return {
        node.value
        for path in (PACKAGE / "irl_vla_nodes").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"irl_vla/\w+", node.value)
    }


def test_rviz_and_foxglove_show_topics_that_the_nodes_publish() -> None:
    rviz = yaml.safe_load((LAUNCH / "rviz" / "car.rviz").read_text(encoding="utf-8"))
    shown = {d["Topic"]["Value"] for d in rviz["Visualization Manager"]["Displays"] if "Topic" in d}
    foxglove = json.loads((LAUNCH / "foxglove" / "car.json").read_text(encoding="utf-8"))
    shown |= set(foxglove["configById"]["3D!plan"]["topics"])
    ours = {topic for topic in shown if not topic.startswith(VEHICLE)}
    assert ours <= {f"/{topic}" for topic in our_topics()} and len(ours) >= 4


def test_every_panel_of_the_foxglove_layout_has_its_settings() -> None:
    layout = json.loads((LAUNCH / "foxglove" / "car.json").read_text(encoding="utf-8"))

    def panels(tree: object) -> set[str]:
        if isinstance(tree, str):
            return {tree}
        assert isinstance(tree, dict)
        return panels(tree["first"]) | panels(tree["second"])

    assert panels(layout["layout"]) == set(layout["configById"])


def test_the_middleware_gets_a_receive_buffer_that_pictures_need() -> None:
    tree = ElementTree.parse(LAUNCH / "dds" / "cyclone.xml")
    buffer = tree.find(".//{*}SocketReceiveBufferSize")
    assert buffer is not None and buffer.get("min") == "4MB"


def test_only_the_monitor_may_publish_the_trajectory() -> None:
    tree = ElementTree.parse(LAUNCH / "sros2" / "car.policy.xml")
    rights: dict[str, set[str]] = {}
    for profile in tree.iter("profile"):
        topics = [t for entry in profile.iter("topics") if entry.get("publish") for t in entry]
        rights[profile.attrib["node"]] = {(topic.text or "").lstrip("/") for topic in topics}
    assert set(rights) >= NODES
    assert [n for n, may in rights.items() if "irl_vla/trajectory" in may] == ["monitor_node"]
    allowed = {topic for may in rights.values() for topic in may if topic.startswith("irl_vla/")}
    assert allowed <= our_topics()


@pytest.mark.parametrize("file", ["drive", "replay", "world"])
def test_launch_files_are_installed_and_every_argument_says_what_it_is(file: str) -> None:
    assert f"{file}.launch.py" in (LAUNCH / "CMakeLists.txt").read_text(encoding="utf-8")
    tree = ast.parse((LAUNCH / f"{file}.launch.py").read_text(encoding="utf-8"))
    calls = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "argument"
    ]  # fmt: skip
    assert len(calls) > 5
    assert all(len(ast.literal_eval(call.args[2])) > 3 for call in calls)


def test_every_node_is_a_command_of_the_package() -> None:
    text = (PACKAGE / "setup.py").read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in NODES | {"world_node", "lockstep_node"})


def test_ros_sees_four_packages_that_parse() -> None:
    """A package.xml that does not parse silently becomes a plain package."""
    kinds = {
        "ros2_ws/src/irl_vla_msgs": "ament_cmake",
        "irl_vla_nodes": "ament_python",
        "launch": "ament_cmake",
        "ros2_ws/src/irl_vla_follower": "ament_python",
    }
    for folder, kind in kinds.items():
        tree = ElementTree.parse(ROOT / folder / "package.xml")
        assert tree.findtext("export/build_type") == kind
    for link in ("irl_vla_nodes", "irl_vla_bringup"):
        assert (ROOT / "ros2_ws" / "src" / link / "package.xml").is_file()
