"""Paint the world into camera images: ground grid, horizon, 3D boxes, trajectories.

Everything is given in the ego frame and goes through the camera's full model, so it bends as the
lens does. Lines are cut into short pieces; a piece is drawn only if both ends lie in front of the
camera and inside the lens model's domain, so nothing behind ever wraps into the picture.
In: RGB image in place, Camera of those very pixels   May import: camera, types, frames, drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from irl_vla.camera.projection import project
from irl_vla.camera.rig import Camera, resized
from irl_vla.frames import box_corners, inverse, move, step_lengths
from irl_vla.types import F64, U8, Boxes3D, Trajectory
from irl_vla.vehicle import PACIFICA
from irl_vla.view import drawing
from irl_vla.view.palette import (
    BLACK,
    SKY,
    VERMILLION,
    WHITE,
    YELLOW,
    Rgb,
    class_color,
    speed_colors,
)

GRID_STEP = 5.0  # [m] between grid lines
GRID_REACH = (-60.0, 60.0)  # [m] forward and to either side
PIECE = 0.5  # [m] of a grid line or path between projected points
EDGE_PIECES = 12  # of one edge of a box
KEPT_ALPHA, REFUSED_ALPHA = 0.7, 0.5  # of candidates: dozens of them must stay legible
MARGIN = 1.0  # of the image size: how far outside the image points are still followed
EDGES = np.array(
    [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]]
)


def fit(image: U8, camera: Camera | None, width: int) -> tuple[U8, Camera | None]:
    """Image (h, w, 3) and its camera at another width, aspect kept; pixels and intrinsics move
    together."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    small = drawing.resized(image, width, height)
    return small, None if camera is None else resized(camera, width, height)


def seen(camera: Camera, points_ego: F64) -> F64:
    """(..., 3) points in the ego frame -> (..., 2) pixels, also up to MARGIN outside the image;
    NaN where behind the camera, outside the lens model or further off."""
    pixels = project(camera, move(points_ego, inverse(camera.ego_from_cam))).pixels
    size = np.array([camera.width, camera.height])
    off = np.max(np.abs(pixels - size / 2) / size, axis=-1, keepdims=True)
    return np.where(off <= 0.5 + MARGIN, pixels, np.nan)


def paint_grid(image: U8, camera: Camera) -> None:
    """Lines every 5 m on z = 0, fainter with distance; forward axis and 10 m marks stand out."""
    ticks = np.arange(GRID_REACH[0], GRID_REACH[1] + GRID_STEP / 2, GRID_STEP)
    along = np.arange(GRID_REACH[0], GRID_REACH[1] + PIECE / 2, PIECE)
    tick, run = np.meshgrid(ticks, along, indexing="ij")
    lines = np.concatenate([np.stack([tick, run], -1), np.stack([run, tick], -1)])
    points = np.concatenate([lines, np.zeros((*lines.shape[:2], 1))], -1)
    eye = camera.ego_from_cam[:2, 3]
    distance = np.linalg.norm(lines - eye, axis=-1)
    pixels = seen(camera, points)
    for near, far, alpha in ((0.0, 15.0, 0.55), (15.0, 30.0, 0.4), (30.0, 60.0, 0.22)):
        band = (distance >= near - PIECE) & (distance < far)
        parts = list(np.where(band[..., None], pixels, np.nan))
        drawing.strokes(image, parts, BLACK, 3, 0.7 * alpha)  # seen on bright ground, too
        drawing.strokes(image, parts, WHITE, 1, min(1.0, alpha + 0.15))
    ahead = np.stack([along, np.zeros_like(along), np.zeros_like(along)], -1)
    drawing.strokes(image, [seen(camera, ahead[along >= 0])], YELLOW, 1, 0.7)
    _distance_marks(image, camera)


def _distance_marks(image: U8, camera: Camera) -> None:
    """Labels at 10, 20, 30 m along the grid axis that this camera looks along most."""
    view = camera.ego_from_cam[:2, 2]
    axis = np.zeros(3)
    main = int(np.argmax(np.abs(view)))
    axis[main] = np.sign(view[main])
    taken: list[tuple[int, int, int, int]] = []
    for metres in (10.0, 20.0, 30.0):
        pixel = seen(camera, axis * metres)
        if np.isfinite(pixel).all() and _inside(image, pixel):
            _place(image, f"{metres:.0f} m", pixel, (30, 34, 40), taken)


def paint_horizon(image: U8, camera: Camera) -> None:
    """Dashes where directions parallel to the ground end."""
    azimuth = np.radians(np.arange(0.0, 360.5, 0.5))
    far = 1e6 * np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros_like(azimuth)], -1)
    pixels = seen(camera, far + camera.ego_from_cam[:3, 3])
    pixels[np.arange(len(pixels)) % 4 == 3] = np.nan
    drawing.strokes(image, [pixels], SKY, 1, 0.8)


def corners_of(boxes: Boxes3D) -> F64:
    """(n, 8, 3) corners in the ego frame: front left, front right, rear right, rear left; bottom,
    then top."""
    poses = np.column_stack([boxes.centers[:, :2], boxes.yaws])
    around = np.tile(box_corners(poses, boxes.sizes)[:, [0, 3, 2, 1]], (1, 2, 1))
    height = boxes.centers[:, 2:] + boxes.sizes[:, 2:] * np.repeat([-0.5, 0.5], 4)
    return np.concatenate([around, height[..., None]], axis=-1)


def paint_boxes(image: U8, camera: Camera, boxes: Boxes3D, dashed: bool = False) -> int:
    """Wire frames, far ones first, front face tinted and labelled; returns how many show.

    dashed: thin dashes without tint or label: known rather than detected
    """
    if len(boxes) == 0:
        return 0
    corners = corners_of(boxes)
    part = np.linspace(0.0, 1.0, EDGE_PIECES + 1)[:, None]
    ends = corners[:, EDGES]  # (n, 12, 2, 3)
    edges = seen(camera, ends[:, :, None, 0] * (1 - part) + ends[:, :, None, 1] * part)
    distance = np.linalg.norm(boxes.centers - camera.ego_from_cam[:3, 3], axis=1)
    order = [int(i) for i in np.argsort(-distance) if _shows(image, edges[i])]
    if dashed:
        for index in order:
            pieces = [piece for edge in edges[index] for piece in drawing.dashes(edge, 4.0)]
            drawing.strokes(image, pieces, class_color(boxes.labels[index]), 1, 0.9)
        return len(order)
    for index in order:
        color = class_color(boxes.labels[index])
        _tint_front(image, seen(camera, corners[index, [0, 1, 5, 4]]), color)
        drawing.strokes(image, list(edges[index]), color, 2 if distance[index] < 20 else 1)
        middle = corners[index, [0, 1, 2, 3]].mean(0)
        nose = corners[index, [0, 1]].mean(0)
        drawing.stroke(image, seen(camera, middle + part * (nose - middle)), color, 1)
    taken: list[tuple[int, int, int, int]] = []
    for index in reversed(order):  # near ones get their labels first
        _label(image, edges[index], boxes.labels[index], taken)
    return len(order)


def _shows(image: U8, pixels: F64) -> bool:
    return bool(_inside(image, pixels).any())


def _inside(image: U8, pixels: F64) -> np.ndarray:
    height, width = image.shape[:2]
    u, v = pixels[..., 0], pixels[..., 1]
    return np.asarray((u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1))


def _tint_front(image: U8, face: F64, color: Rgb) -> None:
    if np.isfinite(face).all():
        cover = np.zeros(image.shape[:2], np.uint8)
        cv2.fillConvexPoly(cover, drawing.fixed(face), 255, cv2.LINE_AA, drawing.SHIFT)
        drawing.blend(image, cover, color, 0.28)


def _label(image: U8, edges: F64, text: str, taken: list[tuple[int, int, int, int]]) -> None:
    """Class name above a box that is tall enough to be recognised, where no other label stands."""
    points = edges.reshape(-1, 2)
    points = points[np.isfinite(points).all(-1)]
    low, high = points.min(0), points.max(0)
    if high[1] - low[1] < 16:
        return
    middle = np.array([(max(low[0], 0) + min(high[0], image.shape[1] - 1)) / 2, max(low[1], 16)])
    _place(image, text.replace("_", " "), middle, class_color(text), taken)


def _place(
    image: U8, text: str, bottom_middle: F64, color: Rgb, taken: list[tuple[int, int, int, int]]
) -> None:
    """A chip above a pixel, unless it would cover another one or the caption in the corner."""
    size = drawing.text_size(min(image.shape[1], 2 * image.shape[0]))
    height, width = drawing.letters(text, size).shape
    left = float(np.clip(bottom_middle[0] - width / 2 - 4, 0, image.shape[1] - width - 8))
    top = max(0.0, float(bottom_middle[1]) - height - 3)
    box = (int(left), int(top), int(left) + width + 6, int(top) + height + 2)
    corner = (0, 0, image.shape[1] // 2, 2 * size + 5)
    if not any(_overlap(box, other) for other in [*taken, corner]):
        taken.append(drawing.chip(image, text, left, top, size, color, 0.85))


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass(frozen=True)
class DensePath:
    """A trajectory made dense. points: (n, 2) [m]; heading: (n,) [rad]; speed: (n,) [m/s];
    time_s: (n,)."""

    points: F64
    heading: F64
    speed: F64
    time_s: F64


def dense_path(trajectory: Trajectory) -> DensePath:
    """Straight pieces of at most PIECE between the poses, from the ego (t = 0) on."""
    poses = np.vstack([np.zeros(3), trajectory.poses])
    steps = step_lengths(poses)
    parts, speeds, times = [], [], []
    for i, length in enumerate(steps):
        fraction = np.linspace(0.0, 1.0, max(2, int(np.ceil(length / PIECE)) + 1))
        parts.append(poses[i, :2] + fraction[:, None] * (poses[i + 1, :2] - poses[i, :2]))
        speeds.append(np.full(len(fraction), length / trajectory.step_s))
        times.append((i + fraction) * trajectory.step_s)
    time_s = np.concatenate(times)
    known = np.arange(len(poses)) * trajectory.step_s
    heading = np.interp(time_s, known, np.unwrap(poses[:, 2]))
    return DensePath(np.concatenate(parts), heading, np.concatenate(speeds), time_s)


def paint_trajectory(
    image: U8, camera: Camera, trajectory: Trajectory, width: float = PACIFICA.width
) -> None:
    """A translucent ribbon on the ground, coloured by speed and fading with time, with a bar
    across at every pose and a dot at every full second."""
    path = dense_path(trajectory)
    side = np.stack([-np.sin(path.heading), np.cos(path.heading)], -1) * width / 2
    left, right = (
        seen(camera, _ground(path.points + side)),
        seen(camera, _ground(path.points - side)),
    )
    colors = speed_colors(path.speed)
    layer, cover = image.copy(), np.zeros(image.shape[:2], np.uint8)
    fade = np.round(np.interp(path.time_s, [0.0, path.time_s[-1]], [175, 80])).astype(int)
    for i in reversed(range(len(left) - 1)):
        quad = np.stack([left[i], left[i + 1], right[i + 1], right[i]])
        if np.isfinite(quad).all() and _shows(image, quad):
            cv2.fillConvexPoly(layer, drawing.fixed(quad), colors[i], cv2.LINE_8, drawing.SHIFT)
            cv2.fillConvexPoly(cover, drawing.fixed(quad), int(fade[i]), cv2.LINE_8, drawing.SHIFT)
    drawing.blend(image, cv2.blur(cover, (3, 3)), layer, 1.0)
    drawing.strokes(image, [left, right], WHITE, 1, 0.75)
    _waypoints(image, camera, trajectory, width)


def _waypoints(image: U8, camera: Camera, trajectory: Trajectory, width: float) -> None:
    yaw = trajectory.poses[:, 2]
    half = np.stack([-np.sin(yaw), np.cos(yaw)], -1) * width / 2
    places = trajectory.poses[:, :2]
    bars = [
        seen(camera, _ground(np.linspace(p - h, p + h, 9)))
        for p, h in zip(places, half, strict=True)
    ]
    drawing.strokes(image, bars, WHITE, 1, 0.6)
    for i, place in enumerate(places):
        if abs((i + 1) * trajectory.step_s % 1.0) < 1e-6:
            drawing.dot(image, seen(camera, _ground(place)), 3.0, WHITE)


def paint_candidates(
    image: U8, camera: Camera, poses: F64, step_s: float, rejected: Sequence[int] = ()
) -> None:
    """Thin centre lines of (K, T, 3) candidates; refused ones in vermillion, fainter, beneath."""
    kept: list[F64] = []
    refused: list[F64] = []
    for index, one in enumerate(poses):
        if np.isfinite(one).all():
            path = dense_path(Trajectory(one, step_s))
            (refused if index in rejected else kept).append(seen(camera, _ground(path.points)))
    drawing.strokes(image, refused, VERMILLION, 1, REFUSED_ALPHA)
    drawing.strokes(image, kept, SKY, 1, KEPT_ALPHA)


def _ground(points: F64) -> F64:
    """(..., 2) -> (..., 3) on z = 0."""
    return np.concatenate([points, np.zeros((*points.shape[:-1], 1))], -1)
