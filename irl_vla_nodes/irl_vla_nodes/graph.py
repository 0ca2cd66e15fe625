"""The graph as launch files start it. Imports `launch` alone, so that a `ros2 launch` whose Python
has no irl_vla can read it; the nodes run under the Python that colcon built them with."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from irl_vla_nodes.restart import Restart, failed
from irl_vla_nodes.restart import after as after  # for launch files, which import this one alone
from irl_vla_nodes.topics import NODES
from launch import LaunchContext

PACKAGE = "irl_vla_nodes"
EGO_NODES = {"perception_node", "planner_node", "monitor_node"}
RING_FOLDER = "/dev/shm/irl_vla"  # below it one folder per ROS domain and namespace
PICTURES_AGE_S = 0.2  # when their plan is published; the silence after it is counted from there
BOOLEANS = ("true", "false", "True", "False")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True, kw_only=True)
class CarConfig:
    """What a launch file knows of the car. cameras: name -> image topic, CameraInfo topic or "".

    settings: parameters by node name, over everything else; cpus: node name -> list for taskset
    ring_folder: "": one of this ROS domain and namespace; autostart: False where somebody else, a
    lifecycle manager, leads the nodes through their states
    respawn: start a dead node again; essential: where that is given up the launch ends
    enclaves: path above the nodes' SROS2 enclaves, or "": no security
    """

    bundle: str
    cameras: Mapping[str, tuple[str, str]]
    python: str = ""
    params_file: str = ""
    rig: str = ""
    odometry_topic: str = "/localization/kinematic_state"
    base_frame: str = "base_link"
    period_s: float = 0.1
    namespace: str = ""
    use_sim_time: bool = False
    reliable: bool = False
    ring_folder: str = ""
    log_level: str = "info"
    autostart: bool = True
    respawn: bool = True
    essential: bool = False
    enclaves: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cpus: Mapping[str, str] = field(default_factory=dict)

    @property
    def fallback_until_s(self) -> float:
        """When the monitor begins a plan's fallback at the latest, after the plan's pictures."""
        silence_s = 1.5 * self.period_s + 0.150  # see MonitorParams
        return round(PICTURES_AGE_S + silence_s, 3)

    def nodes(self) -> list[Any]:
        """The five nodes of the car, started again where they die."""
        if not self.respawn:
            return [self.node(name, self._params(name)) for name in NODES]
        return [action for name in NODES for action in self._restarted(name)]

    def overlays(self) -> list[Any]:
        """A node for eyes: what the car sees and wants, in the cameras' pictures."""
        known = {"ring_folder", "base_frame", "autostart", "cameras", "image_topics"}
        params = {k: v for k, v in self._params("camera_node").items() if k in known}
        return [self.node("overlay_node", {**params, "autostart": True})]

    def _restarted(self, name: str) -> list[Any]:
        params = self._params(name)
        lost = (lambda why: [failed(why)]) if self.essential else lambda _: []
        return Restart(name, lambda: self.node(name, params), lost).actions()

    def check(self) -> Node:
        """A dry run in the place of the nodes."""
        params = self._params("camera_node") | {
            "odometry_topic": self.odometry_topic, "period_s": self.period_s, "autostart": True,
        }  # fmt: skip
        return self.node("check_car", params)

    def follower(self, command: str) -> Node:
        """The example of a vehicle interface. command: twist or ackermann"""
        return Node(
            package="irl_vla_follower", executable="follower_node", name="follower_node",
            namespace=self.namespace, output="screen", prefix=self.python or None,
            parameters=[{
                "command": command, "odometry_topic": self.odometry_topic,
                "use_sim_time": self.use_sim_time,
            }],
        )  # fmt: skip

    def ready(self) -> ExecuteProcess:
        """A process that ends when all nodes are active."""
        prefix = "/".join(["", *[part for part in self.namespace.split("/") if part]])
        names = [f"{prefix}/{name}" for name in NODES]
        rights = self._enclave("await_active")
        enclave = ["--ros-args", *rights] if rights else []
        command = [*tool(self.python, "await_active"), *names, *enclave]
        return ExecuteProcess(cmd=command, output="screen")

    def node(self, name: str, params: Mapping[str, Any]) -> Node:
        """One node of the package, under the Python it was built with, or the one given."""
        pin = f"taskset -c {self.cpus[name]} " if name in self.cpus else ""
        files = [self.params_file] if self.params_file else []
        return Node(
            package=PACKAGE, executable=name, name=name, namespace=self.namespace,
            output="screen", prefix=f"{pin}{self.python}" or None,
            ros_arguments=["--log-level", self.log_level, *self._enclave(name)],
            parameters=[*files, {**params, "use_sim_time": self.use_sim_time},
                        dict(self.settings.get(name, {}))],
        )  # fmt: skip

    def _enclave(self, name: str) -> list[str]:
        return ["--enclave", f"{self.enclaves}/{name}"] if self.enclaves else []

    def _params(self, name: str) -> dict[str, Any]:
        domain = f"domain{os.environ.get('ROS_DOMAIN_ID', '0')}"
        parts = [part for part in self.namespace.split("/") if part]
        folder = self.ring_folder or "/".join([RING_FOLDER, domain, *parts])
        params: dict[str, Any] = {
            "ring_folder": folder, "base_frame": self.base_frame, "autostart": self.autostart,
        }  # fmt: skip
        if name not in ("command_node", "monitor_node"):
            params["bundle"] = self.bundle
        if name in EGO_NODES:
            params |= {"odometry_topic": self.odometry_topic, "reliable": self.reliable}
        if name == "planner_node":
            params |= {"rig": self.rig, "fallback_until_s": self.fallback_until_s}
        if name == "monitor_node":
            params |= {"cameras": list(self.cameras), "period_s": self.period_s}
        if name == "camera_node":
            params |= {
                "cameras": list(self.cameras), "rig": self.rig, "reliable": self.reliable,
                "image_topics": [image for image, _ in self.cameras.values()],
                "camera_info_topics": [info for _, info in self.cameras.values()],
            }  # fmt: skip
        return params


def argument(
    name: str, default: str | None, about: str, choices: Sequence[str] | None = None
) -> DeclareLaunchArgument:
    """One launch argument; without a default it has to be given, and be one of the choices."""
    return DeclareLaunchArgument(
        name, default_value=default, description=about,
        choices=None if choices is None else list(choices),
    )  # fmt: skip


def given(context: LaunchContext, name: str) -> str:
    """What the user gave for an argument."""
    return str(LaunchConfiguration(name).perform(context))


def flag(context: LaunchContext, name: str) -> bool:
    """An argument that is true or false."""
    return given(context, name).lower() == "true"


def number(context: LaunchContext, name: str) -> float:
    """An argument that is a number."""
    text = given(context, name)
    try:
        return float(text)
    except ValueError:
        raise RuntimeError(f"{name}:={text}: expected a number") from None


def tool(python: str, name: str) -> list[str]:
    """The command of a script of this package, under the Python it was built with or the one
    given."""
    script = Path(get_package_prefix(PACKAGE)) / "lib" / PACKAGE / name
    return [python, str(script)] if python else [str(script)]


def cameras_of(names: Sequence[str], image: str, info: str) -> dict[str, tuple[str, str]]:
    """Cameras whose topics follow a pattern; {camera} stands for the name."""
    plain = [name.strip() for name in names if name.strip()]
    return {name: (image.format(camera=name), info.format(camera=name)) for name in plain}


def described(python: str, bag: str) -> dict[str, Any]:
    """What `bag_params` says of a recording; it ends with its sentence where it cannot."""
    command = [*tool(python, "bag_params"), bag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else "no answer")
    return dict(json.loads(done.stdout))


def full_path(text: str) -> str:
    """Launch files may be started anywhere; the nodes get whole paths."""
    return str(Path(text).expanduser().resolve()) if text else ""
