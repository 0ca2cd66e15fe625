"""What the car sees and wants, painted into a camera's own picture. No ROS here but cv_bridge,
where it works."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from irl_vla.camera.rig import Camera, resized
from irl_vla.messages.messages import header, new
from irl_vla.types import F64, U8, Boxes3D, Plan
from irl_vla.view import drawing
from irl_vla.view.camera import paint_boxes, paint_candidates, paint_trajectory, seen
from irl_vla.view.palette import YELLOW

LINE_STRIP, LINE_LIST = 4, 5  # of visualization_msgs/Marker
REASON_COLOUR = (30, 34, 40)


@dataclass(frozen=True)
class OverlayScene:
    """What is painted, in the ego frame of one anchor.

    plan: None where there was a refusal; reason: in words; lines: of the map, each (n, 3)
    """

    plan: Plan | None
    reason: str
    boxes: Boxes3D
    lines: tuple[F64, ...] = ()


def painted(picture: U8, camera: Camera, scene: OverlayScene) -> U8:
    """(h, w, 3) a copy of the picture with the scene in it. camera: of any size."""
    image = picture.copy()
    height, width = image.shape[:2]
    fitted = resized(camera, width, height)
    drawing.strokes(image, [seen(fitted, line) for line in scene.lines], YELLOW, 1, 0.8)
    paint_boxes(image, fitted, scene.boxes)
    if scene.plan is not None:
        rejected = [rejection.candidate for rejection in scene.plan.rejected]
        candidates = scene.plan.candidates
        paint_candidates(image, fitted, candidates.poses, candidates.step_s, rejected)
        paint_trajectory(image, fitted, scene.plan.trajectory)
    drawing.chip(image, scene.reason, 4, 4, drawing.text_size(width), REASON_COLOUR, 0.85)
    return image


def map_lines(message: Any) -> tuple[F64, ...]:
    """Lines of a visualization_msgs/MarkerArray, each (n, 3)."""
    found: list[F64] = []
    for marker in message.markers:
        points = np.array([(p.x, p.y, p.z) for p in marker.points], np.float64).reshape(-1, 3)
        if marker.type == LINE_STRIP and len(points) > 1:
            found.append(points)
        elif marker.type == LINE_LIST:
            found += list(points[: len(points) // 2 * 2].reshape(-1, 2, 3))
    return tuple(found)


def image_message(image: U8, stamp_ns: int, frame_id: str) -> Any:
    """RGB (h, w, 3) -> sensor_msgs/Image, by cv_bridge where that works beside this OpenCV (its
    wheels and the distribution's library often do not fit), else by our own lines."""
    bridge, wanted = _bridge(), header(stamp_ns, frame_id)
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image).reshape(-1)
    if bridge is not None:
        made = bridge.cv2_to_imgmsg(image, "rgb8")
        data, height, width = np.frombuffer(bytes(made.data), np.uint8), made.height, made.width
    return new(
        "sensor_msgs/msg/Image",
        header=wanted, height=height, width=width, encoding="rgb8", is_bigendian=0,
        step=3 * width, data=data,
    )  # fmt: skip


def compressed_message(image: U8, stamp_ns: int, frame_id: str, quality: int) -> Any:
    """RGB (h, w, 3) -> sensor_msgs/CompressedImage, JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return new(
        "sensor_msgs/msg/CompressedImage",
        header=header(stamp_ns, frame_id), format="rgb8; jpeg compressed bgr8",
        data=data.reshape(-1),
    )  # fmt: skip


@cache
def _bridge() -> Any:
    """A cv_bridge that works, or None."""
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        bridge.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "rgb8")
    except (ImportError, KeyError, AttributeError):  # not there; built for another OpenCV or NumPy
        return None
    return bridge


def uses_cv_bridge() -> bool:
    """Whether pictures go through cv_bridge."""
    return _bridge() is not None
