"""A car's recording is followed bit for bit also where it left something out. No ROS: the car is
the desk with a camera that comes too late and an anchor that is perceived and never planned."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from bags import copied, exported, plan_bytes, replayed, world_bag
from irl_vla_nodes.convert import (
    NOWHERE,
    FramesHandle,
    TokensHandle,
    cdr,
    frames_to_message,
    tokens_to_message,
)
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer

from irl_vla.bag.bag import open_bag
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.replay_loop import ReplayLoop
from irl_vla.messages.messages import stamp_ns, typestore
from irl_vla.messages.plan_messages import plan_to_message
from irl_vla.types import SECOND_NS, FrameSet, Intent, IntentDirection, Plan

LATE, UNPLANNED, TURNED = 4, 7, 9  # numbers of anchors with something special


@dataclass
class NodeRecorder(ReplayLoop):
    """Writes down what the nodes publish."""

    said: list[Any] = field(default_factory=list)

    def _step(self, arrived: Any) -> Step:
        number = sum(message.__msgtype__.endswith("FrameSet") for message in self.said)
        frames: FrameSet = arrived.frames
        if number == LATE:
            name = next(iter(frames.images))
            images = {n: image for n, image in frames.images.items() if n != name}
            frames = replace(frames, images=images, missing={name: "late: 0.1 s"})
        wanted = Intent(IntentDirection.RIGHT) if number == TURNED else None
        if number == UNPLANNED:
            step = self.core.shadow_step(frames, arrived.now_ns)
        else:
            step = self.core.step(frames, arrived.now_ns, None, wanted)
        self._write(step, number)
        return step

    def _write(self, step: Step, number: int) -> None:
        stamp = step.frames.anchor_stamp_ns
        stamps = {name: image.stamp_ns for name, image in step.frames.images.items()}
        memory = None if step.tokens is None else step.tokens.memory_stamp_ns
        frames = FramesHandle(stamp, NOWHERE, "rig", stamps, step.frames.missing)
        tokens = TokensHandle(stamp, NOWHERE, None, "", 0, memory, (), step.ego, step.intent)
        self.said += [frames_to_message(frames, "b"), tokens_to_message(tokens, "b")]
        if number != UNPLANNED and isinstance(step.outcome, Plan):
            self.said.append(plan_to_message(step.outcome, "b"))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_bag(tmp_path_factory.mktemp("world") / "bag", 2.0)


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("nano", tmp_path_factory.mktemp("bundle") / "nano")


def test_a_drive_with_gaps_is_followed_bit_for_bit(bag: Path, nano: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    recorded(bag, nano, record)
    car = plan_bytes(record)
    desk = plan_bytes(replayed(bag, nano, tmp_path / "desk") / "plans.mcap")
    followed = plan_bytes(replayed(bag, nano, tmp_path / "b", follow=record) / "plans.mcap")
    assert len(car) == len(desk) - 1
    assert {stamp: followed[stamp] for stamp in car} == car
    assert sum(desk[stamp] != car[stamp] for stamp in car) >= 3, "the gaps change plans"


def test_the_order_of_the_cameras_is_that_of_the_drive(
    bag: Path, nano: Path, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    recorded(bag, nano, record, backwards=True)
    car = plan_bytes(record)
    followed = plan_bytes(replayed(bag, nano, tmp_path / "b", follow=record) / "plans.mcap")
    assert {stamp: followed[stamp] for stamp in car} == car


def test_a_measurement_that_was_recorded_late_is_waited_for(
    bag: Path, nano: Path, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    recorded(bag, nano, record)
    late = rewritten(bag, tmp_path / "late", delay_ns=250_000_000)
    car = plan_bytes(record)
    followed = plan_bytes(replayed(late, nano, tmp_path / "b", follow=record) / "plans.mcap")
    assert {stamp: followed[stamp] for stamp in car} == car


def test_a_recording_that_begins_in_the_middle_says_that_it_lacks_the_memory(
    bag: Path, nano: Path, tmp_path: Path
) -> None:
    record, half = tmp_path / "record", tmp_path / "half"
    said = recorded(bag, nano, record)
    middle = said[0].header.stamp.sec * SECOND_NS + said[0].header.stamp.nanosec + SECOND_NS
    written([m for m in said if stamp_ns(m.header.stamp) >= middle], half)
    cut = rewritten(bag, tmp_path / "cut", since_ns=middle)
    words = ["replay", str(cut), "--bundle", str(nano), "--out", str(tmp_path / "o")]
    command = [sys.executable, "-m", "irl_vla.cli.app", *words, "--follow", str(half)]
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "plans remember pictures that this replay has not seen" in done.stdout


def rewritten(bag: Path, out: Path, delay_ns: int = 0, since_ns: int = 0) -> Path:
    """The bag with its odometry recorded later, or with nothing that moves before a moment."""

    def moved(connection: Connection, at_ns: int) -> int | None:
        moves = "/image" in connection.topic or connection.msgtype.endswith(("Odometry", "TF"))
        if moves and at_ns < since_ns:
            return None
        return at_ns + delay_ns * connection.msgtype.endswith("Odometry")

    return copied(bag, out, moved)


def recorded(bag: Path, bundle: Path, out: Path, *, backwards: bool = False) -> list[Any]:
    """The drive of a car that leaves something out; what it said. backwards: its rig counts the
    cameras the other way round."""
    with open_bag(bag) as opened:
        rig = opened.rig()
        rig = replace(rig, cameras=rig.cameras[::-1]) if backwards else rig
        stack = policy_stack_from_bundle(load_bundle(bundle))
        car = NodeRecorder(DrivingCore(stack, rig, CoreConfig()))
        list(car.steps(opened.events()))
    written(car.said, out)
    return car.said


def written(said: list[Any], out: Path) -> None:
    """Messages of the nodes as a recording."""
    store, topics = typestore(), dict[str, Any]()
    with Writer(out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for number, message in enumerate(said):
            kind = message.__msgtype__
            if kind not in topics:
                topic = f"/irl_vla/{kind.split('/')[-1].lower()}"
                topics[kind] = writer.add_connection(topic, kind, typestore=store)
            writer.write(topics[kind], number + 1, bytes(cdr(message)))
