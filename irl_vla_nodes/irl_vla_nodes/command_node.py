"""command_node: what a vision-language model advises, once or twice a second.

in:  /irl_vla/frames      out: /irl_vla/command irl_vla_msgs/DrivingCommand
Until a model speaks the advice is UNKNOWN; Intent is never touched. Navigation that prefers to ask
calls /irl_vla/set_intent irl_vla_msgs/SetIntent: it is passed on to /navigation/intent as it is, so
that everybody (and every recording) hears one and the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from irl_vla_msgs.srv import SetIntent

from irl_vla.messages.messages import stamp_ns
from irl_vla.messages.plan_messages import (
    command_to_message,
    intent_from_message,
    intent_to_message,
)
from irl_vla.types import Command, InputError
from irl_vla_nodes.car_node import CarNode, run
from irl_vla_nodes.convert import from_cdr
from irl_vla_nodes.params import CommandParams
from irl_vla_nodes.ros_io import HANDLES, ManagedPublisher, RawSubscription
from irl_vla_nodes.topics import COMMAND, FRAMES, SET_INTENT


class CommandNode(CarNode[CommandParams]):
    """See the module."""

    outputs = (COMMAND,)

    def __init__(self) -> None:
        super().__init__("command_node", CommandParams)

    def set_up(self, params: CommandParams) -> None:
        """See CarNode."""
        self._params = params
        self._anchor_ns = 0
        self._out = ManagedPublisher(self, "irl_vla_msgs/msg/DrivingCommand", COMMAND, HANDLES)
        self._frames = RawSubscription(
            self, "irl_vla_msgs/msg/FrameSet", FRAMES, HANDLES, self._on_frames
        )
        self._intents = ManagedPublisher(
            self, "irl_vla_msgs/msg/Intent", params.intent_topic, HANDLES
        )
        self._service = self.create_service(SetIntent, SET_INTENT, self._set_intent)
        self._timer = self.every(1.0 / params.rate_hz, self._think)

    def retune(self, params: CommandParams) -> None:
        """See CarNode."""
        self._timer.timer_period_ns = round(1e9 / params.rate_hz)

    def _set_intent(self, request: Any, response: Any) -> Any:
        """What navigation asks for, on to its topic. A stamp of zero means now."""
        try:
            intent = intent_from_message(request.intent)
        except InputError as error:
            response.accepted, response.message = False, str(error)
            return response
        if not self.active:
            response.accepted, response.message = False, "command_node is not active"
            return response
        wanted = replace(intent, stamp_ns=intent.stamp_ns or self.now_ns())
        frame = request.intent.header.frame_id or self._params.base_frame
        self._intents.publish(intent_to_message(wanted, frame))
        response.accepted, response.message = True, ""
        return response

    def _on_frames(self, data: bytes) -> None:
        message = from_cdr(data, "irl_vla_msgs/msg/FrameSet")
        self._anchor_ns = stamp_ns(message.header.stamp)

    def _think(self) -> None:
        if self._anchor_ns:
            command = Command(self._anchor_ns, self._anchor_ns)
            self._out.publish(command_to_message(command, self._params.base_frame))


def main() -> None:
    """`ros2 run irl_vla_nodes command_node`."""
    run(CommandNode)
