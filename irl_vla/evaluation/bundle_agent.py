"""A bundle as an agent that a NAVSIM split can be scored with: the very driving core of the car."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import load_bundle
from irl_vla.frames import rigid_from_pose, wrap_angle
from irl_vla.navsim.agents import NavsimAgent
from irl_vla.navsim.calibration import rig_of
from irl_vla.navsim.dataset import SplitIndex
from irl_vla.navsim.records import LogFrame, SceneWindow
from irl_vla.navsim.sensors import frame_set, sensor_root
from irl_vla.scoring.scene import Scene
from irl_vla.types import F64, EgoMotion, InputError, Refusal

FRAMES_SEEN = 2  # now, and 0.5 s before for the memory


def bundle_agent(folder: Path, index: SplitIndex) -> NavsimAgent:
    """The policy of a bundle, driven by a fresh core in every scene. Raises InputError."""
    stack = policy_stack_from_bundle(load_bundle(folder))
    config = CoreConfig()

    def plan(scene: Scene, window: SceneWindow | None) -> F64:
        assert window is not None  # `needs_window` says so
        root = sensor_root(index.dataset, index.split, window)
        now = frame_set(root, window.now)
        if not now.images:
            raise InputError(
                f"scene {window.token}: none of its {len(now.missing)} images is on disk below "
                f"{root}; a bundle drives by what it sees. Download the sensor_blobs of this split."
            )
        core = DrivingCore(stack, rig_of(window.now, now), config)
        for motion in motions(window):
            core.add_motion(motion)
        step: Step | None = None
        for frame in window.history[-FRAMES_SEEN:]:
            core.add_intent(frame.intent)
            frames = now if frame is window.now else frame_set(root, frame)
            step = core.step(frames, frames.anchor_stamp_ns)
        assert step is not None
        if isinstance(step.outcome, Refusal):
            raise InputError(
                f"scene {window.token}: no plan: {step.outcome.reason.value}: {step.outcome.detail}"
            )
        return np.asarray(step.outcome.trajectory.poses, np.float64)

    return NavsimAgent(plan, needs_window=True)


def motions(window: SceneWindow) -> list[EgoMotion]:
    """Poses and speeds of the history; the yaw rate comes from neighbouring poses."""
    past = window.history
    return [
        EgoMotion(
            frame.timestamp_us * 1000, rigid_from_pose(frame.pose),
            np.array([*frame.velocity.astype(np.float64), yaw_rate(past, index)]),
            "NAVSIM ego status",
        )
        for index, frame in enumerate(past)
    ]  # fmt: skip


def yaw_rate(past: tuple[LogFrame, ...], index: int) -> float:
    """[rad/s] over the interval before a frame (after it, for the first one)."""
    first = past[max(index - 1, 0)]
    second = past[max(index, 1)] if len(past) > 1 else first
    seconds = (second.timestamp_us - first.timestamp_us) / 1e6
    return float(wrap_angle(second.pose[2] - first.pose[2])) / seconds if seconds > 0.0 else 0.0
