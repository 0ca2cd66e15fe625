"""Do the pixels move as calibration and ego motion say they must? Evidence, not opinion.

Points are followed between two images of one camera. Seen through the calibration, a standing
thing must stay in the plane of its first ray and the camera's motion (epipolar constraint:
t . (R ray1 x ray2) = 0). So the pixels themselves tell the direction t in which the camera moved;
turned into the ego frame it must be the direction in which the car moved. The angle between the two
is the error of the camera's yaw and pitch (not of its roll, and hardly of the focal length: on a
straight road these leave t as it is). Moving things are outvoted.
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

WIDTH = 640  # [px] at which points are followed; residuals are in these pixels
LONGEST_NS = SECOND_NS // 2  # between two images; farther apart, points are lost
LEAST_TRAVEL = 0.3  # [m] between two images: below, standing and wrong look the same
MAX_PAIRS = 8  # per camera
PAUSE_NS = SECOND_NS  # between pairs, so that they see different places
LEAST_POINTS = 40
LEAST_FLOW = 2.0  # [px] median: below, nothing can be told
WINDOW, LEVELS = (17, 17), 4  # of the pyramid in which points are followed
KEEP_NS = 2 * SECOND_NS  # of ego motion


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
    image pair, empty if none could be judged; reason: why not, then."""

    turns: tuple[CameraRotation, ...]
    reason: str = ""


class MotionProbe:
    """Takes a stream's images and ego motion, follows points in a few pairs of every camera."""

    def __init__(self, rig: Rig) -> None:
        self._cameras = {camera.name: camera for camera in rig.cameras}
        self._poses: deque[EgoMotion] = deque()
        self._last: dict[str, CameraImage] = {}
        self._waiting: list[tuple[CameraImage, CameraImage]] = []
        self._judged_ns: dict[str, int] = {}
        self._turns: dict[str, list[CameraRotation]] = defaultdict(list)
        self._reason: dict[str, str] = {}

    def add_motion(self, motion: EgoMotion) -> None:
        """Remember a pose for a moment; judge the pairs that waited for it."""
        if not np.isfinite(motion.world_from_ego).all():
            return
        if self._poses and motion.stamp_ns <= self._poses[-1].stamp_ns:
            self._poses.clear()
        self._poses.append(motion)
        while motion.stamp_ns - self._poses[0].stamp_ns > KEEP_NS:
            self._poses.popleft()
        ready = [pair for pair in self._waiting if pair[1].stamp_ns <= motion.stamp_ns]
        self._waiting = [pair for pair in self._waiting if pair[1].stamp_ns > motion.stamp_ns]
        for before, after in ready:
            self._judge(before, after)

    def add_image(self, image: CameraImage) -> None:
        """Make a pair with the camera's last image, if there is need for one."""
        name = image.camera
        before, self._last[name] = self._last.get(name), image
        if name not in self._cameras or before is None:
            return
        apart = image.stamp_ns - before.stamp_ns
        if not 0 < apart <= LONGEST_NS:
            self._reason[name] = f"images are {apart / SECOND_NS:.1f} s apart"
            return
        if len(self._turns[name]) >= MAX_PAIRS or len(self._waiting) >= len(self._cameras):
            return
        if before.stamp_ns - self._judged_ns.get(name, -PAUSE_NS) >= PAUSE_NS:
            self._judged_ns[name] = image.stamp_ns
            self._waiting.append((before, image))

    def evidence(self) -> dict[str, MotionEvidence]:
        """What was found, camera by camera."""
        return {
            name: MotionEvidence(
                tuple(self._turns[name]),
                self._reason.get(name, "no two images with ego motion around them"),
            )
            for name in self._cameras
        }

    def _judge(self, before: CameraImage, after: CameraImage) -> None:
        camera = self._cameras[before.camera]
        first, second = self._pose_at(before.stamp_ns), self._pose_at(after.stamp_ns)
        if first is None or second is None:
            self._reason[camera.name] = "no ego motion around its images"
            return
        move = inverse(second @ camera.ego_from_cam) @ (first @ camera.ego_from_cam)
        if float(np.linalg.norm(move[:3, 3])) < LEAST_TRAVEL:
            self._reason[camera.name] = "the car hardly moves"
            return
        try:
            turn = turn_seen(decode(before), decode(after), camera, move)
        except InputError as error:
            self._reason[camera.name] = str(error)
            return
        if turn is None:
            self._reason[camera.name] = "too few points could be followed"
        else:
            self._turns[camera.name].append(turn)

    def _pose_at(self, stamp_ns: int) -> F64 | None:
        poses = list(self._poses)
        for early, late in pairwise(poses):
            span = late.stamp_ns - early.stamp_ns
            if early.stamp_ns <= stamp_ns <= late.stamp_ns and 0 < span <= LONGEST_NS:
                part = (stamp_ns - early.stamp_ns) / span
                return interpolate_rigid(early.world_from_ego, late.world_from_ego, part)
        return None


def turn_seen(first: U8, second: U8, camera: Camera, cam2_from_cam1: F64) -> CameraRotation | None:
    """How far the motion that two images show is turned against `cam2_from_cam1`; None where too
    few points could be followed or hardly anything moves in the picture."""
    if first.shape != second.shape or first.shape[:2] != (camera.height, camera.width):
        return None
    small1, fitted = fit(first, camera, WIDTH)
    small2, _ = fit(second, camera, WIDTH)
    assert fitted is not None
    tracks = _follow(small1, small2)
    if len(tracks) < LEAST_POINTS:
        return None
    if float(np.median(np.linalg.norm(tracks[:, 1] - tracks[:, 0], axis=1))) < LEAST_FLOW:
        return None
    ray1, ray2 = unproject(fitted, tracks[:, 0]), unproject(fitted, tracks[:, 1])
    ray1 = ray1 @ cam2_from_cam1[:3, :3].T
    good = np.isfinite(ray1).all(1) & np.isfinite(ray2).all(1)
    expected = -cam2_from_cam1[:3, 3]  # points move backwards when the camera moves forward
    shown = direction_of_motion(ray1[good], ray2[good])
    shown = shown * np.sign(shown @ expected)
    plane = np.cross(shown, ray1[good])
    leave = np.abs(np.sum(ray2[good] * plane, axis=1)) / np.linalg.norm(plane, axis=1)
    ego_from_cam = camera.ego_from_cam[:3, :3]
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


def _follow(first: U8, second: U8) -> F64:
    """(n, 2, 2) points in both pictures that are found again when followed back."""
    grey1, grey2 = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second))
    start = cv2.goodFeaturesToTrack(grey1, 600, 0.01, 6)
    if start is None:
        return np.zeros((0, 2, 2))
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        grey1, grey2, start, None, None, None, WINDOW, LEVELS
    )
    back, again, _ = cv2.calcOpticalFlowPyrLK(grey2, grey1, there, None, None, None, WINDOW, LEVELS)
    close = np.linalg.norm((back - start).reshape(-1, 2), axis=1) < 0.5
    good = close & (found.ravel() == 1) & (again.ravel() == 1)
    both = np.stack([start.reshape(-1, 2), there.reshape(-1, 2)], axis=1)
    return np.asarray(both[good], np.float64)
