"""Any planner of ours as an agent of the official NAVSIM devkit, and its submission file.

    agent = make_agent(planner)             an AbstractAgent around any planner of ours
    write_submission(plans, author, path)   poses by token -> the file for the leaderboard

navsim is imported when an agent is made, never when this module is: the core and the lab run
without it.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from irl_vla.navsim.records import COMMANDS
from irl_vla.types import (
    F64,
    HORIZON_POSES,
    PLAN_DT_S,
    SECOND_NS,
    EgoStatus,
    InputError,
    Intent,
    IntentDirection,
)

CAMERAS = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")
HISTORY = 4  # frames in an AgentInput, the last one is now
FRAME_NS = SECOND_NS // 2  # nominal; an AgentInput carries no time stamps


@dataclass(frozen=True)
class PlannerInput:
    """What the devkit's AgentInput says, in our words. Frames are 0.5 s apart, the last is now.

    images: per frame, camera -> (height, width, 3) uint8 RGB; calibration: camera -> intrinsics
    (3, 3), distortion (5,), ego_from_cam (4, 4); poses: (H, 3) relative to now
    """

    images: tuple[Mapping[str, np.ndarray[Any, Any]], ...]
    calibration: Mapping[str, tuple[F64, F64, F64]]
    poses: F64
    ego: EgoStatus
    intent: Intent


Planner = Callable[[PlannerInput], F64]  # -> (8, 3) poses, 0.5 s apart, ego frame


def devkit(module: str) -> ModuleType:
    """A module of the official devkit. Raises InputError that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"the official NAVSIM devkit is needed for this and cannot be imported ({error}). "
            "Install it in this environment (docs/navsim.md), or score without it: "
            "`irl-vla score --navsim DATA --split NAME --agent bundle:DIR --out DIR`."
        ) from None


def make_agent(planner: Planner, name: str = "irl-vla", cameras: tuple[str, ...] = CAMERAS) -> Any:
    """An object of the devkit's AbstractAgent around a planner.

    cameras: names that are loaded for all four history frames
    """
    base = devkit("navsim.agents.abstract_agent").AbstractAgent
    data = devkit("navsim.common.dataclasses")

    class Agent(base):  # type: ignore[misc, valid-type]
        """Our planner behind the devkit's interface; it never asks for the annotated scene."""

        def __init__(self) -> None:
            super().__init__(requires_scene=False)

        def name(self) -> str:
            return name

        def initialize(self) -> None:
            """The planner is ready when it is handed in."""

        def get_sensor_config(self) -> Any:
            wanted = {camera: camera in cameras for camera in CAMERAS}
            return data.SensorConfig(**wanted, lidar_pc=False)

        def compute_trajectory(self, agent_input: Any) -> Any:
            return data.Trajectory(checked(planner(planner_input(agent_input))).astype(np.float32))

    return Agent()


def planner_input(agent_input: Any) -> PlannerInput:
    """The devkit's AgentInput -> PlannerInput. Empty cameras (follow-ups) are left out."""
    statuses = agent_input.ego_statuses
    now, images = statuses[-1], []
    calibration: dict[str, tuple[F64, F64, F64]] = {}
    for cameras in agent_input.cameras:
        seen = {}
        for name in CAMERAS:
            camera = getattr(cameras, name)
            if camera.image is None:
                continue
            seen[name] = camera.image
            ego_from_cam = np.eye(4)
            ego_from_cam[:3, :3] = camera.sensor2lidar_rotation
            ego_from_cam[:3, 3] = camera.sensor2lidar_translation
            calibration[name] = (camera.intrinsics, camera.distortion, ego_from_cam)
        images.append(seen)
    poses = np.array([status.ego_pose for status in statuses], np.float64)
    return PlannerInput(
        tuple(images), calibration, poses,
        EgoStatus(
            (HISTORY - 1) * FRAME_NS,
            np.array(now.ego_velocity, np.float64), np.array(now.ego_acceleration, np.float64),
            float(poses[-1, 2] - poses[-2, 2]) / PLAN_DT_S if len(poses) > 1 else 0.0,
            True, "NAVSIM ego status; yaw rate from two poses",
        ),
        intent_of(now.driving_command),
    )  # fmt: skip


def intent_of(command: Any) -> Intent:
    """A one-hot driving command -> Intent; all zero is UNKNOWN."""
    chosen = np.flatnonzero(np.asarray(command))
    return Intent(COMMANDS[int(chosen[0])] if len(chosen) else IntentDirection.UNKNOWN)


def checked(poses: F64) -> F64:
    """(8, 3) finite poses, or InputError: a bad plan must not become a zero in a table."""
    poses = np.asarray(poses, np.float64)
    if poses.shape != (HORIZON_POSES, 3) or not np.isfinite(poses).all():
        raise InputError(
            f"plan: expected {HORIZON_POSES} finite poses (x, y, heading), got shape {poses.shape}"
        )
    return poses


@dataclass(frozen=True, kw_only=True)
class Author:
    """The five fields that the leaderboard requires."""

    team_name: str
    authors: str
    email: str
    institution: str
    country: str

    def __post_init__(self) -> None:
        empty = [name for name, text in vars(self).items() if not text.strip()]
        if empty:
            raise InputError(f"submission: '{empty[0]}' is required by the leaderboard and empty")


def write_submission(
    plans: Mapping[str, F64], author: Author, path: Path,
    second_stage: Mapping[str, F64] | None = None,
) -> None:  # fmt: skip
    """Writes the pickle that the leaderboard takes.

    plans: token -> (8, 3); second_stage: the plans of the follow-ups, for two-stage splits (their
    two tables have keys of their own). Needs the devkit: the file holds its Trajectory objects.
    """
    trajectory = devkit("navsim.common.dataclasses").Trajectory

    def table(poses: Mapping[str, F64]) -> list[dict[str, Any]]:
        # One dictionary per training seed; ours is one.
        return [{token: trajectory(checked(p).astype(np.float32)) for token, p in poses.items()}]

    submission: dict[str, Any] = {
        "team_name": author.team_name,
        "authors": author.authors,
        "email": author.email,
        "institution": author.institution,
        "country / region": author.country,
    }
    if second_stage is None:
        submission["predictions"] = table(plans)
    else:
        submission["first_stage_predictions"] = table(plans)
        submission["second_stage_predictions"] = table(second_stage)
    draft = path.with_suffix(".draft")
    draft.write_bytes(pickle.dumps(submission))
    draft.replace(path)
