"""What stands in a town, from above: roofs, trees, posts, signs, cones, with their shadows.

In: Prop   Out: shapes in metres, global frame   May import: world, types, palette, town_shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from irl_vla.types import F64
from irl_vla.view.palette import Rgb
from irl_vla.view.town_shapes import Shape
from irl_vla.world.town import Prop

SUN = np.array([0.32, -0.24])  # [m] shadow per metre of height: light from the north-west
LONGEST_M = 9.0  # a shadow is cut there, so that towers do not darken the street
ROOFS: tuple[Rgb, ...] = (
    (176, 110, 88), (162, 98, 82), (150, 146, 142), (128, 130, 136), (188, 178, 162),
    (140, 118, 104), (106, 112, 122), (196, 188, 178),
)  # fmt: skip
LEAVES: tuple[Rgb, ...] = ((74, 116, 62), (84, 126, 66), (66, 106, 66), (96, 130, 64))
CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 25)), np.sin(np.linspace(0, 2 * np.pi, 25))], 1)
BOX = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])
DARK: Rgb = (58, 62, 68)
SIGN_COLOURS: dict[str, Rgb] = {"stop": (196, 44, 44), "yield": (226, 226, 220)}
ORANGE: Rgb = (240, 116, 32)
PALE: Rgb = (244, 240, 232)
RED: Rgb = (208, 52, 44)


@dataclass(frozen=True)
class DrawnProp:
    """A prop and what it looks like from above. outline: (n, 2) what casts the shadow [m]."""

    outline: F64
    height: float
    shapes: tuple[Shape, ...]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 [m]."""
        (x0, y0), (x1, y1) = self.outline.min(axis=0), self.outline.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)


def standing(props: Sequence[Prop]) -> list[DrawnProp]:
    """All props, low ones first: high ones cover them."""
    found = [_one(prop) for prop in props]
    return sorted(found, key=lambda one: one.height)


def shadow_of(one: DrawnProp) -> F64:
    """(n, 2) the ground that it darkens [m]: its outline, drawn out away from the sun."""
    away = SUN * min(one.height, LONGEST_M / float(np.linalg.norm(SUN)))
    both = np.vstack([one.outline, one.outline + away]).astype(np.float32)
    return np.asarray(cv2.convexHull(both)[:, 0], np.float64)


def placed(points: F64, pose: F64) -> F64:
    """(n, 2) points of a thing -> (n, 2) global."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]) + pose[:2])


def _one(prop: Prop) -> DrawnProp:
    length, width, height = (float(v) for v in prop.size)
    rng = np.random.default_rng([abs(prop.look), 7])
    outline = placed(BOX * [length, width], prop.pose)
    if prop.kind == "building":
        return DrawnProp(outline, height, _roof(prop, outline, rng))
    if prop.kind in ("tree", "bush"):
        radius = max(length, width) / 2
        crown = prop.pose[:2] + CIRCLE * radius
        return DrawnProp(crown, height * 0.6, _crown(prop.pose[:2], radius, rng))
    painter = {"traffic_cone": _cone, "barrier": _barrier}.get(prop.kind, _post)
    return DrawnProp(outline, min(height, 2.0), painter(prop))


def _roof(prop: Prop, outline: F64, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Flat with a parapet and boxes where the house is large, else two or four slopes."""
    length, width, height = (float(v) for v in prop.size)
    color = ROOFS[int(rng.integers(len(ROOFS)))]
    edge = Shape(outline, toned(color, 0.72))
    if min(length, width) > 13.0 or height > 12.0:
        return _flat_roof(prop, color, edge, rng)
    along = length >= width
    ridge = np.array([[1.0, 0.0], [-1.0, 0.0]]) if along else np.array([[0.0, 1.0], [0.0, -1.0]])
    inset = min(length, width) / 2 if rng.random() < 0.5 else 0.0  # hipped, or gabled
    ridge = ridge * ((length if along else width) / 2 - inset)
    ends = placed(ridge, prop.pose)
    a, b, c, d = placed(BOX * [length - 0.5, width - 0.5], prop.pose)
    if along:
        slopes = [
            (a, b, ends[1], ends[0]),
            (c, d, ends[0], ends[1]),
            (d, a, ends[0]),
            (b, c, ends[1]),
        ]
    else:
        slopes = [
            (b, c, ends[1], ends[0]),
            (d, a, ends[0], ends[1]),
            (a, b, ends[0]),
            (c, d, ends[1]),
        ]
    return (edge, *(_slope(np.array(corners), color) for corners in slopes))


def _slope(corners: F64, color: Rgb) -> Shape:
    """One face of a roof, lighter where it looks at the sun."""
    outward = corners[:2].mean(axis=0) - corners.mean(axis=0)
    outward /= max(float(np.linalg.norm(outward)), 1e-9)
    return Shape(corners, toned(color, 1.0 - 0.14 * float(outward @ SUN) / np.linalg.norm(SUN)))


def _flat_roof(prop: Prop, color: Rgb, edge: Shape, rng: np.random.Generator) -> tuple[Shape, ...]:
    length, width, _ = (float(v) for v in prop.size)
    grey = toned(color, 0.5, (196, 196, 192))
    inner = Shape(placed(BOX * [length - 1.0, width - 1.0], prop.pose), grey)
    boxes = []
    for _ in range(int(rng.integers(2, 6))):
        at = (rng.random(2) - 0.5) * [length - 6.0, width - 6.0]
        size = rng.uniform(1.2, 3.4, 2)
        shade, top = placed(BOX * size + at, prop.pose), placed(BOX * size + at, prop.pose)
        boxes.append(Shape(shade + SUN * 2.0, toned(grey, 0.78)))
        boxes.append(Shape(top, toned(grey, 1.1)))
    return (edge, inner, *boxes)


def _crown(centre: F64, radius: float, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Leaves: a dark round, lighter lobes towards the sun."""
    color = LEAVES[int(rng.integers(len(LEAVES)))]
    shapes = [Shape(centre + CIRCLE * radius, toned(color, 0.82))]
    turn = rng.uniform(0, 2 * np.pi)
    for k in range(5):
        angle = turn + k * 2 * np.pi / 5
        at = centre + 0.45 * radius * np.array([np.cos(angle), np.sin(angle)])
        lit = 1.0 - 0.12 * float((at - centre) @ SUN) / (0.45 * radius * 0.4)
        shapes.append(Shape(at + CIRCLE * radius * 0.5, toned(color, lit)))
    light = centre - SUN / np.linalg.norm(SUN) * 0.3 * radius
    shapes.append(Shape(light + CIRCLE * radius * 0.36, toned(color, 1.18)))
    return tuple(shapes)


def _cone(prop: Prop) -> tuple[Shape, ...]:
    return cone_shapes(prop.pose, max(0.5, float(prop.size[0])))


def cone_shapes(pose: F64, size: float) -> tuple[Shape, ...]:
    """A traffic cone: foot, white ring, tip."""
    rings = ((0.6, toned(ORANGE, 0.8)), (0.42, ORANGE), (0.28, PALE), (0.16, ORANGE))
    return tuple(Shape(pose[:2] + CIRCLE * size * r, color) for r, color in rings)


def _barrier(prop: Prop) -> tuple[Shape, ...]:
    return barrier_shapes(prop.pose, float(prop.size[0]), float(prop.size[1]))


def barrier_shapes(pose: F64, length: float, width: float) -> tuple[Shape, ...]:
    """A barrier in red and white stripes along its longer side."""
    if width > length:
        pose, length, width = pose + np.array([0.0, 0.0, np.pi / 2]), width, length
    width = max(width, 0.35)
    shapes = [Shape(placed(BOX * [length + 0.1, width + 0.1], pose), DARK)]
    count = max(3, round(length / 0.5)) | 1
    edges = np.linspace(-length / 2, length / 2, count + 1)
    for index in range(count):
        piece = BOX * [length / count, width] + [edges[index] + length / count / 2, 0.0]
        shapes.append(Shape(placed(piece, pose), PALE if index % 2 else RED))
    return tuple(shapes)


def _post(prop: Prop) -> tuple[Shape, ...]:
    """Lamp posts, signs, signal posts: a dot, and what is on top of it."""
    dot = Shape(prop.pose[:2] + CIRCLE * 0.16, DARK)
    if prop.kind == "lamp_post":
        arm = placed(np.array([[0.0, 0.0], [1.4, 0.0]]), prop.pose)
        head = Shape(placed(BOX * [0.6, 0.3] + [1.4, 0.0], prop.pose), (220, 220, 206))
        return Shape(arm, DARK, 0.12), dot, head
    if prop.kind == "sign":
        plate = Shape(placed(BOX * [0.22, 0.8], prop.pose), DARK)
        face = placed(BOX * [0.14, 0.7] + [0.06, 0.0], prop.pose)
        return plate, Shape(face, SIGN_COLOURS.get(prop.text, PALE))
    if prop.kind == "czone_sign":
        plate = Shape(placed(BOX * [0.3, 1.0], prop.pose), ORANGE)
        return plate, Shape(placed(BOX * [0.12, 0.7], prop.pose), DARK)
    return (dot,)


def toned(color: Rgb, factor: float, towards: Rgb = (0, 0, 0)) -> Rgb:
    """Darker below 1, lighter above 1; with `towards`, mixed with that colour."""
    mixed = [c * factor + t * (1.0 - factor) if any(towards) else c * factor
             for c, t in zip(color, towards, strict=True)]  # fmt: skip
    r, g, b = (int(min(255.0, max(0.0, value))) for value in mixed)
    return r, g, b
