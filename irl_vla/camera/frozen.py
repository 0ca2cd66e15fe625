"""A camera that gives the same picture again and again: a real one never does, not even at night.

A world that stands still may look the same, so a run of equal pictures counts only when the car has
moved since its first.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from irl_vla.types import F64, CameraImage

FROZEN_AFTER = 5  # equal pictures in a row; more are frozen
MOVED_M = 0.5  # of the car, during them
ROWS = 16  # of raw pixels, each so many-th row of a recording is compared


@dataclass
class EqualPictures:
    """Counts equal pictures of each camera, in the order of arrival. rows: of raw pixels, each so
    many-th row is compared."""

    rows: int = 1
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)  # checksum, times

    def times(self, image: CameraImage) -> int:
        """How often this picture has come in a row, 1 for a new one."""
        checksum = self._checksum(image)
        before, times = self._last.get(image.camera, (None, 0))
        times = times + 1 if checksum == before else 1
        self._last[image.camera] = (checksum, times)
        return times

    def _checksum(self, image: CameraImage) -> int:
        if image.pixels is not None:
            return zlib.crc32(np.ascontiguousarray(image.pixels[:: self.rows]).data)
        return zlib.crc32(image.encoded or b"")


@dataclass
class FrozenPictures:
    """Takes pictures and places in the order of recording."""

    _equal: EqualPictures = field(default_factory=lambda: EqualPictures(ROWS))
    _began: dict[str, F64 | None] = field(default_factory=dict)  # where a run of equal ones began
    _place: F64 | None = None

    def moved(self, world_from_ego: F64) -> None:
        """Where the ego is now, (4, 4)."""
        if np.isfinite(world_from_ego).all():
            self._place = world_from_ego[:3, 3]

    def times(self, image: CameraImage) -> int:
        """How often this picture has come in a row, if that makes the camera frozen; else 0."""
        times = self._equal.times(image)
        if times == 1 or self._began[image.camera] is None:
            self._began[image.camera] = self._place
        return times if times > FROZEN_AFTER and self._has_moved(image.camera) else 0

    def _has_moved(self, camera: str) -> bool:
        began = self._began[camera]
        if began is None or self._place is None:
            return False
        return float(np.linalg.norm(self._place - began)) > MOVED_M
