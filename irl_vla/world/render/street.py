"""What stands beside a street: houses, trees, lamp posts, signs, signals, cones, barriers.

Frames: the town's. May import: types, world.
"""

from __future__ import annotations

import numpy as np

from irl_vla.types import F64
from irl_vla.world.render.quads import (
    BUILDING,
    CUT,
    DISC,
    FACE,
    OBSTACLE,
    PANEL,
    PLANT,
    POLE,
    SIGN,
    TRAFFIC_LIGHT,
    Point,
    QuadBuilder,
    Quads,
    Rgb,
)
from irl_vla.world.render.textures import CROWNS, FACADES, VARIANTS, Atlas, sign_name
from irl_vla.world.render.weather import SALT

RED_LAMP, AMBER_LAMP, GREEN_LAMP = 1, 2, 3  # numbers of Light
LAMP_M, LAMP_GAP_M = 0.38, 0.44  # diameter of a signal's lamps; from one to the next
HEAD_M = (0.62, 1.56)  # width and height of the dark plate behind them
HEAD_FRONT_M = 0.22  # its front stands out by, so that no mast pierces it
STOREY_M, BAY_M = 3.1, 3.0
WALLS: tuple[Rgb, ...] = (
    (186, 104, 84), (206, 176, 140), (222, 210, 186), (168, 160, 152), (196, 142, 104),
    (150, 156, 166), (226, 222, 214), (160, 116, 96), (204, 190, 126),
)  # fmt: skip
ROOFS: tuple[Rgb, ...] = ((120, 70, 56), (84, 78, 78), (104, 92, 84))
LEAVES: tuple[Rgb, ...] = (
    (84, 116, 56),
    (70, 104, 52),
    (104, 124, 58),
    (64, 96, 60),
    (120, 120, 56),
)
TRUNK: Rgb = (92, 74, 58)
STEEL: Rgb = (112, 116, 120)
HOUSING: Rgb = (26, 28, 30)
UNLIT = ((62, 14, 14), (64, 44, 12), (12, 52, 36))
LIT = ((255, 40, 30), (255, 182, 30), (40, 255, 150))
WHITE: Rgb = (255.0, 255.0, 255.0)
ORANGE: Rgb = (236, 96, 30)
CLASS_OF = {
    "building": BUILDING, "tree": PLANT, "bush": PLANT, "lamp_post": POLE, "signal_post": POLE,
    "sign": SIGN, "traffic_cone": OBSTACLE, "barrier": OBSTACLE, "czone_sign": OBSTACLE,
}  # fmt: skip


def thing(kind: str, size: F64, look: int, text: str, atlas: Atlas) -> Quads:
    """Quads of a prop in its own frame: middle on the ground, x along its heading."""
    build = QuadBuilder(CLASS_OF.get(kind, OBSTACLE))
    rng = np.random.default_rng([abs(int(look)), SALT, 9])
    if kind == "building":
        _building(build, size, rng, atlas)
    elif kind in ("tree", "bush"):
        _plant(build, size, rng, atlas.tiles["crown"], trunk=kind == "tree")
    elif kind == "lamp_post":
        _lamp_post(build, size)
    elif kind == "signal_post":
        _signal_post(build, size)
    elif kind in ("sign", "czone_sign"):
        _sign(build, size, atlas.tiles.get(sign_name(text), -1))
    elif kind == "traffic_cone":
        _cone(build, size)
    else:
        _barrier(build, size)
    return build.done()


def _building(build: QuadBuilder, size: F64, rng: np.random.Generator, atlas: Atlas) -> None:
    """Four walls of windows, shops below some, a roof flat or pitched."""
    x, y, high = float(size[0]) / 2, float(size[1]) / 2, float(size[2])
    style = FACADES[int(rng.choice(4, p=(0.35, 0.35, 0.12, 0.18)))]
    wall = WALLS[int(rng.integers(len(WALLS)))]
    wall = (214.0, 220.0, 226.0) if style == "glass" else wall
    shop = style != "glass" and rng.random() < 0.45 and high > 5.0
    pitched = style in ("brick", "plaster") and rng.random() < 0.55 and high < 12.0
    eaves = high * 0.74 if pitched and high < 9 else high - 2.2 if pitched else high
    storeys = max(1, round((eaves - 0.3) / STOREY_M))
    first = eaves / storeys
    ring = [(x, -y), (x, y), (-x, y), (-x, -y)]
    for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
        bays = max(1, round(float(np.hypot(bx - ax, by - ay)) / BAY_M))
        low = first if shop and storeys > 1 else 0.0
        if low:
            build.quad([(ax, ay, 0.0), (bx, by, 0.0), (bx, by, low), (ax, ay, low)],
                       (226, 224, 220), kind=PANEL, tile=atlas.tiles["shop"],
                       repeat=(max(1, bays // 2), 1.0), variants=VARIANTS)  # fmt: skip
        build.quad([(ax, ay, low), (bx, by, low), (bx, by, eaves), (ax, ay, eaves)], wall,
                   kind=PANEL, tile=atlas.tiles[style],
                   repeat=(bays, storeys - (1 if low else 0)), variants=VARIANTS)  # fmt: skip
    if not pitched:
        build.quad([(-x, -y, high), (x, -y, high), (x, y, high), (-x, y, high)], (120, 118, 116))
        return
    roof = ROOFS[int(rng.integers(len(ROOFS)))]
    over = 0.35
    a, b = x + over, y + over
    build.quad([(a, -b, eaves), (a, 0, high), (-a, 0, high), (-a, -b, eaves)], roof)
    build.quad([(-a, b, eaves), (-a, 0, high), (a, 0, high), (a, b, eaves)], roof)
    for sign in (1, -1):
        build.quad([(sign * x, -sign * y, eaves), (sign * x, sign * y, eaves),
                    (sign * x, 0.0, high), (sign * x, 0.0, high)], wall)  # fmt: skip


def _plant(
    build: QuadBuilder, size: F64, rng: np.random.Generator, crowns: int, *, trunk: bool
) -> None:
    wide, high = float(max(size[0], size[1])) / 2, float(size[2])
    leaves = LEAVES[int(rng.integers(len(LEAVES)))]
    bright = rng.uniform(0.85, 1.15)
    leaves = (leaves[0] * bright, leaves[1] * bright, leaves[2] * bright)
    low = 0.30 * high if trunk else 0.0
    if trunk:
        build.post((0.0, 0.0, 0.0), (0.0, 0.0, 0.6 * high), (0.035 * high, 0.02 * high), TRUNK)
    tile = crowns + int(rng.integers(CROWNS))
    middle, half = (low + high) / 2, (high - low) / 2
    build.crown((0.0, 0.0, middle), (wide, half), leaves, tile)
    dark = (leaves[0] * 0.82, leaves[1] * 0.84, leaves[2] * 0.85)
    for _ in range(2):  # lobes before and behind give it depth as one drives by
        angle, reach = rng.uniform(0, 2 * np.pi), 0.38 * wide
        centre = (
            reach * np.cos(angle),
            reach * np.sin(angle),
            middle + rng.uniform(-0.3, 0.2) * half,
        )
        other = crowns + int(rng.integers(CROWNS))
        build.crown(
            centre, (0.62 * wide, 0.62 * half), dark if rng.random() < 0.5 else leaves, other
        )


def _lamp_post(build: QuadBuilder, size: F64) -> None:
    """A mast with an arm to its front."""
    high = float(size[2])
    arm = max(1.0, float(size[0]) / 2 if size[0] > 1.0 else 1.6)
    build.post((0.0, 0.0, 0.0), (0.0, 0.0, high), (0.09, 0.055), STEEL)
    build.post((0.0, 0.0, high - 0.06), (arm, 0.0, high + 0.06), (0.045, 0.04), STEEL)
    build.block((arm - 0.1, -0.11, high), (arm + 0.6, 0.11, high + 0.11), (190, 192, 194))


def _signal_post(build: QuadBuilder, size: F64) -> None:
    """A mast; where it is longer than thick, with an arm along its heading."""
    high, arm = float(size[2]), float(size[0])
    build.post((0.0, 0.0, 0.0), (0.0, 0.0, high), (0.09, 0.075), STEEL)
    if arm > 1.0:
        build.post((0.0, 0.0, high - 0.15), (arm, 0.0, high - 0.15), (0.06, 0.05), STEEL)


def _sign(build: QuadBuilder, size: F64, tile: int) -> None:
    """A plate on a pole that faces along its heading."""
    high = float(size[2])
    side = float(np.clip(size[1], 0.55, 1.0)) if high < 4.0 else float(size[1])
    low = max(0.15, high - side)
    build.post((-0.03, 0.0, 0.0), (-0.03, 0.0, high - 0.1), (0.035, 0.035), STEEL)
    y, x = side / 2, 0.012
    face: list[Point] = [(x, -y, low), (x, y, low), (x, y, high), (x, -y, high)]
    back: list[Point] = [(-x, y, low), (-x, -y, low), (-x, -y, high), (-x, y, high)]
    if tile >= 0:
        build.quad(face, WHITE, kind=CUT, tile=tile)
        build.quad(back, (150, 152, 154), kind=CUT, tile=tile + 1)
    else:
        build.quad(face, (40, 84, 160))
        build.quad(back, (120, 122, 124))


def _cone(build: QuadBuilder, size: F64) -> None:
    """An orange cone with white bands on a square foot."""
    foot, high = float(size[0]) / 2, float(size[2])
    radius = min(foot * 0.75, 0.17)
    build.block((-foot, -foot, 0.0), (foot, foot, 0.05 * high), (60, 50, 46))
    for a, b, colour in ((0.03, 0.38, ORANGE), (0.38, 0.58, (240, 240, 236)), (0.58, 0.70, ORANGE),
                         (0.70, 0.82, (240, 240, 236)), (0.82, 1.0, ORANGE)):  # fmt: skip
        build.post((0.0, 0.0, a * high), (0.0, 0.0, b * high),
                   (radius * (1.08 - 0.9 * a), radius * (1.08 - 0.9 * b)), colour)  # fmt: skip


def _barrier(build: QuadBuilder, size: F64) -> None:
    """A red and white board that fills its box."""
    x, y, high = (float(v) for v in (size[0] / 2, size[1] / 2, size[2]))
    build.block((-x, -y, 0.0), (x, y, high), (228, 226, 220))
    long, out = max(x, y), 0.006
    pieces = max(2, round(2 * long / 0.5))
    edges = np.linspace(-long, long, pieces + 1)
    for k in range(0, pieces, 2):
        a, b = float(edges[k]), float(edges[k + 1])
        for sign in (-1, 1):
            ends = [(a, sign * (min(x, y) + out)), (b, sign * (min(x, y) + out))]
            points = ends if x >= y else [(q, p) for p, q in ends]
            (ax, ay), (bx, by) = points if (sign < 0) == (x >= y) else points[::-1]
            build.quad([(ax, ay, 0.25 * high), (bx, by, 0.25 * high), (bx, by, 0.92 * high),
                        (ax, ay, 0.92 * high)], (206, 44, 36))  # fmt: skip


def signal_head(head: F64, posts: F64) -> Quads:
    """A signal's lamps and what holds them, in the frame of their middle. head: (4,) x, y, z of
    that and the heading that it faces; posts: (n, 2) where masts stand that the town draws."""
    build = QuadBuilder(TRAFFIC_LIGHT)
    wide, high = HEAD_M[0] / 2, HEAD_M[1] / 2
    x, half = HEAD_FRONT_M, LAMP_M / 2
    build.block((x - 0.08, -wide, -high), (x, wide, high), HOUSING, face=FACE)
    for k, lamp in enumerate((RED_LAMP, AMBER_LAMP, GREEN_LAMP)):
        z = (1 - k) * LAMP_GAP_M
        at = x + 0.02
        build.quad([(at, -half, z - half), (at, half, z - half), (at, half, z + half),
                    (at, -half, z + half)], UNLIT[k], kind=DISC, lamp=lamp, lit=LIT[k])  # fmt: skip
    _hold(build, head, posts)
    return build.done()


def _hold(build: QuadBuilder, head: F64, posts: F64) -> None:
    """An arm to the nearest mast, or a mast of its own where there is none near."""
    c, s = np.cos(head[3]), np.sin(head[3])
    z = float(head[2])
    if len(posts):
        gap = posts - head[:2]
        nearest = gap[np.argmin(np.hypot(gap[:, 0], gap[:, 1]))]
        distance = float(np.hypot(*nearest))
        if distance < 14.0:
            x, y = c * nearest[0] + s * nearest[1], c * nearest[1] - s * nearest[0]
            if distance > 0.35:
                build.post((-0.12, 0.0, 0.5), (float(x), float(y), 0.5), (0.05, 0.06), STEEL)
            return
    build.post((-0.3, 0.0, -z), (-0.3, 0.0, 0.3), (0.08, 0.07), STEEL)
