"""Calibration of a frame -> our Rig, with the full distortion: nothing is undistorted."""

from __future__ import annotations

import cv2
import numpy as np

from irl_vla.camera.rig import Camera, CameraModel, Rig
from irl_vla.navsim.records import LogFrame
from irl_vla.navsim.sensors import camera_geometry
from irl_vla.types import FrameSet, InputError


def image_size(encoded: bytes) -> tuple[int, int]:
    """Width and height [px] of an encoded image."""
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise InputError("image: not decodable. Copy or download it again.")
    return int(pixels.shape[1]), int(pixels.shape[0])


def rig_of(frame: LogFrame, frames: FrameSet, name: str = "navsim") -> Rig:
    """Calibration of the cameras that have an image in `frames`; the size is that of the file."""
    cameras = []
    for camera, image in frames.images.items():
        intrinsics, distortion, ego_from_cam = camera_geometry(frame.cameras[camera])
        width, height = image_size(image.encoded or b"")
        cameras.append(
            Camera(
                name=camera,
                width=width,
                height=height,
                model=CameraModel.PLUMB_BOB,
                intrinsics=intrinsics,
                distortion=distortion,
                ego_from_cam=ego_from_cam,
            )
        )
    return Rig(name, tuple(cameras))
