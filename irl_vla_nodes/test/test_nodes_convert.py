"""Values -> messages -> the bytes that ROS 2 sends -> messages -> the same values. No ROS."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from irl_vla_nodes.autoware import points_of
from irl_vla_nodes.convert import FramesHandle, TokensHandle, cdr, from_cdr
from irl_vla_nodes.payload import pack, unpack
from irl_vla_nodes.ring import Handle
from irl_vla_nodes.show import plan_lines

from irl_vla.camera.preprocess import ImageSpec, preprocess
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import load_rig
from irl_vla.camera.tele import TeleSpec
from irl_vla.messages.plan_messages import fallback_from_message, fallback_to_message
from irl_vla.perception.classes import CLASSES
from irl_vla.perception.preset import AGENT_CLASSES, SEG_CLASSES
from irl_vla.resources import resource
from irl_vla.types import (
    CameraImage,
    Candidates,
    EgoStatus,
    Fallback,
    FrameSet,
    GraphRecord,
    InputError,
    Intent,
    IntentDirection,
    Plan,
    PlanReason,
    Refusal,
    RefusalReason,
    SceneTokens,
    Schedule,
    StopReason,
    Trajectory,
)
from irl_vla.vehicle import Limits, Vehicle
from irl_vla_nodes import convert

STAMP = 1_700_000_000_123_456_789
HANDLE = Handle("tokens.12-345", 3, 2**40 + 2)
EGO = EgoStatus(STAMP, np.array([7.1, -0.2]), np.array([0.3, 0.1]), 0.04, True, "odometry", 9)


STOP = Fallback(
    np.arange(9.0).reshape(3, 3), 6.5, Trajectory(np.arange(24.0).reshape(8, 3), 0.5), 12.5,
    StopReason.EMERGENCY_STOP, "",
)  # fmt: skip


def through(message: Any) -> Any:
    """What another process gets."""
    return from_cdr(cdr(message), message.__msgtype__)


def test_frame_handles_come_back() -> None:
    value = FramesHandle(
        STAMP, HANDLE, "rig", {"front": STAMP, "left": STAMP + 5}, {"rear": "late: 3 ms"},
        {"decode": 1.5},
    )  # fmt: skip
    assert convert.frames_from_message(through(convert.frames_to_message(value, "b"))) == value


@pytest.mark.parametrize("refusal", [None, (RefusalReason.NO_IMAGES, "all dark")])
@pytest.mark.parametrize("memory", [None, 0, STAMP - 5])
def test_token_handles_come_back(refusal: Any, memory: int | None) -> None:
    intent = Intent(IntentDirection.LEFT, np.array([[1.0, 2.0], [3.0, 4.5]]), STAMP)
    value = TokensHandle(
        STAMP, HANDLE, refusal, "b" * 64, 3, memory, ("rear",), EGO, intent, {"perceive": 2.0},
        (GraphRecord("bev", "fp32", "a" * 64, "onnxruntime-cpu 1.2"),),
    )  # fmt: skip
    back = convert.tokens_from_message(through(convert.tokens_to_message(value, "base_link")))
    for name in ("anchor_stamp_ns", "handle", "refusal", "bundle_id", "epoch", "memory_stamp_ns",
                 "missing", "latencies_ms", "graphs"):  # fmt: skip
        assert getattr(back, name) == getattr(value, name), name
    assert back.intent.direction is intent.direction
    assert np.array_equal(back.intent.route, intent.route)
    assert vars(back.ego).keys() == vars(EGO).keys()
    assert all(np.array_equal(vars(back.ego)[name], vars(EGO)[name]) for name in vars(EGO))


@pytest.mark.parametrize("stop", [None, STOP])
@pytest.mark.parametrize("reason", list(RefusalReason))
def test_refusals_come_back_for_every_reason(reason: RefusalReason, stop: Any) -> None:
    value = Refusal(STAMP, reason, "why", stop)
    back = convert.refusal_from_message(through(convert.refusal_to_message(value, "b", "f", {})))
    assert (back.anchor_stamp_ns, back.reason, back.detail) == (STAMP, reason, "why")
    assert (back.fallback is None) == (stop is None)
    if stop is not None:
        assert np.array_equal(back.fallback.path, stop.path)
        assert np.array_equal(back.fallback.trajectory.poses, stop.trajectory.poses)
        assert (back.fallback.braking, back.fallback.reason) == (6.5, StopReason.EMERGENCY_STOP)


@pytest.mark.parametrize("wrong", ["path", "braking", "poses", "reason"])
def test_a_stop_that_cannot_be_driven_is_refused(wrong: str) -> None:
    message = fallback_to_message(STOP)
    bad = {"path": np.full(3, np.nan), "braking": 0.0, "poses": np.full(24, np.inf), "reason": "x"}
    setattr(message, wrong, bad[wrong])
    with pytest.raises(InputError, match="fallback"):
        fallback_from_message(message)
    message.path = np.zeros(0)
    with pytest.raises(InputError, match="fallback"):
        fallback_from_message(message)


def test_a_path_comes_back_to_the_last_bits_of_its_headings() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        poses = np.column_stack([rng.normal(size=(8, 2)) * 30, rng.uniform(-3.1, 3.1, 8)])
        message = through(convert.path_to_message(Trajectory(poses, 0.5), STAMP, "base_link"))
        stamp, back = convert.path_from_message(message)
        assert stamp == STAMP and back.step_s == 0.5
        assert np.array_equal(back.poses[:, :2], poses[:, :2])
        assert np.allclose(back.poses[:, 2], poses[:, 2], atol=1e-14)


def test_a_rig_comes_back_with_every_bit() -> None:
    rig = load_rig(resource("calibration/rigs/nuscenes_like6.yaml"))
    rig = replace(rig, vehicle=Vehicle(1.9, 3.7, 0.9, 2.8, Limits(max_braking=7.5)))
    back = convert.rig_from_notes(json.loads(json.dumps(convert.rig_to_notes(rig))))
    assert back.fingerprint == rig.fingerprint and back.vehicle == rig.vehicle


def test_latencies_come_back() -> None:
    stages = {"perceive": 12.5, "plan": 0.25}
    assert convert.latencies_from_message(convert.latencies_to_message(stages)) == stages


def tokens(**changed: Any) -> SceneTokens:
    blind = SceneTokens.blind(STAMP, 0)
    return SceneTokens(**{**vars(blind), **changed})


def test_tokens_come_back_from_their_arrays() -> None:
    rng = np.random.default_rng(0)
    made = tokens(
        boxes=rng.normal(size=(30, 10)).astype(np.float16),
        closed=rng.random((1, 4, 6)).astype(np.float16),
    )
    graphs = (GraphRecord("bev", "fp32", "a" * 64, "onnxruntime-cpu 1.2"),)
    value = TokensHandle(STAMP, HANDLE, None, "b", 0, STAMP - 7, (), EGO, Intent(), {}, graphs)
    back = convert.tokens_from_arrays(value, convert.tokens_to_arrays(made))
    assert back.memory_stamp_ns == STAMP - 7 and back.computed_by == graphs
    for name in convert.TOKEN_ARRAYS:
        assert np.array_equal(getattr(back, name), getattr(made, name), equal_nan=True), name
    silent = convert.tokens_from_arrays(value, convert.tokens_to_arrays(tokens()))
    assert silent.closed is None


@pytest.mark.parametrize("tele", [None, TeleSpec(256, 96)])
def test_pictures_come_back_from_their_arrays_with_their_calibration(tele: TeleSpec | None) -> None:
    rig, spec = load_rig(resource("calibration/rigs/tiny3.yaml")), ImageSpec(64, 32, tele=tele)
    black = np.zeros((360, 640, 3), np.uint8)
    for names in (("front_left", "front"), ("front_left", "front_right")):
        frames = FrameSet(0, {name: CameraImage(name, 0, pixels=black) for name in names})
        made = preprocess(frames, rig, spec)
        arrays, _ = unpack(memoryview(b"".join(pack(convert.images_to_arrays(made), {}))))
        back = convert.images_from_arrays(arrays, rig, spec, names)
        assert np.array_equal(back.pixels, made.pixels) and back.cameras is made.cameras
        assert np.array_equal(back.present, made.present)
        assert (back.tele is not None) == (tele is not None and "front" in names)
        if back.tele is not None and made.tele is not None:
            assert np.array_equal(back.tele.pixels, made.tele.pixels)
            assert back.tele.camera is made.tele.camera


def test_only_agents_that_are_held_for_real_are_shown() -> None:
    boxes = np.zeros((30, 10), np.float16)
    boxes[4] = [10, 2, 1, 4, 2, 1.5, 0.5, 3, -1, 0.9]
    valid = np.zeros(30, bool)
    valid[4] = True
    kinds = np.zeros(30, np.uint8)
    kinds[4] = 1
    shown = convert.boxes_of(tokens(boxes=boxes, agent_valid=valid, agent_class=kinds), CLASSES)
    assert shown.labels == (AGENT_CLASSES[1],)
    assert np.allclose(shown.centers[0], [10, 2, 1]) and np.allclose(shown.sizes[0], [4, 2, 1.5])


def test_the_grid_has_forward_along_its_width_and_left_along_its_height() -> None:
    """One occupied cell ahead and to the left is found where nav_msgs/OccupancyGrid puts it."""
    seg = np.zeros((len(SEG_CLASSES), 4, 6), np.float16)
    seg[SEG_CLASSES.index("road")] = 1.0
    seg[SEG_CLASSES.index("vehicle"), 3, 5] = 2.0
    area = BevGrid((-2.0, 6.0), (-6.0, 6.0), (4, 6), (0.0,))
    grid = through(convert.segmentation_to_message(tokens(seg=seg), area, CLASSES, "b"))
    assert (grid.info.width, grid.info.height, grid.info.resolution) == (4, 6, 2.0)
    cells = np.asarray(grid.data).reshape(6, 4)
    assert cells[5, 3] == 100 and (cells == 0).sum() == 23
    middle_x = grid.info.origin.position.x + (3 + 0.5) * grid.info.resolution
    middle_y = grid.info.origin.position.y + (5 + 0.5) * grid.info.resolution
    assert (middle_x, middle_y) == (5.0, 5.0)


def plan(poses: np.ndarray) -> Plan:
    candidates = Candidates(np.stack([poses, np.full_like(poses, np.nan)]), np.array([1.0, 0.5]))
    return Plan(
        STAMP, Trajectory(poses, 0.5), candidates, 0, PlanReason.BEST_CANDIDATE, "", (), 50.0,
        Schedule(STAMP, STAMP, None, None, 0, 0), "b", STOP,
    )  # fmt: skip


def test_candidates_that_are_not_numbers_are_not_drawn() -> None:
    poses = np.zeros((8, 3))
    poses[:, 0] = np.arange(1, 9)
    chosen, others = plan_lines(plan(poses))
    assert len(others.lines) == 1 and np.isfinite(chosen.lines).all()


def test_autoware_gets_speed_acceleration_and_heading_rate_of_a_known_arc() -> None:
    """4 m/s, then 6 m/s, turning 0.1 rad in each half second."""
    poses = np.array([[2.0, 0.0, 0.1], [2.0 + 3.0 * np.cos(0.1), 3.0 * np.sin(0.1), 0.2]])
    points = points_of(Trajectory(poses, 0.5))
    assert [point.time_s for point in points] == [0.0, 0.5, 1.0]
    assert np.allclose([point.speed for point in points], [4.0, 6.0, 6.0])
    assert np.allclose([point.acceleration for point in points], [4.0, 0.0, 0.0])
    assert np.allclose([point.heading_rate for point in points], 0.2)
