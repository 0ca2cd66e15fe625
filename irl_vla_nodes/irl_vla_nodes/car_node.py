"""What all nodes share: parameters, lifecycle, what they say of themselves, and a clean end.

unconfigured --configure--> inactive --activate--> active. A node that cannot load what it needs
stays unconfigured and says why, in its log and in /diagnostics; with `autostart` it goes to active
by itself, also after a restart. A fault of ours in a callback ends the process with the reason.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rosidl_runtime_py.utilities import get_message

from irl_vla.types import InputError
from irl_vla_nodes.alarm import Alarm
from irl_vla_nodes.convert import cdr
from irl_vla_nodes.declared import declare
from irl_vla_nodes.diagnostics import NodeReport, diagnostics_message
from irl_vla_nodes.ownership import OutputLock, Rivals
from irl_vla_nodes.params import Common, about, from_values, live_names
from irl_vla_nodes.topics import DIAGNOSTICS

P = TypeVar("P", bound=Common)
OURS = {"set_intent"}  # services that come and go with the configuration
REPORT_S = 1.0  # between two lines of a node about itself
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class CarNode(LifecycleNode, Generic[P]):
    """A node with checked parameters. A subclass says what it sets up and what it tears down.

    outputs: topics that nobody else in the ROS domain may publish
    """

    outputs: tuple[str, ...] = ()

    def __init__(self, name: str, kind: type[P]) -> None:
        super().__init__(name)
        self._kind = kind
        self._configured = False
        self.active = False
        self.report = NodeReport(name, self.get_namespace())
        self._locks: list[OutputLock] = []
        self._rivals = Rivals(time.monotonic())
        self._refused = declare(self, kind)  # values that were given and do not fit
        self.add_on_set_parameters_callback(self._check)
        back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
        self._jumps = self.get_clock().create_jump_callback(back, post_callback=self._jumped)
        array = get_message("diagnostic_msgs/msg/DiagnosticArray")
        self._about_me = self.create_publisher(array, DIAGNOSTICS, 10)
        self._lasting = {self.every(REPORT_S, self.report_self)}

    def set_up(self, params: P) -> None:
        """Load and connect. Raises InputError where that is not possible."""
        raise NotImplementedError

    def tear_down(self) -> None:
        """Free what `set_up` made, beside topics and timers."""

    def retune(self, params: P) -> None:
        """Parameters that may change while the node is configured have changed."""

    def wake(self) -> None:
        """The node becomes active: what waited while it slept is old."""

    def forget(self) -> None:
        """The car's clock ran back, as when a bag begins again: what was remembered is void."""

    def _jumped(self, jump: TimeJump) -> None:
        self.get_logger().warning(f"the clock jumps by {jump.delta.nanoseconds / 1e9:.1f} s")
        if self._configured:
            self.forget()

    def now_ns(self) -> int:
        """The car's time; simulated where use_sim_time says so."""
        return int(self.get_clock().now().nanoseconds)

    def every(self, seconds: float, work: Callable[[], None]) -> Any:
        """Do the work again and again, by the machine's own time: also while a bag is paused."""
        return self.create_timer(seconds, work, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def alarm(self, work: Callable[[], None]) -> Alarm:
        """Do the work once, whenever the alarm is set; it costs nothing while it is not."""
        return Alarm(self.every(1.0, work))

    def dropped(self, kind: str, why: str) -> None:
        """A message could not be used: counted, and in the log now and then."""
        line = self.report.drop(kind, why, time.monotonic())
        if line:
            self.get_logger().warning(line)

    def params(self) -> P:
        """As they are now. Raises InputError where they do not fit together."""
        return from_values(self._kind, self._values(), self.get_name())

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        return self._transition("configured", "inactive", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""

        def work() -> TransitionCallbackReturn:
            self.wake()
            self.active = True
            return LifecycleNode.on_activate(self, state)

        return self._transition("activated", "active", work)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        self.active = False
        done = super().on_deactivate(state)
        return self._transition("deactivated", "inactive", lambda: done)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        return self._transition("cleaned up", "unconfigured", self._clear)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        return self._transition("shut down", "finalized", self._clear)

    def _transition(
        self, what: str, into: str, work: Callable[[], TransitionCallbackReturn | None]
    ) -> TransitionCallbackReturn:
        """rclpy swallows what a transition raises, so whatever it is has to be said here; then the
        node is unconfigured, with nothing held."""
        name = self.get_fully_qualified_name()
        try:
            done = work() or SUCCESS
        except Exception as error:
            self.report.failure = f"cannot be {what}: {described(error)}"
            self.get_logger().error(
                f"{self.report.failure}. Then `ros2 lifecycle set {name} configure`"
            )
            if what == "configured":
                self._clear()
                done = FAILURE
            else:
                done = TransitionCallbackReturn.ERROR  # on_error comes next
        else:
            self.report.failure, self.report.state = "", into
            if into == "active":
                self.get_logger().info(f"{name} is active")
        self.report_self()
        return done

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that failed: unconfigured, ready to be configured again."""
        self._clear()
        self.report.state = "unconfigured"
        return SUCCESS

    def start(self) -> bool:
        """Configure and activate, where the parameters say so; whether it is active."""
        if not self.get_parameter("autostart").value:
            return False
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()
        return self.active

    def _configure(self) -> None:
        if self._refused:
            raise InputError("; ".join(self._refused.values()))
        params = self.params()
        domain, name = self.context.get_domain_id(), self.get_fully_qualified_name()
        for topic in self.outputs:
            self._locks.append(OutputLock(domain, self.resolve_topic_name(topic), name))
        self.set_up(params)
        self._rivals = Rivals(time.monotonic())
        self._configured = True

    def _clear(self) -> None:
        self.active = self._configured = False
        self.tear_down()
        for subscription in list(self.subscriptions):
            if subscription.topic_name not in ("/clock", "/parameter_events"):
                self.destroy_subscription(subscription)
        for service in list(self.services):
            if service.service_name.split("/")[-1] in OURS:
                self.destroy_service(service)
        for timer in set(self.timers) - self._lasting:
            self.destroy_timer(timer)
        for entity in list(self._managed_entities):
            self.destroy_lifecycle_publisher(entity)
        self.release()

    def release(self) -> None:
        """Let others publish what this node did."""
        while self._locks:
            self._locks.pop().release()
        self.report.rivals = ()

    def report_self(self) -> None:
        """Once a second: who else publishes our outputs, and how this node is."""
        now = time.monotonic()
        if self._configured:
            others = {lock.topic: self.count_publishers(lock.topic) - 1 for lock in self._locks}
            self.report.rivals = self._rivals.look(others, now)
            topic = self._rivals.to_obey(now)
            if topic:
                self._give_way(topic)
        message = diagnostics_message([self.report.status(now)], self.now_ns())
        self._about_me.publish(bytes(cdr(message)))

    def _give_way(self, topic: str) -> None:
        """Somebody else was there first: this node lets him drive."""
        if self.active:
            self.trigger_deactivate()
        self.trigger_cleanup()
        self.report.failure = (
            f"gave way: topic {topic} is published by another car in this ROS domain, on another "
            "host or in a container, which was there first. Stop that one, or give this car "
            "another namespace or ROS_DOMAIN_ID"
        )
        self.get_logger().error(self.report.failure)

    def _values(self) -> dict[str, Any]:
        return {key: self.get_parameter(key).value for key in about(self._kind)}

    def _check(self, changed: Sequence[Parameter]) -> SetParametersResult:
        ours = {p.name: p.value for p in changed if p.name in about(self._kind)}
        fixed = ours.keys() - live_names(self._kind)
        if fixed and self._configured:
            reason = (
                f"{', '.join(sorted(fixed))}: read when the node is configured. First "
                f"`ros2 lifecycle set {self.get_fully_qualified_name()} deactivate`, then cleanup"
            )
            return SetParametersResult(successful=False, reason=reason)
        try:
            wanted = from_values(self._kind, self._values() | ours, self.get_name())
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in ours:
            self._refused.pop(name, None)
        if ours and self._configured:
            self.retune(wanted)
        return SetParametersResult(successful=True)


def described(error: Exception) -> str:
    """What went wrong, for a person. Our own refusals say it; of others also the place."""
    if isinstance(error, InputError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    text = f"{type(error).__name__}: {error}{place}"
    if isinstance(error, PermissionError):
        text += f". Give user {os.geteuid()} the right to it, or name another path"
    return text


def run(make: Callable[[], CarNode[Any]]) -> None:
    """The main function of a node; a signal ends it cleanly, a fault of ours with the reason."""
    rclpy.init()
    try:
        node = make()
    except InvalidParameterTypeException as error:  # of a parameter of ROS itself
        sys.exit(str(error))
    try:
        node.start()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to end
    except Exception as error:
        node.report.failure = f"died: {described(error)}"
        node.get_logger().fatal(f"{node.report.failure}\n{traceback.format_exc()}")
        node.report_self()
        sys.exit(node.report.failure)
    finally:
        node.tear_down()
        node.release()
        if rclpy.ok():
            node.destroy_node()
        rclpy.try_shutdown()  # a signal may have shut the context down already
