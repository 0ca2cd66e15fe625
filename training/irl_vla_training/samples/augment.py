"""Samples varied as they are read: pixels move with geometry, so truth stays true.

Exact: cuts (the camera is cut, too) and mirroring (a mirrored car with mirrored cameras in a
mirrored street). Colour, blur and noise touch pixels alone. May import: irl_vla, samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.language.commands import PathCommand
from irl_vla.types import U8, EgoStatus, Intent, IntentDirection
from irl_vla_training.recipe import AugmentRecipe
from irl_vla_training.samples.decoded import TELE_ABOVE, Window
from irl_vla_training.samples.sample import (
    BoxTruth,
    GroundTruth,
    LineTruth,
    Sample,
    Way,
)

TELE_MIDDLE = Window(0.0, 0.5, TELE_ABOVE)  # what the car cuts, out of the larger crop
NOISE_LEVELS = 6.0  # most standard deviation of added noise
OTHER_SIDE = {
    IntentDirection.LEFT: IntentDirection.RIGHT, IntentDirection.RIGHT: IntentDirection.LEFT,
}  # fmt: skip


@dataclass(frozen=True)
class Variation:
    """What is done to one sample.

    windows: of the wide pictures; tele: of the crop, never scaled; contrast, brightness,
    saturation: factors and levels; blur: deviation [px]; noise: deviation [levels]
    drop: index of the wide camera that is missing, or -1; drop_tele, drop_memory: likewise
    """

    mirror: bool = False
    windows: tuple[Window, ...] = ()
    tele: Window = TELE_MIDDLE
    contrast: float = 1.0
    brightness: float = 0.0
    saturation: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    drop: int = -1
    drop_tele: bool = False
    drop_memory: bool = False

    def window(self, index: int) -> Window:
        """Of a wide picture."""
        return self.windows[index] if self.windows else Window()


PLAIN = Variation()  # as the car sees it


def drawn_variation(
    recipe: AugmentRecipe, cameras: int, rng: np.random.Generator
) -> Variation:  # fmt: skip
    """One of a recipe for a rig of so many cameras."""
    windows: tuple[Window, ...] = ()
    tele = TELE_MIDDLE
    if recipe.crop:
        windows = tuple(Window(*rng.random(3).tolist()) for _ in range(cameras))
        tele = Window(0.0, *rng.random(2).tolist())
    colour = recipe.colour * rng.uniform(-1.0, 1.0, 3)
    chance = rng.random(6)
    return Variation(
        mirror=bool(chance[0] < recipe.mirror), windows=windows, tele=tele,
        contrast=float(1.0 + colour[0]), brightness=float(100.0 * colour[1]),
        saturation=float(1.0 + 0.5 * colour[2]),
        blur=float(rng.uniform(0.4, 1.1)) if chance[1] < recipe.blur else 0.0,
        noise=float(rng.uniform(0.0, NOISE_LEVELS)) if chance[2] < recipe.noise else 0.0,
        noise_seed=int(rng.integers(1 << 30)),
        drop=int(rng.integers(cameras)) if cameras > 1 and chance[3] < recipe.drop_camera else -1,
        drop_tele=bool(chance[4] < recipe.drop_tele),
        drop_memory=bool(chance[5] < recipe.drop_memory),
    )  # fmt: skip


def varied_pixels(pixels: U8, how: Variation, number: int) -> U8:
    """(H, W, 3) with another colour, blur and noise. number: of the picture, for its noise."""
    out = pixels
    if how.saturation != 1.0:
        grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        out = np.asarray(cv2.addWeighted(out, how.saturation, grey, 1.0 - how.saturation, 0.0))
    if how.contrast != 1.0 or how.brightness != 0.0:
        middle = 110.0 * (1.0 - how.contrast) + how.brightness * 0.6
        levels = np.clip(np.arange(256) * how.contrast + middle, 0, 255).astype(np.uint8)
        out = np.asarray(cv2.LUT(out, levels))
    if how.blur > 0.0:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), how.blur))
    if how.noise > 0.0:
        out = np.asarray(cv2.add(out, _noise(out.shape, how, number), dtype=cv2.CV_8U))
    return np.asarray(out, np.uint8)


def _noise(shape: tuple[int, ...], how: Variation, number: int) -> NDArray[np.int16]:
    tile = _tile()
    rng = np.random.default_rng([how.noise_seed, number])
    top, left = rng.integers(0, tile.shape[0] - shape[0]), rng.integers(0, 256)
    part = tile[top : top + shape[0], left : left + shape[1]]
    return np.asarray(cv2.multiply(part, (how.noise / 64.0,) * 3, dtype=cv2.CV_16S), np.int16)


@cache
def _tile() -> NDArray[np.int16]:
    """(1024, 2048, 3) noise of deviation 64."""
    noise = np.random.default_rng(29).standard_normal((1024, 2048, 3), np.float32) * 64.0
    return np.asarray(noise, np.int16)


# ------------------------------------------------------------------------------------- mirroring


def mirrored_truth(sample: Sample) -> Sample:
    """All but the pictures, which are mirrored once they are decoded."""
    memory = sample.memory
    if memory is not None:
        pose = memory.ego_now_from_memory * [1.0, -1.0, -1.0]
        memory = replace(memory, ego_now_from_memory=pose)
    return replace(
        sample, memory=memory, ego=_ego(sample.ego),
        way=None if sample.way is None else _way(sample.way),
        other_ways=tuple(_way(way) for way in sample.other_ways),
        ground=None if sample.ground is None else _ground(sample.ground),
        boxes=None if sample.boxes is None else _boxes(sample.boxes),
        lines=None if sample.lines is None else _lines(sample.lines),
    )  # fmt: skip


def _ego(ego: EgoStatus) -> EgoStatus:
    flip = np.array([1.0, -1.0])
    return replace(
        ego, velocity=ego.velocity * flip, acceleration=ego.acceleration * flip,
        yaw_rate=-ego.yaw_rate,
    )  # fmt: skip


def _way(way: Way) -> Way:
    commands = way.commands
    if commands is not None:
        commands = (commands[0], int(_OTHER_PATH[commands[1]]))
    return Way(_intent(way.intent), way.future * [1.0, -1.0, -1.0], commands)


def _intent(intent: Intent) -> Intent:
    route = None if intent.route is None else intent.route * [1.0, -1.0]
    direction = OTHER_SIDE.get(intent.direction, intent.direction)
    return replace(intent, direction=direction, route=route)


def _ground(ground: GroundTruth) -> GroundTruth:
    closed = None if ground.closed is None else ground.closed[:, ::-1]
    return GroundTruth(ground.seg[:, ::-1], ground.known[:, ::-1], ground.classes, closed)


def _boxes(found: BoxTruth) -> BoxTruth:
    boxes = found.boxes * [1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0]
    return replace(found, boxes=boxes)


def _lines(lines: LineTruth) -> LineTruth:
    return replace(lines, points=lines.points * [1.0, -1.0])


def _other_paths() -> NDArray[np.int64]:
    """Index of each path command's mirror image."""
    paths = tuple(PathCommand)
    swap = {"LEFT": "RIGHT", "RIGHT": "LEFT"}
    names = ["_".join(swap.get(part, part) for part in path.name.split("_")) for path in paths]
    return np.array([paths.index(PathCommand[name]) for name in names])


_OTHER_PATH = _other_paths()
