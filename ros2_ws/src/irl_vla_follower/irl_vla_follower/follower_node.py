"""follower_node: drives `irl_vla/trajectory`, as the contract of docs/car.md asks for it.

in:  irl_vla/trajectory nav_msgs/Path, odometry nav_msgs/Odometry
out: cmd_vel geometry_msgs/Twist, or ackermann_cmd ackermann_msgs/AckermannDrive
Without a trajectory for 0.5 s, or with one older than 1 s, it brakes by itself. An example to begin
with: it knows no actuator, no fault of one, and no driver who takes over.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from typing import Any

import rclpy
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry, Path
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rosidl_runtime_py.utilities import get_message

from irl_vla_follower.pursuit import Limits, Pose, Wanted, braked, pursue, seen_from

SILENCE_S = 0.5  # rule 2 of the contract
OLD_S = 1.0
LOOK_S = 0.05
KEPT = 400  # measurements of the ego
NS = 1e9


class Follower(Node):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("follower_node")
        command = self.declare_parameter("command", "twist").value
        odometry = self.declare_parameter("odometry_topic", "/localization/kinematic_state").value
        self._wheel_base = float(self.declare_parameter("wheel_base", 3.089).value)
        names = {"speed": 20.0, "braking": 4.0, "curvature": 0.2}
        given = {n: float(self.declare_parameter(f"max_{n}", v).value) for n, v in names.items()}
        self._limits = Limits(**given)
        self._out = self._publisher(command)
        self._poses: deque[tuple[int, Pose]] = deque(maxlen=KEPT)
        self._speed, self._curvature = 0.0, 0.0
        self._stamp_ns, self._heard_ns = 0, 0
        self._brakes = False
        self.create_subscription(Path, "irl_vla/trajectory", self._on_path, 1)
        self.create_subscription(Odometry, odometry, self._on_odometry, 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_S, self._look, clock=steady)

    def _publisher(self, command: str) -> Any:
        if command == "twist":
            return self.create_publisher(Twist, "cmd_vel", 1)
        if command != "ackermann":
            sys.exit(f"parameter 'command' is '{command}', expected twist or ackermann")
        try:
            self._drive = get_message("ackermann_msgs/msg/AckermannDrive")
        except (ModuleNotFoundError, AttributeError):
            sys.exit("command:=ackermann needs the package ackermann_msgs, which is not installed")
        return self.create_publisher(self._drive, "ackermann_cmd", 1)

    def _on_odometry(self, message: Odometry) -> None:
        place, q = message.pose.pose.position, message.pose.pose.orientation
        yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
        stamp = _ns(message.header.stamp)
        if self._poses and stamp < self._poses[-1][0]:
            self._poses.clear()  # another time
        self._poses.append((stamp, (place.x, place.y, yaw)))
        self._speed = message.twist.twist.linear.x

    def _on_path(self, message: Path) -> None:
        self._stamp_ns = _ns(message.header.stamp)
        self._heard_ns = self._now_ns()
        moved = self._moved_since(self._stamp_ns)
        if moved is None or not message.poses or self._is_old():
            return  # the watch below brakes
        age_s = max((self._heard_ns - self._stamp_ns) / NS, 0.0)
        path, times = [seen_from((0.0, 0.0, 0.0), moved)], [-age_s]
        for stamped in message.poses:
            p, q = stamped.pose.position, stamped.pose.orientation
            path.append(seen_from((p.x, p.y, 2.0 * math.atan2(q.z, q.w)), moved))
            times.append((_ns(stamped.header.stamp) - self._heard_ns) / NS)
        self._say_brakes(False)
        self._send(pursue(path, times, self._speed, self._limits))

    def _look(self) -> None:
        """Twenty times a second: brake where nobody says how to drive."""
        if self._stamp_ns and (self._is_old() or self._now_ns() - self._heard_ns > SILENCE_S * NS):
            self._say_brakes(True)
            self._send(braked(self._speed, self._curvature, 2.0 * LOOK_S, self._limits))

    def _is_old(self) -> bool:
        return self._now_ns() - self._stamp_ns > OLD_S * NS

    def _moved_since(self, stamp_ns: int) -> Pose | None:
        """The car now, seen from where it was at a stamp; None where the odometry does not say."""
        before = [pose for at_ns, pose in self._poses if at_ns <= stamp_ns]
        if not before or self._now_ns() - self._poses[-1][0] > SILENCE_S * NS:
            return None
        return seen_from(self._poses[-1][1], before[-1])

    def _say_brakes(self, brakes: bool) -> None:
        if brakes != self._brakes:
            self._brakes = brakes
            word = "no trajectory: brakes" if brakes else "follows the trajectory again"
            self.get_logger().warning(word)

    def _send(self, wanted: Wanted) -> None:
        self._curvature = wanted.curvature
        if self._out.msg_type is Twist:
            message = Twist()
            message.linear.x = wanted.speed
            message.angular.z = wanted.speed * wanted.curvature
        else:
            message = self._drive()
            message.speed = wanted.speed
            message.steering_angle = math.atan(wanted.curvature * self._wheel_base)
        self._out.publish(message)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def main() -> None:
    """`ros2 run irl_vla_follower follower_node`."""
    rclpy.init()
    try:
        rclpy.spin(Follower())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
