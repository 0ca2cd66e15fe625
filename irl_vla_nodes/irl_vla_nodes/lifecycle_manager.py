"""`ros2 run irl_vla_nodes lifecycle_manager NODE...`: leads lifecycle nodes to active, all through
one state before the next, and again whichever of them is started anew. An example, and enough for
one car; a vehicle that has nav2's lifecycle manager, or one of its own, uses that."""

from __future__ import annotations

import sys
from typing import Any

import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

LOOK_S = 1.0
ASK_S = 30.0  # configuring loads networks
STEPS = [
    (State.PRIMARY_STATE_UNCONFIGURED, Transition.TRANSITION_CONFIGURE, "configured"),
    (State.PRIMARY_STATE_INACTIVE, Transition.TRANSITION_ACTIVATE, "activated"),
]


class LifecycleManager:
    """See the module."""

    def __init__(self, names: list[str]) -> None:
        self.node = Node("lifecycle_manager")
        self._states = {n: self.node.create_client(GetState, f"{n}/get_state") for n in names}
        self._changes = {
            n: self.node.create_client(ChangeState, f"{n}/change_state") for n in names
        }
        self._refused: dict[str, int] = {}  # node -> state that it could not leave

    def look(self) -> None:
        """One step of every node that is not active."""
        for state, transition, word in STEPS:
            for name in self._states:
                if self._state(name) == state:
                    self._step(name, state, transition, word)

    def _state(self, name: str) -> int | None:
        client = self._states[name]
        if not client.service_is_ready():
            return None
        answer = self._answer(client, GetState.Request())
        return None if answer is None else int(answer.current_state.id)

    def _step(self, name: str, state: int, transition: int, word: str) -> None:
        asked = ChangeState.Request(transition=Transition(id=transition))
        answer = self._answer(self._changes[name], asked)
        if answer is not None and answer.success:
            self._refused.pop(name, None)
            self.node.get_logger().info(f"{name} is {word}")
        elif self._refused.get(name) != state:
            self._refused[name] = state
            text = f"{name} cannot be {word}; its log and /diagnostics say why. Tried again"
            self.node.get_logger().error(text)

    def _answer(self, client: Any, request: Any) -> Any:
        asked = client.call_async(request)
        rclpy.spin_until_future_complete(self.node, asked, timeout_sec=ASK_S)
        return asked.result() if asked.done() else None


def main() -> None:
    """Until it is asked to end."""
    rclpy.init()
    manager = LifecycleManager(remove_ros_args(sys.argv)[1:])
    try:
        while rclpy.ok():
            manager.look()
            rclpy.spin_once(manager.node, timeout_sec=LOOK_S)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to end
    finally:
        rclpy.try_shutdown()
