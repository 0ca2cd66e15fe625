"""world_node: the built-in world as a live car. It publishes what cameras, odometry and navigation
would say, waits for the trajectory of that very moment, drives it for a tenth of a second, and goes
on: lock-step on /clock. Ends when the route does.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import rclpy
from rosidl_runtime_py.utilities import get_message

from irl_vla.bag.bag_writer import (
    BASE_FRAME,
    INTENT,
    ODOMETRY,
    TF,
    TF_STATIC,
    WORLD_FRAME,
    camera_info_topic,
    image_topic,
)
from irl_vla.camera.rig import load_rig
from irl_vla.drive.closed_loop import ClosedLoop
from irl_vla.drive.core import DrivingCore
from irl_vla.drive.step import Step
from irl_vla.evaluation.drive_run import DEFAULT_RIG, DriveRun, drive_request
from irl_vla.messages.geometry_messages import (
    camera_info_message,
    odometry_message,
    transform_message,
)
from irl_vla.messages.messages import header, new, time_message
from irl_vla.messages.plan_messages import intent_to_message, plan_from_message
from irl_vla.resources import resource
from irl_vla.types import (
    SECOND_NS,
    EgoMotion,
    EgoStatus,
    FrameSet,
    InputError,
    Intent,
    Plan,
    Refusal,
    RefusalReason,
    Trajectory,
)  # fmt: skip
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.routes import RoutePath
from irl_vla_nodes.car_node import CarNode
from irl_vla_nodes.commanded_car import (
    OLD_S,
    CommandedLoop,
    MotionCommand,
    cross_track_m,
    of_twist,
)
from irl_vla_nodes.convert import cdr, from_cdr, path_from_message, refusal_from_message
from irl_vla_nodes.params import WorldParams
from irl_vla_nodes.ros_io import HANDLES, LATCHED, RawSubscription, installed, qos
from irl_vla_nodes.topics import ACKERMANN, PLAN, REFUSAL, TRAJECTORY, TWIST

IMAGE = "sensor_msgs/msg/CompressedImage"
DISCOVERY_S = 1.0  # subscribers find the new publishers
REACTION_S = 1.0  # of graph and follower; then time goes on without them
PATIENCE = 3  # moments in a row without an answer: the graph is gone


class GraphCore:
    """The running nodes in the place of a driving core (see ClosedLoop)."""

    def __init__(self, node: WorldNode) -> None:
        self._node = node
        self._intent = Intent()

    def add_motion(self, motion: EgoMotion) -> None:
        """Odometry and tf; the clock goes first."""
        node = self._node
        node.publish("/clock", new(
            "rosgraph_msgs/msg/Clock", clock=time_message(motion.stamp_ns)))  # fmt: skip
        node.publish(ODOMETRY, odometry_message(motion, WORLD_FRAME, BASE_FRAME))
        edge = transform_message(WORLD_FRAME, BASE_FRAME, motion.world_from_ego, motion.stamp_ns)
        node.publish(TF, new("tf2_msgs/msg/TFMessage", transforms=[edge]))

    def add_intent(self, intent: Intent) -> None:
        """What navigation says."""
        self._intent = intent
        self._node.publish(INTENT, intent_to_message(intent, BASE_FRAME))

    def step(self, frames: FrameSet, now_ns: int) -> Step:
        """Pictures out, a trajectory back."""
        for name, image in frames.images.items():
            message = new(
                IMAGE, header=header(image.stamp_ns, name), format="jpeg",
                data=np.frombuffer(image.encoded or b"", np.uint8),
            )  # fmt: skip
            self._node.publish(image_topic(name), message)
        ego = EgoStatus(now_ns, np.zeros(2), np.zeros(2), 0.0, valid=False, source="the graph's")
        outcome = self._node.answer(frames.anchor_stamp_ns)
        return Step(outcome, frames, ego, self._intent, None, {})


class WorldNode(CarNode[WorldParams]):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("world_node", WorldParams)

    def set_up(self, params: WorldParams) -> None:
        """See CarNode."""
        self._params = params
        self.rig = load_rig(params.rig or resource(DEFAULT_RIG))
        self._unanswered, self._answered = 0, False  # moments in a row; whether ever
        self._plans: dict[int, Plan | Refusal] = {}
        self._paths: dict[int, Trajectory] = {}
        self._out: dict[str, Any] = {}
        names = self.rig.names
        for topic, kind in [
            ("/clock", "rosgraph_msgs/msg/Clock"), (ODOMETRY, "nav_msgs/msg/Odometry"),
            (TF, "tf2_msgs/msg/TFMessage"), (TF_STATIC, "tf2_msgs/msg/TFMessage"),
            (INTENT, "irl_vla_msgs/msg/Intent"), *((image_topic(name), IMAGE) for name in names),
            *((camera_info_topic(name), "sensor_msgs/msg/CameraInfo") for name in names),
        ]:  # fmt: skip
            latched = topic == TF_STATIC or topic.endswith("camera_info")
            profile = LATCHED if latched else qos(10)
            self._out[topic] = self.create_publisher(get_message(kind), topic, profile)
        self._inlets = [
            RawSubscription(self, "irl_vla_msgs/msg/Plan", PLAN, HANDLES, self._on_plan),
            RawSubscription(self, "irl_vla_msgs/msg/Refusal", REFUSAL, HANDLES, self._on_refusal),
            RawSubscription(self, "nav_msgs/msg/Path", TRAJECTORY, HANDLES, self._on_path),
        ]
        self._command: MotionCommand | None = None  # the last one
        self._hear_commands(params.control)

    def publish(self, topic: str, message: Any) -> None:
        """A message of `irl_vla.messages.messages`."""
        self._out[topic].publish(bytes(cdr(message)))

    def drive(self) -> dict[str, Any]:
        """The whole drive; how it ended, in the words of `irl-vla drive`."""
        params = self._params
        drive = drive_request(params.seed, None, params.route_m or None)
        simulation = drive.simulation
        if simulation.driver is None:
            raise InputError(f"seed {params.seed}: nobody drives there")
        path = RoutePath.of(simulation.town, simulation.driver.route)
        render = Renderer(simulation.town, simulation.others.actors, self.rig, params.seed).render
        graph = cast(DrivingCore, GraphCore(self))
        given = (simulation, path, graph, render, drive.route_m, self.rig.vehicle)
        loop = ClosedLoop(*given)
        if params.control != "trajectory":
            loop = CommandedLoop(*given, command=self._counting)
        run = DriveRun(drive, loop, self.rig, {})
        time.sleep(DISCOVERY_S)
        self._publish_rig()
        for _ in run.go():
            if not rclpy.ok():
                loop.stop()
        end = run.ticks[-1].moment.ego.tolist()
        beside = cross_track_m(run.ticks)
        return {
            "seed": params.seed, **run.summary(run.score()), "end": end, "control": params.control,
            "cross_track_m": {
                "p50": float(np.median(beside)) if len(beside) else 0.0,
                "max": float(beside.max(initial=0.0)),
            },
        }  # fmt: skip

    def answer(self, anchor_ns: int) -> Plan | Refusal:
        """What the graph makes of this moment. The trajectory is the monitor's."""
        if self._params.control != "trajectory":
            return self._reacted(anchor_ns)
        until = time.monotonic() + self._params.answer_s
        while time.monotonic() < until:
            outcome = self._plans.get(anchor_ns)
            if isinstance(outcome, Refusal):
                self._heard()
                return outcome
            if outcome is not None and anchor_ns in self._paths:
                self._heard()
                self._plans.clear()
                return replace(outcome, trajectory=self._paths.pop(anchor_ns))
            rclpy.spin_once(self, timeout_sec=0.05)
        detail = f"the graph did not answer within {self._params.answer_s} s"
        self._unanswered += 1
        if not self._answered or self._unanswered >= PATIENCE:
            raise InputError(f"{detail}, {self._unanswered} times in a row; /diagnostics says why")
        self.get_logger().error(detail)
        return Refusal(anchor_ns, RefusalReason.STALE_INPUT, detail)

    def _reacted(self, anchor_ns: int) -> Plan | Refusal:
        """The same where commands move the car: time passes also when nobody answers."""
        before = self._commands
        until = time.monotonic() + (REACTION_S if self._answered else self._params.answer_s)
        while time.monotonic() < until:
            rclpy.spin_once(self, timeout_sec=0.05)
            if isinstance(self._plans.get(anchor_ns), Refusal):
                break
            if self._commands > before and anchor_ns in self._paths:
                self._heard()
                break
        outcome, path = self._plans.get(anchor_ns), self._paths.pop(anchor_ns, None)
        self._plans.clear()
        self._paths.clear()
        self._moment_ns = anchor_ns
        if isinstance(outcome, Refusal):
            return outcome
        if not self._answered:
            raise InputError(f"no command within {self._params.answer_s} s; does a follower run?")
        if outcome is not None and path is not None:
            return replace(outcome, trajectory=path)
        detail = "no trajectory of this moment"
        return Refusal(anchor_ns, RefusalReason.STALE_INPUT, detail)

    def _counting(self) -> MotionCommand | None:
        """The last command, while it is young."""
        old = self._moment_ns - self._commanded_ns > OLD_S * SECOND_NS
        return None if old else self._command

    def _take(self, command: MotionCommand) -> None:
        self._command, self._commanded_ns = command, self.now_ns()
        self._commands += 1

    def _on_twist(self, data: bytes) -> None:
        message = from_cdr(data, "geometry_msgs/msg/Twist")
        base = self.rig.vehicle.wheel_base
        self._take(of_twist(float(message.linear.x), float(message.angular.z), base))

    def _on_ackermann(self, message: Any) -> None:
        self._take(MotionCommand(float(message.speed), float(message.steering_angle)))

    def _hear_commands(self, control: str) -> None:
        self._commands, self._commanded_ns, self._moment_ns = 0, 0, 0
        if control == "twist":
            twist = RawSubscription(self, "geometry_msgs/msg/Twist", TWIST, HANDLES, self._on_twist)
            self._inlets.append(twist)
        elif control == "ackermann":
            kind = installed("ackermann_msgs/msg/AckermannDrive")
            if kind is None:
                raise InputError("control:=ackermann needs the package ackermann_msgs")
            self.create_subscription(kind, ACKERMANN, self._on_ackermann, HANDLES)

    def _heard(self) -> None:
        self._unanswered, self._answered = 0, True

    def _publish_rig(self) -> None:
        stamp = self.now_ns()
        edges = [
            transform_message(BASE_FRAME, c.name, c.ego_from_cam, stamp) for c in self.rig.cameras
        ]
        self.publish(TF_STATIC, new("tf2_msgs/msg/TFMessage", transforms=edges))
        for camera in self.rig.cameras:
            message = camera_info_message(camera, stamp, camera.name)
            self.publish(camera_info_topic(camera.name), message)

    def _on_plan(self, data: bytes) -> None:
        plan = plan_from_message(from_cdr(data, "irl_vla_msgs/msg/Plan"))
        self._plans[plan.anchor_stamp_ns] = plan

    def _on_refusal(self, data: bytes) -> None:
        refusal = refusal_from_message(from_cdr(data, "irl_vla_msgs/msg/Refusal"))
        self._plans[refusal.anchor_stamp_ns] = refusal

    def _on_path(self, data: bytes) -> None:
        stamp, trajectory = path_from_message(from_cdr(data, "nav_msgs/msg/Path"))
        self._paths[stamp] = trajectory


def main() -> None:
    """`ros2 run irl_vla_nodes world_node`."""
    rclpy.init()
    node = WorldNode()
    if not node.start():
        sys.exit(node.report.failure)
    try:
        result = node.drive()
    except InputError as error:
        sys.exit(str(error))
    if node.params().results:
        Path(node.params().results).write_text(json.dumps(result, indent=2) + "\n")
    node.get_logger().info(
        f"seed {result['seed']}: {result['ending']} after {result['seconds']:.0f} s, "
        f"{result['route_completion']:.0f} % of the route, {result['plans']} plans, "
        f"{result['refusals']} refusals"
    )
    rclpy.shutdown()
