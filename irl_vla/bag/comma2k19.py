"""A comma2k19 segment -> ego motion. Its video is not read: there are no pictures.

Layout: global_pose/frame_{times,positions,orientations}: [s], ECEF [m], quaternion (w, x, y, z)
that turns the device frame (x forward, y right, z down) into ECEF
(https://github.com/commaai/comma2k19). The world here is the first frame, x forward, z up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from irl_vla.bag.folder_recording import FolderRecording
from irl_vla.foreign import refuse_special
from irl_vla.frames import inverse, rigid, rigid_from_quaternion
from irl_vla.types import F64, SECOND_NS, EgoMotion, InputError

DEVICE_FROM_EGO = rigid(np.diag([1.0, -1.0, -1.0]), (0.0, 0.0, 0.0))
SOURCE = "comma2k19 global_pose"


def is_comma2k19(folder: Path) -> bool:
    """Whether a folder holds the poses of a comma2k19 segment."""
    return (folder / "global_pose").is_dir()


def open_comma2k19(folder: Path) -> FolderRecording:
    """Poses of the segment in `folder`. Raises InputError."""
    poses = folder / "global_pose"
    times = _numbers(poses, "frame_times", ())
    positions = _numbers(poses, "frame_positions", (3,))
    orientations = _numbers(poses, "frame_orientations", (4,))
    if not len(times) == len(positions) == len(orientations) > 0:
        raise InputError(
            f"{poses}: expected as many times as positions and orientations, got {len(times)}, "
            f"{len(positions)} and {len(orientations)}"
        )
    earth_from_ego = [
        rigid_from_quaternion(p.tolist(), (*q[1:].tolist(), float(q[0]))) @ DEVICE_FROM_EGO
        for p, q in zip(positions, orientations, strict=True)
    ]
    first_from_earth = inverse(earth_from_ego[0])
    motion = tuple(
        EgoMotion(round(t * SECOND_NS), first_from_earth @ pose, None, SOURCE)
        for t, pose in zip(times.tolist(), earth_from_ego, strict=True)
    )
    return FolderRecording(
        folder, "comma2k19", motion,
        missing=("no cameras: a comma2k19 segment is read for its ego motion only",),
    )  # fmt: skip


def _numbers(folder: Path, name: str, shape: tuple[int, ...]) -> F64:
    """An array file, with or without the suffix .npy; never unpickled."""
    path = next((p for p in (folder / f"{name}.npy", folder / name) if p.is_file()), None)
    if path is None:
        raise InputError(f"{folder}: no file {name}.npy")
    refuse_special(path)
    try:
        # mapped: a header that promises more than the file holds is refused before memory is taken
        stored = np.load(path, allow_pickle=False, mmap_mode="r")
        array = np.asarray(stored, np.float64)
    except (OSError, ValueError, TypeError, OverflowError, EOFError) as error:
        raise InputError(f"{path}: not a readable array: {error}") from None
    if array.shape[1:] != shape or array.ndim == 0 or not np.all(np.isfinite(array)):
        raise InputError(f"{path}: expected finite numbers (n, {shape}), got {array.shape}")
    return array
