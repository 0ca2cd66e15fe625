"""check_car: a dry run. It listens to the topics of the car for a few seconds, in the place of the
nodes, and says what is ready: `ros2 launch irl_vla_bringup drive.launch.py ... check:=true`.
Exit code 1 where anything is red."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import rclpy
from rclpy.qos import ReliabilityPolicy

from irl_vla.camera.rig import MAX_CAMERAS, load_rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.engine.bundle import load_bundle
from irl_vla.messages.messages import stamp_ns
from irl_vla.messages.topics import CAMERA_INFO, ODOMETRY, TF_TYPES
from irl_vla_nodes.camera_node import RIG_BYTES, image_spec
from irl_vla_nodes.car_node import CarNode
from irl_vla_nodes.convert import from_cdr
from irl_vla_nodes.dry_run import (
    Finding,
    Heard,
    clock_finding,
    machine_findings,
    memory_finding,
    summary,
    topic_finding,
)
from irl_vla_nodes.intake import Intake
from irl_vla_nodes.params import CheckParams, folder_of
from irl_vla_nodes.perception_node import tokens_bytes
from irl_vla_nodes.ros_io import LATCHED, RawSubscription, qos

DEPTH = 100
PIXEL_BYTES = 3 * 4  # of a prepared picture


class CheckCar(CarNode[CheckParams]):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("check_car", CheckParams)

    def set_up(self, params: CheckParams) -> None:
        """See CarNode."""
        self._params = params
        bundle = load_bundle(folder_of(params.bundle, "bundle"))
        stack = policy_stack_from_bundle(bundle, 1, graphs=("camera", "bev"))
        spec = image_spec(params.bundle)
        rig = load_rig(params.rig) if params.rig else None
        self._intake = Intake(params, spec, rig)
        cameras = min(len(params.cameras), MAX_CAMERAS)
        pictures = cameras * spec.width * spec.height * PIXEL_BYTES + RIG_BYTES
        self._needed = params.ring_slots * (pictures + tokens_bytes(stack))
        kinds = dict(self._intake.kinds)
        if params.odometry_topic:
            kinds[params.odometry_topic] = ODOMETRY
        self._heard = {topic: Heard(topic, kind) for topic, kind in kinds.items()}
        self._inlets = [self._inlet(topic, kind) for topic, kind in kinds.items()]

    def _inlet(self, topic: str, kind: str) -> RawSubscription:
        def take(data: bytes) -> None:
            heard, now = self._heard[topic], self.now_ns()
            heard.at_ns.append(now)
            if kind != TF_TYPES[0]:
                heard.stamps_ns.append(stamp_ns(from_cdr(data, kind).header.stamp))
            if topic in self._intake.kinds and kind in (CAMERA_INFO, TF_TYPES[0]):
                list(self._intake.take(topic, data, now))

        profile = LATCHED if kind == TF_TYPES[0] else qos(DEPTH, reliable=False)
        return RawSubscription(self, kind, topic, profile, take)

    def findings(self) -> list[Finding]:
        """After having listened."""
        params, seconds = self._params, self._params.listen_s
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            rclpy.spin_once(self, timeout_sec=0.1)
        found = [Finding("bundle", params.bundle)]
        for topic, heard in self._heard.items():
            for info in self.get_publishers_info_by_topic(topic):
                heard.kinds.append(info.topic_type)
                heard.offered.append(
                    info.qos_profile.reliability is not ReliabilityPolicy.BEST_EFFORT
                )
            once = heard.wanted in (CAMERA_INFO, TF_TYPES[0])
            expected = 0.0 if once else 1.0 / params.period_s
            found.append(topic_finding(heard, params.reliable, seconds, expected))
            clock = None if once else clock_finding(heard, heard.at_ns[-1] if heard.at_ns else 0)
            found += [clock] if clock else []
        found += self._calibration()
        found.append(memory_finding(Path(params.ring_folder), self._needed))
        return [*found, *machine_findings()]

    def _calibration(self) -> list[Finding]:
        if self._intake.rig is not None:
            return [Finding("calibration", f"of {', '.join(self._intake.rig.names)}")]
        advice = "Publish CameraInfo and /tf_static, or give rig:=FILE"
        return [
            Finding(f"calibration of {name}", why, advice)
            for name, why in self._intake.trouble.items()
        ] or [Finding("calibration", "no CameraInfo came", advice)]


def main() -> None:
    """`ros2 run irl_vla_nodes check_car`."""
    rclpy.init()
    node = CheckCar()
    if not node.start():
        sys.exit(f"red   {node.report.failure}")
    found = node.findings()
    for finding in found:
        print(finding.line)
    print(summary(found))
    rclpy.shutdown()
    sys.exit(any(finding.advice for finding in found))
