"""The car under a lifecycle manager:
`ros2 launch irl_vla_bringup managed.launch.py bundle:=models/rule cameras:=front,left`.
Takes every argument of drive.launch.py but autostart.

manager:=nav2 starts nav2_lifecycle_manager in place of ours: it has to be installed, leads the
nodes once, and does not lead a node that was started again."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from irl_vla_nodes.graph import (
    NODES,
    argument,
    given,
    tool,
)
from launch.actions import ExecuteProcess, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

ARGUMENTS = [
    argument("bundle", None, "policy bundle (folder)"),
    argument("cameras", None, "names of the cameras, separated by commas"),
    argument("namespace", "", "of the nodes and their topics"),
    argument("python", "", "interpreter of the nodes; empty: the one they were built with"),
    argument("manager", "irl_vla", "who leads the nodes to active", ("irl_vla", "nav2")),
    argument("autostart", "false", "must be false: the manager does it", ("false",)),
]
DRIVE = Path(get_package_share_directory("irl_vla_bringup")) / "launch" / "drive.launch.py"


def _managed(context: LaunchContext) -> list:
    prefix = "/".join(["", *[part for part in given(context, "namespace").split("/") if part]])
    names = [f"{prefix}/{name}" for name in NODES]
    if given(context, "manager") == "nav2":
        manager = Node(
            package="nav2_lifecycle_manager", executable="lifecycle_manager", output="screen",
            name="irl_vla_lifecycle_manager",
            parameters=[{"autostart": True, "node_names": names, "bond_timeout": 0.0}],
        )  # fmt: skip
    else:
        command = [*tool(given(context, "python"), "lifecycle_manager"), *names]
        manager = ExecuteProcess(cmd=command, output="screen")
    drive = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DRIVE)), launch_arguments={"autostart": "false"}.items()
    )
    return [drive, manager]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_managed)])
