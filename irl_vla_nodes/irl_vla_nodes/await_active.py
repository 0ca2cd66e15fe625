"""`ros2 run irl_vla_nodes await_active NODE...`: returns when all of them are active; ends with
exit code 1 and the reason as soon as one of them says that it cannot be configured."""

from __future__ import annotations

import sys
import time
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.utilities import remove_ros_args

from irl_vla_nodes.diagnostics import ERROR, title
from irl_vla_nodes.topics import DIAGNOSTICS

PATIENCE_S = 120.0
ASK_S = 0.5  # for one answer


class ActiveWaiter:
    """Asks the nodes, one after the other, and hears what they say of themselves."""

    def __init__(self, names: list[str]) -> None:
        self.node = rclpy.create_node("await_active")
        self._names = names
        self._lines = {title(*name.rsplit("/", 1)): name for name in names}
        self._failures: dict[str, str] = {}
        self.node.create_subscription(DiagnosticArray, DIAGNOSTICS, self._hear, 50)

    def wait(self) -> str:
        """ "" when all are active, else why not."""
        until = time.monotonic() + PATIENCE_S
        for name in self._names:
            client = self.node.create_client(GetState, f"{name}/get_state")
            while not self._is_active(client):
                if self._failures:
                    return "; ".join(f"{n} {why}" for n, why in self._failures.items())
                if time.monotonic() > until:
                    return f"{name} is not active after {PATIENCE_S:.0f} s; its log says why"
        return ""

    def _is_active(self, client: Any) -> bool:
        rclpy.spin_once(self.node, timeout_sec=0.1)
        if not client.service_is_ready():
            return False
        answer = client.call_async(GetState.Request())
        rclpy.spin_until_future_complete(self.node, answer, timeout_sec=ASK_S)
        return bool(
            answer.done() and answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE
        )

    def _hear(self, array: DiagnosticArray) -> None:
        for status in array.status:
            name = self._lines.get(status.name)
            if name is None:
                continue
            values = {entry.key: entry.value for entry in status.values}
            if status.level == bytes([ERROR]) and values.get("state") != "active":
                self._failures[name] = status.message
            else:
                self._failures.pop(name, None)


def main() -> None:
    """Ends with a sentence where a node does not become active."""
    rclpy.init()
    waiter = ActiveWaiter(remove_ros_args(sys.argv)[1:])
    why = waiter.wait()
    waiter.node.destroy_node()
    rclpy.shutdown()
    if why:
        sys.exit(why)
