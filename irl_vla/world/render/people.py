"""People on foot and on bicycles: limbs that swing with the way they have gone.

Local frame: middle of the box on the ground, x forward. May import: types, world.
"""

from __future__ import annotations

import numpy as np

from irl_vla.types import F64
from irl_vla.world.render.quads import BICYCLE, CUT, PERSON, QuadBuilder, Quads, Rgb
from irl_vla.world.render.weather import SALT

STRIDE_M = 1.45  # [m] of two steps of a walk
TRUNK_M = 0.145  # [m] half the depth of a trunk
CLOTHES: tuple[Rgb, ...] = (
    (176, 44, 44), (44, 78, 140), (222, 222, 218), (34, 36, 42), (70, 110, 74), (210, 170, 60),
    (120, 84, 130), (150, 152, 156), (222, 120, 60), (90, 130, 160),
)  # fmt: skip
TROUSERS: tuple[Rgb, ...] = (
    (44, 52, 76),
    (32, 33, 38),
    (92, 84, 70),
    (62, 66, 74),
    (120, 116, 108),
)
SKINS: tuple[Rgb, ...] = ((226, 184, 154), (196, 146, 112), (142, 98, 72), (96, 66, 50))
HAIRS: tuple[Rgb, ...] = ((30, 24, 20), (72, 48, 30), (132, 98, 56), (150, 148, 146), (46, 38, 36))
SHOES: Rgb = (34, 32, 34)


def person(size: F64, look: int) -> Quads:
    """Somebody on foot. size: (3,) length, width, height [m]; look: seed of clothes."""
    rng = np.random.default_rng([abs(int(look)), SALT, 7])
    build = QuadBuilder(PERSON)
    high = float(size[2])
    hip, shoulder = 0.50 * high, 0.81 * high
    half = min(0.24, float(size[1]) * 0.42)
    coat, legs, skin, hair = _clothes(rng)
    long_coat = rng.random() < 0.3
    for side in (-1, 1):
        swing = 0.46 * side
        y = side * half * 0.42
        build.post((0.0, y, hip), (0.02, y, 0.05), (0.095, 0.065), legs, (hip, swing))
        build.post((-0.06, y, 0.045), (0.17, y, 0.035), (0.055, 0.05), SHOES, (hip, swing))
        arm = side * half * 1.05
        build.post((0.0, arm, shoulder - 0.03), (0.03, arm * 1.08, 0.50 * high), (0.062, 0.048),
                   coat, (shoulder, -0.5 * side))  # fmt: skip
        build.ball((0.0, arm, shoulder - 0.04), 0.07, 0.07, coat)
    _trunk(build, (0.0, 0.72 * hip if long_coat else 0.95 * hip), shoulder, half, coat)
    _head(build, (0.02, high), skin, hair)
    return build.done()


def cyclist(size: F64, look: int, spokes: int) -> Quads:
    """Somebody on a bicycle. spokes: the tile of its wheels."""
    rng = np.random.default_rng([abs(int(look)), SALT, 8])
    build = QuadBuilder(BICYCLE)
    length, width, high = (float(v) for v in size)
    radius = min(0.35, length * 0.2)
    coat, legs, skin, hair = _clothes(rng)
    frame = CLOTHES[int(rng.integers(len(CLOTHES)))]
    front, back = length / 2 - radius, -length / 2 + radius
    for x in (front, back):
        low, top = [(x - radius, 0.0, 0.0), (x + radius, 0.0, 0.0)], 2 * radius
        corners = [*low, (x + radius, 0.0, top), (x - radius, 0.0, top)]
        for quad in (corners, [corners[1], corners[0], corners[3], corners[2]]):
            build.quad(quad, (255.0, 255.0, 255.0), kind=CUT, tile=spokes)
    saddle, crank = (back * 0.5, 0.0, 0.52 * high), (0.02, 0.0, radius)
    bar = (front * 0.72, 0.0, 0.58 * high)
    for a, b in ((crank, saddle), (saddle, bar), (crank, bar), ((back, 0.0, radius), crank),
                 ((back, 0.0, radius), saddle), (bar, (front, 0.0, radius))):  # fmt: skip
        build.post(a, b, (0.028, 0.028), frame)
    half = min(0.23, width * 0.4)
    build.post((bar[0], -half, bar[2] + 0.04), (bar[0], half, bar[2] + 0.04), (0.025, 0.025), SHOES)
    hip, chest = (saddle[0] - 0.02, saddle[2] + 0.06), (front * 0.34, 0.80 * high)
    for side in (-1, 1):
        y = side * 0.11
        knee = (0.22 + 0.05 * side, y, 0.40 * high + 0.07 * side)
        build.post((hip[0], y, hip[1]), knee, (0.095, 0.075), legs, (hip[1], 0.18 * side))
        build.post(knee, (0.06, y, radius * (0.75 - 0.35 * side)), (0.07, 0.05), legs,
                   (hip[1], 0.18 * side))  # fmt: skip
        build.post((chest[0], side * half, chest[1]), (bar[0], side * half, bar[2] + 0.05),
                   (0.06, 0.045), coat)  # fmt: skip
    for side in (-1, 1):
        y = side * (half - TRUNK_M)
        build.post((hip[0], 0.5 * y, hip[1] - 0.08), (chest[0], y, chest[1]), (0.13, TRUNK_M), coat)
        build.ball((chest[0], y, chest[1]), TRUNK_M, 0.10, coat)
    helmet = rng.random() < 0.6
    _head(build, (chest[0] + 0.08, high), skin, (220, 222, 60) if helmet else hair)
    return build.done()


def walked(states: F64, looks: np.ndarray) -> tuple[F64, F64]:
    """Phase [rad] of each walker's stride and how far its limbs swing, 0 at rest to 1.

    states: (A, 5); looks: (A,)
    """
    speed = np.hypot(states[:, 3], states[:, 4])
    return way_gone(states, looks) * (2 * np.pi / STRIDE_M), np.clip(speed / 1.2, 0.0, 1.0)


def way_gone(states: F64, looks: np.ndarray) -> F64:
    """(A,) [m] a length that grows as somebody goes on, about as fast. states: (A, 5).

    A moment does not know the way that somebody has gone; but the way along the nearest of eight
    directions grows as they go, whichever moment is looked at.
    """
    turned = (looks % 97) / 97.0 * (np.pi / 4)  # the directions differ from one to another
    nearest = np.round((states[:, 2] - turned) / (np.pi / 4)) * (np.pi / 4) + turned
    way = states[:, 0] * np.cos(nearest) + states[:, 1] * np.sin(nearest)
    return np.asarray(way + looks % 7)


def _clothes(rng: np.random.Generator) -> tuple[Rgb, Rgb, Rgb, Rgb]:
    """Colours of coat, trousers, skin, hair."""
    return tuple(
        choice[int(rng.integers(len(choice)))] for choice in (CLOTHES, TROUSERS, SKINS, HAIRS)
    )  # type: ignore[return-value]


def _trunk(
    build: QuadBuilder, low: tuple[float, float], shoulder: float, half: float, coat: Rgb
) -> None:
    """Two rounds side by side, so that it is wider than deep. low: x and height of its end."""
    x, z = low
    for side in (-1, 1):
        y = side * (half - TRUNK_M)
        build.post((x, 0.9 * y, z), (x, y, shoulder), (TRUNK_M * 0.94, TRUNK_M), coat)
        build.ball((x, y, shoulder), TRUNK_M, 0.075, coat)


def _head(build: QuadBuilder, at: tuple[float, float], skin: Rgb, hair: Rgb) -> None:
    """at: x, and the height of the top."""
    x, top = at
    build.post((x - 0.01, 0.0, top - 0.30), (x, 0.0, top - 0.18), (0.055, 0.055), skin)
    build.ball((x, 0.0, top - 0.125), 0.098, 0.122, skin)
    build.ball((x - 0.035, 0.0, top - 0.085), 0.10, 0.085, hair)
