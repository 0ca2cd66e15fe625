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
from irl_vla.types import EgoMotion
from irl_vla_nodes.autoware import POINT_TYPE, TRAJECTORY_TYPE, trajectory_to_autoware
from irl_vla_nodes.car_node import CarNode, run
from irl_vla_nodes.convert import (
    frames_from_message,
    from_cdr,
    latencies_from_message,
    path_to_message,
    refusal_from_message,
)  # fmt: skip
from irl_vla_nodes.diagnostics import diagnostics_message
from irl_vla_nodes.health import Health
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
from irl_vla_nodes.topics import AUTOWARE, DIAGNOSTICS, FRAMES, NODES, PLAN, REFUSAL, TRAJECTORY
from irl_vla_nodes.watchdog import ControlAuthority, TrajectoryCommand, Watchdog

LOOK_S = 0.01  # simulated time has to be looked at: how soon silence is noticed in it
STOP_S = 0.05  # between two stops: 20 Hz


class MonitorNode(CarNode[MonitorParams]):
    """See the module."""

    outputs = (TRAJECTORY,)

    def __init__(self) -> None:
        super().__init__("monitor_node", MonitorParams)

    def set_up(self, params: MonitorParams) -> None:
        """See CarNode."""
        self._params = params
        self._watchdog = Watchdog(params.silence_s, params.max_plan_age_s, params.good_plans)
        self._health = Health(params.cameras, self.get_namespace(), params.period_s)
        self._told = ""
        self._out = ManagedPublisher(self, "nav_msgs/msg/Path", TRAJECTORY, HANDLES)
        self._kinds = installed(TRAJECTORY_TYPE), installed(POINT_TYPE)
        if self._kinds[0] is not None:
            self._autoware = self.create_lifecycle_publisher(self._kinds[0], AUTOWARE, HANDLES)
        self._diagnostics = ManagedPublisher(
            self, "diagnostic_msgs/msg/DiagnosticArray", DIAGNOSTICS, qos(10)
        )
        self._inbox = EgoInbox(self, params, self._on_event, self._watchdog.history)
        self._inlets = [
            RawSubscription(self, f"irl_vla_msgs/msg/{kind}", topic, HANDLES, take)
            for kind, topic, take in [
                ("Plan", PLAN, self._on_plan),
                ("Refusal", REFUSAL, self._on_refusal),
                ("FrameSet", FRAMES, self._on_frames),
            ]
        ]
        self._due = self.alarm(self._on_due)
        self._reports = self.every(1.0 / params.diagnostics_hz, self._report)

    def retune(self, params: MonitorParams) -> None:
        """See CarNode."""
        self._watchdog.max_plan_age_s = params.max_plan_age_s
        self._watchdog.good_plans = params.good_plans
        self._reports.timer_period_ns = round(1e9 / params.diagnostics_hz)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, EgoMotion):
            wrong = self._watchdog.add_motion(event)
            if wrong:
                self.dropped("ego motion", wrong)

    def _on_frames(self, data: bytes) -> None:
        value = frames_from_message(from_cdr(data, "irl_vla_msgs/msg/FrameSet"))
        self._health.take_frames(value, self._seconds())

    def _on_plan(self, data: bytes) -> None:
        message = from_cdr(data, "irl_vla_msgs/msg/Plan")
        plan = plan_from_message(message)
        drain(self._inbox.inlets)
        command = self._watchdog.take_plan(plan, self.now_ns(), self._seconds())
        if self._watchdog.rejected:
            self.dropped("plan", self._watchdog.rejected)
        self._give(command)
        self._tell()
        self._wait()
        stages = latencies_from_message(message.latencies)
        self._health.take_plan(plan.bundle_id, plan.schedule.epoch, stages, self._seconds())

    def _on_refusal(self, data: bytes) -> None:
        refusal = refusal_from_message(from_cdr(data, "irl_vla_msgs/msg/Refusal"))
        self._watchdog.take_refusal()
        self._health.take_refusal(refusal.reason.value, refusal.detail, self._seconds())

    def _on_due(self) -> None:
        """A good plan should have come by now, or the next stop is due."""
        drain([*self._inbox.inlets, *self._inlets])  # a plan that lies here is not silence
        self._give(self._watchdog.tick(self.now_ns(), self._seconds()))
        self._tell()
        self._wait()

    def _wait(self) -> None:
        """Until the silence would be too long, or for the next stop."""
        if self._watchdog.authority is ControlAuthority.STOP:
            if not self._due.is_set:
                self._due.ring_in(STOP_S)
        elif self._watchdog.authority is ControlAuthority.NOBODY:
            return
        elif self._is_simulated:
            self._due.ring_in(LOOK_S)
        else:
            self._due.ring_in(self._watchdog.silent_at_s - self._seconds())

    def _tell(self) -> None:
        """Who drives, when that changes. An overload is one thing, however often it changes."""
        now = self._watchdog.overload.split(":")[0] or self._watchdog.authority.value
        if now == self._told:
            return
        self._told = now
        if self._watchdog.overload:
            self.get_logger().warning(self._watchdog.overload)
        elif self._watchdog.authority is ControlAuthority.STOP:
            self.get_logger().warning(now)
        else:
            self.get_logger().info(now)

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
        statuses = self._health.statuses(self._watchdog, self._seconds(), self._absent())
        self._diagnostics.publish(diagnostics_message(statuses, self.now_ns()))

    def _seconds(self) -> float:
        """For silence: the car's time where it is simulated (a paused bag is not silent), else the
        machine's, which never jumps."""
        return self.now_ns() / 1e9 if self._is_simulated else time.monotonic()

    @property
    def _is_simulated(self) -> bool:
        return bool(self.get_parameter("use_sim_time").value)

    def _absent(self) -> list[str]:
        """Nodes of this car that are not there."""
        here = self.get_namespace()
        there = {name for name, space in self.get_node_names_and_namespaces() if space == here}
        return [name for name in NODES if name not in there]


def main() -> None:
    """`ros2 run irl_vla_nodes monitor_node`."""
    run(MonitorNode)
