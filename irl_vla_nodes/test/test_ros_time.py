"""Simulated time: a recording that is played over and over jumps back each time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bags import world_bag
from irl_vla_nodes.convert import cdr
from real_graph import (
    RULE,
    ProbeNode,
    ReceivedMessage,
    environment,
    launched,
    needs_ros,
    pids_of,
    until,
)

from irl_vla.messages.plan_messages import plan_from_message, plan_to_message
from irl_vla.types import Plan

pytestmark = pytest.mark.ros
needs_ros()

SECONDS, LOOPS = 3.0, 3
FIT_S = 0.65  # of ego motion that a plan looks at: before that, a message lost at the seam counts
NAMES = "front_left,front,front_right"


def test_each_round_of_a_looping_bag_is_planned_as_the_first_one(tmp_path: Path) -> None:
    """Jumping back forgets history: the same anchor with the same schedule gives the same plan, the
    monitor takes plans again, and nothing is refused but at the seam."""
    bag = world_bag(tmp_path / "bag", SECONDS)
    arguments = {"bundle": RULE, "cameras": NAMES, "use_sim_time": "true", "reliable": "true",
                 "cpus_perception": "0"}  # fmt: skip
    with ProbeNode() as probe, launched(tmp_path, "drive.launch.py", **arguments):
        plans = probe.subscribe("irl_vla_msgs/msg/Plan", "/irl_vla/plan")
        paths = probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory")
        listed = probe.subscribe("diagnostic_msgs/msg/DiagnosticArray", "/diagnostics")
        until(
            lambda: "irl_vla: graph" in {s.name for e in listed.heard for s in e.message.status},
            40.0, "the graph is there",
        )  # fmt: skip
        assert [os.sched_getaffinity(pid) for pid in pids_of("perception_node")] == [{0}]
        player = subprocess.Popen(
            ["ros2", "bag", "play", str(bag), "--clock", "100", "--loop",
             "--disable-keyboard-controls"],
            env=environment(tmp_path), start_new_session=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until(lambda: len(rounds(plans.heard)) > LOOPS, 60.0, "rounds")
        finally:
            os.killpg(player.pid, signal.SIGINT)
            player.wait(20.0)
        time.sleep(0.5)
    whole = rounds(plans.heard)[1:LOOPS]
    assert all(len(one) >= 10 for one in whole), [len(one) for one in whole]
    assert len(rounds(paths.heard)) >= LOOPS, "the monitor drives in each round"
    assert_equal_where_the_schedule_is(plans.heard)


def rounds(heard: list[ReceivedMessage]) -> list[list[ReceivedMessage]]:
    """Split where the stamp jumps back by more than a second."""
    found: list[list[ReceivedMessage]] = [[]]
    for before, entry in pairwise([None, *list(heard)]):
        if before is not None and stamp_s(entry.message) < stamp_s(before.message) - 1.0:
            found.append([])
        found[-1].append(entry)
    return found


def stamp_s(message: Any) -> float:
    return float(message.header.stamp.sec) + float(message.header.stamp.nanosec) * 1e-9


def assert_equal_where_the_schedule_is(heard: list[ReceivedMessage]) -> None:
    seen: dict[Any, bytes] = {}
    repeated, begin_s = 0, min(stamp_s(entry.message) for entry in heard)
    for entry in heard:
        if stamp_s(entry.message) < begin_s + FIT_S:
            continue
        plan: Plan = plan_from_message(entry.message)
        content = bytes(cdr(plan_to_message(plan, "")))
        before = seen.setdefault(plan.schedule, content)
        repeated += before is not content
        early = plan.schedule.memory_stamp_ns
        assert before == content and (early is None or early < plan.anchor_stamp_ns)
    assert repeated >= 10, "rounds repeat anchors"
