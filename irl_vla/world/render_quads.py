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
    0: none), semantic class, variants of its tile."""

    shapes: F64
    looks: F32
    tags: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def ball(self) -> F64:
        """(4,) centre and radius around all of it."""
        low, high = self.extent
        points, reach = self._points()
        centre = (low + high) / 2
        return np.append(centre, (np.linalg.norm(points - centre, axis=1) + reach).max())

    @property
    def extent(self) -> tuple[F64, F64]:
        """Lowest and highest x, y, z of all corners."""
        points, reach = self._points()
        return (points - reach[:, None]).min(axis=0), (points + reach[:, None]).max(axis=0)

    def _points(self) -> tuple[F64, F64]:
        """Corners (m, 3) and by how much they are thicker (m,)."""
        kind = self.tags[:, 0]
        flat, corners = kind < BALL, self.shapes[:, :12].reshape(-1, 4, 3)
        ends, balls = corners[kind == POST], corners[(kind == BALL) | (kind == CROWN)]
        points = [corners[flat].reshape(-1, 3), ends[:, :2].reshape(-1, 3), balls[:, 0]]
        reach = [np.zeros(4 * flat.sum()), ends[:, 2, :2].reshape(-1), balls[:, 1, :2].max(axis=1)]
        return np.concatenate(points), np.concatenate(reach)

    def moved(self, pose: ArrayLike) -> Quads:
        """The same where the local frame stands at pose (x, y, yaw) or (x, y, yaw, z)."""
        x, y, yaw, *rest = np.asarray(pose, np.float64)
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        shift = np.array([x, y, rest[0] if rest else 0.0])
        shapes = self.shapes.copy()
        places = shapes[:, :12].reshape(-1, 4, 3)
        kind = self.tags[:, 0]
        for kinds, columns in (
            (kind < BALL, slice(0, 4)), (kind == POST, slice(0, 2)), (kind > BALL, slice(0, 1)),
            (kind == BALL, slice(0, 1)),
        ):  # fmt: skip
            if columns.stop == 1:
                kinds = kinds & (kind != POST)
            places[kinds, columns] = places[kinds, columns] @ turn.T + shift
        shapes[:, 12:15] = shapes[:, 12:15] @ turn.T
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


class Builder:
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

    def block(self, low: Point, high: Point, colour: Rgb, *, lid: bool = True) -> None:
        """An upright box without a floor."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        ring = [(x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
            self.quad([(ax, ay, z0), (bx, by, z0), (bx, by, z1), (ax, ay, z1)], colour)
        if lid:
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
