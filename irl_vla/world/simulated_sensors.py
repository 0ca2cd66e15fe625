"""What a car would hear of a moment: pictures, ego motion, navigation, and the truth beside them.

One place makes these values for bags, for the closed loop and for the live world, so all three are
the same bytes. May import: types, frames, camera.rig, world.episode, world.routes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from irl_vla.frames import (
    inverse,
    move,
    quaternion_xyzw,
    rigid_from_pose,
    rigid_from_quaternion,
    wrap_angle,
)  # fmt: skip
from irl_vla.scoring.scene import AGENT_TYPES, HEADING, OMEGA, SIM_DT_S, VX, VY, X, Y
from irl_vla.types import F64, SECOND_NS, U8, Boxes3D, CameraImage, EgoMotion, Intent
from irl_vla.world.episode import Actors, WorldState
from irl_vla.world.routes import RoutePath, intent_at

START_NS = 1_700_000_000 * SECOND_NS  # stamp of a town's time 0
STEP_NS = round(SIM_DT_S * SECOND_NS)
SETTLING = 6  # times a rotation is written as a quaternion and read again, at most
NUDGES, NUDGE_RAD = 900, 1e-12  # of the heading: below 1e-9 rad together
ODOMETRY = "/localization/kinematic_state"  # where a recording of the world has the ego's motion
JPEG_QUALITY = 90  # 0..100, of the world's cameras
TRUTH_REACH_M = 80.0  # road users farther from the ego are not listed

CameraRenderer = Callable[[WorldState], Mapping[str, U8]]  # camera -> (height, width, 3) RGB


def stamp_of(moment: WorldState) -> int:
    """The moment's time on the clock of the car [ns], a whole number of steps."""
    return START_NS + round(moment.time_s / SIM_DT_S) * STEP_NS


def ego_pose(moment: WorldState) -> F64:
    """(3,) x, y, heading of the rear axle."""
    return np.asarray(moment.ego[[X, Y, HEADING]])


def motion_of(moment: WorldState) -> EgoMotion:
    """Where the ego is and how it moves, measured without error."""
    world_from_ego = as_messages_say(ego_pose(moment))
    twist = np.asarray(moment.ego[[VX, VY, OMEGA]])
    return EgoMotion(stamp_of(moment), world_from_ego, twist, ODOMETRY)


def as_messages_say(pose: F64) -> F64:
    """Pose (3,) -> (4, 4) that survives being a quaternion, as in odometry, bit for bit: who drives
    live and who replays the recording get the very same numbers. Where rounding goes round in
    circles the heading is nudged by a picoradian."""
    for nudge in range(NUDGES):
        transform = rigid_from_pose(pose + np.array([0.0, 0.0, nudge * NUDGE_RAD]))
        for _ in range(SETTLING):
            before = transform
            place = [float(value) for value in before[:3, 3]]
            transform = rigid_from_quaternion(place, quaternion_xyzw(before))
            if np.array_equal(before, transform):
                return transform
    raise AssertionError(f"pose {pose}: no rotation near it survives being a quaternion")


def navigation(moment: WorldState, path: RoutePath) -> Intent:
    """What a navigation system would say."""
    return intent_at(path, ego_pose(moment), stamp_of(moment))


def exposures(moment: WorldState, render: CameraRenderer) -> list[CameraImage]:
    """One JPEG per camera, all at the moment's stamp."""
    return [
        CameraImage(name, stamp_of(moment), encoded=jpeg(pixels))
        for name, pixels in render(moment).items()
    ]


def jpeg(pixels: U8) -> bytes:
    """(height, width, 3) RGB -> a JPEG file; the same pixels give the same bytes."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def truth(moment: WorldState, actors: Actors) -> Boxes3D:
    """The road users within TRUTH_REACH_M, in the ego frame, nearest first."""
    there = np.flatnonzero(moment.present)
    away = np.hypot(*(moment.states[there, :2] - moment.ego[[X, Y]]).T)
    order = np.argsort(away, kind="stable")
    near = there[order][away[order] <= TRUTH_REACH_M]
    states, sizes = moment.states[near], actors.sizes[near]
    ego_from_world = inverse(rigid_from_pose(ego_pose(moment)))
    middles = np.column_stack([states[:, :2], sizes[:, 2] / 2.0])
    axes = ego_from_world[:2, :2]
    return Boxes3D(
        move(middles, ego_from_world), sizes, wrap_angle(states[:, 2] - moment.ego[HEADING]),
        states[:, 3:5] @ axes.T,
        tuple(AGENT_TYPES[kind] for kind in actors.types[near]),
        tuple(actors.ids[i] for i in near),
    )  # fmt: skip
