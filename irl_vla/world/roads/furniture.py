"""What stands beside the streets: houses, trees, bushes, lamps, signs, posts of traffic lights.

Ground that is taken is kept in a raster, so that nothing stands on anything else.
May import: types, world.roads, world.town.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.types import F64, U8
from irl_vla.world.roads.curves import beside
from irl_vla.world.roads.junctions import BuiltJunction
from irl_vla.world.roads.pavement import Site, at
from irl_vla.world.roads.right_of_way import main_arms
from irl_vla.world.roads.street import Carriageway, Street
from irl_vla.world.town import Prop, Signal

CELL_M = 0.5  # of the raster
SIDEWALK_M = 3.4  # kept free of houses, from the kerb
_MARGIN_M = 50.0  # of the raster around the streets
_POST_M, _LAMP_M, _SIGN_M = (0.2, 0.2, 3.7), (0.2, 0.2, 7.0), (0.1, 0.7, 2.6)
_BEHIND_KERB_M = 0.7
_ROAD, _HOUSE = 1, 2  # what cells of the raster are taken by


class OccupancyRaster:
    """Raster of what is taken."""

    def __init__(self, streets: list[Street], sites: list[Site]) -> None:
        points = np.concatenate([c.poses[:, :2] for street in streets for c in street.carriageways])
        self.corner = points.min(axis=0) - _MARGIN_M
        size = np.ceil((points.max(axis=0) + _MARGIN_M - self.corner) / CELL_M).astype(int)
        self.taken: U8 = np.zeros((size[1], size[0]), np.uint8)
        wide = int(2 * SIDEWALK_M / CELL_M) + 1
        rings = [street.outline(kerb=True, overlap=1.0) for street in streets]
        for ring in [*rings, *(_filled(site) for site in sites)]:
            cells = self._cells(ring)
            cv2.fillPoly(self.taken, [cells], _ROAD)
            cv2.polylines(self.taken, [cells], True, _ROAD, wide)

    def _cells(self, ring: F64) -> NDArray[np.int32]:
        return np.asarray(np.floor((ring - self.corner) / CELL_M), np.int32)

    def places(self, points: F64) -> NDArray[np.int64]:
        """(...,) cells of the flat raster that points (..., 2) lie in, or are nearest to."""
        cells = np.floor((points - self.corner) / CELL_M).astype(np.int64)
        height, width = self.taken.shape
        x, y = cells[..., 0].clip(0, width - 1), cells[..., 1].clip(0, height - 1)
        return np.asarray(y * width + x)

    def _at(self, points: F64) -> U8:
        found: U8 = self.taken.ravel()[self.places(points)]
        return found

    def free(self, points: F64) -> NDArray[np.bool_]:
        """(...,) whether points (..., 2) lie on free ground."""
        return np.asarray(self._at(points) == 0)

    def built(self, points: F64) -> NDArray[np.bool_]:
        """(...,) whether points (..., 2) lie in a house."""
        return np.asarray(self._at(points) == _HOUSE)

    def build(self, ring: F64) -> None:
        """Marks a convex ring as a house."""
        cv2.fillConvexPoly(self.taken, self._cells(ring), _HOUSE)


def _filled(site: Site) -> F64:
    return site.ring if isinstance(site, BuiltJunction) else np.concatenate(site.corners)


def furniture(
    rng: np.random.Generator, streets: list[Street], sites: list[Site], signals: list[Signal]
) -> list[Prop]:
    """All props but those of work zones."""
    ground = OccupancyRaster(streets, sites)
    props: list[Prop] = []
    props += _posts(signals)
    for street in streets:
        for carriageway in street.carriageways:
            props += _signs(street, carriageway)
    for site in sites:
        props += _priority_signs(site)
    props += _lamps(streets)
    props += _houses(rng, streets, ground)
    return props + _greens(rng, streets, sites, ground)


def _prop(kind: str, pose: F64, size: tuple[float, float, float], look: int, text: str) -> Prop:
    return Prop(kind, pose, np.array(size), look, text)


def _posts(signals: list[Signal]) -> list[Prop]:
    heads = np.concatenate([np.zeros((0, 4)), *(signal.heads for signal in signals)])
    return [_prop("signal_post", head[[0, 1, 3]], _POST_M, 0, "") for head in heads]


def _signs(street: Street, carriageway: Carriageway) -> list[Prop]:
    """The speed limit, soon after the junction."""
    if carriageway.length < 40.0:
        return []
    pose = at(carriageway, np.array([9.0]))
    offset = np.interp([9.0], carriageway.along, carriageway.kerb) - _BEHIND_KERB_M
    pose[:, :2] = beside(pose, offset)
    pose[:, 2] += np.pi
    return [_prop("sign", pose[0], _SIGN_M, 0, f"{street.plan.limit * 3.6:.0f}")]


def _priority_signs(site: Site) -> list[Prop]:
    """Stop or yield on minor roads and before roundabouts, priority on main roads."""
    kind = site.plan.kind
    if kind in ("lights", "equal"):
        return []
    main = main_arms(site) if isinstance(site, BuiltJunction) else ()
    props = []
    for i, arm in enumerate(site.arms):
        # one minor road in three has a stop sign: those of the odd radii
        stop = kind == "priority" and int(site.plan.radius * 100) % 3 == 0
        text = "priority" if i in main else "stop" if stop else "yield"
        pose = arm.gate.copy()
        pose[:2] += 1.5 * np.array([np.cos(pose[2]), np.sin(pose[2])])
        pose[:2] = beside(pose[None], np.array([arm.plan.coming + _BEHIND_KERB_M]))[0]
        props.append(_prop("sign", pose, _SIGN_M, 0, text))
    return props


def _lamps(streets: list[Street]) -> list[Prop]:
    """Along one side of side streets, both sides of main roads, facing the road."""
    props = []
    for street in streets:
        for which, carriageway in enumerate(street.carriageways):
            if which and not street.plan.main:
                continue
            places = np.arange(15.0, carriageway.length - 8.0, 32.0)
            poses = at(carriageway, places)
            poses[:, :2] = beside(
                poses, np.interp(places, carriageway.along, carriageway.kerb) - 0.6
            )
            poses[:, 2] += np.pi / 2
            props += [_prop("lamp_post", pose, _LAMP_M, 0, "") for pose in poses]
    return props


_GRID = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 7), np.linspace(-0.5, 0.5, 6)), -1).reshape(
    -1, 2
)
_STEP_BACK_M = 3.0  # for houses that do not fit, on bends
_INSIDE = 0.95  # share of a house that must stand free of other houses' cells
_RING = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)
_BOX = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])


def _houses(rng: np.random.Generator, streets: list[Street], ground: OccupancyRaster) -> list[Prop]:
    """Rows of houses along both sides of every street: close together in some, with gardens in
    others."""
    props = []
    for street in streets:
        town_like = street.plan.main or rng.random() < 0.35
        for carriageway in street.carriageways:
            poses, sizes = _row_of_houses(rng, carriageway, town_like)
            if not len(poses):
                continue
            grid = _placed(poses, sizes[:, None, :2] * _GRID)
            fits = np.asarray(ground.free(grid).all(axis=1))
            tight = ~fits
            poses[tight, :2] = beside(poses[tight], -_STEP_BACK_M)  # its corners need more room
            grid[tight] = _placed(poses[tight], sizes[tight, None, :2] * _GRID)
            fits[tight] = ground.free(grid[tight]).all(axis=1)
            rings = _placed(poses, sizes[:, None, :2] * _BOX)
            inner = ground.places(poses[:, None, :2] + _INSIDE * (grid - poses[:, None, :2]))
            cells = ground.taken.ravel()
            for k in np.flatnonzero(fits):
                if cells[inner[k]].any():
                    continue  # it would stand in its neighbour, on the inside of a bend
                ground.build(rings[k])
                look = int(rng.integers(1 << 16))
                props.append(Prop("building", poses[k], sizes[k], look))
    return props


def _placed(poses: F64, offsets: F64) -> F64:
    """(k, n, 2) points given in the frames of poses (k, 3)."""
    cos, sin = np.cos(poses[:, 2:]), np.sin(poses[:, 2:])
    x, y = offsets[..., 0], offsets[..., 1]
    return np.stack([poses[:, :1] + x * cos - y * sin, poses[:, 1:2] + x * sin + y * cos], axis=-1)


def _row_of_houses(
    rng: np.random.Generator, carriageway: Carriageway, town_like: bool
) -> tuple[F64, F64]:
    """Poses (k, 3), facing the street with their right side's back, and sizes (k, 3)."""
    count = int(carriageway.length / 8.0) + 2
    front = rng.uniform(11.0, 24.0, count) if town_like else rng.uniform(8.0, 14.0, count)
    deep = rng.uniform(10.0, 14.0, count) if town_like else rng.uniform(8.0, 11.0, count)
    floors = rng.integers(3, 7, count) if town_like else rng.integers(1, 3, count)
    back = rng.uniform(0.3, 1.0, count) if town_like else rng.uniform(2.5, 6.0, count)
    gap = (
        np.where(rng.random(count) < 0.25, 6.0, 0.4) if town_like else rng.uniform(3.0, 9.0, count)
    )
    bend = np.gradient(carriageway.poses[:, 2], carriageway.along)
    places, place = np.zeros(count), 2.0
    shut = 0
    for k in range(count):
        turn = float(np.interp(place + front[k] / 2, carriageway.along, bend))
        edge = 7.0 if turn > 0 else 13.0 + deep[k]  # the tighter one: front wall, or back wall
        stretch = min(max(1.0 + turn * edge, 0.35), 2.0)
        if place + front[k] / stretch > carriageway.length + 4.0:
            break
        places[k] = place + front[k] / 2 / stretch
        place += (front[k] + gap[k]) / stretch
        shut = k + 1
    keep = slice(0, shut)
    poses = at(carriageway, places[keep])
    kerb = np.interp(places[keep], carriageway.along, carriageway.kerb)
    poses[:, :2] = beside(poses, kerb - SIDEWALK_M - 0.6 - back[keep] - deep[keep] / 2)
    sizes = np.stack([front[keep], deep[keep], 3.0 * floors[keep] + 0.8], axis=1)
    return poses, sizes


def _greens(
    rng: np.random.Generator, streets: list[Street], sites: list[Site], ground: OccupancyRaster
) -> list[Prop]:
    """Trees in rows behind some sidewalks, trees and bushes wherever ground is free."""
    rows = []
    for street in streets:
        for carriageway in street.carriageways:
            step, lined = rng.uniform(8.0, 14.0), rng.random() < 0.45
            if lined:
                places = np.arange(6.0, carriageway.length - 6.0, step)
                poses = at(carriageway, places)
                offset = np.interp(places, carriageway.along, carriageway.kerb) - SIDEWALK_M - 0.7
                rows.append(beside(poses, offset))
    lined_up = np.concatenate([np.zeros((0, 2)), *rows])
    height, width = ground.taken.shape
    area = height * width * CELL_M**2
    wild = ground.corner + rng.random((int(area / 350.0), 2)) * CELL_M * np.array([width, height])
    middles = [site.plan.xy[None] for site in sites if not isinstance(site, BuiltJunction)]
    points = np.concatenate([lined_up, wild])
    around = points[:, None] + 0.6 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    points = points[ground.free(around).all(axis=1)]
    points = np.concatenate([points, *middles])
    draws = rng.random((len(points), 4))
    looks = rng.integers(1 << 16, size=len(points))
    trees = (draws[:, 0] < 0.7) | (np.arange(len(points)) >= len(points) - len(middles))
    crowns = np.where(trees, 3.0 + 2.5 * draws[:, 1], 0.9 + draws[:, 1])
    heights = np.where(trees, 5.5 + 5.0 * draws[:, 2], 0.7 + 0.9 * draws[:, 2])
    inside = ground.built(points[:, None] + 0.45 * crowns[:, None, None] * _RING).any(axis=1)
    poses = np.column_stack([points, 2 * np.pi * draws[:, 3]])
    sizes = np.column_stack([crowns, crowns, heights])
    return [
        Prop("tree" if trees[k] else "bush", poses[k], sizes[k], int(looks[k]))
        for k in np.flatnonzero(~inside)
    ]
