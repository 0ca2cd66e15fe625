"""Poses against twists: do the speed and yaw rate that a source states belong to its own poses?

Over windows of about half a second the body-frame displacement of the poses per second is compared
with the mean twist. Both are of the same body, so they must agree, whatever the car does.
v = R(psi)^T (p2 - p1) / dt     with psi the heading in the middle of the window
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from irl_vla.frames import pose_of, wrap_angle
from irl_vla.types import F64, SECOND_NS

WINDOW_NS = SECOND_NS * 2 // 5
LONGEST_NS = SECOND_NS * 3 // 2  # a window with a gap says nothing
LEAST_SPEED = 1.0  # [m/s] by which they must differ at least to contradict each other ...
LEAST_SHARE = 0.25  # ... and this part of the greater speed
LEAST_WINDOWS = 3
MOST_KEPT = 4000  # windows


@dataclass(frozen=True)
class TwistAgreement:
    """windows: that were compared; apart: median difference of velocity [m/s]; bound: what it may
    be; pose_speed, twist_speed: medians [m/s]; still: the poses never change at all; turned: the
    twist agrees once it is turned by the heading, so it is given in the world's frame"""

    windows: int
    apart: float
    bound: float
    pose_speed: float
    twist_speed: float
    still: bool
    turned: bool

    @property
    def contradicts(self) -> bool:
        """Whether one of them cannot be true."""
        return self.windows >= LEAST_WINDOWS and self.apart > self.bound

    def sentence(self, topic: str) -> str:
        """What was found, for people."""
        if not self.contradicts:
            return (
                f"{topic}: twist and poses agree within {self.apart:.2f} m/s "
                f"({self.windows} windows)"
            )
        frame = ": it is in the frame of the poses, not of the car" if self.turned else ""
        used = "the twist is used" if self.still else "the poses are used"
        return (
            f"{topic}: its twist says {self.twist_speed:.1f} m/s, its poses move at "
            f"{self.pose_speed:.1f} m/s, {self.apart:.1f} m/s apart{frame}; {used}"
        )


class TwistAgainstPoses:
    """Takes a source's measurements in the order of their stamps."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, F64, F64]] = deque()
        self._rows: deque[tuple[float, float, float, float]] = deque(maxlen=MOST_KEPT)
        self._first: F64 | None = None
        self._moved = False

    def add(self, stamp_ns: int, world_from_body: F64, twist: F64) -> None:
        """twist: (3,) vx, vy, yaw rate in the body's frame. Numbers that are none are left out."""
        if not (np.isfinite(world_from_body).all() and np.isfinite(twist).all()):
            return
        pose = pose_of(world_from_body)
        self._first = pose if self._first is None else self._first
        self._moved = self._moved or not np.array_equal(pose, self._first)
        if self._recent and not 0 < stamp_ns - self._recent[-1][0] < LONGEST_NS:
            self._recent.clear()
        self._recent.append((stamp_ns, pose, twist))
        if stamp_ns - self._recent[0][0] >= WINDOW_NS:
            self._compare()
            self._recent.clear()
            self._recent.append((stamp_ns, pose, twist))

    def _compare(self) -> None:
        begin, end = self._recent[0], self._recent[-1]
        seconds = (end[0] - begin[0]) / SECOND_NS
        step = (end[1][:2] - begin[1][:2]) / seconds
        middle = float(begin[1][2] + wrap_angle(end[1][2] - begin[1][2]) / 2)
        cos, sin = np.cos(middle), np.sin(middle)
        moved = np.array([cos * step[0] + sin * step[1], -sin * step[0] + cos * step[1]])
        said = np.mean([twist[:2] for _, _, twist in self._recent], axis=0)
        self._rows.append((
            float(np.hypot(*(moved - said))), float(np.hypot(*(step - said))),
            float(np.hypot(*moved)), float(np.hypot(*said)),
        ))  # fmt: skip

    def result(self) -> TwistAgreement:
        """So far."""
        if not self._rows:
            return TwistAgreement(0, 0.0, LEAST_SPEED, 0.0, 0.0, False, False)
        apart, turned, moved, said = np.median(np.array(self._rows), axis=0)
        bound = max(LEAST_SPEED, LEAST_SHARE * max(moved, said))
        return TwistAgreement(
            len(self._rows), float(apart), float(bound), float(moved), float(said),
            not self._moved, bool(turned <= bound < apart),
        )  # fmt: skip
