"""How high does a camera stand above the road, by its own pixels?

Points that the calibration puts on the ground are followed to a second image. The car's motion
between the two is known in metres, so each point's place follows from its two rays; the median
depth of these places below the camera, over the height that the calibration says, is 1 where
height, focal length and the scale of the ego motion belong together:
scale = median(-s z1) / h     with s from  s ray1 - u ray2 = way of the camera, h its height
In: two grey images and their camera   Out: a scale, or None   May import: camera, types.
"""

from __future__ import annotations

import cv2
import numpy as np

from irl_vla.camera.projection import unproject
from irl_vla.camera.rig import Camera
from irl_vla.types import F64, U8

NEAREST, FARTHEST = 2.5, 16.0  # [m] along the ground from the camera
BESIDE = 5.0  # [m] from the line in which the camera looks
BORDER = 6  # [px] at the lower edge: bonnets and frames of pictures
LEAST_POINTS = 12
LEAST_PARALLAX = 0.008  # [rad] between both rays; below, the depth is noise
WIDEST_SPREAD = 0.6  # quartile distance over median: more is no plane
WINDOW, LEVELS = (17, 17), 4  # of the pyramid in which points are followed
BACK = 0.5  # [px] a point that is followed there and back comes home so near


def ground_mask(camera: Camera) -> U8:
    """(H, W) uint8, 255 where the calibration sees the ground between NEAREST and FARTHEST."""
    step = 4
    u, v = np.meshgrid(np.arange(0.0, camera.width, step), np.arange(0.0, camera.height, step))
    rays = unproject(camera, np.stack([u, v], -1).reshape(-1, 2)) @ camera.ego_from_cam[:3, :3].T
    height = camera.ego_from_cam[2, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(rays[:, 2] < -1e-3, height / -rays[:, 2], 1e6)
        place = rays[:, :2] * reach[:, None]
    place = np.where(np.isfinite(place), place, 1e6)
    view = camera.ego_from_cam[:2, 2]
    ahead = view / max(float(np.linalg.norm(view)), 1e-9)
    along = place @ ahead
    aside = np.abs(place @ np.array([-ahead[1], ahead[0]]))
    good = (along > NEAREST) & (along < FARTHEST) & (aside < BESIDE)
    small = np.where(good.reshape(u.shape), 255, 0).astype(np.uint8)
    mask = cv2.resize(small, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
    mask[-BORDER:] = 0
    return np.asarray(mask, np.uint8)


def ground_scale(
    grey1: U8, grey2: U8, camera: Camera, cam2_from_cam1: F64, mask: U8
) -> float | None:
    """Height above the ground by the pixels over that by the calibration; None where too few
    points on the ground can be followed, or where they lie in no plane."""
    if not mask.any():
        return None
    tracks = follow(grey1, grey2, mask, quality=0.02)
    if len(tracks) < LEAST_POINTS:
        return None
    ego_from_cam = camera.ego_from_cam[:3, :3]
    cam1_from_cam2 = cam2_from_cam1[:3, :3].T
    ray1 = unproject(camera, tracks[:, 0]) @ ego_from_cam.T
    ray2 = unproject(camera, tracks[:, 1]) @ (ego_from_cam @ cam1_from_cam2).T
    way = ego_from_cam @ (-cam1_from_cam2 @ cam2_from_cam1[:3, 3])
    depth, good = _along_first(ray1, ray2, way)
    below = -(depth * ray1[:, 2])[good & (ray1[:, 2] < 0)]
    if len(below) < LEAST_POINTS:
        return None
    low, middle, high = np.percentile(below, [25, 50, 75])
    if middle <= 0 or high - low > WIDEST_SPREAD * middle:
        return None
    return float(middle / camera.ego_from_cam[2, 3])


def _along_first(ray1: F64, ray2: F64, way: F64) -> tuple[F64, np.ndarray]:
    """How far along each first ray the two rays come nearest, and whether that says anything.
    ray1, ray2: (n, 3) unit vectors; way: (3,) of the second eye from the first."""
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.sum(ray1 * ray2, axis=1)
        sine = 1.0 - cosine**2
        a, b = ray1 @ way, ray2 @ way
        first, second = (a - cosine * b) / sine, (cosine * a - b) / sine
        good = (np.arccos(np.clip(cosine, -1, 1)) > LEAST_PARALLAX) & (first > 0) & (second > 0)
    return np.asarray(first), np.asarray(good & np.isfinite(first))


def follow(first: U8, second: U8, mask: U8 | None = None, quality: float = 0.01) -> F64:
    """(n, 2, 2) points in both grey pictures that are found again when followed back. mask: where
    they may start; quality: of the weakest corner against the strongest."""
    start = cv2.goodFeaturesToTrack(first, 600, quality, 6, mask=mask)
    if start is None:
        return np.zeros((0, 2, 2))
    how = (None, None, None, WINDOW, LEVELS)
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, start, *how)
    back, again, _ = cv2.calcOpticalFlowPyrLK(second, first, there, *how)
    close = np.linalg.norm((back - start).reshape(-1, 2), axis=1) < BACK
    good = close & (found.ravel() == 1) & (again.ravel() == 1)
    both = np.stack([start.reshape(-1, 2), there.reshape(-1, 2)], axis=1)
    return np.asarray(both[good], np.float64)
