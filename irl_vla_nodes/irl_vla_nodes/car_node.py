"""What all nodes share: parameters, lifecycle, and a clean end.

unconfigured --configure--> inactive --activate--> active. A node that cannot load what it needs
stays unconfigured and says why; with `autostart` it goes to active by itself, also after a restart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from irl_vla.types import InputError
from irl_vla_nodes.params import Common, about, default_values, from_values

P = TypeVar("P", bound=Common)
OURS = {"set_intent"}  # services that come and go with the configuration


class CarNode(LifecycleNode, Generic[P]):
    """A node with checked parameters. A subclass says what it sets up and what it tears down."""

    def __init__(self, name: str, kind: type[P]) -> None:
        super().__init__(name)
        self._kind = kind
        self._configured = False
        self.active = False
        words = about(kind)
        for key, value in default_values(kind).items():
            text, low, high = words[key]
            bounds = "" if low is None else f"{low:g} to {high:g}"
            self.declare_parameter(
                key, value, ParameterDescriptor(description=text, additional_constraints=bounds)
            )
        self.add_on_set_parameters_callback(self._check)
        back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
        self._jumps = self.get_clock().create_jump_callback(back, post_callback=self._jumped)

    def set_up(self, params: P) -> None:
        """Load and connect. Raises InputError where that is not possible."""
        raise NotImplementedError

    def tear_down(self) -> None:
        """Free what `set_up` made, beside topics and timers."""

    def forget(self) -> None:
        """The car's clock ran back, as when a bag begins again: what was remembered is void."""

    def _jumped(self, jump: TimeJump) -> None:
        self.get_logger().warning(f"the clock jumps by {jump.delta.nanoseconds / 1e9:.1f} s")
        if self._configured:
            self.forget()

    def now_ns(self) -> int:
        """The car's time; simulated where use_sim_time says so."""
        return int(self.get_clock().now().nanoseconds)

    def every(self, seconds: float, work: Callable[[], None]) -> None:
        """Do the work again and again, by the machine's own time: also while a bag is paused."""
        self.create_timer(seconds, work, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def params(self) -> P:
        """As they are now. Raises InputError where they do not fit together."""
        return from_values(self._kind, self._values(), self.get_name())

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        try:
            self.set_up(self.params())
        except InputError as error:
            self.get_logger().error(f"cannot be configured: {error}")
            self._clear()
            return TransitionCallbackReturn.FAILURE
        self._configured = True
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        self.active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        self.active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        self._clear()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See LifecycleNode."""
        self._clear()
        return TransitionCallbackReturn.SUCCESS

    def start(self) -> None:
        """Configure and activate, where the parameters say so."""
        if not self.get_parameter("autostart").value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _clear(self) -> None:
        self.active = self._configured = False
        self.tear_down()
        for subscription in list(self.subscriptions):
            if subscription.topic_name not in ("/clock", "/parameter_events"):
                self.destroy_subscription(subscription)
        for service in list(self.services):
            if service.service_name.split("/")[-1] in OURS:
                self.destroy_service(service)
        for timer in list(self.timers):
            self.destroy_timer(timer)
        for entity in list(self._managed_entities):
            self.destroy_lifecycle_publisher(entity)

    def _values(self) -> dict[str, Any]:
        return {key: self.get_parameter(key).value for key in about(self._kind)}

    def _check(self, changed: list[Parameter]) -> SetParametersResult:
        ours = {p.name: p.value for p in changed if p.name in about(self._kind)}
        if ours and self._configured:
            reason = (
                f"{', '.join(ours)}: read when the node is configured. First "
                f"`ros2 lifecycle set {self.get_fully_qualified_name()} deactivate`, then cleanup"
            )
            return SetParametersResult(successful=False, reason=reason)
        try:
            from_values(self._kind, self._values() | ours, self.get_name())
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def run(make: Callable[[], CarNode[Any]]) -> None:
    """The main function of a node; a signal ends it cleanly."""
    rclpy.init()
    try:
        node = make()
    except InvalidParameterTypeException as error:
        sys.exit(f"{error}. `ros2 param describe` says what is expected")
    try:
        node.start()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to end
    finally:
        node.tear_down()
        if rclpy.ok():
            node.destroy_node()
        rclpy.try_shutdown()  # a signal may have shut the context down already
