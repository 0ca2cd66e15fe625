"""A car's recording is followed bit for bit also where it left something out. No ROS: the car is
the desk with a camera that comes too late and an anchor that is perceived and never planned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from bags import exported, plan_bytes, replayed, world_bag
from irl_vla_nodes.convert import (
    NOWHERE,
    FramesHandle,
    TokensHandle,
    cdr,
    frames_to_message,
    tokens_to_message,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from irl_vla.bag.bag import open_bag
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.replay_loop import ReplayLoop
from irl_vla.messages.messages import typestore
from irl_vla.messages.plan_messages import plan_to_message
from irl_vla.types import FrameSet, Intent, IntentDirection, Plan

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


def recorded(bag: Path, bundle: Path, out: Path) -> None:
    """The drive of a car that leaves something out."""
    with open_bag(bag) as opened:
        stack = policy_stack_from_bundle(load_bundle(bundle))
        car = NodeRecorder(DrivingCore(stack, opened.rig(), CoreConfig()))
        list(car.steps(opened.events()))
    store, topics = typestore(), dict[str, Any]()
    with Writer(out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for number, message in enumerate(car.said):
            kind = message.__msgtype__
            if kind not in topics:
                topic = f"/irl_vla/{kind.split('/')[-1].lower()}"
                topics[kind] = writer.add_connection(topic, kind, typestore=store)
            writer.write(topics[kind], number + 1, bytes(cdr(message)))
