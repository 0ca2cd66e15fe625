"""A replay as a rerun recording (.rrd): cameras with the plan drawn in, the plan in space, speed
and the reasons. rerun-sdk is an extra (irl-vla[rerun]) and imported when a file is made.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.bag.bag_files import Closing
from irl_vla.camera.rig import Rig
from irl_vla.drive.core import DrivingCore
from irl_vla.drive.step import Step
from irl_vla.evaluation.camera_lines import ground_line
from irl_vla.types import F64, CameraImage, InputError, Plan

EGO, TIMELINE = "world/ego", "recording"
PLANNED, OTHER = (0, 158, 115), (150, 150, 150)
ABOVE_GROUND_M = 0.1  # so that lines are not hidden by a ground plane
JPEG_START = b"\xff\xd8"


def refuse_without_rerun() -> None:
    """Said before a long recording is driven. Raises InputError."""
    if find_spec("rerun") is None:
        raise InputError("--rerun needs rerun-sdk: pip install 'irl-vla[rerun]'")


class RerunFile(Closing):
    """Writes one file; a context manager."""

    def __init__(self, path: Path, rig: Rig) -> None:
        refuse_without_rerun()
        import rerun  # an extra, and a second

        self._rerun: Any = rerun
        self._rig = rig
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream: Any = rerun.RecordingStream("irl-vla replay", recording_id=path.stem)
            self._stream.save(path)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: cannot be written: {error}") from None
        self._log_rig()

    def close(self) -> None:
        """Finish the file."""
        self._stream.flush()
        self._stream.disconnect()

    def _log(self, entity: str, *values: Any, static: bool = False) -> None:
        for value in values:
            self._stream.log(entity, value, static=static)

    def _log_rig(self) -> None:
        rr = self._rerun
        self._log("world", rr.ViewCoordinates.FLU, static=True)
        for camera in self._rig.cameras:
            pose = camera.ego_from_cam
            self._log(
                f"{EGO}/{camera.name}",
                rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]),
                rr.Pinhole(
                    image_from_camera=camera.intrinsics, resolution=[camera.width, camera.height],
                    camera_xyz=rr.ViewCoordinates.RDF, image_plane_distance=1.0,
                ),
                static=True,
            )  # fmt: skip

    def write(self, step: Step, core: DrivingCore) -> None:
        """One anchor."""
        rr, outcome = self._rerun, step.outcome
        stamp = outcome.anchor_stamp_ns
        self._stream.set_time(TIMELINE, timestamp=np.datetime64(stamp, "ns"))
        place = core.history.pose(stamp, step.ego.measured_ns) if step.ego.valid else None
        if place is not None:
            moved = rr.Transform3D(translation=place[:3, 3], mat3x3=place[:3, :3])
            self._log(EGO, moved)
            self._log("ego/speed", rr.Scalars(float(np.hypot(*step.ego.velocity))))
        for image in step.frames.images.values():
            self._log(f"{EGO}/{image.camera}/image", self._picture(image))
        self._log("outcome", rr.TextLog(f"{outcome.reason.value} {outcome.detail}".strip()))
        if isinstance(outcome, Plan):
            self._write_plan(outcome)
        else:
            self._stream.log(f"{EGO}/plan", rr.Clear(recursive=True))

    def _picture(self, image: CameraImage) -> Any:
        if image.encoded is None:
            return self._rerun.Image(image.pixels)
        kind = "image/jpeg" if image.encoded.startswith(JPEG_START) else "image/png"
        return self._rerun.EncodedImage(contents=image.encoded, media_type=kind)

    def _write_plan(self, plan: Plan) -> None:
        rr = self._rerun
        chosen = _line(plan.trajectory.poses)
        others = [_line(one) for one in plan.candidates.poses if np.isfinite(one).all()]
        self._log(f"{EGO}/plan", rr.LineStrips3D([chosen], colors=[PLANNED], radii=[0.15]))
        self._log(f"{EGO}/candidates", rr.LineStrips3D(others, colors=[OTHER], radii=[0.03]))
        for camera in self._rig.cameras:
            lines = ground_line(camera, plan.trajectory.poses)
            drawn = rr.LineStrips2D(lines, colors=[PLANNED], radii=[2.0])
            self._log(f"{EGO}/{camera.name}/plan", drawn)


def _line(poses: F64) -> F64:
    """(T, 3) planar poses -> (T + 1, 3) points above the ground, from the ego onwards."""
    points = np.vstack([np.zeros(3), poses])
    points[:, 2] = ABOVE_GROUND_M
    return points
