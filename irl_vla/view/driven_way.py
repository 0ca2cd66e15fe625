"""Where the car really drove after each anchor, beside its plan: as lines over the pictures, and as
ADE and FDE.

ADE = mean_i |p_i - d_i|, FDE = |p_n - d_n| over the poses p of a plan whose time was driven, d.
In: places of the ego by stamp, plans   Out: poses, SVG points   May import: camera, frames, types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from irl_vla.camera.rig import Camera, Rig
from irl_vla.frames import arc_lengths, evenly_along, interpolate_rigid, inverse, pose_of
from irl_vla.types import F64, SECOND_NS
from irl_vla.view.bev import BevWindow
from irl_vla.view.camera import seen
from irl_vla.view.report import TileBox

LINE_STEP_NS = SECOND_NS // 5  # between points of the drawn line
HORIZON_NS = 4 * SECOND_NS
LONGEST_NS = SECOND_NS  # between two known places: farther apart, the way between is not known


class DrivenWay:
    """Remembers where the ego was, in stream order."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._places: list[F64] = []

    def add(self, stamp_ns: int, world_from_ego: F64) -> None:
        """One place; stamps that do not go forward are passed over."""
        if not self._stamps or stamp_ns > self._stamps[-1]:
            self._stamps.append(stamp_ns)
            self._places.append(world_from_ego)

    @property
    def line(self) -> tuple[F64, F64]:
        """x and y of all places in their world."""
        places = np.array([place[:2, 3] for place in self._places]).reshape(-1, 2)
        return places[:, 0], places[:, 1]

    def place(self, stamp_ns: int) -> F64 | None:
        """world_from_ego at a stamp; None where it is not known."""
        after = int(np.searchsorted(self._stamps, stamp_ns))
        if after < len(self._stamps) and self._stamps[after] == stamp_ns:
            return self._places[after]
        if not 0 < after < len(self._stamps):
            return None
        early, late = self._stamps[after - 1], self._stamps[after]
        if late - early > LONGEST_NS:
            return None
        part = (stamp_ns - early) / (late - early)
        return interpolate_rigid(self._places[after - 1], self._places[after], part)

    def poses(self, stamp_ns: int, step_ns: int, count: int) -> F64:
        """(n, 3) where the ego then was in its frame at `stamp_ns`: after one step, two steps ...,
        at most `count`, up to the first that is not known."""
        start = self.place(stamp_ns)
        rows: list[F64] = []
        while start is not None and len(rows) < count:
            later = self.place(stamp_ns + (len(rows) + 1) * step_ns)
            if later is None:
                break
            rows.append(pose_of(inverse(start) @ later))
        return np.array(rows).reshape(-1, 3)

    def words(self, stamp_ns: int, plan: F64, step_s: float) -> str:
        """ADE and FDE of a plan (n, 3) made at a stamp; "" where nothing of it was driven."""
        driven = self.poses(stamp_ns, round(step_s * SECOND_NS), len(plan))
        if not len(driven):
            return ""
        apart = np.linalg.norm(plan[: len(driven), :2] - driven[:, :2], axis=1)
        span = len(driven) * step_s
        return f" ADE {apart.mean():.2f} m, FDE {apart[-1]:.2f} m over {span:g} s."

    def way(self, stamp_ns: int) -> F64:
        """(n, 2) the next seconds in the ego frame, from the ego onwards; (0, 2) unknown."""
        poses = self.poses(stamp_ns, LINE_STEP_NS, HORIZON_NS // LINE_STEP_NS)
        if not len(poses):
            return np.zeros((0, 2))
        return np.vstack([np.zeros(2), poses[:, :2]])


def over_cameras(way: F64, rig: Rig | None, boxes: Sequence[TileBox]) -> tuple[str, ...]:
    """The way in every camera that sees it, as SVG points in parts of the picture of all."""
    if rig is None or len(way) < 2:
        return ()
    cameras = {camera.name: camera for camera in rig.cameras}
    lines: list[str] = []
    for box in boxes:
        if box.camera in cameras:
            lines += _in_tile(way, cameras[box.camera], box)
    return tuple(lines)


def _in_tile(way: F64, camera: Camera, box: TileBox) -> list[str]:
    points = np.column_stack([_dense(way), np.zeros(len(_dense(way)))])
    pixels = seen(camera, points)
    inside = np.isfinite(pixels).all(1)
    inside &= ((pixels >= 0) & (pixels <= [camera.width, camera.height])).all(1)
    parts = pixels / [camera.width, camera.height]
    parts = parts * [box.width, box.height] + [box.left, box.top]
    return _runs(parts, np.asarray(inside))


def over_bev(way: F64, window: BevWindow) -> tuple[str, ...]:
    """The way from above, as SVG points in parts of the picture."""
    if len(way) < 2:
        return ()
    points = _dense(way)
    u = (window.side - points[:, 1]) / (2 * window.side)
    v = (window.front - points[:, 0]) / (window.front + window.back)
    parts = np.column_stack([u, v])
    return tuple(_runs(parts, np.asarray(((parts >= 0) & (parts <= 1)).all(1))))


def _dense(way: F64) -> F64:
    """Points about 0.5 m apart, so that a line leaves a picture at its edge."""
    return evenly_along(way, max(2, min(200, int(arc_lengths(way)[-1] / 0.5) + 2)))


def _runs(parts: F64, inside: Any) -> list[str]:
    """SVG points of each stretch that is inside."""
    lines: list[str] = []
    run: list[str] = []
    for point, good in zip(parts, inside, strict=True):
        if good:
            run.append(f"{point[0]:.4f},{point[1]:.4f}")
        if (not good or point is parts[-1]) and run:
            lines += [" ".join(run)] if len(run) > 1 else []
            run = []
    return [*lines, *([" ".join(run)] if len(run) > 1 else [])]
