"""A town and everybody in it from above, as frames of a drive.

North is up and the picture only glides: a street that turns with the car makes people dizzy, and a
reader could not follow the others. Scale and size are fixed, so nothing breathes.
In: Town, WorldState, Actors   Out: RGB   May import: world, scoring.scene, types, drawing, palette,
town_*.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from irl_vla.frames import to_outer
from irl_vla.scoring.scene import VEHICLE
from irl_vla.types import F64, U8
from irl_vla.vehicle import Vehicle
from irl_vla.view import drawing
from irl_vla.view.palette import ORANGE, SKY, WHITE, Rgb
from irl_vla.view.town_actors import EGO, actor_shapes, glow_shapes, vehicle_shapes
from irl_vla.view.town_ground import GroundImage, fill, to_sheet
from irl_vla.view.town_props import BOX, SUN, placed
from irl_vla.view.town_shapes import Shape
from irl_vla.world.episode import Actors, WorldState
from irl_vla.world.town import NONE, Light, Town

WIDTH, HEIGHT, SCALE = 960, 640, 8.0  # [px], [px], [px/m]: 120 m x 80 m
VEIL = 0.42  # opacity of shadows, glows and the route
ROUTE_M, TRAIL_M = 1.5, 0.35  # [m] widths of ribbons
BAR_M = 0.55  # [m] thickness of the coloured bar at a signal's stop line
NEAR_M = 8.0  # things whose middle is this far outside the picture may reach into it
SHADE: Rgb = (16, 20, 26)
LIT: dict[Light, Rgb] = {
    Light.RED: (255, 44, 36), Light.AMBER: (255, 184, 28), Light.GREEN: (44, 224, 96),
}  # fmt: skip
LEGEND: tuple[tuple[str, Rgb], ...] = (("ego", EGO), ("braking", (255, 36, 28)),
                                       ("indicating", (255, 168, 20)))  # fmt: skip


@dataclass(frozen=True)
class TownOverlay:
    """What is drawn besides the world.

    route, trail: (n, 2) global; plans: (K, T, 3) in the ego frame of the moment, as in Candidates;
    chosen: the plan that is driven; note: one line of text; words: time, speed, scale and legend
    """

    route: F64 | None = None
    trail: F64 | None = None
    plans: F64 = field(default_factory=lambda: np.zeros((0, 0, 3)))
    chosen: int | None = None
    note: str = ""
    words: bool = True


@dataclass(frozen=True)
class _Bar:
    """A stretch of stop line that shows what its signal shows. ring: (4, 2) [m]."""

    signal: int
    ring: F64


class TownPainter:
    """Paints moments of one town. The ground is painted once, wherever somebody looks."""

    def __init__(
        self, town: Town, actors: Actors, vehicle: Vehicle | None = None, *,
        width: int = WIDTH, height: int = HEIGHT, scale: float = SCALE,
    ) -> None:  # fmt: skip
        """width, height: of a frame [px]; scale [px/m]; vehicle: the ego's outline."""
        self.town, self.actors, self.vehicle = town, actors, vehicle or Vehicle()
        self.width, self.height, self.scale = width, height, scale
        self._ground = GroundImage(town, scale)
        self._bars = _bars(town)
        self._heads = [(i, head) for i, s in enumerate(town.signals) for head in s.heads]

    def paint(self, moment: WorldState, centre: F64, overlay: TownOverlay | None = None) -> U8:
        """(height, width, 3) RGB around a place (2,) [m]."""
        overlay = overlay or TownOverlay()
        middle = np.round(to_sheet(np.asarray(centre), self.scale))
        origin = middle - [self.width // 2, self.height // 2]
        image = self._ground.crop(int(origin[0]), int(origin[1]), self.width, self.height)
        near = self._near(moment, np.asarray(centre))
        self._veil(image, moment, near, overlay, origin)
        self._lights(image, moment, origin)
        actors = self.actors
        for i in near:
            shapes = actor_shapes(
                int(actors.types[i]), int(actors.models[i]), int(actors.looks[i]), actors.sizes[i],
                moment.states[i], int(moment.lamps[i]), moment.time_s,
            )  # fmt: skip
            for shape in shapes:
                fill(image, shape, origin, self.scale)
        self._ego(image, moment, origin)
        self._plans(image, moment, overlay, origin)
        if overlay.words:
            self._words(image, moment, overlay)
        return image

    def overview(self, longest: int = 1600) -> U8:
        """The whole town without anybody, its longer side `longest` pixels."""
        low, high = extent_of(self.town)
        scale = longest / float((high - low).max())
        size = np.ceil((high - low) * scale).astype(int)
        corner = np.floor(to_sheet(np.array([low[0], high[1]]), scale)).astype(int)
        image = GroundImage(self.town, scale).crop(*corner.tolist(), *size.tolist())
        for bar in self._bars:
            light = self.town.signals[bar.signal].at(0.0)
            if light in LIT:
                fill(image, Shape(bar.ring, LIT[light]), corner, scale)
        _scale_bar(image, scale, 50.0)
        return image

    def _near(self, moment: WorldState, centre: F64) -> list[int]:
        """Who is in the picture: things, then people, then vehicles, by their index."""
        away = np.abs(moment.states[:, :2] - centre)
        reach = np.array([self.width, self.height]) / 2 / self.scale + NEAR_M
        inside = moment.present & (away < reach).all(axis=1)
        return sorted(np.flatnonzero(inside).tolist(), key=lambda i: -int(self.actors.types[i]))

    def _centre(self, moment: WorldState) -> F64:
        """(3,) pose of the middle of the ego's box."""
        return to_outer(np.array([self.vehicle.centre, 0.0, 0.0]), moment.ego[:3])

    def _veil(
        self, image: U8, moment: WorldState, near: list[int], overlay: TownOverlay, origin: F64
    ) -> None:
        """Everything translucent at once: route, trail, shadows, glows."""
        layer = image.copy()
        for line, width in ((overlay.route, ROUTE_M), (overlay.trail, TRAIL_M)):
            if line is not None and len(line) > 1:
                fill(layer, Shape(line, EGO, width), origin, self.scale)
        boxes = [(self.actors.sizes[i], moment.states[i, :3]) for i in near]
        ego = self.vehicle.length, self.vehicle.width
        boxes.append((np.array([*ego, 1.6]), self._centre(moment)))
        for size, pose in boxes:
            ring = placed(BOX * (size[:2] + 0.15), pose) + SUN * min(float(size[2]), 3.5)
            fill(layer, Shape(ring, SHADE), origin, self.scale)
        glowing = [
            (boxes[k], int(moment.lamps[i])) for k, i in enumerate(near)
            if moment.lamps[i] and self.actors.types[i] == VEHICLE
        ]  # fmt: skip
        for (size, pose), lamps in [*glowing, (boxes[-1], moment.ego_lamps)]:
            for shape in glow_shapes(size[0], size[1], pose, lamps, moment.time_s):
                fill(layer, shape, origin, self.scale)
        cv2.addWeighted(layer, VEIL, image, 1.0 - VEIL, 0.0, dst=image)

    def _lights(self, image: U8, moment: WorldState, origin: F64) -> None:
        for bar in self._bars:
            color = LIT.get(Light(int(moment.lights[bar.signal])))
            if color is not None:
                fill(image, Shape(bar.ring, color), origin, self.scale)
        for signal, head in self._heads:
            pixel = to_sheet(head[:2], self.scale) - origin
            if (pixel > -9).all() and (pixel < [self.width + 9, self.height + 9]).all():
                color = LIT.get(Light(int(moment.lights[signal])), SHADE)
                drawing.dot(image, pixel, 0.35 * self.scale, color)

    def _ego(self, image: U8, moment: WorldState, origin: F64) -> None:
        pose, v = self._centre(moment), self.vehicle
        ring = placed(BOX * [v.length + 0.5, v.width + 0.5], pose)
        fill(image, Shape(np.vstack([ring, ring[:2]]), WHITE, 0.15), origin, self.scale)
        shapes = vehicle_shapes(
            "car", EGO, v.length, v.width, pose, moment.ego_lamps, moment.time_s
        )
        for shape in shapes:
            fill(image, shape, origin, self.scale)

    def _plans(self, image: U8, moment: WorldState, overlay: TownOverlay, origin: F64) -> None:
        lines = []
        for poses in overlay.plans:
            whole = np.vstack([np.zeros((1, 3)), poses])
            lines.append(to_sheet(to_outer(whole, moment.ego[:3]), self.scale) - origin)
        drawing.strokes(image, lines, SKY, 1, 0.8)
        if overlay.chosen is not None:
            drawing.stroke(image, lines[overlay.chosen], ORANGE, 3)
            for pixel in lines[overlay.chosen][1:]:
                drawing.dot(image, pixel, 2.5, ORANGE)

    def _words(self, image: U8, moment: WorldState, overlay: TownOverlay) -> None:
        speed = float(np.hypot(moment.ego[3], moment.ego[4])) * 3.6
        text = f"{moment.time_s:5.1f} s   {speed:3.0f} km/h"
        if overlay.note:
            text += f"   {overlay.note}"
        drawing.chip(image, text, 10, 10, 15)
        _scale_bar(image, self.scale, 10.0)
        left = 10.0
        for word, color in LEGEND:
            right = drawing.chip(image, f"    {word}", left, self.height - 28, 12)[2]
            drawing.dot(image, np.array([left + 11.0, self.height - 19.0]), 4.0, color)
            left = right + 4.0


def extent_of(town: Town, margin: float = 12.0) -> tuple[F64, F64]:
    """((2,) south-west, (2,) north-east) corners of what is known [m]."""
    points = [lane.centre[:, :2] for lane in town.lanes]
    points += [prop.pose[None, :2] for prop in town.props] + [town.drivable.vertices]
    every = np.vstack(points)
    return every.min(axis=0) - margin, every.max(axis=0) + margin


def _scale_bar(image: U8, scale: float, metres: float) -> None:
    """A line of known length in the lower right corner."""
    height, width = image.shape[:2]
    right, y, length = width - 16.0, height - 14.0, metres * scale
    line = np.array([[right - length, y], [right, y]])
    ends = [np.array([[x, y - 4.0], [x, y + 4.0]]) for x in (right - length, right)]
    drawing.strokes(image, [line, *ends], (20, 24, 30), 5)
    drawing.strokes(image, [line, *ends], WHITE, 2)
    text = f"{metres:.0f} m"
    wide = drawing.letters(text, 12).shape[1]
    drawing.chip(image, text, right - length / 2 - wide / 2 - 4, y - 24, 12)


def _bars(town: Town) -> list[_Bar]:
    """Where connectors with a signal begin; a lane whose turns have signals of their own gets a
    bar that is divided among them, left turn on the left."""
    starts: dict[tuple[float, float], dict[int, int]] = {}
    lanes = sorted(
        (i for i, lane in enumerate(town.lanes) if lane.signal != NONE),
        key=lambda i: ((1, 0, 2)[town.lanes[i].turn], i),
    )
    for i in lanes:
        x, y = np.round(town.lanes[i].centre[0, :2], 1)
        starts.setdefault((float(x), float(y)), {}).setdefault(town.lanes[i].signal, i)
    bars = []
    for signals in starts.values():
        for k, (signal, i) in enumerate(signals.items()):
            lane, share = town.lanes[i], 1.0 / len(signals)
            width = lane.width * 0.92 * share
            y = lane.width * 0.92 * (0.5 - share * (k + 0.5))
            ring = BOX * [BAR_M, width] + [-BAR_M / 2, y]
            bars.append(_Bar(signal, placed(ring, lane.centre[0])))
    return bars
