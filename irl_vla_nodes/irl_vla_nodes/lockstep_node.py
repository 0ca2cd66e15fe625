"""lockstep_node: plays a recording to the graph message by message, and waits for each plan.

Whoever plays in real time cannot know which odometry the car had when it planned; here every
message has arrived before the next one is sent, so the graph must publish what the desk computes,
bit for bit, without being told its schedule. Ends with the number of differences.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import rclpy
from rclpy.duration import Duration
from rosidl_runtime_py.utilities import get_message

from irl_vla.bag.bag import open_bag
from irl_vla.bag.bag_files import open_files
from irl_vla.bag.file_sections import merge
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.guard import GuardConfig
from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.replay_loop import ReplayLoop
from irl_vla.messages.events import Event, EventReader
from irl_vla.messages.messages import new, time_message
from irl_vla.messages.plan_messages import plan_from_message, plan_to_message
from irl_vla.messages.records import Record
from irl_vla.types import Plan, Refusal
from irl_vla_nodes.car_node import CarNode
from irl_vla_nodes.convert import cdr, from_cdr, refusal_from_message, refusal_to_message
from irl_vla_nodes.params import LockstepParams, folder_of
from irl_vla_nodes.ros_io import HANDLES, LATCHED, RawSubscription, qos
from irl_vla_nodes.topics import PLAN, REFUSAL

ACK = Duration(seconds=5)
GAP_NS = 50_000_000  # a longer silence of the recording is played as passing time,
MOST_GAPS = 20  # at most one second of it,
LOOK_S = 0.05  # and the nodes, that look at the clock every 20 ms, see each step of it
SHOWN = 10  # differences that are printed


def same(ours: Plan | Refusal, theirs: Plan | Refusal) -> str:
    """ "" where two outcomes are the same bit for bit, else what differs. Of a refusal the reason
    and the stop count; its words may name other delays."""
    if isinstance(ours, Plan) and isinstance(theirs, Plan):
        equal = cdr(plan_to_message(ours, "")) == cdr(plan_to_message(theirs, ""))
        return "" if equal else "the plans differ"
    if isinstance(ours, Refusal) and isinstance(theirs, Refusal):
        if ours.reason is not theirs.reason:
            return f"refused for {theirs.reason.value}, in the replay for {ours.reason.value}"
        plain = [
            cdr(refusal_to_message(replace(refusal, detail=""), "", "", {}))
            for refusal in (ours, theirs)
        ]
        return "" if plain[0] == plain[1] else "the stops differ"
    return f"{_kind(theirs)}, in the replay {_kind(ours)}"


class LockstepNode(CarNode[LockstepParams]):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("lockstep_node", LockstepParams)

    def set_up(self, params: LockstepParams) -> None:
        """See CarNode."""
        self._params = params
        self._publishers_by_topic: dict[str, Any] = {}
        self._outcomes: dict[int, Plan | Refusal] = {}
        self._records: deque[tuple[Record, int]] = deque()  # with the number of their events
        self._left = 0  # events of the last record that are still to come
        self._clock_ns = 0
        self._clock_out = self.create_publisher(
            get_message("rosgraph_msgs/msg/Clock"), "/clock", qos(1)
        )
        self._inlets = [
            RawSubscription(self, "irl_vla_msgs/msg/Plan", PLAN, HANDLES, self._on_plan),
            RawSubscription(self, "irl_vla_msgs/msg/Refusal", REFUSAL, HANDLES, self._on_refusal),
        ]

    def play(self) -> dict[str, Any]:
        """The whole recording; what came of it."""
        params = self._params
        bundle = load_bundle(folder_of(params.bundle, "bundle"))
        different: list[str] = []
        counts = {"anchors": 0, "plans": 0, "refusals": 0}
        with open_bag(params.bag) as bag:
            guard = GuardConfig(fallback_until_s=params.fallback_until_s)
            config = CoreConfig(seed=params.seed, guard=guard)
            core = DrivingCore(policy_stack_from_bundle(bundle), bag.rig(), config)
            stored = open_files(Path(params.bag))
            reader = bag.event_reader()
            for topic in reader.topics:
                self._open(topic, stored.topics[topic].msgtype)
            time.sleep(1.0)  # subscribers find the new publishers
            for event, step in ReplayLoop(core).steps(self._events(stored.sections, reader)):
                if event is not None:
                    self._send()
                if step is None:
                    continue
                counts["anchors"] += 1
                counts["plans" if isinstance(step.outcome, Plan) else "refusals"] += 1
                why = self._compared(step.outcome)
                if why:
                    different.append(f"anchor {step.outcome.anchor_stamp_ns}: {why}")
        return {**counts, "different": different}

    def _events(self, lanes: Any, reader: EventReader) -> Iterator[Event]:
        """Runs in the desk's reading thread: records wait in order until their events come by."""
        for record in merge(lanes, reader.topics):
            events = list(reader.read(record))
            self._records.append((record, len(events)))
            yield from events

    def _send(self) -> None:
        """Publish up to the record of the event that the desk has just taken."""
        if self._left:
            self._left -= 1
            return
        while True:
            record, events = self._records.popleft()
            self._publish(record)
            if events:
                self._left = events - 1
                return

    def _open(self, topic: str, msgtype: str) -> None:
        profile = LATCHED if topic.endswith("tf_static") else qos(100)
        publisher = self.create_publisher(get_message(msgtype), topic, profile)
        self._publishers_by_topic[topic] = publisher

    def _publish(self, record: Record) -> None:
        gaps = (record.log_ns - self._clock_ns) // GAP_NS if self._clock_ns else 0
        for _ in range(min(gaps, MOST_GAPS)):
            self._set_clock(self._clock_ns + GAP_NS)
            time.sleep(LOOK_S)
        self._set_clock(record.log_ns)
        publisher = self._publishers_by_topic[record.topic]
        publisher.publish(bytes(record.data))
        publisher.wait_for_all_acked(ACK)

    def _set_clock(self, now_ns: int) -> None:
        """The car's time: deadlines pass in the silence of a slow recording, too."""
        self._clock_ns = now_ns
        clock = new("rosgraph_msgs/msg/Clock", clock=time_message(now_ns))
        self._clock_out.publish(bytes(cdr(clock)))

    def _compared(self, outcome: Plan | Refusal) -> str:
        until = time.monotonic() + self._params.answer_s
        while outcome.anchor_stamp_ns not in self._outcomes:
            if time.monotonic() > until:
                return f"no answer within {self._params.answer_s} s"
            rclpy.spin_once(self, timeout_sec=0.1)
        return same(outcome, self._outcomes.pop(outcome.anchor_stamp_ns))

    def _on_plan(self, data: bytes) -> None:
        plan = plan_from_message(from_cdr(data, "irl_vla_msgs/msg/Plan"))
        self._outcomes[plan.anchor_stamp_ns] = plan

    def _on_refusal(self, data: bytes) -> None:
        refusal = refusal_from_message(from_cdr(data, "irl_vla_msgs/msg/Refusal"))
        self._outcomes[refusal.anchor_stamp_ns] = refusal


def _kind(outcome: Plan | Refusal) -> str:
    return "a plan" if isinstance(outcome, Plan) else f"a refusal ({outcome.reason.value})"


def main() -> None:
    """`ros2 run irl_vla_nodes lockstep_node`; exit code 1 where something differs."""
    rclpy.init()
    node = LockstepNode()
    if not node.start():
        sys.exit(node.report.failure)
    result = node.play()
    different = result["different"]
    for line in different[:SHOWN]:
        node.get_logger().error(line)
    node.get_logger().info(
        f"lock-step: {result['anchors']} anchors, {result['plans']} plans, {result['refusals']} "
        f"refusals, {len(different)} differ from the replay"
    )
    if node.params().results:
        Path(node.params().results).write_text(json.dumps(result, indent=2) + "\n")
    rclpy.shutdown()
    sys.exit(1 if different or not result["anchors"] else 0)
