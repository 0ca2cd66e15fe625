"""What lies flat on the ground of a town, as outlines that are filled: asphalt, paint, shadows.

Frames: the town's; pictures have row 0 at the low y. May import: frames, types, world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.frames import arc_lengths, box_corners
from irl_vla.types import F64, U8
from irl_vla.world.render.quads import GROUND, MARKING, PAVEMENT, PLANT, ROAD
from irl_vla.world.render.weather import SALT, Weather
from irl_vla.world.town import Marking, Prop, Town

Rgb = tuple[int, int, int]
SUBPIXEL = 4  # bits of a pixel that OpenCV's fillPoly resolves
ALBEDO: dict[str, Rgb] = {
    "grass": (96, 112, 62), "soil": (112, 100, 76), "pavement": (140, 136, 128),
    "asphalt": (92, 92, 95), "junction": (88, 88, 92), "carpark": (104, 103, 102),
    "kerb": (180, 178, 172), "gutter": (70, 70, 72), "white": (220, 220, 214),
    "yellow": (232, 186, 62), "patch": (74, 74, 77), "worn": (85, 85, 88),
}  # fmt: skip
PAVEMENT_M, APRON_M = 2.6, 4.6  # width of a footpath; of the strip that a kerb stands in
KERB_M, GUTTER_M = 0.30, 0.5
DASH_M, GAP_M = 3.0, 6.0  # of dashed lines
STRIPE_M = 0.5  # of a zebra, and as much asphalt between two
FINE_M = 0.2  # [m] texels smaller than that are worth smooth edges
SOFT_M = 0.4  # [m] width of the edges of shadows
LONGEST_SHADOW_M = 22.0  # [m] a lower sun's shadows are faint


@dataclass(frozen=True)
class OutlineLayer:
    """Outlines of one colour. points: (P, 2) of all rings, the k-th from offsets[k] to
    offsets[k + 1]; low, high: (n, 2) bounds of each; thin: [m] how wide they are where that matters
    for how much of a coarse texel they cover, else inf; only_on: class that they cover, -1: all"""

    kind: int
    colour: Rgb
    points: F64
    offsets: NDArray[np.int64]
    low: F64
    high: F64
    thin: float = float("inf")
    only_on: int = -1

    @staticmethod
    def of(
        kind: int, colour: Rgb, rings: Sequence[F64], thin: float = float("inf"), only_on: int = -1
    ) -> OutlineLayer:  # fmt: skip
        """From a list of rings."""
        rings = [ring for ring in rings if len(ring) > 2]
        offsets = np.cumsum([0, *(len(ring) for ring in rings)]).astype(np.int64)
        points = np.concatenate([*rings, np.zeros((1, 2))])
        points = points[:-1]
        low = high = np.zeros((0, 2))
        if rings:
            low = np.minimum.reduceat(points, offsets[:-1], axis=0)
            high = np.maximum.reduceat(points, offsets[:-1], axis=0)
        return OutlineLayer(kind, colour, points, offsets, low, high, thin, only_on)

    def within(self, corner: F64, size: tuple[int, int], texel: float) -> list[NDArray[np.int32]]:
        """The rings that reach into a picture of `size` rows and columns that begins at `corner`,
        in fixed-point pixels of OpenCV, whose pixel centres are whole numbers."""
        high = corner + np.array([size[1], size[0]]) * texel
        near = np.flatnonzero((self.low < high).all(axis=1) & (self.high > corner).all(axis=1))
        if not len(near):
            return []
        rings = [self.points[self.offsets[k] : self.offsets[k + 1]] for k in near]
        scaled = ((np.concatenate(rings) - corner) / texel - 0.5) * (1 << SUBPIXEL)
        fixed = np.round(scaled).astype(np.int32)
        return np.split(fixed, np.cumsum([len(ring) for ring in rings])[:-1])


class Outlines:
    """All layers of a town, from the ground up. low, high: (2,) the town's bounds [m]."""

    def __init__(self, town: Town, weather: Weather) -> None:
        points = [town.drivable.vertices, town.carparks.vertices, *town.footpaths]
        points += [lane.centre[:, :2] for lane in town.lanes]
        points += [np.array([prop.pose[:2] for prop in town.props]).reshape(-1, 2)]
        everything = np.concatenate([p.reshape(-1, 2) for p in points])
        self.low, self.high = everything.min(axis=0), everything.max(axis=0)
        self._layers = _layers(town)
        sun = -weather.to_sun[:2] / max(float(weather.to_sun[2]), 1e-3)
        self._shadows = OutlineLayer.of(PLANT, (0, 0, 0), _shadows(town.props, sun))

    def paint(self, corner: F64, size: tuple[int, int], texel: float) -> tuple[U8, U8, U8]:
        """Classes (H, W), colours (H, W, 3) and sunlight (H, W) of the rectangle that begins at
        `corner` [m] and has `size` rows and columns of `texel` [m]."""
        kinds = np.full(size, GROUND, np.uint8)
        colours = np.empty((*size, 3), np.uint8)
        colours[:] = ALBEDO["grass"]
        fine = texel < FINE_M
        for layer in self._layers:
            if layer.only_on >= 0:
                if fine:
                    mask = np.zeros(size, np.uint8)
                    cv2.fillPoly(mask, layer.within(corner, size, texel), 1, cv2.LINE_8, SUBPIXEL)
                    colours[(mask > 0) & (kinds == layer.only_on)] = layer.colour
                continue
            colour: Sequence[float] = layer.colour
            if layer.thin < texel:  # a line thinner than a texel is at least one texel wide
                share = layer.thin / texel
                below = ALBEDO["asphalt"]
                colour = [a * share + b * (1 - share) for a, b in zip(colour, below, strict=True)]
            # one ring at a time: together they would cancel out where they overlap
            for ring in layer.within(corner, size, texel):
                cv2.fillPoly(kinds, [ring], layer.kind, cv2.LINE_8, SUBPIXEL)
                cv2.fillPoly(
                    colours, [ring], tuple(colour), cv2.LINE_AA if fine else cv2.LINE_8, SUBPIXEL
                )
        sunlit = np.full(size, 255, np.uint8)
        for ring in self._shadows.within(corner, size, texel):
            cv2.fillPoly(sunlit, [ring], 0, cv2.LINE_AA, SUBPIXEL)
        if fine:
            side = 1 + 2 * int(SOFT_M / texel / 2)
            sunlit = np.asarray(cv2.blur(sunlit, (side, side)), np.uint8)
        return kinds, colours, sunlit


def _layers(town: Town) -> list[OutlineLayer]:
    rng = np.random.default_rng([town.seed, SALT, 4])
    drivable = [town.drivable.ring(k) for k in range(len(town.drivable))]
    carparks = [town.carparks.ring(k) for k in range(len(town.carparks))]
    aprons = [piece for kerb in town.kerbs for piece in strips(kerb, APRON_M)]
    paths = [piece for path in town.footpaths for piece in strips(path, PAVEMENT_M)]
    kerbs = [piece for kerb in town.kerbs for piece in strips(kerb, KERB_M)]
    lines = [*town.kerbs, *(_closed(ring) for ring in drivable if not len(town.kerbs))]
    gutters = [piece for line in lines for piece in strips(line, GUTTER_M)]
    centres = [lane.centre[:, :2] for lane in town.lanes]
    worn = [p for c in centres for side in (-0.75, 0.75) for p in strips(beside(c, side), 0.5)]
    lanes = [lane.polygon for lane in town.lanes]
    layers = [
        OutlineLayer.of(PAVEMENT, ALBEDO["pavement"], aprons + paths),
        OutlineLayer.of(ROAD, ALBEDO["carpark"], carparks),
        OutlineLayer.of(ROAD, ALBEDO["asphalt"], drivable + lanes),
        OutlineLayer.of(ROAD, ALBEDO["junction"], [j.polygon for j in town.junctions]),
        OutlineLayer.of(ROAD, ALBEDO["worn"], worn, 0.5),
        OutlineLayer.of(ROAD, ALBEDO["patch"], _patches(centres, rng)),
        OutlineLayer.of(ROAD, ALBEDO["gutter"], gutters, only_on=ROAD),
        OutlineLayer.of(PAVEMENT, ALBEDO["kerb"], kerbs, KERB_M),
    ]
    bays = [p for spot in town.spots for p in _bay(spot.pose, spot.length, spot.width)]
    layers.append(OutlineLayer.of(MARKING, ALBEDO["white"], bays, 0.1))
    for yellow in (False, True):
        for wide in (False, True):
            rings = [
                piece for marking in town.markings
                if marking.yellow == yellow and (marking.width > 0.25) == wide
                for piece in paint_of(marking)
            ]  # fmt: skip
            thin = float("inf") if wide else 0.15
            layers.append(
                OutlineLayer.of(MARKING, ALBEDO["yellow" if yellow else "white"], rings, thin)
            )
    return [layer for layer in layers if len(layer.low)]


def paint_of(marking: Marking) -> list[F64]:
    """Rings of paint of one marking."""
    line = np.asarray(marking.line, np.float64)[:, :2]
    if marking.kind == "zebra":
        return _stripes(line)
    if marking.kind == "dashed":
        return [
            piece for dash in _dashes(line, DASH_M, GAP_M) for piece in strips(dash, marking.width)
        ]
    if marking.kind == "arrow":
        return _arrow(line, marking.width)
    return strips(line, marking.width)


def strips(line: F64, width: float) -> list[F64]:
    """A line (n, 2) as a ring of `width` [m], mitred; long lines in pieces."""
    line = np.asarray(line, np.float64)[:, :2]
    step = np.abs(line[1:] - line[:-1]).max(axis=1) > 1e-6
    if not step.all():
        line = line[np.append(True, step)]
    if len(line) < 2:
        return []
    left = beside(line, width / 2)
    right = 2.0 * line - left
    pieces = []
    for k in range(0, len(line) - 1, 8):
        part = slice(k, min(k + 9, len(line)))
        pieces.append(np.concatenate([left[part], right[part][::-1]]))
    return pieces


def beside(line: F64, offset: float) -> F64:
    """A line (n, 2) moved to its left by `offset` [m]."""
    x, y = line[:, 0], line[:, 1]
    dx, dy = x[1:] - x[:-1], y[1:] - y[:-1]
    length = np.maximum(np.sqrt(dx * dx + dy * dy), 1e-9)
    dx, dy = dx / length, dy / length
    hx, hy = np.empty(len(x)), np.empty(len(x))
    hx[0], hx[-1], hy[0], hy[-1] = dx[0], dx[-1], dy[0], dy[-1]
    hx[1:-1], hy[1:-1] = dx[:-1] + dx[1:], dy[:-1] + dy[1:]
    length = offset / np.maximum(np.sqrt(hx * hx + hy * hy), 1e-9)
    return np.stack([x - hy * length, y + hx * length], axis=1)


def _closed(ring: F64) -> F64:
    return np.concatenate([ring, ring[:1]])


def _dashes(line: F64, dash: float, gap: float) -> list[F64]:
    along = arc_lengths(line)
    found = []
    for begin in np.arange(gap / 2, along[-1], dash + gap):
        at = np.array([begin, *along[(along > begin) & (along < begin + dash)],
                       min(begin + dash, along[-1])])  # fmt: skip
        found.append(np.stack([np.interp(at, along, line[:, k]) for k in (0, 1)], axis=1))
    return found


def _stripes(outline: F64) -> list[F64]:
    """Bars of a zebra (4, 2), parallel to the traffic: across the longer way."""
    a, b, c, d = outline
    if np.linalg.norm(b - a) < np.linalg.norm(c - b):
        a, b, c, d = b, c, d, a
    bars = max(1, int(np.linalg.norm(b - a) / (2 * STRIPE_M)))
    found = []
    for k in range(bars):
        f, g = (k + 0.25) / bars, (k + 0.75) / bars
        found.append(np.array([a + f * (b - a), a + g * (b - a), d + g * (c - d), d + f * (c - d)]))
    return found


def _arrow(line: F64, width: float) -> list[F64]:
    """A shaft along the line and a head at its end."""
    end = line[-1] - line[-2]
    end /= max(float(np.linalg.norm(end)), 1e-9)
    across = np.array([-end[1], end[0]])
    tip, neck = line[-1], line[-1] - 1.1 * end
    head = np.array([tip, neck + 0.42 * across, neck - 0.42 * across])
    return [*strips(np.concatenate([line[:-1], neck[None]]), min(width, 0.2)), head]


def _bay(pose: F64, length: float, width: float) -> list[F64]:
    c, s = np.cos(pose[2]), np.sin(pose[2])
    forward, left = np.array([c, s]) * length / 2, np.array([-s, c]) * width / 2
    return [
        piece for side in (-1, 1)
        for piece in strips(np.array([pose[:2] - forward, pose[:2] + forward]) + side * left, 0.1)
    ]  # fmt: skip


def _patches(centres: Sequence[F64], rng: np.random.Generator) -> list[F64]:
    """Mended rectangles of asphalt, on one lane in four."""
    found = []
    for centre in centres:
        if rng.random() > 0.25 or len(centre) < 3:
            continue
        k = int(rng.integers(0, len(centre) - 1))
        forward = centre[k + 1] - centre[k]
        forward /= max(float(np.linalg.norm(forward)), 1e-9)
        left = np.array([-forward[1], forward[0]])
        length, width = rng.uniform(0.8, 3.5), rng.uniform(0.5, 1.1)
        middle = centre[k] + left * rng.uniform(-0.8, 0.8)
        corners = [(1, 1), (1, -1), (-1, -1), (-1, 1)]
        found.append(np.array([middle + a * length * forward + b * width * left
                               for a, b in corners]))  # fmt: skip
    return found


def _shadows(props: Sequence[Prop], sun: F64) -> list[F64]:
    """Outlines of the shadows that props cast. sun: (2,) way of a shadow per metre of height."""
    found = []
    for prop in props:
        length, width, height = (float(v) for v in prop.size)
        shift = sun * height
        shift *= min(1.0, LONGEST_SHADOW_M / max(float(np.linalg.norm(shift)), 1e-9))
        if prop.kind == "building":
            base = box_corners(prop.pose[None], prop.size[None])[0]
            found.append(_hull(np.concatenate([base, base + shift])))
        elif prop.kind in ("tree", "bush"):
            angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
            wobble = 1.0 + 0.14 * np.sin(angle * 5 + prop.look % 7)
            ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * wobble[:, None]
            middle = shift * (0.62 if prop.kind == "tree" else 0.3)
            found.append(prop.pose[:2] + middle + ring * max(length, width) / 2 * 0.95)
            if prop.kind == "tree":
                found += strips(np.array([prop.pose[:2], prop.pose[:2] + middle]), 0.3)
        elif prop.kind in ("lamp_post", "signal_post"):
            found += strips(np.array([prop.pose[:2], prop.pose[:2] + shift]), 0.16)
    return found


def _hull(points: F64) -> F64:
    order = cv2.convexHull(points.astype(np.float32), returnPoints=False)[:, 0]
    return np.asarray(points[order], np.float64)
