"""`ros2 run irl_vla_nodes await_active NODE...`: returns when all of them are active."""

from __future__ import annotations

import sys
import time

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.utilities import remove_ros_args

PATIENCE_S = 120.0
ASK_S = 1.0  # for one answer


def main() -> None:
    """Ends with a sentence where a node does not become active."""
    rclpy.init()
    node = rclpy.create_node("await_active")
    until = time.monotonic() + PATIENCE_S
    for name in remove_ros_args(sys.argv)[1:]:
        client = node.create_client(GetState, f"{name}/get_state")
        while True:
            if time.monotonic() > until:
                sys.exit(f"{name} is not active after {PATIENCE_S:.0f} s; its log says why")
            if not client.wait_for_service(ASK_S):
                continue
            answer = client.call_async(GetState.Request())
            rclpy.spin_until_future_complete(node, answer, timeout_sec=ASK_S)
            if answer.done() and answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE:
                break
            time.sleep(0.1)
    node.destroy_node()
    rclpy.shutdown()
