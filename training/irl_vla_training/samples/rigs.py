"""Rigs to learn from: many, so that one model serves all. Drawn from a seed.

Six of ten are the small rig of three cameras, mounted and calibrated as no two cars are; the others
have any number of cameras anywhere. The other rigs in calibration/rigs are never drawn: they are
kept for the question whether a rig that nobody trained on is seen with.
May import: irl_vla.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from irl_vla.camera.camera import Camera
from irl_vla.camera.lens_models import CameraModel
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look, load_rig
from irl_vla.frames import rigid, rigid_from_quaternion
from irl_vla.resources import resource
from irl_vla.types import F64

HOME = "tiny3"  # the rig that networks are tuned on
HOME_SHARE, EIGHT_SHARE = 0.6, 0.05  # of seeds
HOME_SHIFT_M, HOME_TURN_RAD = 0.05, 0.015  # standard deviations of its mounting
HOME_FOCAL, HOME_CENTRE_PX, HOME_BENT = 0.02, 4.0, 0.1  # and of its lens
SIZES = (
    (640, 360), (704, 400), (800, 450), (960, 600), (1280, 720), (1600, 900), (1920, 1080),
)  # fmt: skip
FIELDS_DEG = (48.0, 112.0)  # horizontal field of view of a flat lens
WIDE_DEG = (110.0, 150.0)  # of a fisheye
FISHEYE_SHARE = 0.12
HEIGHT_M = (1.1, 2.1)
LAYOUTS: dict[int, tuple[tuple[float, ...], ...]] = {  # where cameras look, degrees to the left
    1: ((0.0,),),
    2: ((0.0, 180.0), (32.0, -32.0), (0.0, 0.0)),
    3: ((55.0, 0.0, -55.0), (70.0, 0.0, -70.0), (110.0, 0.0, -110.0)),
    4: ((0.0, 90.0, 180.0, -90.0), (55.0, 0.0, -55.0, 180.0)),
    5: ((60.0, 0.0, -60.0, 125.0, -125.0), (50.0, 0.0, -50.0, 100.0, -100.0)),
    6: ((55.0, 0.0, -55.0, 110.0, 180.0, -110.0), (60.0, 0.0, -60.0, 130.0, 180.0, -130.0)),
    8: ((45.0, 0.0, -45.0, 90.0, -90.0, 135.0, 180.0, -135.0),),
}


@cache
def _home() -> Rig:
    return load_rig(resource(f"calibration/rigs/{HOME}.yaml"))


def draw_rig(rng: np.random.Generator) -> Rig:
    """One of the kinds above; its name begins with the kind."""
    dice = rng.random()
    if dice < HOME_SHARE:
        return Rig(HOME, tuple(_jittered(camera, rng) for camera in _home().cameras))
    count = 8 if dice > 1.0 - EIGHT_SHARE else int(rng.integers(1, 7))
    layouts = LAYOUTS[count]
    looks = layouts[int(rng.integers(len(layouts)))]
    height = float(rng.uniform(*HEIGHT_M))
    size = SIZES[int(rng.integers(len(SIZES)))]
    fisheye = bool(rng.random() < FISHEYE_SHARE)
    cameras = [_camera(f"cam{k}", yaw, height, size, fisheye, rng) for k, yaw in enumerate(looks)]
    return Rig(f"any{count}", tuple(cameras))


def _jittered(camera: Camera, rng: np.random.Generator) -> Camera:
    """The same camera as another workshop would have mounted it."""
    turn = rng.normal(0.0, HOME_TURN_RAD / 2.0, 3)  # half angles of a small rotation
    quaternion = (float(turn[0]), float(turn[1]), float(turn[2]), 1.0)
    moved = camera.ego_from_cam @ rigid_from_quaternion((0.0, 0.0, 0.0), quaternion)
    place = camera.position + rng.normal(0.0, HOME_SHIFT_M, 3)
    return replace(
        camera, ego_from_cam=rigid(moved[:3, :3], place),
        intrinsics=_bent_lens(camera.intrinsics, rng),
        distortion=camera.distortion * (1.0 + rng.normal(0.0, HOME_BENT, len(camera.distortion))),
    )  # fmt: skip


def _bent_lens(intrinsics: F64, rng: np.random.Generator) -> F64:
    k = intrinsics.copy()
    k[[0, 1], [0, 1]] *= 1.0 + rng.normal(0.0, HOME_FOCAL)
    k[:2, 2] += rng.normal(0.0, HOME_CENTRE_PX, 2)
    return np.asarray(k)


def _camera(
    name: str, yaw_deg: float, height: float, size: tuple[int, int], fisheye: bool,
    rng: np.random.Generator,
) -> Camera:  # fmt: skip
    """One camera on the roof's edge or behind a window, looking about there."""
    look = ViewDirection(
        yaw_deg + float(rng.normal(0.0, 3.0)), float(rng.uniform(0.0, 9.0)),
        float(rng.normal(0.0, 0.7)),
    )  # fmt: skip
    radians = np.radians(yaw_deg)
    x = 0.9 + 0.9 * np.cos(radians) + rng.normal(0.0, 0.15)
    y = 0.7 * np.sin(radians) + rng.normal(0.0, 0.08)
    mounting = ego_from_look((float(x), float(y), height + float(rng.normal(0.0, 0.05))), look)
    width, rows = size
    field = np.radians(rng.uniform(*(WIDE_DEG if fisheye else FIELDS_DEG)))
    focal = width / field if fisheye else width / 2.0 / np.tan(field / 2.0)
    middle = np.array([(width - 1) / 2.0, (rows - 1) / 2.0]) + rng.normal(0.0, 0.01 * width, 2)
    intrinsics = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])
    return Camera(
        name, width, rows, CameraModel.EQUIDISTANT if fisheye else CameraModel.PLUMB_BOB,
        intrinsics, _distortion(fisheye, float(field), rng), mounting,
    )  # fmt: skip


def _distortion(fisheye: bool, field: float, rng: np.random.Generator) -> F64:
    """Weaker for wider lenses, whose models hold no further."""
    if fisheye:
        return np.array([rng.normal(0.0, 0.01), rng.normal(0.0, 0.003), 0.0, 0.0])
    barrel = -float(rng.uniform(0.0, 0.16)) * min(1.0, 1.2 / field) ** 2
    return np.asarray([barrel, -0.25 * barrel, rng.normal(0.0, 3e-4), rng.normal(0.0, 3e-4), 0.0])
