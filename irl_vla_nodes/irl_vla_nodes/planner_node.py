"""planner_node: scene tokens in, a guarded plan or the reason for none.

in:  /irl_vla/tokens, /irl_vla/command, odometry or tf
out: /irl_vla/plan irl_vla_msgs/Plan · /irl_vla/refusal irl_vla_msgs/Refusal; for eyes:
     /irl_vla/candidates
Ego status and intent come with the tokens: what perception saw by is what is planned by.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.guard import GuardConfig
from irl_vla.drive.history import LATE_NS
from irl_vla.engine.bundle import load_bundle
from irl_vla.messages.events import Event
from irl_vla.messages.geometry_messages import marker_array_message
from irl_vla.messages.plan_messages import command_from_message, plan_to_message
from irl_vla.types import EgoMotion, Plan, Refusal, RefusalReason
from irl_vla_nodes.anchor_queue import AnchorQueue
from irl_vla_nodes.car_node import CarNode, run
from irl_vla_nodes.convert import (
    TokensHandle,
    from_cdr,
    refusal_to_message,
    tokens_from_arrays,
    tokens_from_message,
)  # fmt: skip
from irl_vla_nodes.params import PlannerParams, folder_of
from irl_vla_nodes.payload import unpack
from irl_vla_nodes.ring import PayloadExpired, RingReader
from irl_vla_nodes.ros_io import HANDLES, SHOWN, EgoInbox, ManagedPublisher, RawSubscription, drain
from irl_vla_nodes.show import plan_lines
from irl_vla_nodes.topics import CANDIDATES, COMMAND, PLAN, REFUSAL, TOKENS

NS_PER_MS = 1e6


class PlannerNode(CarNode[PlannerParams]):
    """See the module."""

    outputs = (PLAN, REFUSAL)

    def __init__(self) -> None:
        super().__init__("planner_node", PlannerParams)

    def set_up(self, params: PlannerParams) -> None:
        """See CarNode."""
        bundle = load_bundle(folder_of(params.bundle, "bundle"))
        guard = GuardConfig(sure_score=params.sure_score, fallback_until_s=params.fallback_until_s)
        config = CoreConfig(
            seed=params.seed, max_input_age_s=params.max_input_age_s, guard=guard,
            vehicle=params.vehicle,
        )  # fmt: skip
        stack = policy_stack_from_bundle(bundle, params.threads, graphs=("planner",))
        self.core = DrivingCore(stack, None, config)
        self._params = params
        self._queue = AnchorQueue(
            lambda: drain(self._inbox.inlets), self._is_early, self._step, self.alarm
        )
        self._ring = RingReader(Path(params.ring_folder))
        self._plans = ManagedPublisher(self, "irl_vla_msgs/msg/Plan", PLAN, HANDLES)
        self._refusals = ManagedPublisher(self, "irl_vla_msgs/msg/Refusal", REFUSAL, HANDLES)
        self._lines = ManagedPublisher(
            self, "visualization_msgs/msg/MarkerArray", CANDIDATES, SHOWN
        )
        self._inbox = EgoInbox(self, params, self._on_event, self.core.history)
        self._commands = RawSubscription(
            self, "irl_vla_msgs/msg/DrivingCommand", COMMAND, HANDLES, self._on_command
        )
        self._tokens = RawSubscription(
            self, "irl_vla_msgs/msg/TokensHandle", TOKENS, HANDLES, self._on_tokens
        )

    def retune(self, params: PlannerParams) -> None:
        """See CarNode."""
        self.core.config = replace(self.core.config, max_input_age_s=params.max_input_age_s)

    def wake(self) -> None:
        """See CarNode."""
        self._queue.clear()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, EgoMotion):
            wrong = self.core.add_motion(event)
            if wrong:
                self.dropped("ego motion", wrong)
        self._queue.go()

    def _on_command(self, data: bytes) -> None:
        command = command_from_message(from_cdr(data, "irl_vla_msgs/msg/DrivingCommand"))
        self.core.commands.put(command, command.stamp_ns)  # it is here, so it counts

    def _on_tokens(self, data: bytes) -> None:
        if self.active:
            value = tokens_from_message(from_cdr(data, "irl_vla_msgs/msg/TokensHandle"))
            self._queue.add(value)

    def _is_early(self, value: TokensHandle) -> bool:
        """Whether the measurement that perception has used is still on its way to here."""
        in_time = 0 <= self.now_ns() - value.anchor_stamp_ns <= 2 * LATE_NS
        return in_time and value.ego.valid and not self.core.history.has(value.ego.measured_ns)

    def _step(self, value: TokensHandle) -> None:
        start = perf_counter()
        outcome = self._outcome(value)
        took = {**value.latencies_ms, "plan": (perf_counter() - start) * 1e3}
        took |= self.core.stack.pop_latency_ms()
        took["age at publication"] = (self.now_ns() - value.anchor_stamp_ns) / NS_PER_MS
        frame = self._params.base_frame
        if isinstance(outcome, Refusal):
            bundle = self.core.stack.bundle_id
            self._refusals.publish(refusal_to_message(outcome, bundle, frame, took))
            return
        self._plans.publish(plan_to_message(outcome, frame, took))
        if self._lines.is_wanted:
            self._show(outcome)

    def _outcome(self, value: TokensHandle) -> Plan | Refusal:
        core, ego = self.core, value.ego
        if value.refusal is not None:
            return core.refuse(ego, *value.refusal)
        if value.bundle_id != core.stack.bundle_id:
            detail = f"tokens of bundle {value.bundle_id[:12]}, planner {core.stack.bundle_id[:12]}"
            return core.refuse(ego, RefusalReason.EPOCH_MISMATCH, detail)
        try:
            arrays, _ = unpack(self._ring.read(value.handle))
        except PayloadExpired as error:
            return core.refuse(ego, RefusalReason.STALE_INPUT, str(error))
        tokens = tokens_from_arrays(value, arrays)
        now = self.now_ns()
        command = core.commands.at(value.anchor_stamp_ns, now)
        return core.plan(tokens, command, ego, value.intent, now)

    def _show(self, plan: Plan) -> None:
        markers = plan_lines(plan)
        self._lines.publish(
            marker_array_message(list(markers), plan.anchor_stamp_ns, self._params.base_frame)
        )


def main() -> None:
    """`ros2 run irl_vla_nodes planner_node`."""
    run(PlannerNode)
