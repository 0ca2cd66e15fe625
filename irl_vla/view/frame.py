"""One anchor as two pictures: the camera mosaic with everything painted in, and the bird's eye.

In: FrameSet, Rig or None, what is known in the ego frame   Out: RGB
May import: camera, types, view.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from irl_vla.camera.preprocess import decode, image_size
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import Camera, Rig
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.types import (
    U8,
    Boxes3D,
    CameraImage,
    FrameSet,
    InputError,
    Intent,
    Plan,
    SceneTokens,
)
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.view import bev, detections, drawing
from irl_vla.view.camera import (
    KEPT_ALPHA,
    REFUSED_ALPHA,
    fit,
    paint_boxes,
    paint_candidates,
    paint_grid,
    paint_horizon,
    paint_trajectory,
)
from irl_vla.view.mosaic import (
    USUAL_ASPECT,
    Tile,
    azimuth_of_name,
    mosaic,
    mosaic_boxes,
    tile_width,
)
from irl_vla.view.palette import GREEN, MUTED, SKY, VERMILLION
from irl_vla.view.report import TileBox

MS = 1_000_000  # [ns]


@dataclass(frozen=True)
class Overlay:
    """What is painted over the pixels of one anchor, where it is known.

    boxes: known from the recording; tokens: what was detected, in the observed grid `area`, to be
    read by `classes`. Where there is such a grid, known boxes are dashed, so that detected ones are
    told apart.
    """

    grid: bool = False
    boxes: Boxes3D | None = None
    plan: Plan | None = None
    intent: Intent | None = None
    tokens: SceneTokens | None = None
    area: BevGrid | None = None
    classes: SceneClasses = CLASSES
    vehicle: Vehicle = PACIFICA


def paint_cameras(frames: FrameSet, rig: Rig | None, overlay: Overlay, width: int) -> U8:
    """Mosaic of every camera that has an image or a reason why not; RGB, about `width` px
    wide. Without a rig the pictures are plain."""
    cameras = {camera.name: camera for camera in rig.cameras} if rig else {}
    names = [*cameras, *(n for n in [*frames.images, *frames.missing] if n not in cameras)]
    names = list(dict.fromkeys(names)) or ["cameras"]
    azimuths = [_azimuth(cameras[n]) if n in cameras else azimuth_of_name(n) for n in names]
    each = tile_width(azimuths, width)
    tiles = []
    for name, azimuth in zip(names, azimuths, strict=True):
        image = frames.images.get(name)
        if image is None:
            reason = frames.missing.get(name, "no image in this source")
            tiles.append(Tile(name, None, reason, azimuth))
        else:
            stamp = frames.anchor_stamp_ns
            tiles.append(_tile(image, stamp, cameras.get(name), azimuth, overlay, each))
    return mosaic(tiles, width)


def camera_boxes(frames: FrameSet, rig: Rig | None, width: int) -> tuple[TileBox, ...]:
    """Where `paint_cameras` puts each camera, in its rows' order."""
    cameras = {camera.name: camera for camera in rig.cameras} if rig else {}
    names = [*cameras, *(n for n in [*frames.images, *frames.missing] if n not in cameras)]
    names = list(dict.fromkeys(names)) or ["cameras"]
    azimuths = [_azimuth(cameras[n]) if n in cameras else azimuth_of_name(n) for n in names]
    aspects = []
    for image in frames.images.values():
        with suppress(InputError):
            size = image_size(image)
            aspects.append(size[0] / size[1])
    tiles = [Tile(name, None, "", azimuth) for name, azimuth in zip(names, azimuths, strict=True)]
    aspect = float(np.median(aspects)) if aspects else USUAL_ASPECT
    return tuple(mosaic_boxes(tiles, width, aspect).values())


def _azimuth(camera: Camera) -> float:
    return float(np.arctan2(camera.ego_from_cam[1, 2], camera.ego_from_cam[0, 2]))


def _tile(
    image: CameraImage, anchor_ns: int, camera: Camera | None, azimuth: float, overlay: Overlay,
    width: int,
) -> Tile:  # fmt: skip
    try:
        taken = image_size(image)
        pixels = decode(image, width)
    except InputError as error:
        return Tile(image.camera, None, str(error), azimuth)
    offset = (image.stamp_ns - anchor_ns) / MS
    note = "" if abs(offset) < 0.5 else f"{offset:+.0f} ms"
    if camera is not None and taken != (camera.width, camera.height):
        size, wanted = f"{taken[0]}x{taken[1]}", f"{camera.width}x{camera.height}"
        note = f"{note} image {size}, calibration {wanted}: nothing painted"
        camera = None
    small, fitted = fit(pixels, camera, width)
    if fitted is not None:
        paint_overlay(small, fitted, overlay)
    elif camera is None and "painted" not in note:
        note = f"{note} not calibrated".strip()
    return Tile(image.camera, small, note, azimuth)


def paint_overlay(image: U8, camera: Camera, overlay: Overlay) -> None:
    """Grid and horizon, candidates, the chosen trajectory, boxes: in this order, in place."""
    if overlay.grid:
        paint_grid(image, camera)
        paint_horizon(image, camera)
    plan = overlay.plan
    if plan is not None:
        refused = [rejection.candidate for rejection in plan.rejected]
        paint_candidates(image, camera, plan.candidates.poses, plan.candidates.step_s, refused)
        paint_trajectory(image, camera, plan.trajectory, overlay.vehicle.width)
    if overlay.boxes is not None:
        paint_boxes(image, camera, overlay.boxes, dashed=overlay.area is not None)
    if overlay.tokens is not None:
        paint_boxes(image, camera, detections.detected_boxes(overlay.tokens, overlay.classes))


def bev_window(overlay: Overlay, height: int) -> bev.BevWindow:
    """What `paint_bev` shows."""
    return bev.window_for(_reach(overlay), height)


def paint_bev(overlay: Overlay, height: int) -> U8:
    """Bird's eye of one anchor, `height` px high."""
    window = bev_window(overlay, height)
    image = window.canvas()
    tokens, area, intent = overlay.tokens, overlay.area, overlay.intent
    if tokens is not None and area is not None:
        detections.paint_ground(image, window, tokens, area, overlay.classes)
    if area is not None:
        detections.paint_area(image, window, area)
    bev.paint_metres(image, window, 10.0 if window.front < 80 else 20.0)
    if tokens is not None:
        detections.paint_map_found(image, window, tokens, overlay.classes)
    if intent is not None and intent.route is not None:
        bev.paint_lines_above(image, window, [intent.route], GREEN, 0.9)
    if overlay.plan is not None:
        _paint_candidates_above(image, window, overlay.plan)
    bev.paint_ego(image, window, overlay.vehicle)
    if overlay.plan is not None:
        bev.paint_plan_above(image, window, overlay.plan.trajectory)
    if overlay.boxes is not None:  # over the plan: what it would hit must be seen
        bev.paint_boxes_above(image, window, overlay.boxes, dashed=area is not None)
    if tokens is not None:
        bev.paint_boxes_above(image, window, detections.detected_boxes(tokens, overlay.classes))
    blank = tokens is not None and not detections.finds_something(tokens, overlay.classes)
    if area is not None and blank:
        _say_nothing_found(image)
    return image


def _reach(overlay: Overlay) -> float:
    """How far ahead the bird's eye must show [m]."""
    reach = 30.0 if overlay.area is None else bev.reach_of(overlay.area)
    if overlay.plan is not None:
        return float(np.nanmax(overlay.plan.trajectory.poses[:, 0], initial=reach))
    if overlay.boxes is not None and len(overlay.boxes):
        return max(reach, min(80.0, float(np.percentile(overlay.boxes.centers[:, 0], 80))))
    return reach


def _paint_candidates_above(image: U8, window: bev.BevWindow, plan: Plan) -> None:
    """All candidates, thin; refused ones fainter and beneath."""
    refused = {rejection.candidate for rejection in plan.rejected}
    paths = [np.vstack([np.zeros(2), one[:, :2]]) for one in plan.candidates.poses]
    kept = [path for i, path in enumerate(paths) if i not in refused]
    out = [paths[i] for i in sorted(refused)]
    bev.paint_lines_above(image, window, out, VERMILLION, REFUSED_ALPHA)
    bev.paint_lines_above(image, window, kept, SKY, KEPT_ALPHA)


def _say_nothing_found(image: U8) -> None:
    """In the corner, so that an empty picture is not taken for an empty road."""
    text, size = "nothing detected", drawing.text_size(image.shape[0])
    left = image.shape[1] - drawing.letters(text, size).shape[1] - 16
    drawing.chip(image, text, left, 6, size, MUTED, 0.9)
