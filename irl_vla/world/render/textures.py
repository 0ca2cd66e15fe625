"""Small pictures that quads carry: windows of houses, crowns of trees, signs.

An atlas is (tiles, 5461) packed colours: each tile at 64x64, 32x32, .. 1x1, one after the other.
May import: types, world.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.types import F64, U8
from irl_vla.world.render.texels import ATLAS_LEVELS, ATLAS_MOST, ATLAS_SIDE
from irl_vla.world.render.weather import SALT, fractal, packed

SIDE = ATLAS_SIDE
VARIANTS = 4  # pictures of one kind of facade
FACADES = ("brick", "plaster", "glass", "panel", "shop")
CROWNS = 6
SPOKES = "spokes"  # a bicycle's wheel
_FRAME = (slice(28, 36), slice(10, 54))  # the bar that holds a sign from behind
_FONT = cv2.FONT_HERSHEY_DUPLEX
Picture = tuple[U8, U8]  # (64, 64, 3) colours and (64, 64) alpha


@dataclass(frozen=True)
class Atlas:
    """texels: (tiles, 5461); finest: (tiles, 64, 64); tiles: first index of each name."""

    texels: NDArray[np.uint32]
    finest: NDArray[np.uint32]
    tiles: dict[str, int]


def sign_name(text: str) -> str:
    """Name of the tile of a sign that says `text`; the next tile is its back."""
    return f"sign {text.strip().lower()}"


def atlas_of(signs: Iterable[str]) -> Atlas:
    """All pictures of a town. signs: texts of its signs; those that do not fit are left blank."""
    texels, tiles = _common()
    room = (ATLAS_MOST - 1 - len(texels)) // 2
    texts = sorted({sign.strip().lower() for sign in signs})[:room]
    names = {sign_name(text): len(texels) + 2 * k for k, text in enumerate(texts)}
    texels = np.concatenate([texels, *(_sign_levels(text) for text in texts)])
    finest = np.ascontiguousarray(texels[:, : SIDE * SIDE]).reshape(-1, SIDE, SIDE)
    return Atlas(texels, finest, {**tiles, **names})


@cache
def _common() -> tuple[NDArray[np.uint32], dict[str, int]]:
    """Pictures that every town has."""
    rng = np.random.default_rng([SALT, 6])
    pictures: list[Picture] = [_body(), _pane()]  # BODY_TILE, PANE_TILE
    tiles: dict[str, int] = {}
    for name in FACADES:
        tiles[name] = len(pictures)
        pictures += [_facade(name, variant, rng) for variant in range(VARIANTS)]
    tiles["crown"] = len(pictures)
    pictures += [_crown(rng, ragged=k / CROWNS) for k in range(CROWNS)]
    tiles[SPOKES] = len(pictures)
    pictures.append(_spokes())
    return np.stack([_levels(*picture) for picture in pictures]), tiles


@cache
def _sign_levels(text: str) -> NDArray[np.uint32]:
    """(2, 5461) a sign's front and back."""
    front, alpha = _sign(text)
    back = np.full_like(front, 168)
    back[_FRAME] = 120
    return np.stack([_levels(front, alpha), _levels(back, alpha)])


def _levels(colours: U8, alpha: U8) -> NDArray[np.uint32]:
    """A picture at all its sizes. Colours under holes do not bleed into coarser ones."""
    weight = alpha.astype(np.float32)[..., None] / 255.0 + 1e-3
    light = colours.astype(np.float32) * weight
    levels = []
    for _ in range(ATLAS_LEVELS):
        byte = np.clip(light / weight, 0, 255).astype(np.uint8)
        levels.append(packed(byte, np.clip(weight[..., 0] * 255, 0, 255).astype(np.uint8)).ravel())
        size = (max(1, light.shape[1] // 2), max(1, light.shape[0] // 2))
        light = cv2.resize(light, size, interpolation=cv2.INTER_AREA).reshape(*size, 3)
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA).reshape(*size, 1)
    return np.concatenate(levels)


def _body() -> Picture:
    """Painted metal: the sky on its shoulder, the road's shade below; colours tint it."""
    light = np.interp(np.arange(SIDE), [0, 5, 9, 36, 40, 63], [255, 250, 226, 206, 178, 138])
    return _grey(np.repeat(light[:, None], SIDE, axis=1))


def _pane() -> Picture:
    """A window: bright above, with a slanted gleam."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    light = np.interp(y, [0, 20, 63], [235, 170, 120])
    gleam = np.abs((x + 0.6 * y) % 46 - 20.0) < 5
    return _grey(light * np.where(gleam, 1.16, 1.0))


def _grey(light: F64) -> Picture:
    """A picture without colour or holes."""
    byte = np.clip(light, 0, 255).astype(np.uint8)
    return np.repeat(byte[..., None], 3, axis=2), np.full((SIDE, SIDE), 255, np.uint8)


def _facade(name: str, variant: int, rng: np.random.Generator) -> Picture:
    """One window with the wall around it; walls are bright, houses tint them."""
    wall = np.full((SIDE, SIDE, 3), 236, np.float32)
    wall += rng.normal(0, 5, (SIDE, SIDE, 1))
    if name == "brick":
        rows = np.arange(SIDE) // 4
        wall[::4] *= 0.86
        for row in range(0, SIDE, 4):
            wall[row : row + 4, (4 * (rows[row] % 2)) :: 8] *= 0.90
    if name == "panel":
        wall[:2] *= 0.72
        wall[:, :1] *= 0.78
    pane = {
        "brick": (20, 12, 44, 50), "plaster": (21, 14, 43, 48), "glass": (3, 8, 61, 60),
        "panel": (8, 18, 56, 44), "shop": (3, 14, 61, 60),
    }[name]  # fmt: skip
    left, top, right, low = pane
    frame = (250.0, 250.0, 246.0) if name in ("brick", "plaster") else (120.0, 122.0, 126.0)
    cv2.rectangle(wall, (left - 2, top - 2), (right + 1, low + 1), frame, -1)
    glass = [(62, 76, 92), (46, 56, 70), (96, 108, 120), (70, 74, 78)][variant]
    cv2.rectangle(wall, (left, top), (right - 1, low - 1), [float(v) for v in glass], -1)
    shine = np.linspace(1.35, 0.8, low - top)[:, None, None]
    wall[top:low, left:right] *= shine
    if variant == 2 and name != "glass":  # curtains
        wall[top:low, left : left + 5] = 214
        wall[top:low, right - 5 : right] = 214
    if variant == 3 and name != "glass":  # a blind half way down
        wall[top : (top + low) // 2, left:right] = (206, 200, 186)
    middle = (left + right) // 2
    wall[top:low, middle - 1 : middle + 1] = frame
    if name in ("shop", "glass"):
        wall[61:] = 96  # a dark plinth, or the storey's edge
    if name == "shop":
        sign = [(180, 60, 50), (60, 110, 170), (70, 130, 90), (210, 170, 70)][variant]
        wall[2:11, 2:62] = sign
    elif name in ("brick", "plaster"):
        wall[low + 2 : low + 5, left - 4 : right + 4] = 200
    return np.clip(wall, 0, 255).astype(np.uint8), np.full((SIDE, SIDE), 255, np.uint8)


def _crown(rng: np.random.Generator, ragged: float) -> Picture:
    """Leaves: lobes with holes at the edge, dark below; bright, trees tint them."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1) * 2.0 - 1.0
    noise = fractal(rng, SIDE, SIDE, 4, (4, 4))
    fine = fractal(rng, SIDE, SIDE, 2, (16, 16))
    angle = np.arctan2(y, x)
    lobes = 0.06 * np.sin(5 * angle + rng.uniform(0, 6)) + 0.04 * np.sin(9 * angle + 1.0)
    edge = 0.88 + lobes - 0.05 * ragged
    inside = np.hypot(x, y * 1.02) + 0.06 * noise + 0.03 * fine < edge
    light = 205 + 22 * noise + 16 * fine - 40 * y
    colours = np.repeat(np.clip(light, 70, 255)[..., None], 3, axis=2)
    return colours.astype(np.uint8), np.where(inside, 255, 0).astype(np.uint8)


def _spokes() -> Picture:
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(alpha, (32, 32), 29, 255, 4, cv2.LINE_AA)
    for k in range(4):
        across = (int(28 * np.cos(k * np.pi / 4)), int(28 * np.sin(k * np.pi / 4)))
        cv2.line(alpha, (32 - across[0], 32 - across[1]), (32 + across[0], 32 + across[1]), 255, 1)
    return np.full((SIDE, SIDE, 3), 40, np.uint8), alpha


def _sign(text: str) -> Picture:
    """A traffic sign; what has no picture of its own is white letters on blue."""
    picture, alpha = np.full((SIDE, SIDE, 3), 250, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    if text == "stop":
        angle = np.radians(22.5 + 45 * np.arange(8))
        ring = np.stack([31.5 + 32 * np.cos(angle), 31.5 + 32 * np.sin(angle)], axis=1)
        cv2.fillPoly(alpha, [ring.round().astype(np.int32)], 255)
        inner = np.round((ring - 31.5) * 0.9 + 31.5).astype(np.int32)
        cv2.fillPoly(picture, [inner], (196, 26, 32))
        _letters(picture, "STOP", (250, 250, 250), 46)
    elif text in ("yield", "give way"):
        cv2.fillPoly(alpha, [np.array([(0, 4), (63, 4), (32, 60)])], 255)
        picture[:] = (206, 30, 34)
        cv2.fillPoly(picture, [np.array([(13, 11), (50, 11), (32, 44)])], (250, 250, 250))
    elif text.isdigit():
        cv2.circle(alpha, (32, 32), 31, 255, -1)
        cv2.circle(picture, (32, 32), 28, (206, 30, 34), 7, cv2.LINE_AA)
        _letters(picture, text, (24, 24, 26), 38)
    elif text in ("work", "roadworks", "workzone", "construction", ""):
        cv2.fillPoly(alpha, [np.array([(32, 0), (63, 32), (32, 63), (0, 32)])], 255)
        picture[:] = (236, 128, 30)
        cv2.polylines(
            picture, [np.array([(32, 5), (58, 32), (32, 58), (5, 32)])], True, (20,) * 3, 2
        )
        cv2.line(picture, (26, 44), (38, 22), (20, 20, 20), 4)
    elif text == "priority":
        cv2.fillPoly(alpha, [np.array([(32, 0), (63, 32), (32, 63), (0, 32)])], 255)
        cv2.fillPoly(picture, [np.array([(32, 13), (51, 32), (32, 51), (13, 32)])], (246, 190, 32))
    elif "left" in text or "right" in text:
        alpha[12:52] = 255
        picture[:] = (240, 120, 24)
        for x in (12, 30, 48):
            tip = -9 if "left" in text else 9
            arrow = [(x - tip // 2, 18), (x + tip // 2 + tip // 3, 32), (x - tip // 2, 46)]
            cv2.polylines(picture, [np.array(arrow)], False, (20, 20, 20), 5)
    else:
        alpha[16:48] = 255
        picture[:] = (36, 84, 160)
        _letters(picture, text.upper()[:10], (250, 250, 250), 56)
    return picture, alpha


def _letters(picture: U8, text: str, colour: tuple[int, int, int], width: int) -> None:
    (wide, high), _ = cv2.getTextSize(text, _FONT, 1.0, 2)
    scale = min(width / max(wide, 1), 26 / max(high, 1))
    x, y = round(32 - wide * scale / 2), round(32 + high * scale / 2)
    cv2.putText(picture, text, (x, y), _FONT, scale, colour, 2 if scale > 0.4 else 1, cv2.LINE_AA)
