"""Bird's eye pictures, ego up: boxes, candidates, plan, route; and the rig from above.

In: values in the ego frame   Out: RGB   May import: frames, camera, types, drawing, palette.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from irl_vla.camera.projection import BevGrid, unproject
from irl_vla.camera.rig import Camera, Rig
from irl_vla.frames import wrap_angle
from irl_vla.types import F64, U8, Boxes3D, Trajectory
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.view import drawing
from irl_vla.view.camera import corners_of, dense_path
from irl_vla.view.palette import (
    BLUE,
    CANVAS,
    FAINT,
    GREEN,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WHITE,
    YELLOW,
    class_color,
    speed_colors,
)

BACK = 3.0  # a window reaches three times as far ahead as behind
SIDE = 0.55  # of its reach ahead, to either side
_WEDGES = (SKY, ORANGE, GREEN, YELLOW, PURPLE, VERMILLION, BLUE, WHITE)


@dataclass(frozen=True)
class BevWindow:
    """The part of the ground a picture shows. Ego frame, x up, y to the left.

    front, back, side: reach [m] ahead, behind (positive), to either side; scale: [px/m]
    """

    front: float
    back: float
    side: float
    scale: float

    def pixels(self, points: F64) -> F64:
        """(..., 2) x, y [m] -> (..., 2) u, v."""
        return np.stack(
            [(self.side - points[..., 1]) * self.scale, (self.front - points[..., 0]) * self.scale],
            -1,
        )

    def canvas(self) -> U8:
        """An empty picture."""
        size = round((self.front + self.back) * self.scale), round(2 * self.side * self.scale)
        return np.full((*size, 3), CANVAS, np.uint8)


def window_for(reach: float, height: int) -> BevWindow:
    """The smallest of a few fixed windows that shows `reach` metres ahead, `height` px high: fixed,
    so that the scale does not breathe from frame to frame."""
    front = next((f for f in (36.0, 56.0, 64.0, 90.0) if reach <= 0.95 * f), 140.0)
    back = front / BACK
    return BevWindow(front, back, SIDE * front, height / (front + back))


def paint_metres(image: U8, window: BevWindow, step: float) -> None:
    """Grid with labels in metres along the forward axis and to the sides."""
    xs = np.arange(-np.floor(window.back / step) * step, window.front, step)
    ys = np.arange(-np.floor(window.side / step) * step, window.side, step)
    lines = [window.pixels(np.array([[x, -window.side], [x, window.side]])) for x in xs]
    lines += [window.pixels(np.array([[-window.back, y], [window.front, y]])) for y in ys]
    drawing.strokes(image, lines, FAINT)
    size = drawing.text_size(image.shape[0])
    for x in xs[xs > 2.5 * size / window.scale - window.back]:  # the corner is for the other axis
        u, v = window.pixels(np.array([x, window.side]))
        _label(image, f"{x:.0f} m", (u + 4, v - 1.4 * size), size)
    for y in ys[np.abs(ys) > 1e-6]:
        u, v = window.pixels(np.array([-window.back, y]))
        _label(image, f"{y:.0f}", (u + 3, v - 1.5 * size), size)


def _label(image: U8, text: str, corner: tuple[float, float], size: int) -> None:
    """Metres, with whatever lies beneath dimmed."""
    left, top = (max(0, round(value)) for value in corner)
    height, width = drawing.letters(text, size).shape
    part = image[top : top + height, left : left + width]
    drawing.blend(part, np.full(part.shape[:2], 255, np.uint8), CANVAS, 0.7)
    drawing.write(image, text, left, top, size, MUTED)


def paint_ego(image: U8, window: BevWindow, vehicle: Vehicle = PACIFICA) -> None:
    """The ego as a box with a nose; the origin, its rear axle, as a dot."""
    rear, front, half = -vehicle.rear_length, vehicle.front_length, vehicle.width / 2
    shape = np.array([[rear, half], [front - 0.9, half], [front, half * 0.45],
                      [front, -half * 0.45], [front - 0.9, -half], [rear, -half]])  # fmt: skip
    cv2.fillPoly(
        image, [drawing.fixed(window.pixels(shape))], (214, 219, 226), cv2.LINE_AA, drawing.SHIFT
    )
    drawing.dot(image, window.pixels(np.zeros(2)), 2.0, VERMILLION)


def reach_of(area: BevGrid) -> float:
    """The reach for `window_for` that shows the whole of an observed grid [m]."""
    side = max(abs(edge) for edge in area.y) / SIDE
    return max(area.x[1], BACK * max(0.0, -area.x[0]), side)


def paint_boxes_above(image: U8, window: BevWindow, boxes: Boxes3D, dashed: bool = False) -> None:
    """Outlines with a line from the middle to the front; an arrow of one second where the velocity
    is known. dashed: the outline alone, in dashes: known rather than detected."""
    for index, corners in enumerate(corners_of(boxes)[:, :4, :2]):
        color = class_color(boxes.labels[index])
        outline = window.pixels(corners)
        ring = np.vstack([outline, outline[:1]])
        if dashed:
            drawing.strokes(image, drawing.dashes(ring, 3.0), color, 1)
            continue
        cover = np.zeros(image.shape[:2], np.uint8)
        cv2.fillConvexPoly(cover, drawing.fixed(outline), 255, cv2.LINE_AA, drawing.SHIFT)
        drawing.blend(image, cover, color, 0.35)
        drawing.stroke(image, ring, color, 1)
        center = boxes.centers[index, :2]
        drawing.stroke(image, window.pixels(np.stack([center, corners[:2].mean(0)])), color, 1)
        moving = boxes.velocities[index]
        if np.isfinite(moving).all() and np.linalg.norm(moving) > 0.5:
            tip = window.pixels(np.stack([center, center + moving]))
            drawing.stroke(image, tip, WHITE, 1)
            drawing.dot(image, tip[1], 1.5, WHITE)


def paint_lines_above(
    image: U8, window: BevWindow, lines: Sequence[F64], color: tuple[int, int, int], alpha: float
) -> None:
    """Thin lines, each (n, 2) [m]: candidates, a route, lane borders."""
    drawing.strokes(image, [window.pixels(line) for line in lines], color, 1, alpha)


def paint_plan_above(image: U8, window: BevWindow, trajectory: Trajectory) -> None:
    """The chosen trajectory, coloured by speed, a dot at every pose."""
    path = dense_path(trajectory)
    pixels, colors = window.pixels(path.points), speed_colors(path.speed)
    drawing.stroke(image, pixels, WHITE, max(3, round(window.scale * 0.5)) + 2)
    for i in range(len(pixels) - 1):
        drawing.stroke(image, pixels[i : i + 2], colors[i], max(3, round(window.scale * 0.5)))
    for place in trajectory.poses[:, :2]:
        drawing.dot(image, window.pixels(place), 2.0, WHITE)


def coverage(camera: Camera, reach: float) -> F64:
    """(n, 2) outline [m] of the ground sector between the left and right border of the image."""
    columns = np.linspace(0.0, camera.width - 1.0, 25)
    rows = np.linspace(0.0, camera.height - 1.0, 9)
    u, v = np.meshgrid(columns, rows)
    rays = unproject(camera, np.stack([u, v], -1)) @ camera.ego_from_cam[:3, :3].T
    view = np.arctan2(camera.ego_from_cam[1, 2], camera.ego_from_cam[0, 2])
    level = np.abs(rays[..., 2]) < 0.5  # nearly horizontal rays span the view from above
    azimuth = np.arctan2(rays[..., 1], rays[..., 0])[level & np.isfinite(rays).all(-1)]
    eye = camera.ego_from_cam[:2, 3]
    if len(azimuth) == 0:  # looks straight down or up
        return np.repeat(eye[None], 3, axis=0)
    turn = wrap_angle(azimuth - view)
    sweep = view + np.linspace(turn.min(), turn.max(), 40)
    arc = eye + reach * np.stack([np.cos(sweep), np.sin(sweep)], -1)
    return np.vstack([eye[None], arc, eye[None]])


def paint_rig(rig: Rig, height: int = 560) -> U8:
    """The rig from above: where each camera stands, where it looks, what it covers."""
    window = BevWindow(9.0, 7.0, 9.0, height / 16.0)
    image = window.canvas()
    paint_metres(image, window, 2.0)
    colors = [_WEDGES[i % len(_WEDGES)] for i in range(len(rig.cameras))]
    for camera, color in zip(rig.cameras, colors, strict=True):
        outline = window.pixels(coverage(camera, 5.0))
        cover = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(cover, [drawing.fixed(outline)], 255, cv2.LINE_AA, drawing.SHIFT)
        drawing.blend(image, cover, color, 0.2)
        drawing.strokes(image, [outline], color, 1, 0.9)
    paint_ego(image, window, rig.vehicle)
    for camera, color in zip(rig.cameras, colors, strict=True):
        eye, ahead = camera.ego_from_cam[:2, 3], camera.ego_from_cam[:2, 2]
        drawing.dot(image, window.pixels(eye), 4.0, color)
        flat = np.linalg.norm(ahead)
        place = window.pixels(eye + ahead / flat * 6.2 if flat > 0.1 else eye)
        text = camera.name
        rows, columns = drawing.letters(text, 12).shape
        left = float(np.clip(place[0] - columns / 2, 2, image.shape[1] - columns - 10))
        top = float(np.clip(place[1] - rows / 2, 2, image.shape[0] - rows - 4))
        drawing.chip(image, text, left, top, 12, color, 0.95)
    return image
