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
ROWS = 16  # of raw pixels, each so many-th row is compared


@dataclass
class _Run:
    checksum: int
    times: int
    place: F64 | None


@dataclass
class FrozenPictures:
    """Takes pictures and places in the order of recording."""

    _runs: dict[str, _Run] = field(default_factory=dict)
    _place: F64 | None = None

    def moved(self, world_from_ego: F64) -> None:
        """Where the ego is now, (4, 4)."""
        if np.isfinite(world_from_ego).all():
            self._place = world_from_ego[:3, 3]

    def times(self, image: CameraImage) -> int:
        """How often this picture has come in a row, if that makes the camera frozen; else 0."""
        checksum = _checksum(image)
        run = self._runs.get(image.camera)
        if run is None or run.checksum != checksum:
            self._runs[image.camera] = _Run(checksum, 1, self._place)
            return 0
        run.times += 1
        run.place = self._place if run.place is None else run.place
        return run.times if run.times > FROZEN_AFTER and self._has_moved(run) else 0

    def _has_moved(self, run: _Run) -> bool:
        if run.place is None or self._place is None:
            return False
        return float(np.linalg.norm(self._place - run.place)) > MOVED_M


def _checksum(image: CameraImage) -> int:
    if image.pixels is not None:
        return zlib.crc32(image.pixels[::ROWS].tobytes())
    return zlib.crc32(image.encoded or b"")
