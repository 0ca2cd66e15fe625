"""Cars, vans, trucks and buses that fill their boxes: bodies, glass, wheels, lamps.

Local frame: middle of the box on the ground, x forward. Lamps are numbered by the bits of
episode.BRAKE, LEFT_INDICATOR and RIGHT_INDICATOR. May import: types, world.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from irl_vla.types import F64
from irl_vla.world.episode import MODELS
from irl_vla.world.render.quads import DISC, PANEL, VEHICLE, WHEEL, Point, QuadBuilder, Quads, Rgb
from irl_vla.world.render.texels import BODY_TILE, PANE_TILE
from irl_vla.world.render.weather import SALT

BRAKE_LAMP, LEFT_LAMP, RIGHT_LAMP = 1, 2, 3
PAINTS: tuple[Rgb, ...] = (
    (226, 228, 230), (196, 200, 204), (120, 124, 130), (46, 48, 54), (24, 25, 30),
    (158, 34, 32), (36, 66, 128), (58, 104, 150), (42, 88, 64), (196, 168, 110), (150, 86, 48),
)  # fmt: skip
SHARES = np.array([20, 16, 16, 12, 10, 8, 6, 4, 3, 3, 2]) / 100.0
LIVERIES: tuple[Rgb, ...] = (
    (232, 232, 228), (214, 176, 52), (60, 110, 170), (176, 52, 44), (70, 130, 84), (200, 204, 208),
)  # fmt: skip
GLASS: Rgb = (74, 92, 112)  # under PANE_TILE
DARK: Rgb = (30, 31, 34)
TYRE_RIM: Rgb = (150, 152, 156)
RED: Rgb = (96, 10, 14)
RED_LIT: Rgb = (255, 44, 34)
AMBER: Rgb = (150, 92, 30)
AMBER_LIT: Rgb = (255, 190, 40)
WHITE_LAMP: Rgb = (226, 230, 236)
PLATE: Rgb = (222, 222, 214)
CORNER_M = (0.09, 0.09)  # by which the corners of a body are cut, along and across
LIP_M = 0.02  # [m] from the ground to what hangs below the bumpers
SKIN_M = 0.012  # [m] by which lamps, glass and wheels stand out from the body


def vehicle(model: str, size: F64, look: int) -> Quads:
    """Quads of one vehicle. size: (3,) length, width, height [m]; look: seed of its colour."""
    rng = np.random.default_rng([abs(int(look)), SALT, 5])
    build = QuadBuilder(VEHICLE)
    length, width, height = (float(v) for v in size)
    if model in ("truck", "bus"):
        paint = LIVERIES[int(rng.integers(len(LIVERIES)))]
        (_truck if model == "truck" else _bus)(build, length, width, height, paint, rng)
    elif model == "van":
        _van(build, length, width, height, PAINTS[int(rng.choice(len(PAINTS), p=SHARES))])
    else:
        tall = model == "suv"
        shape = int(rng.integers(2))
        paint = PAINTS[int(rng.choice(len(PAINTS), p=SHARES))]
        _car(build, length, width, height, paint, tall=tall, hatch=tall or shape == 0)
    return build.done()


def _car(
    build: QuadBuilder, length: float, width: float, height: float, paint: Rgb,
    *, tall: bool, hatch: bool,
) -> None:  # fmt: skip
    """Lower body with bonnet and boot, and a cabin that narrows upwards."""
    front, back, side = length / 2 - SKIN_M, -length / 2 + SKIN_M, width / 2 - 2 * SKIN_M
    sill, belt = 0.13 * height, 0.60 * height
    nose, tail = 0.50 * height, (0.60 if hatch else 0.58) * height
    cowl, rear = 0.21 * length, (-0.47 if hatch else -0.31) * length
    _shell(build, (back, rear, cowl, front), side, (sill, tail, belt, nose), paint)
    roof_front, roof_back = 0.03 * length, (-0.42 if hatch else -0.20) * length
    cabin = (rear, cowl, roof_back, roof_front)
    _cabin(build, cabin, side, (belt, height), paint, pillars=tall)
    radius = min(0.23 * height, 0.37)
    _wheels(build, (back + 0.16 * length, front - 0.165 * length), width / 2, radius)
    low = 0.40 * height
    _lamps(build, (back, front), side, (low, low + max(0.2, 0.13 * height)), nose, CORNER_M[1])
    z = height * 0.93
    x = roof_back + (rear - roof_back) * 0.10 - SKIN_M
    build.quad(_facing_back(x, (-0.22, 0.22), (z - 0.05, z + 0.03)), RED, lamp=BRAKE_LAMP,
               lit=RED_LIT)  # fmt: skip


def _shell(
    build: QuadBuilder, xs: tuple[float, float, float, float], side: float,
    zs: tuple[float, float, float, float], paint: Rgb,
) -> None:  # fmt: skip
    """The body below the windows, narrower at its ends. xs: back, rear window, cowl, front; zs:
    sill, tail, belt, nose heights."""
    back, rear, cowl, front = xs
    sill, tail, belt, nose = zs
    end = side - CORNER_M[1]
    knots = np.array([(back, tail), (rear, belt), (cowl, belt), (front, nose)])
    places = np.sort([back, back + CORNER_M[0], max(rear, back), cowl, front - CORNER_M[0], front])
    tops = np.interp(places, knots[:, 0], knots[:, 1])
    halves = np.where((places > back) & (places < front), side, end)
    rows = [tuple(float(v) for v in row) for row in zip(places, halves, tops, strict=True)]
    for (x0, y0, z0), (x1, y1, z1) in pairwise(rows):
        if x1 - x0 < 1e-3:
            continue
        build.quad([(x0, y0, z0), (x0, -y0, z0), (x1, -y1, z1), (x1, y1, z1)], paint)
        right: list[Point] = [(x0, -y0, sill), (x1, -y1, sill), (x1, -y1, z1), (x0, -y0, z0)]
        left: list[Point] = [(x1, y1, sill), (x0, y0, sill), (x0, y0, z0), (x1, y1, z1)]
        for corners in (right, left):
            build.quad(corners, paint, kind=PANEL, tile=BODY_TILE)
    ends = (-end, end)
    build.quad(_facing_front(front, ends, (sill, nose)), paint, kind=PANEL, tile=BODY_TILE)
    build.quad(_facing_back(back, ends, (sill, tail)), paint, kind=PANEL, tile=BODY_TILE)
    height = belt - sill
    _bumpers(build, (back, front), side, sill, (sill + 0.14 * height, sill + 0.1 * height))
    for sign in (-1, 1):  # a dark sill along the sides
        span = (back + CORNER_M[0], front - CORNER_M[0])
        build.quad(_facing_side(sign, side + SKIN_M / 2, span, (sill, sill + 0.12 * height)), DARK)


def _bumpers(
    build: QuadBuilder,
    ends: tuple[float, float],
    side: float,
    sill: float,
    tops: tuple[float, float],
) -> None:
    """Dark bumpers as wide as the wheels, from the sill up, and what hangs below them. ends,
    tops: back and front; side: half the width of the body."""
    side += 2 * SKIN_M
    back, front = ends[0] - SKIN_M / 2, ends[1] + SKIN_M / 2
    build.quad(_facing_back(back, (-side, side), (LIP_M, tops[0])), DARK)
    build.quad(_facing_front(front, (-side, side), (LIP_M, tops[1])), DARK)
    for x0, x1, top in ((back, back + CORNER_M[0], tops[0]), (front - CORNER_M[0], front, tops[1])):
        for sign in (-1, 1):
            build.quad(_facing_side(sign, side, (x0, x1), (sill, top)), DARK)
        build.quad([(x0, side, top), (x0, -side, top), (x1, -side, top), (x1, side, top)], DARK)


def _cabin(
    build: QuadBuilder, xs: tuple[float, float, float, float], side: float, zs: tuple[float, float],
    paint: Rgb, *, pillars: bool,
) -> None:  # fmt: skip
    """Glass all around under a painted roof. xs: rear and front below, rear and front above."""
    rear, cowl, roof_back, roof_front = xs
    belt, top = zs
    up = side * (0.86 if pillars else 0.78)
    build.quad([(roof_back, up, top), (roof_back, -up, top), (roof_front, -up, top),
                (roof_front, up, top)], paint)  # fmt: skip
    _glass(build, [(cowl, -side, belt), (cowl, side, belt), (roof_front, up, top),
                (roof_front, -up, top)])  # fmt: skip
    _glass(build, [(rear, side, belt), (rear, -side, belt), (roof_back, -up, top),
                (roof_back, up, top)])  # fmt: skip
    for sign in (-1, 1):
        corners: list[Point] = [
            (rear, sign * side, belt), (cowl, sign * side, belt),
            (roof_front, sign * up, top), (roof_back, sign * up, top),
        ]  # fmt: skip
        build.quad(corners if sign < 0 else _mirrored(corners), paint)
        # the side windows lie a little before the painted frame
        glass = _part(corners, (0.07, 0.93), (0.06, 0.86))
        out = [(x, y + sign * SKIN_M, z + 0.004) for x, y, z in glass]
        post = [(x, y + sign * SKIN_M / 2, z + 0.003) for x, y, z in _part(
            out, (0.49, 0.54), (0.0, 1.0))]  # fmt: skip
        _glass(build, out if sign < 0 else _mirrored(out))
        build.quad(post if sign < 0 else _mirrored(post), paint)
        middle = rear + 0.52 * (cowl - rear)
        build.quad(_facing_side(sign, side + SKIN_M * 0.8, (middle - 0.01, middle + 0.01),
                                (belt * 0.45, belt)), DARK)  # fmt: skip


def _van(build: QuadBuilder, length: float, width: float, height: float, paint: Rgb) -> None:
    """A short bonnet before one tall body."""
    front, back, side = length / 2 - SKIN_M, -length / 2 + SKIN_M, width / 2 - 2 * SKIN_M
    sill, belt, nose = 0.10 * height, 0.52 * height, 0.42 * height
    cowl, roof = front - 0.13 * length, front - 0.20 * length
    _shell(build, (back, back, cowl, front), side, (sill, belt, belt, nose), paint)
    up = side * 0.94
    for sign in (-1, 1):
        corners: list[Point] = [
            (back, sign * side, belt), (cowl, sign * side, belt),
            (roof, sign * up, height), (back, sign * up, height),
        ]  # fmt: skip
        build.quad(corners if sign < 0 else _mirrored(corners), paint)
        x0, x1 = cowl - 0.17 * length, cowl - 0.10
        z0, z1 = belt, belt + 0.3 * height
        pane: list[Point] = [
            (x0, sign * (side + SKIN_M / 2), z0), (x1, sign * (side + SKIN_M / 2), z0),
            (x1 - 0.45 * (z1 - z0), sign * (side - 0.02), z1), (x0, sign * (side - 0.02), z1),
        ]  # fmt: skip
        _glass(build, pane if sign < 0 else _mirrored(pane))
    shield: list[Point] = [
        (cowl, -side, belt), (cowl, side, belt), (roof, up, height), (roof, -up, height),
    ]  # fmt: skip
    _glass(build, shield)
    build.quad([(back, side, belt), (back, -side, belt), (back, -up, height), (back, up, height)],
               paint)  # fmt: skip
    for sign in (-1, 1):
        y = sorted((sign * 0.05, sign * 0.8 * side))
        pane = _facing_back(back - SKIN_M / 2, (y[0], y[1]), (0.6 * height, 0.86 * height))
        _glass(build, pane)
    build.quad([(back, up, height), (back, -up, height), (roof, -up, height), (roof, up, height)],
               paint)  # fmt: skip
    _wheels(
        build, (back + 0.15 * length, front - 0.15 * length), width / 2, min(0.18 * height, 0.4)
    )
    _lamps(build, (back, front), side, (0.30 * height, 0.30 * height + 0.32), nose, CORNER_M[1])


def _truck(
    build: QuadBuilder, length: float, width: float, height: float, paint: Rgb,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A cab before a box on a frame."""
    front, back, side = length / 2 - SKIN_M, -length / 2 + SKIN_M, width / 2 - 2 * SKIN_M
    cab = min(2.2, 0.34 * length)
    shelf = 0.30 * height if height > 2.6 else 0.24 * height
    cargo: Rgb = (226, 226, 222) if rng.random() < 0.6 else paint
    build.block((back, -side, shelf), (front - cab - 0.25, side, height), cargo, tile=BODY_TILE)
    build.block((back + 0.05, -side * 0.8, 0.14 * height), (front - cab, side * 0.8, shelf), DARK)
    for sign in (-1, 1):
        build.quad(_facing_side(sign, side, (back, front - cab - 0.3), (0.16 * height, shelf)),
                   (84, 86, 90))  # fmt: skip
    for z in (shelf, height - 0.08):
        build.quad(_facing_back(back - SKIN_M / 3, (-side, side), (z, z + 0.08)), (120, 122, 124))
    build.quad(_facing_back(back - SKIN_M / 3, (-0.02, 0.02), (shelf, height)), (110, 112, 114))
    top = 0.985 * height
    sill, belt = 0.11 * height, 0.46 * height
    build.block((front - cab, -side, sill), (front, side, top), paint, tile=BODY_TILE)
    _bumpers(build, (back, front), side, sill, (sill, sill))
    across = (-side * 0.92, side * 0.92)
    _glass(build, _facing_front(front + SKIN_M / 2, across, (belt, top - 0.55)))
    for sign in (-1, 1):
        _glass(build, _facing_side(sign, side + SKIN_M / 2, (front - cab * 0.62, front - 0.12),
                                (belt, top - 0.6)))  # fmt: skip
    radius = min(0.48, 0.16 * height)
    axles = [front - 0.5 * cab, back + 0.75]
    if length > 7.5:
        axles.append(back + 0.75 + 2.3 * radius)
    _wheels(build, tuple(axles), width / 2, radius)
    low = 0.15 * height
    _lamps(build, (back, front), side, (low, low + 0.3), 0.36 * height)


def _bus(
    build: QuadBuilder, length: float, width: float, height: float, paint: Rgb,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """One long box with a band of windows."""
    front, back, side = length / 2 - SKIN_M, -length / 2 + SKIN_M, width / 2 - 2 * SKIN_M
    sill = 0.09 * height
    build.block((back, -side, sill), (front, side, height), paint, tile=BODY_TILE)
    _bumpers(build, (back, front), side, sill, (sill, sill))
    pane = (0.38 * height, 0.80 * height)
    for sign in (-1, 1):
        count = max(3, int(length / 1.7))
        xs = np.linspace(back + 0.25, front - 0.2, count + 1)
        for x0, x1 in pairwise(xs):
            door = sign < 0 and (abs(x1 - front) < 0.6 or abs((x0 + x1) / 2) < 0.9)
            span = (sill + 0.12, pane[1]) if door else pane
            _glass(build, _facing_side(sign, side + SKIN_M / 2, (x0 + 0.05, x1 - 0.05), span))
    glass = (0.34 * height, 0.84 * height)
    _glass(build, _facing_front(front + SKIN_M / 2, (-side * 0.93, side * 0.93), glass))
    build.quad(_facing_front(front + SKIN_M / 2, (-side * 0.6, side * 0.6),
                             (0.86 * height, 0.96 * height)), (236, 170, 40))  # fmt: skip
    pane = (0.5 * height, 0.8 * height)
    _glass(build, _facing_back(back - SKIN_M / 2, (-side * 0.8, side * 0.8), pane))
    _wheels(
        build, (back + 0.18 * length, front - 0.18 * length), width / 2, min(0.48, 0.17 * height)
    )
    low = 0.24 * height
    _lamps(build, (back, front), side, (low, low + 0.36), 0.30 * height)


def _wheels(build: QuadBuilder, axles: tuple[float, ...], half: float, radius: float) -> None:
    """Round wheels that stand on the ground, in dark arches; half: of the vehicle's width [m]."""
    for x in axles:
        for sign in (-1, 1):
            arch, out = radius * 1.16, half - 1.3 * SKIN_M
            low = 0.01  # nothing but the tyre touches the ground
            corners = _facing_side(sign, out, (x - arch, x + arch), (low, low + 2 * arch))
            build.quad(corners, DARK, kind=DISC)
            corners = _facing_side(sign, half, (x - radius, x + radius), (0.0, 2 * radius))
            build.quad(corners, TYRE_RIM, kind=WHEEL)
            y = sorted((sign * (half - 0.02), sign * (half - 0.27)))
            span = (y[0], y[1])
            for to in (-1, 1):
                tread = _facing_front if to > 0 else _facing_back
                build.quad(tread(x + to * 0.85 * radius, span, (0.42 * radius, 1.3 * radius)), DARK)
                low_x, high_x = x + to * 0.25 * radius, x + to * 0.85 * radius
                lower: list[Point] = [
                    (low_x, span[0], 0.0), (low_x, span[1], 0.0),
                    (high_x, span[1], 0.42 * radius), (high_x, span[0], 0.42 * radius),
                ]  # fmt: skip
                build.quad(lower if to > 0 else _mirrored(lower), DARK)


def _lamps(
    build: QuadBuilder,
    ends: tuple[float, float],
    half: float,
    zs: tuple[float, float],
    nose: float,
    cut: float = 0.0,
) -> None:
    """Rear and head lamps, indicators at all corners, number plates. half: width of the body; zs:
    of the rear lamps; cut: how much narrower the body is at its ends."""
    side = half - cut
    back, front = ends[0] - SKIN_M, ends[1] + SKIN_M
    width = min(0.40, 0.44 * side)
    low, high = zs
    amber = low - 0.45 * (high - low)
    for sign, lamp in ((1, LEFT_LAMP), (-1, RIGHT_LAMP)):
        outer = sorted((sign * side, sign * (side - width)))
        y = (outer[0], outer[1])
        build.quad(_facing_back(back, y, (low, high)), RED, lamp=BRAKE_LAMP, lit=RED_LIT)
        build.quad(_facing_back(back, y, (amber, low)), AMBER, lamp=lamp, lit=AMBER_LIT)
        head = (nose - 0.24, nose - 0.05)
        build.quad(_facing_front(front, y, head), WHITE_LAMP, lamp=0)
        build.quad(_facing_front(front, y, (head[0] - 0.10, head[0])), AMBER, lamp=lamp,
                   lit=AMBER_LIT)  # fmt: skip
        x = (ends[1] - 0.40, ends[1] - 0.18)
        build.quad(_facing_side(sign, half + SKIN_M / 2, x, (nose - 0.20, nose - 0.08)), AMBER,
                   lamp=lamp, lit=AMBER_LIT)  # fmt: skip
    build.quad(_facing_back(back, (-0.26, 0.26), (low - 0.14, low)), PLATE)
    build.quad(_facing_front(front, (-0.26, 0.26), (0.30, 0.42)), PLATE)
    grille = (max(0.44, nose - 0.26), nose - 0.06)
    build.quad(_facing_front(front - SKIN_M / 3, (-0.5 * side, 0.5 * side), grille), DARK)


def _facing_front(x: float, y: tuple[float, float], z: tuple[float, float]) -> list[Point]:
    return [(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])]


def _facing_back(x: float, y: tuple[float, float], z: tuple[float, float]) -> list[Point]:
    return [(x, y[1], z[0]), (x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1])]


def _facing_side(
    sign: int, y: float, x: tuple[float, float], z: tuple[float, float]
) -> list[Point]:
    """sign 1: left, -1: right; y: distance from the middle."""
    if sign > 0:
        return [(x[1], y, z[0]), (x[0], y, z[0]), (x[0], y, z[1]), (x[1], y, z[1])]
    return [(x[0], -y, z[0]), (x[1], -y, z[0]), (x[1], -y, z[1]), (x[0], -y, z[1])]


def _mirrored(corners: list[Point]) -> list[Point]:
    """The same quad seen from its other side."""
    a, b, c, d = corners
    return [b, a, d, c]


def _part(
    corners: list[Point], across: tuple[float, float], up: tuple[float, float]
) -> list[Point]:
    """A part of a quad, between shares of its width and of its height."""
    a, b, c, d = (np.array(corner) for corner in corners)
    out = []
    for s, t in ((across[0], up[0]), (across[1], up[0]), (across[1], up[1]), (across[0], up[1])):
        low, high = a + s * (b - a), d + s * (c - d)
        x, y, z = low + t * (high - low)
        out.append((float(x), float(y), float(z)))
    return out


def _glass(build: QuadBuilder, corners: list[Point]) -> None:
    build.quad(corners, GLASS, kind=PANEL, tile=PANE_TILE)


assert {"car", "suv", "van", "truck", "bus"} <= set(MODELS)
