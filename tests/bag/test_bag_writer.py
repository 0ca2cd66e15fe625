"""What we write is a rosbag2 like any other, and nothing is lost or left half done."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from bag_maker import START, STEP, jpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.typesys import Stores, get_typestore

from irl_vla.bag.bag import open_bag, read_plans
from irl_vla.bag.bag_writer import TF_STATIC, BagWriter
from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.rig import Rig
from irl_vla.frames import rigid_from_pose
from irl_vla.messages.events import StampedBoxes
from irl_vla.messages.geometry_messages import BoxMarkers, Colour, LineMarkers
from irl_vla.messages.messages import definition_files, typestore
from irl_vla.messages.plan_messages import (
    command_from_message,
    command_to_message,
    intent_from_message,
    intent_to_message,
    plan_from_message,
    plan_to_message,
)
from irl_vla.types import (
    Boxes3D,
    CameraImage,
    Candidates,
    Command,
    EgoMotion,
    Fallback,
    GraphRecord,
    InputError,
    Intent,
    IntentDirection,
    Meta,
    ModelRecord,
    Plan,
    PlanReason,
    Rejection,
    Schedule,
    StopReason,
    Trajectory,
)

LOOKS_AHEAD = np.array([[0, 0, 1, 1.5], [-1, 0, 0, 0.2], [0, -1, 0, 1.6], [0, 0, 0, 1.0]])
INTRINSICS = np.array([[50.0, 0, 32], [0, 51, 24], [0, 0, 1]])
RIG = Rig(
    "two",
    (
        Camera("front", 64, 48, CameraModel.PLUMB_BOB, INTRINSICS, np.zeros(5), LOOKS_AHEAD),
        Camera("fish", 64, 48, CameraModel.EQUIDISTANT, INTRINSICS, np.array([0.1, 0, 0.01, 0]),
               LOOKS_AHEAD),
    ),
)  # fmt: skip
BOXES = Boxes3D(
    np.array([[10.0, 1, 0.8], [20, -2, 0.9]]), np.array([[4.5, 1.9, 1.6], [0.6, 0.7, 1.7]]),
    np.array([0.3, -2.0]), np.full((2, 2), np.nan), ("car", "pedestrian"), ("a", "b"),
)  # fmt: skip


def plan_of(rng: np.random.Generator, candidates: int, anchor: int) -> Plan:
    poses = rng.normal(size=(candidates, 8, 3)) * 1e3
    chosen = int(rng.integers(candidates)) if candidates and rng.random() < 0.7 else None
    absent = [(None, anchor - 5)[i] for i in rng.integers(2, size=2)]  # memory, command
    return Plan(
        anchor_stamp_ns=anchor,
        trajectory=Trajectory(rng.normal(size=(8, 3)), 0.5),
        candidates=Candidates(poses, rng.random(candidates), 0.25),
        chosen=chosen,
        reason=list(PlanReason)[int(rng.integers(5))],
        detail="weil: Straße frei ✓",
        rejected=tuple(Rejection(i, "too_fast", f"{i} m/s") for i in range(candidates // 2)),
        checked_until_m=float(rng.choice([np.inf, 0.1 + 0.2, 1e-300])),
        schedule=Schedule(
            anchor, anchor + 7, *absent, 3, int(rng.integers(-(2**63), 2**63 - 1)), rng.random()
        ),
        bundle_id="sha256:abc",
        model=ModelRecord(
            "w" * 64,
            tuple(
                GraphRecord(name, "fp32", "0f" * 32, "onnxruntime-cpu 1.31.1")
                for name in ("camera", "bev", "planner")[:candidates]
            ),
        ),
        fallback=Fallback(
            rng.normal(size=(candidates + 1, 3)), 2.5 + rng.random(),
            Trajectory(rng.normal(size=(8, 3)), 0.25), float(rng.random()),
            list(StopReason)[int(rng.integers(4))], "im Weg",
        ),
    )  # fmt: skip


def assert_same(one: Plan, other: Plan) -> None:
    for mine, theirs in [
        (one.trajectory.poses, other.trajectory.poses),
        (one.candidates.poses, other.candidates.poses),
        (one.fallback.path, other.fallback.path),
        (one.fallback.trajectory.poses, other.fallback.trajectory.poses),
        (one.candidates.confidence, other.candidates.confidence),
    ]:
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        assert mine.tobytes() == theirs.tobytes()
    assert one.trajectory.step_s == other.trajectory.step_s
    assert one.candidates.step_s == other.candidates.step_s
    for name in ("anchor_stamp_ns", "chosen", "reason", "detail", "rejected", "checked_until_m",
                 "schedule", "bundle_id", "model"):  # fmt: skip
        assert getattr(one, name) == getattr(other, name), name
    for name in ("braking", "checked_until_m", "reason", "detail"):
        assert getattr(one.fallback, name) == getattr(other.fallback, name), name
    assert one.fallback.trajectory.step_s == other.fallback.trajectory.step_s


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(0, (2**31 - 1) * 10**9))
def test_a_plan_survives_its_message_bit_for_bit(seed: int, candidates: int, anchor: int) -> None:
    plan = plan_of(np.random.default_rng(seed), candidates, anchor)
    store, kind = typestore(), "irl_vla_msgs/msg/Plan"
    message = plan_to_message(plan, "base_link", {"perceive": 12.5}, {"NC": [0.5] * candidates})
    back = store.deserialize_cdr(store.serialize_cdr(message, kind), kind)
    assert_same(plan, plan_from_message(back))
    assert [(one.stage, one.milliseconds) for one in back.latencies] == [("perceive", 12.5)]
    assert all(one.sub_scores.tolist() == [0.5] for one in back.candidates)


def test_commands_and_intents_survive_their_messages() -> None:
    store = typestore()
    tokens = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float16)
    meta = Meta(tokens, np.array([True, False, True, True]), 7)
    command = Command(START, START + 5, "vlm", np.arange(13, dtype=np.float32) / 78,
                      np.arange(9, dtype=np.float32) / 36, meta)  # fmt: skip
    kind = "irl_vla_msgs/msg/DrivingCommand"
    for value in (command, Command(START, START)):
        data = store.serialize_cdr(command_to_message(value, "base_link"), kind)
        back = command_from_message(store.deserialize_cdr(data, kind))
        assert (back.stamp_ns, back.valid_until_ns, back.model_id) == (
            value.stamp_ns, value.valid_until_ns, value.model_id
        )  # fmt: skip
        assert (back.speed is None) == (value.speed is None) == (back.meta is None)
    back = command_from_message(command_to_message(command, ""))
    assert back.meta is not None and back.meta.tokens.tobytes() == tokens.tobytes()
    assert back.meta.epoch == 7
    for direction in IntentDirection:
        for route in (None, np.zeros((0, 2)), np.array([[1.0, 2.0], [3.0, 4.5]])):
            there = intent_to_message(Intent(direction, route, START), "base_link")
            intent = intent_from_message(there)
            assert (intent.direction, intent.stamp_ns) == (direction, START)
            assert (intent.route is None) == (route is None)
            assert route is None or np.array_equal(intent.route, route)


def write_all(path: Path) -> Path:
    with BagWriter(path) as writer:
        writer.write_rig(RIG, START)
        for index in range(3):
            stamp = START + index * STEP
            for name in RIG.names:
                writer.write_image(CameraImage(name, stamp, encoded=jpeg()))
                writer.write_camera_info(RIG.camera(name), stamp)
            pose = rigid_from_pose((index, 2.0, 0.1), 0.5)
            twist = None if index == 1 else np.array([9.0, 0.1, 0.2])
            writer.write_motion(EgoMotion(stamp, pose, twist, "test"))
            writer.write_boxes(BOXES, stamp)
            lines = np.zeros((2, 8, 3))
            shown = [BoxMarkers("cars", BOXES, Colour(0, 1, 0)),
                     LineMarkers("candidates", lines, Colour(1, 0, 0, 0.5))]  # fmt: skip
            writer.write_markers("/irl_vla/markers", shown, stamp)
            writer.write_path("/irl_vla/path", Trajectory(np.zeros((8, 3))), stamp)
            writer.write_plan(plan_of(np.random.default_rng(index), 4, stamp), {"plan": 1.0})
            writer.write_command(Command(stamp, stamp + 1))
        writer.write_intent(Intent(IntentDirection.LEFT, None, START))
    return path


@pytest.mark.parametrize("name", ["drive", "drive.mcap"])
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    path = write_all(tmp_path / name)
    with open_bag(path) as bag:
        assert bag.info().missing == () and bag.info().warnings == ()
        for camera in RIG.cameras:
            back = bag.rig().camera(camera.name)
            assert back.model is camera.model
            np.testing.assert_allclose(back.ego_from_cam, camera.ego_from_cam, atol=1e-12)
            np.testing.assert_array_equal(back.intrinsics, camera.intrinsics)
            np.testing.assert_array_equal(back.distortion, camera.distortion)
        events = list(bag.events())
    motion = [event for event in events if isinstance(event, EgoMotion)]
    assert [None if m.twist is None else m.twist.tolist() for m in motion] == [
        [9.0, 0.1, 0.2], None, [9.0, 0.1, 0.2]
    ]  # fmt: skip
    np.testing.assert_allclose(
        motion[2].world_from_ego, rigid_from_pose((2, 2, 0.1), 0.5), atol=1e-12
    )
    assert [e.encoded for e in events if isinstance(e, CameraImage)] == [jpeg()] * 6
    boxes = next(event.boxes for event in events if isinstance(event, StampedBoxes))
    np.testing.assert_allclose(boxes.centers, BOXES.centers)
    np.testing.assert_allclose(boxes.yaws, BOXES.yaws)
    assert (boxes.labels, boxes.ids) == (BOXES.labels, BOXES.ids)
    for index, plan in enumerate(read_plans(path)):
        assert_same(plan, plan_of(np.random.default_rng(index), 4, START + index * STEP))
    assert index == 2


def test_any_reader_finds_definitions_and_latched_transforms(tmp_path: Path) -> None:
    path = write_all(tmp_path / "drive")
    with AnyReader([path], default_typestore=get_typestore(Stores.EMPTY)) as reader:
        kinds = {}
        for connection, _, data in reader.messages():
            kinds[connection.msgtype] = reader.deserialize(data, connection.msgtype)
            if connection.topic == TF_STATIC:
                qos = connection.ext.offered_qos_profiles
                assert [one.durability for one in qos] == [QosDurability.TRANSIENT_LOCAL]
    assert len(kinds) == 10
    markers = kinds["visualization_msgs/msg/MarkerArray"].markers
    assert [m.action for m in markers] == [3, 0, 0, 0, 0]  # first all old ones are cleared
    assert len({(m.ns, m.id) for m in markers[1:]}) == 4
    about = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert about["storage_identifier"] == "mcap" and about["message_count"] == 37
    assert about["duration"]["nanoseconds"] == 2 * STEP
    assert [p.name for p in tmp_path.iterdir()] == ["drive"]


def test_every_definition_file_is_a_known_type() -> None:
    for path in definition_files():
        assert f"irl_vla_msgs/msg/{path.stem}" in typestore().fielddefs


@pytest.fixture()
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_leaves_a_valid_shorter_bag(tmp_path: Path, ctrl_c: None) -> None:
    path = tmp_path / "drive.mcap"
    with pytest.raises(KeyboardInterrupt), BagWriter(path) as writer:
        for index in range(1000):
            writer.write_motion(EgoMotion(START + index * STEP, np.eye(4), None, ""))
            if index == 99:
                os.kill(os.getpid(), signal.SIGINT)
    with open_bag(path) as bag:
        assert sum(isinstance(event, EgoMotion) for event in bag.events()) == 100
        assert bag.warnings == ()


def test_nothing_stands_under_the_final_name_until_the_bag_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "drive"
    with BagWriter(path) as writer:
        writer.write_rig(RIG, START)
        assert not path.exists()
    assert path.exists()


def test_an_existing_bag_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = write_all(tmp_path / "drive")
    with pytest.raises(InputError, match="exists already"):
        BagWriter(path)
    with BagWriter(path, overwrite=True) as writer:
        writer.write_rig(RIG, START)
    with open_bag(path) as bag:
        assert bag.info().messages == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full to play a full disk")
def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "drive"
    writer = BagWriter(path)
    real = writer._writer.storage.bio  # type: ignore[union-attr]
    with Path("/dev/full").open("wb", buffering=0) as full:
        writer._writer.storage.bio = full  # type: ignore[union-attr]
        with pytest.raises(InputError, match=r"drive: cannot be written: No space left"):
            for index in range(100):
                picture = CameraImage("front", START + index, encoded=jpeg() + bytes(10**5))
                writer.write_image(picture)
    real.close()
    writer.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="is closed"):
        writer.write_rig(RIG, START)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        BagWriter(tmp_path / "file" / "drive")


def test_a_stamp_that_ros_cannot_write_is_refused(tmp_path: Path) -> None:
    with (
        BagWriter(tmp_path / "drive") as writer,
        pytest.raises(InputError, match="1970 to 2038"),
    ):
        writer.write_rig(RIG, 15_616_458_250 * 10**9)
