"""Shapes made of flat convex quads: what everything that stands or drives is drawn with.

A quad has corners in order, counter-clockwise as seen from outside: low left, low right, high
right, high left. Balls, posts and crowns are quads that always turn towards the eye.
Frames: local to the thing, x forward, y left, z up [m], the ground at 0. May import: types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irl_vla.types import F32, F64

FLAT, PANEL, DISC, WHEEL, CUT, BALL, POST, CROWN = range(8)  # kinds; from BALL on they turn
SHAPE = 17  # numbers of a shape: corners 12, normal 3, height and swing [rad] of its joint
LOOK = 9  # colour 3, colour when lit 3, tile of the atlas, repeats across and up
FACE = 31  # number of a lamp that is never lit: the front of a signal, which shows its state

CLASSES = (
    "sky", "ground", "road", "marking", "pavement", "building", "plant", "pole", "sign",
    "traffic light", "vehicle", "person", "bicycle", "obstacle",
)  # fmt: skip
SKY, GROUND, ROAD, MARKING, PAVEMENT, BUILDING, PLANT, POLE, SIGN = range(9)
TRAFFIC_LIGHT, VEHICLE, PERSON, BICYCLE, OBSTACLE = range(9, 14)

Rgb = tuple[float, float, float]
BLACK: Rgb = (0.0, 0.0, 0.0)
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Quads:
    """n quads. shapes: (n, SHAPE); looks: (n, LOOK); tags: (n, 4) kind, lamp (bit number from 1,
    0: none; FACE: what lamps are mounted on), semantic class, variants of its tile."""

    shapes: F64
    looks: F32
    tags: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def bounds(self) -> tuple[F64, F64]:
        """(n, 3) lowest and highest x, y, z of each quad."""
        kind, corners = self.tags[:, 0], self.shapes[:, :12].reshape(-1, 4, 3)
        low, high = corners.min(axis=1), corners.max(axis=1)
        post, round_ = kind == POST, (kind == BALL) | (kind == CROWN)
        ends, reach = corners[post, :2], corners[post, 2, :2].max(axis=1)[:, None]
        low[post], high[post] = ends.min(axis=1) - reach, ends.max(axis=1) + reach
        half = corners[round_, 1][:, [0, 0, 1]]
        low[round_], high[round_] = corners[round_, 0] - half, corners[round_, 0] + half
        return low, high

    def balls(self, ends: NDArray[np.int64]) -> F64:
        """(m, 4) centre and radius around each group of quads. ends: (m + 1,) first quad of each
        group, none empty, and the number of all."""
        low, high = self.bounds
        least = np.minimum.reduceat(low, ends[:-1], axis=0)
        most = np.maximum.reduceat(high, ends[:-1], axis=0)
        radius = np.linalg.norm(most - least, axis=1, keepdims=True) / 2
        return np.concatenate([(least + most) / 2, radius], axis=1)

    def moved(self, poses: ArrayLike) -> Quads:
        """The same where the local frames stand at poses (4,) or (n, 4): x, y, yaw, z."""
        x, y, yaw, z = np.broadcast_to(np.asarray(poses, np.float64), (len(self), 4)).T
        c, s = np.cos(yaw), np.sin(yaw)
        kind = self.tags[:, 0]
        many = np.where(kind < BALL, 4, np.where(kind == POST, 2, 1))  # corners that are places
        shapes = self.shapes.copy()
        for k in range(4):
            place, moves = shapes[:, 3 * k : 3 * k + 3], many > k
            px, py = place[:, 0].copy(), place[:, 1].copy()
            place[:, 0] = np.where(moves, c * px - s * py + x, px)
            place[:, 1] = np.where(moves, s * px + c * py + y, py)
            place[:, 2] += np.where(moves, z, 0.0)
        nx, ny = shapes[:, 12].copy(), shapes[:, 13].copy()
        shapes[:, 12], shapes[:, 13] = c * nx - s * ny, s * nx + c * ny
        return Quads(shapes, self.looks, self.tags)


def joined(parts: Iterable[Quads]) -> Quads:
    """All of them as one."""
    many = list(parts)
    empty = Quads(np.zeros((0, SHAPE)), np.zeros((0, LOOK), np.float32), np.zeros((0, 4), np.int32))
    many.append(empty)
    return Quads(
        np.concatenate([m.shapes for m in many]), np.concatenate([m.looks for m in many]),
        np.concatenate([m.tags for m in many]),
    )  # fmt: skip


class QuadBuilder:
    """Collects quads of one thing. klass: their semantic class."""

    def __init__(self, klass: int) -> None:
        self.klass = klass
        self._shapes: list[list[float]] = []
        self._looks: list[tuple[float, ...]] = []
        self._tags: list[tuple[int, int, int, int]] = []

    def done(self) -> Quads:
        """What was collected."""
        count = len(self._tags)
        return Quads(
            np.array(self._shapes, np.float64).reshape(count, SHAPE),
            np.array(self._looks, np.float32).reshape(count, LOOK),
            np.array(self._tags, np.int32).reshape(count, 4),
        )

    def quad(
        self, corners: Sequence[Point], colour: Rgb, *, kind: int = FLAT, lamp: int = 0,
        lit: Rgb = BLACK, tile: int = 0, repeat: tuple[float, float] = (1.0, 1.0),
        variants: int = 1,
    ) -> None:  # fmt: skip
        """One quad; corners as the module says."""
        (ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz) = corners
        # normal of the two diagonals: right for any planar quad, also with two corners in one
        px, py, pz, qx, qy, qz = cx - ax, cy - ay, cz - az, dx - bx, dy - by, dz - bz
        nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        length = max((nx * nx + ny * ny + nz * nz) ** 0.5, 1e-12)
        flat = [ax, ay, az, bx, by, bz, cx, cy, cz, dx, dy, dz]
        self._shapes.append([*flat, nx / length, ny / length, nz / length, 0.0, 0.0])
        self._looks.append((*colour, *lit, float(tile), *repeat))
        self._tags.append((kind, lamp, self.klass, variants))

    def block(
        self, low: Point, high: Point, colour: Rgb, *, tile: int = -1, face: int = 0
    ) -> None:  # fmt: skip
        """An upright box without a floor. tile: of its sides, -1: none; face: lamp of its front"""
        kind = FLAT if tile < 0 else PANEL
        (x0, y0, z0), (x1, y1, z1) = low, high
        ring = [(x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
            corners = [(ax, ay, z0), (bx, by, z0), (bx, by, z1), (ax, ay, z1)]
            front = face if ax == bx == x1 else 0
            self.quad(corners, colour, kind=kind, tile=max(tile, 0), lamp=front)
        self.quad([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], colour)

    def post(
        self, low: Point, high: Point, radii: tuple[float, float], colour: Rgb,
        joint: tuple[float, float] = (0.0, 0.0),
    ) -> None:  # fmt: skip
        """A round bar between two points. joint: height of the axle and swing [rad]."""
        shape = [*low, *high, *radii, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, *joint]
        self._turning(POST, shape, colour)

    def ball(self, centre: Point, half_width: float, half_height: float, colour: Rgb) -> None:
        """An upright ellipsoid."""
        shape = [*centre, half_width, half_height, *[0.0] * 12]
        self._turning(BALL, shape, colour)

    def crown(self, centre: Point, half: tuple[float, float], colour: Rgb, tile: int) -> None:
        """A picture with holes that turns about the vertical. half: width and height."""
        shape = [*centre, *half, *[0.0] * 12]
        self._turning(CROWN, shape, colour, tile)

    def _turning(self, kind: int, shape: list[float], colour: Rgb, tile: int = 0) -> None:
        self._shapes.append(shape)
        self._looks.append((*colour, *BLACK, float(tile), 1.0, 1.0))
        self._tags.append((kind, 0, self.klass, 1))
