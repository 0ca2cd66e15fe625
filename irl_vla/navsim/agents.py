"""Planners that a split can be scored with, by name.

constant_velocity    straight on at the present speed
human                what the driver did; follow-ups have no driver
pdm_closed           the reference planner, which sees the true world
bundle:DIR           a network of ours
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irl_vla.navsim.records import FRAME_S, SceneWindow, relative_poses
from irl_vla.scoring.scene import HEADING, PLAN_POSES, VX, VY, Scene
from irl_vla.types import F64, InputError

POSES_PER_PLAN_POSE = 5  # the reference has a pose every 0.1 s, a plan every 0.5 s


@dataclass(frozen=True)
class NavsimAgent:
    """plan: -> (8, 3) poses, 0.5 s apart, ego frame. needs_window: whether it sees the window
    (images, past); the others know the scoring scene alone, so that a cached run reads no logs"""

    plan: Callable[[Scene, SceneWindow | None], F64]
    needs_window: bool = False


def constant_velocity(scene: Scene, window: SceneWindow | None) -> F64:
    """Straight on. Speed and poses are float32, as in the devkit's agent."""
    velocity = scene.ego.initial[VX : VY + 1].astype(np.float32)
    speed = np.sqrt((velocity**2).sum())
    poses = np.zeros((PLAN_POSES, 3), np.float32)
    poses[:, 0] = [(index + 1) * FRAME_S * speed for index in range(PLAN_POSES)]
    return poses.astype(np.float64)


def human(scene: Scene, window: SceneWindow | None) -> F64:
    """What the human drove in the 4 s after now."""
    if scene.human is None:
        raise InputError(
            f"scene {scene.id}: a follow-up has no human driver, so agent 'human' cannot be "
            "scored on two-stage splits. Choose another agent or a one-stage split (navtest)."
        )
    return scene.human.poses


def pdm_closed(scene: Scene, window: SceneWindow | None) -> F64:
    """The reference plan at its 0.5 s steps, seen from the rear axle now."""
    if scene.reference is None:
        raise InputError(f"scene {scene.id}: it has no reference plan")
    last = PLAN_POSES * POSES_PER_PLAN_POSE
    steps = scene.reference.poses[POSES_PER_PLAN_POSE : last + 1 : POSES_PER_PLAN_POSE]
    return relative_poses(scene.ego.initial[: HEADING + 1], steps)


AGENTS: dict[str, NavsimAgent] = {
    "constant_velocity": NavsimAgent(constant_velocity),
    "human": NavsimAgent(human),
    "pdm_closed": NavsimAgent(pdm_closed),
}


def agent_of(name: str, load_bundle: Callable[[Path], NavsimAgent] | None = None) -> NavsimAgent:
    """The agent of a name as the command line gives it. Raises InputError for unknown ones."""
    if name.startswith("bundle:"):
        folder = Path(name.removeprefix("bundle:"))
        if not folder.is_dir():
            raise InputError(f"agent '{name}': there is no folder {folder}")
        if load_bundle is None:
            raise InputError(f"agent '{name}': bundles cannot be driven from here")
        return load_bundle(folder)
    if name not in AGENTS:
        raise InputError(f"agent '{name}': unknown. There are: {', '.join(AGENTS)}, bundle:DIR.")
    return AGENTS[name]
