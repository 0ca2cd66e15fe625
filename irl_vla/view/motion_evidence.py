"""Do the pixels move as calibration and ego motion say they must? Evidence, not opinion.

Points are followed between two images of one camera that the car's way keeps apart, whatever the
rate. Seen through the calibration, a standing thing must stay in the plane of its first ray and the
camera's motion (epipolar constraint: t . (R ray1 x ray2) = 0). So the pixels themselves tell the
direction t in which the camera moved; turned into the ego frame it must be the direction in which
the car moved. The angle between the two is the error of the camera's yaw and pitch (not of its
roll, and hardly of the focal length). Moving things are outvoted. Height and scale: ground_scale.
In: CameraImage and EgoMotion in stream order   Out: MotionEvidence   May import: camera, types.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from irl_vla.camera.preprocess import decode
from irl_vla.camera.projection import unproject
from irl_vla.camera.rig import Camera, Rig
from irl_vla.frames import interpolate_rigid, inverse, wrap_angle
from irl_vla.types import F64, SECOND_NS, U8, CameraImage, EgoMotion, InputError
from irl_vla.view.camera import fit
from irl_vla.view.ground_scale import follow, ground_mask, ground_scale

WIDTH = 640  # [px] at most, at which points are followed; residuals are in these pixels
LONGEST_NS = 2 * SECOND_NS  # between two images; farther apart, the light has changed
LONGEST_POSE_NS = SECOND_NS // 2  # between two poses that an image lies between
LEAST_TRAVEL = 0.5  # [m] between two images: below, standing and wrong look the same
MOST_TRAVEL = 6.0  # [m] beyond, points are lost
APART_NS = SECOND_NS // 12  # images of a faster camera are passed over
MAX_PAIRS = 12  # per camera
QUICK_PAIRS = 6  # that may follow at once, for short recordings
PAUSE_NS = SECOND_NS  # before each later one, so that they see different places
LEAST_POINTS = 40
LEAST_FLOW = 2.0  # [px] median at WIDTH: below, nothing can be told
SPREAD_PAIRS = 4  # pairs that are PAUSE_NS apart: once there are so many, only they count
KEEP_NS = 3 * SECOND_NS  # of ego motion
MAX_WAITING = 4  # images of a camera that wait for ego motion


class CameraRotation(NamedTuple):
    """Pixels against calibration. yaw: to the left, pitch: up [rad] by which the motion that the
    pixels show is turned against the car's; residual: median distance [px at WIDTH] of the points
    from their planes even so."""

    yaw: float
    pitch: float
    residual: float


@dataclass(frozen=True)
class MotionEvidence:
    """Of one camera. turns: how far its pixels say it is turned against its calibration, one per
    image pair, empty if none could be judged; scales: height above the ground by the pixels over
    that by the calibration, one per pair that shows enough ground; travel: [m] of all pairs;
    reason: why there are no pairs, or no more."""

    turns: tuple[CameraRotation, ...]
    reason: str = ""
    scales: tuple[float, ...] = ()
    travel: float = 0.0


class _Pair(NamedTuple):
    """What one pair showed."""

    stamp_ns: int
    turn: CameraRotation
    scale: float | None
    travel: float


@dataclass(frozen=True)
class _Place:
    """An image, and where the car was."""

    image: CameraImage
    world_from_ego: F64


class MotionProbe:
    """Takes a stream's images and ego motion, follows points in a few pairs of every camera."""

    def __init__(self, rig: Rig) -> None:
        self._cameras = {camera.name: camera for camera in rig.cameras}
        self._poses: deque[EgoMotion] = deque()
        self._waiting: dict[str, deque[CameraImage]] = {
            name: deque(maxlen=MAX_WAITING) for name in self._cameras
        }
        self._queued_ns: dict[str, int] = {}
        self._first: dict[str, _Place] = {}
        self._judged_ns: dict[str, int] = {}
        self._pairs: dict[str, list[_Pair]] = defaultdict(list)
        self._masks: dict[str, U8] = {}
        self._reason: dict[str, str] = {}

    def add_motion(self, motion: EgoMotion) -> None:
        """Remember a pose for a moment; judge the images that waited for it."""
        if not np.isfinite(motion.world_from_ego).all():
            return
        if self._poses and motion.stamp_ns <= self._poses[-1].stamp_ns:
            self._poses.clear()
        self._poses.append(motion)
        while motion.stamp_ns - self._poses[0].stamp_ns > KEEP_NS:
            self._poses.popleft()
        for waiting in self._waiting.values():
            while waiting and waiting[0].stamp_ns <= motion.stamp_ns:
                self._place(waiting.popleft())

    def add_image(self, image: CameraImage) -> None:
        """An image that may become half of a pair."""
        name = image.camera
        if name not in self._cameras or len(self._pairs[name]) >= MAX_PAIRS:
            return
        if 0 <= image.stamp_ns - self._queued_ns.get(name, -APART_NS) < APART_NS:
            return
        self._queued_ns[name] = image.stamp_ns
        self._waiting[name].append(image)

    def evidence(self) -> dict[str, MotionEvidence]:
        """What was found, camera by camera."""
        nothing = "no two images with ego motion around them"
        found = {}
        for name in self._cameras:
            pairs = _spread(self._pairs[name])
            found[name] = MotionEvidence(
                tuple(pair.turn for pair in pairs), self._reason.get(name, nothing),
                tuple(pair.scale for pair in pairs if pair.scale is not None),
                sum(pair.travel for pair in pairs),
            )  # fmt: skip
        return found

    def _place(self, image: CameraImage) -> None:
        """An image whose place is known now: the first of a pair, its second, or of no use."""
        name = image.camera
        pose = self._pose_at(image.stamp_ns)
        if pose is None:
            self._reason[name] = "no ego motion around its images"
            return
        here, first = _Place(image, pose), self._first.get(name)
        pause = 0 if len(self._pairs[name]) < QUICK_PAIRS else PAUSE_NS
        if first is None:
            if image.stamp_ns - self._judged_ns.get(name, -PAUSE_NS) >= pause:
                self._first[name] = here
            return
        camera = self._cameras[name]
        move = inverse(pose @ camera.ego_from_cam) @ (first.world_from_ego @ camera.ego_from_cam)
        travel, apart = float(np.linalg.norm(move[:3, 3])), image.stamp_ns - first.image.stamp_ns
        if not 0 < apart <= LONGEST_NS:
            self._first[name] = here
            self._reason[name] = (
                "the car hardly moves" if apart > 0 and travel < LEAST_TRAVEL
                else f"images are {apart / SECOND_NS:.1f} s apart"
            )  # fmt: skip
        elif travel > MOST_TRAVEL:
            self._first[name] = here
            self._reason[name] = f"the car moves {travel:.0f} m between images"
        elif travel >= LEAST_TRAVEL:
            self._judge(first.image, image, camera, move, travel)
            self._judged_ns[name] = image.stamp_ns
            del self._first[name]
            if pause == 0:
                self._first[name] = here
        else:
            self._reason[name] = "the car hardly moves"

    def _judge(
        self, before: CameraImage, after: CameraImage, camera: Camera, move: F64, travel: float
    ) -> None:
        try:
            first, second = decode(before), decode(after)
        except InputError as error:
            self._reason[camera.name] = str(error)
            return
        pair = _shrunk(first, second, camera)
        turn = None if pair is None else _turn(*pair, move)
        if pair is None or turn is None:
            self._reason[camera.name] = "too few points could be followed"
            return
        mask = self._masks.get(camera.name)
        if mask is None:
            mask = self._masks[camera.name] = ground_mask(pair[2])
        scale = ground_scale(*pair, move, mask)
        self._pairs[camera.name].append(_Pair(after.stamp_ns, turn, scale, travel))

    def _pose_at(self, stamp_ns: int) -> F64 | None:
        for early, late in pairwise(self._poses):
            span = late.stamp_ns - early.stamp_ns
            if early.stamp_ns <= stamp_ns <= late.stamp_ns and 0 < span <= LONGEST_POSE_NS:
                part = (stamp_ns - early.stamp_ns) / span
                return interpolate_rigid(early.world_from_ego, late.world_from_ego, part)
        return None


def _spread(pairs: list[_Pair]) -> list[_Pair]:
    """Pairs from different places, once there are enough of them; else all."""
    kept: list[_Pair] = []
    for pair in pairs:
        if not kept or pair.stamp_ns - kept[-1].stamp_ns >= PAUSE_NS:
            kept.append(pair)
    return kept if len(kept) >= SPREAD_PAIRS else pairs


def turn_seen(first: U8, second: U8, camera: Camera, cam2_from_cam1: F64) -> CameraRotation | None:
    """How far the motion that two images show is turned against `cam2_from_cam1`; None where too
    few points could be followed or hardly anything moves in the picture."""
    pair = _shrunk(first, second, camera)
    return None if pair is None else _turn(*pair, cam2_from_cam1)


def _shrunk(first: U8, second: U8, camera: Camera) -> tuple[U8, U8, Camera] | None:
    """Both images, grey and at most WIDTH wide, and their camera; None for those of another
    size. Small ones are not enlarged: that would make noise look like motion."""
    if first.shape != second.shape or first.shape[:2] != (camera.height, camera.width):
        return None
    width = min(WIDTH, camera.width)
    small1, fitted = fit(first, camera, width)
    small2, _ = fit(second, camera, width)
    assert fitted is not None
    grey1, grey2 = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (small1, small2))
    return np.asarray(grey1, np.uint8), np.asarray(grey2, np.uint8), fitted


def _turn(grey1: U8, grey2: U8, fitted: Camera, cam2_from_cam1: F64) -> CameraRotation | None:
    tracks = follow(grey1, grey2)
    if len(tracks) < LEAST_POINTS:
        return None
    flow = float(np.median(np.linalg.norm(tracks[:, 1] - tracks[:, 0], axis=1)))
    if flow < LEAST_FLOW * fitted.width / WIDTH:
        return None
    ray1, ray2 = unproject(fitted, tracks[:, 0]), unproject(fitted, tracks[:, 1])
    ray1 = ray1 @ cam2_from_cam1[:3, :3].T
    good = np.isfinite(ray1).all(1) & np.isfinite(ray2).all(1)
    expected = -cam2_from_cam1[:3, 3]  # points move backwards when the camera moves forward
    shown = direction_of_motion(ray1[good], ray2[good])
    shown = shown * np.sign(shown @ expected)
    plane = np.cross(shown, ray1[good])
    leave = np.abs(np.sum(ray2[good] * plane, axis=1)) / np.linalg.norm(plane, axis=1)
    ego_from_cam = fitted.ego_from_cam[:3, :3]
    (yaw1, pitch1), (yaw2, pitch2) = (_angles(ego_from_cam @ d) for d in (expected, shown))
    residual = float(np.median(leave) * fitted.intrinsics[0, 0])
    return CameraRotation(float(wrap_angle(yaw2 - yaw1)), pitch2 - pitch1, residual)


def direction_of_motion(ray1: F64, ray2: F64) -> F64:
    """(3,) unit vector t with t . (ray1 x ray2) = 0 for as many points as possible; its sign is
    arbitrary. Reweighted so that points far from it lose their say. ray1, ray2: (n, 3), already
    freed of the rotation."""
    normals = np.cross(ray1, ray2)
    size = np.linalg.norm(normals, axis=1)
    weight = np.ones(len(normals))
    motion = np.zeros(3)
    for _ in range(20):
        weighted = normals * weight[:, None]
        motion = np.linalg.eigh(weighted.T @ weighted)[1][:, 0]
        distance = np.abs(normals @ motion) / np.maximum(size, 1e-9)
        weight = 1.0 / (distance + max(float(np.median(distance)), 1e-5))  # Cauchy's, nearly
    return motion


def _angles(direction: F64) -> tuple[float, float]:
    """Yaw and pitch (up) [rad] of a direction in the ego frame."""
    x, y, z = direction
    return float(np.arctan2(y, x)), float(np.arctan2(z, np.hypot(x, y)))
