"""monitor_node: the only publisher of the driven trajectory, and the graph's conscience.

in:  /irl_vla/plan, /irl_vla/refusal, /irl_vla/frames, odometry or tf
out: /irl_vla/trajectory nav_msgs/Path · /irl_vla/trajectory_autoware, where
     autoware_planning_msgs is installed · /diagnostics at a fixed rate
If this process dies nothing is published: the vehicle interface must time out (docs/car.md).
"""

from __future__ import annotations

import time

from irl_vla.messages.events import Event
from irl_vla.messages.plan_messages import plan_from_message
from irl_vla.types import EgoMotion, InputError
from irl_vla_nodes.autoware import POINT_TYPE, TRAJECTORY_TYPE, trajectory_to_autoware
from irl_vla_nodes.car_node import CarNode, run
from irl_vla_nodes.convert import (
    frames_from_message,
    from_cdr,
    latencies_from_message,
    path_to_message,
    refusal_from_message,
)  # fmt: skip
from irl_vla_nodes.health import Health, diagnostics_message
from irl_vla_nodes.params import MonitorParams
from irl_vla_nodes.ros_io import (
    HANDLES,
    EgoInbox,
    ManagedPublisher,
    RawSubscription,
    drain,
    installed,
    qos,
)
from irl_vla_nodes.topics import AUTOWARE, DIAGNOSTICS, FRAMES, PLAN, REFUSAL, TRAJECTORY
from irl_vla_nodes.watchdog import TrajectoryCommand, Watchdog

TICK_S = 0.01  # how soon silence is noticed
STOP_EVERY = 5  # ticks between two stops: 20 Hz


class MonitorNode(CarNode[MonitorParams]):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("monitor_node", MonitorParams)

    def set_up(self, params: MonitorParams) -> None:
        """See CarNode."""
        self._params = params
        self._watchdog = Watchdog(params.silence_s, params.max_plan_age_s, params.good_plans)
        self._health = Health(params.cameras, self.get_namespace())
        self._ticks = 0
        self._out = ManagedPublisher(self, "nav_msgs/msg/Path", TRAJECTORY, HANDLES)
        self._kinds = installed(TRAJECTORY_TYPE), installed(POINT_TYPE)
        if self._kinds[0] is not None:
            self._autoware = self.create_lifecycle_publisher(self._kinds[0], AUTOWARE, HANDLES)
        self._diagnostics = ManagedPublisher(
            self, "diagnostic_msgs/msg/DiagnosticArray", DIAGNOSTICS, qos(10)
        )
        self._inbox = EgoInbox(self, params, self._on_event)
        self._inlets = [
            RawSubscription(self, f"irl_vla_msgs/msg/{kind}", topic, HANDLES, take)
            for kind, topic, take in [
                ("Plan", PLAN, self._on_plan),
                ("Refusal", REFUSAL, self._on_refusal),
                ("FrameSet", FRAMES, self._on_frames),
            ]
        ]
        self.every(TICK_S, self._on_tick)
        self.every(1.0 / params.diagnostics_hz, self._report)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, EgoMotion):
            self._watchdog.add_motion(event)

    def _on_frames(self, data: bytes) -> None:
        value = frames_from_message(from_cdr(data, "irl_vla_msgs/msg/FrameSet"))
        self._health.take_frames(value, self._seconds())

    def _on_plan(self, data: bytes) -> None:
        message = from_cdr(data, "irl_vla_msgs/msg/Plan")
        try:
            plan = plan_from_message(message)
        except InputError as error:
            self.get_logger().error(str(error))
            return
        drain(self._inbox.inlets)
        command = self._watchdog.take_plan(plan, self.now_ns(), self._seconds())
        if self._watchdog.rejected:
            self.get_logger().warning(f"plan not taken: {self._watchdog.rejected}")
        self._give(command)
        stages = latencies_from_message(message.latencies)
        self._health.take_plan(plan.bundle_id, plan.schedule.epoch, stages)

    def _on_refusal(self, data: bytes) -> None:
        refusal = refusal_from_message(from_cdr(data, "irl_vla_msgs/msg/Refusal"))
        self._watchdog.take_refusal()
        self._health.take_refusal(refusal.reason.value, refusal.detail)

    def _on_tick(self) -> None:
        before = self._watchdog.authority
        drain([*self._inbox.inlets, *self._inlets])  # a plan that lies here is not silence
        command = self._watchdog.tick(self.now_ns(), self._seconds())
        self._ticks += 1
        if command is not None and (
            before != self._watchdog.authority or not self._ticks % STOP_EVERY
        ):
            self._give(command)
        if before != self._watchdog.authority:
            self.get_logger().warning(self._watchdog.authority.value)

    def _give(self, command: TrajectoryCommand | None) -> None:
        if command is None:
            return
        trajectory, stamp, frame = command.trajectory, command.stamp_ns, self._params.base_frame
        self._out.publish(path_to_message(trajectory, stamp, frame))
        kind, point_kind = self._kinds
        if kind is not None and point_kind is not None:
            message = trajectory_to_autoware(trajectory, stamp, frame, kind, point_kind)
            self._autoware.publish(message)

    def _report(self) -> None:
        statuses = self._health.statuses(self._watchdog, self._seconds())
        self._diagnostics.publish(diagnostics_message(statuses, self.now_ns()))

    def _seconds(self) -> float:
        """For silence: the car's time where it is simulated (a paused bag is not silent), else the
        machine's, which never jumps."""
        if self.get_parameter("use_sim_time").value:
            return self.now_ns() / 1e9
        return time.monotonic()


def main() -> None:
    """`ros2 run irl_vla_nodes monitor_node`."""
    run(MonitorNode)
