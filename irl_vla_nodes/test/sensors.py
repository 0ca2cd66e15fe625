"""A car that drives straight on at 8 m/s, as topics: three cameras, odometry, tf, intent. Faults
can be switched on while it drives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from real_graph import ProbeNode

from irl_vla.camera.rig import load_rig
from irl_vla.frames import rigid_from_pose
from irl_vla.messages.geometry_messages import (
    camera_info_message,
    odometry_message,
    transform_message,
)
from irl_vla.messages.messages import header, new
from irl_vla.resources import resource
from irl_vla.types import SECOND_NS, EgoMotion

RIG = load_rig(resource("calibration/rigs/tiny3.yaml"))
CAMERAS = {
    name: (f"/sensing/{name}/image/compressed", f"/sensing/{name}/camera_info")
    for name in RIG.names
}
ODOMETRY, TF_STATIC = "/localization/kinematic_state", "/tf_static"
SPEED = 8.0  # [m/s]
PICTURES = 40  # different ones of each camera, over and over


@dataclass
class Faults:
    """What is wrong with the sensors at the moment."""

    unplugged: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    late_s: dict[str, float] = field(default_factory=dict)  # stamps that lie so far back
    torn: set[str] = field(default_factory=set)  # pictures cut off in the middle
    wider: float = 1.0  # focal lengths in CameraInfo are multiplied with it
    odometry_nan: bool = False
    odometry_silent: bool = False


class Sensors:
    """Publishes at `hz`, each picture with the stamp of now. tf: whether the cameras' places are
    told."""

    def __init__(self, probe: ProbeNode, hz: float = 10.0, tf: bool = True) -> None:
        self.faults = Faults()
        self._node, self._count, self._frozen_at = probe.node, 0, dict[str, bytes]()
        self._begin_ns = self.now_ns()
        self._out: dict[str, Any] = {}
        for image, info in CAMERAS.values():
            self._open(image, "sensor_msgs/msg/CompressedImage")
            self._open(info, "sensor_msgs/msg/CameraInfo")
        self._open(ODOMETRY, "nav_msgs/msg/Odometry")
        self._open(TF_STATIC, "tf2_msgs/msg/TFMessage", latched=True)
        if tf:
            self.place_cameras()
        self._timer = self._node.create_timer(1.0 / hz, self._expose)

    def now_ns(self) -> int:
        """The car's time: the wall clock."""
        return int(self._node.get_clock().now().nanoseconds)

    def place_cameras(self) -> None:
        """Tell where the cameras sit."""
        stamp = self.now_ns()
        edges = [transform_message("base_link", c.name, c.ego_from_cam, stamp) for c in RIG.cameras]
        self._say(TF_STATIC, new("tf2_msgs/msg/TFMessage", transforms=edges))

    def stop(self) -> None:
        """Everything falls silent."""
        self._node.destroy_timer(self._timer)

    def _expose(self) -> None:
        stamp, faults = self.now_ns(), self.faults
        self._count += 1
        self._odometry(stamp)
        for camera in RIG.cameras:
            name = camera.name
            image, info = CAMERAS[name]
            wide = replace(camera, intrinsics=camera.intrinsics * _scale(faults.wider))
            self._say(info, camera_info_message(wide, stamp, name))
            if name in faults.unplugged:
                continue
            data = PICTURES_JPEG[self._count % PICTURES]
            if name in faults.frozen:
                data = self._frozen_at.setdefault(name, data)
            if name in faults.torn:
                data = data[:200]
            taken = stamp - round(faults.late_s.get(name, 0.0) * SECOND_NS)
            message = new(
                "sensor_msgs/msg/CompressedImage", header=header(taken, name), format="jpeg",
                data=np.frombuffer(data, np.uint8),
            )  # fmt: skip
            self._say(image, message)

    def _odometry(self, stamp: int) -> None:
        if self.faults.odometry_silent:
            return
        way = SPEED * (stamp - self._begin_ns) / SECOND_NS
        speed = np.nan if self.faults.odometry_nan else SPEED
        pose, twist = rigid_from_pose(np.array([way, 0.0, 0.0])), np.array([speed, 0.0, 0.0])
        motion = EgoMotion(stamp, pose, twist, ODOMETRY)
        self._say(ODOMETRY, odometry_message(motion, "map", "base_link"))

    def _open(self, topic: str, msgtype: str, *, latched: bool = False) -> None:
        from irl_vla_nodes.ros_io import LATCHED, qos
        from rosidl_runtime_py.utilities import get_message

        profile = LATCHED if latched else qos(10)
        self._out[topic] = self._node.create_publisher(get_message(msgtype), topic, profile)

    def _say(self, topic: str, message: Any) -> None:
        from irl_vla_nodes.convert import cdr

        self._out[topic].publish(bytes(cdr(message)))


def _scale(wider: float) -> np.ndarray:
    """(3, 3) factors of focal lengths."""
    factors = np.ones((3, 3))
    factors[0, 0] = factors[1, 1] = wider
    return factors


def _jpeg(number: int) -> bytes:
    picture = np.full((360, 640, 3), 90, np.uint8)
    cv2.rectangle(picture, (10 * number, 100), (10 * number + 60, 250), (200, 150, 40), -1)
    return bytes(cv2.imencode(".jpg", picture)[1])


PICTURES_JPEG = [_jpeg(number) for number in range(PICTURES)]
