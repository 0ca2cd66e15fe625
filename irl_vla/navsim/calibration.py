"""Calibration of a frame -> our Rig, with the full distortion: nothing is undistorted."""

from __future__ import annotations

from irl_vla.camera.preprocess import image_size
from irl_vla.camera.rig import Camera, CameraModel, Rig
from irl_vla.navsim.records import LogFrame
from irl_vla.navsim.sensors import camera_geometry
from irl_vla.types import FrameSet


def rig_of(frame: LogFrame, frames: FrameSet, name: str = "navsim") -> Rig:
    """Calibration of the cameras that have an image in `frames`; the size is that of the file."""
    cameras = []
    for camera, image in frames.images.items():
        intrinsics, distortion, ego_from_cam = camera_geometry(frame.cameras[camera])
        width, height = image_size(image)
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
