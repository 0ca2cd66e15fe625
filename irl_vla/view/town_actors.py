"""Road users from above: bodies, glass, lamps that light, riders, walkers, cones.

In: states of one instant   Out: shapes in metres, global frame
May import: world, scoring.scene, types, palette, town_shapes, town_props.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from irl_vla.scoring.scene import AGENT_TYPES, PEDESTRIAN
from irl_vla.types import F64
from irl_vla.view.palette import Rgb
from irl_vla.view.town_props import BOX, CIRCLE, barrier_shapes, cone_shapes, placed, toned
from irl_vla.view.town_shapes import Shape
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, MODELS, RIGHT_INDICATOR

PAINTS: tuple[Rgb, ...] = (  # three of four cars have no colour, as on real streets
    (232, 233, 234), (238, 239, 240), (226, 228, 230), (198, 202, 206), (188, 192, 197),
    (146, 151, 158), (118, 124, 132), (66, 70, 78), (50, 54, 62), (58, 60, 66), (44, 84, 148),
    (62, 122, 178), (178, 50, 44), (134, 40, 44), (206, 164, 74), (86, 108, 90),
)  # fmt: skip
CLOTHES: tuple[Rgb, ...] = (
    (222, 72, 62), (52, 108, 190), (240, 196, 60), (244, 244, 240), (120, 70, 150), (42, 150, 120),
    (238, 132, 48),
)  # fmt: skip
EGO: Rgb = (0, 196, 140)
GLASS: Rgb = (36, 44, 54)
HELMET: Rgb = (238, 238, 232)
SKIN: Rgb = (226, 180, 146)
HAIR: Rgb = (70, 50, 40)
LOAD: Rgb = (222, 220, 212)
HEADLIGHT: Rgb = (252, 248, 224)
TAIL, BRAKING, AMBER = (120, 30, 30), (255, 36, 28), (255, 168, 20)
RIM: Rgb = (30, 33, 38)
RIM_M = 0.07  # [m] outline of a body, so that dark cars stand out from asphalt
PERSON = 1.35  # people are drawn so much larger: at true size they are five pixels
BLINK_S = 0.4  # [s] an indicator is lit, and then dark

Part = tuple[F64, Rgb]  # (n, 2) ring, x forward from the middle of the box [m]; colour


def actor_shapes(
    kind: int, model: int, look: int, size: F64, state: F64, lamps: int, time_s: float
) -> list[Shape]:
    """What one road user looks like. kind: of AGENT_TYPES; model: of MODELS; size: (3,);
    state: (5,); lamps: bits; time_s: for indicators that blink."""
    name = AGENT_TYPES[kind]
    length, width = float(size[0]), float(size[1])
    if name == "traffic_cone":
        return list(cone_shapes(state[:3], max(0.5, max(length, width))))
    if name == "barrier":
        return list(barrier_shapes(state[:3], length, width))
    if name == "vehicle":
        color = PAINTS[look % len(PAINTS)]
        return vehicle_shapes(MODELS[model], color, length, width, state[:3], lamps, time_s)
    if name == "bicycle":
        parts = _cyclist(CLOTHES[look % len(CLOTHES)], length)
    elif kind == PEDESTRIAN:
        parts = _walker(CLOTHES[look % len(CLOTHES)])
    else:
        parts = _thing(name, length, width)
    return [Shape(placed(ring, state), color) for ring, color in parts]


def vehicle_shapes(
    model: str, color: Rgb, length: float, width: float, pose: F64, lamps: int, time_s: float
) -> list[Shape]:
    """A vehicle and its lamps. pose: (3,) of the middle of its box."""
    parts = [*_body(model, color, round(length, 2), round(width, 2))]
    parts += _lamps(length, width, lamps, time_s)
    return [Shape(placed(ring, pose), tone) for ring, tone in parts]


def glow_shapes(length: float, width: float, pose: F64, lamps: int, time_s: float) -> list[Shape]:
    """Light around lit brake lamps and indicators, to be painted translucent."""
    parts: list[Part] = []
    if lamps & BRAKE:
        parts += [(CIRCLE * 0.6 + [-length / 2, y], BRAKING) for y in (-0.36 * width, 0.36 * width)]
    for side in _blinking(lamps, time_s):
        parts += [
            (CIRCLE * 0.6 + [x, side * 0.45 * width], AMBER) for x in (-length / 2, length / 2)
        ]
    return [Shape(placed(ring, pose), tone) for ring, tone in parts]


def _blinking(lamps: int, time_s: float) -> list[int]:
    """Sides whose indicators are lit now: 1 left, -1 right."""
    if int(time_s / BLINK_S + 1e-6) % 2:
        return []
    return [side for bit, side in ((LEFT_INDICATOR, 1), (RIGHT_INDICATOR, -1)) if lamps & bit]


def _lamps(length: float, width: float, lamps: int, time_s: float) -> list[Part]:
    lit = bool(lamps & BRAKE)
    back = BOX * ([0.34, 0.34 * width] if lit else [0.2, 0.24 * width])
    parts = [
        (back + np.array([0.12 - length / 2, y]), BRAKING if lit else TAIL)
        for y in (-0.33 * width, 0.33 * width)
    ]
    for side in _blinking(lamps, time_s):
        parts += [
            (BOX * [0.42, 0.4] + [x, side * 0.42 * width], AMBER)
            for x in (-length / 2 + 0.2, length / 2 - 0.3)
        ]
    return parts


@lru_cache(maxsize=512)
def _body(model: str, color: Rgb, length: float, width: float) -> tuple[Part, ...]:
    """Everything but the lamps."""
    rim = (
        rounded(-length / 2 - RIM_M, length / 2 + RIM_M, width + 2 * RIM_M, 0.5),
        toned(color, 0.45),
    )
    if model == "truck" and length > 5.5:
        return (rim, *_truck(color, length, width))
    shell = (rounded(-length / 2, length / 2, width, 0.24 * width), color)
    front = [(BOX * [0.22, 0.26 * width] + [length / 2 - 0.2, y * width], HEADLIGHT)
             for y in (-0.32, 0.32)]  # fmt: skip
    if model == "bus":
        return (rim, shell, *front, *_bus(color, length, width))
    rear, screen = {"suv": (-0.46, 0.24), "van": (-0.48, 0.36)}.get(model, (-0.38, 0.2))
    back_glass = 0.03 if model == "van" else 0.09
    glass = rounded(rear * length, screen * length, 0.86 * width, 0.2 * width)
    roof = rounded(
        (rear + back_glass) * length, (screen - 0.14) * length, 0.74 * width, 0.12 * width
    )
    bonnet = rounded((screen + 0.03) * length, 0.47 * length, 0.7 * width, 0.14 * width)
    return (rim, shell, (bonnet, toned(color, 1.06)), *front, (glass, GLASS),
            (roof, toned(color, 1.1)))  # fmt: skip


def _truck(color: Rgb, length: float, width: float) -> tuple[Part, ...]:
    cab = min(2.3, 0.3 * length)
    front = length / 2
    return (
        (BOX * [length - 0.6, 0.6 * width], RIM),
        (rounded(front - cab, front, width, 0.3), color),
        (rounded(front - 0.8, front - 0.25, 0.88 * width, 0.15), GLASS),
        (rounded(-length / 2, front - cab - 0.35, width, 0.12), toned(LOAD, 0.88)),
        (rounded(-length / 2 + 0.2, front - cab - 0.55, width - 0.4, 0.1), LOAD),
    )


def _bus(color: Rgb, length: float, width: float) -> tuple[Part, ...]:
    front = length / 2
    hatches = [
        (BOX * [1.2, 0.9] + [x, 0.0], toned(color, 0.8)) for x in (-0.25 * length, 0.12 * length)
    ]
    return (
        (rounded(-front + 0.2, front - 0.25, 0.94 * width, 0.3), GLASS),
        (rounded(-front + 0.35, front - 0.75, 0.84 * width, 0.25), toned(color, 1.12)),
        *hatches,
    )


def _cyclist(color: Rgb, length: float) -> list[Part]:
    half = length / 2
    return [
        (BOX * [length, 0.16], RIM), (BOX * [0.14, 0.62] + [half - 0.55, 0.0], RIM),
        (CIRCLE * [0.34, 0.4] + [-0.12, 0.0], toned(color, 0.85)),
        (CIRCLE * [0.26, 0.36] + [-0.1, 0.0], color), (CIRCLE * 0.2 + [0.12, 0.0], HELMET),
    ]  # fmt: skip


def _walker(color: Rgb) -> list[Part]:
    return [
        (CIRCLE * np.array([0.24, 0.37]) * PERSON, toned(color, 0.6)),
        (CIRCLE * np.array([0.19, 0.31]) * PERSON, color),
        (CIRCLE * 0.15 * PERSON, HAIR), (CIRCLE * 0.1 * PERSON + [0.08, 0.0], SKIN),
    ]  # fmt: skip


def _thing(name: str, length: float, width: float) -> list[Part]:
    color: Rgb = (240, 116, 32) if name == "czone_sign" else (150, 126, 96)
    size = np.maximum([length, width], 0.4)
    return [(BOX * (size + 0.1), RIM), (BOX * (size - 0.06), color)]


def rounded(rear: float, front: float, width: float, radius: float) -> F64:
    """A box from x = rear to x = front with round corners."""
    radius = min(radius, 0.49 * width, 0.49 * (front - rear))
    angle = np.linspace(0.0, 2 * np.pi, 16, endpoint=False) + np.pi / 16  # four in each corner
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ends = np.where(circle[:, 0] > 0, front - radius, rear + radius)
    sides = np.sign(circle[:, 1]) * (width / 2 - radius)
    return np.asarray(np.column_stack([ends, sides]) + radius * circle)
