"""Light, air and sensor of one seed: sun, sky, haze, exposure, noise.

Colours are display values 0..255; a surface of albedo c under light l looks c * l.
May import: types, world.render.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.types import F32, F64, U8
from irl_vla.world.render.texels import SKY_HEIGHT, SKY_WIDTH
from irl_vla.world.render.view import SKY_HIGH, SKY_LOW

SALT = 7301  # tells this room's random numbers from others of the same seed
NOISE_TILE = 1024  # [px] side of the field of noise that pictures are cut from
GRAIN_UNIT = 64.0  # steps of that field in one standard deviation
HILLS = 0.09  # [rad] highest hill


@dataclass(frozen=True)
class Sky:
    """One kind of weather. Light from the sun and from the sky (gains), colours of the zenith, of
    the horizon (also the haze) and of clouds; clouds: share of the sky; haze_m: distance at which
    half of a surface's colour is lost; height: elevations of the sun [rad], least and most."""

    name: str
    sun: tuple[float, float, float]
    sky: tuple[float, float, float]
    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    cloud: tuple[float, float, float]
    clouds: tuple[float, float]
    haze_m: tuple[float, float]
    height: tuple[float, float]


SKIES = (
    Sky("clear", (0.86, 0.82, 0.74), (0.43, 0.46, 0.52), (78, 128, 196), (190, 212, 232),
        (250, 250, 250), (0.05, 0.35), (280.0, 520.0), (0.5, 1.05)),
    Sky("fair", (0.68, 0.66, 0.61), (0.49, 0.51, 0.55), (98, 140, 192), (198, 212, 226),
        (240, 242, 246), (0.45, 0.65), (240.0, 420.0), (0.45, 1.0)),
    Sky("overcast", (0.10, 0.10, 0.10), (0.76, 0.78, 0.81), (150, 158, 168), (196, 202, 208),
        (206, 210, 214), (0.85, 1.0), (160.0, 300.0), (0.5, 1.0)),
    Sky("hazy", (0.34, 0.33, 0.30), (0.60, 0.61, 0.63), (160, 176, 192), (206, 210, 212),
        (222, 224, 226), (0.3, 0.7), (70.0, 130.0), (0.4, 0.9)),
    Sky("evening", (0.80, 0.58, 0.36), (0.46, 0.45, 0.50), (70, 96, 150), (236, 196, 150),
        (226, 176, 150), (0.2, 0.6), (200.0, 380.0), (0.14, 0.3)),
)  # fmt: skip
SHARES = (0.3, 0.3, 0.2, 0.1, 0.1)  # how often each comes


@dataclass(frozen=True)
class Weather:
    """Drawn from a seed; one stretch of driving has one weather.

    to_sun: (3,) unit vector in the world; light: (9,) gains of the sun, the sky from above and the
    light from below; haze: (3,) colour; haze_m: distance at which half the colour is lost
    noise: standard deviation of a pixel [levels]
    """

    seed: int
    sky: Sky
    to_sun: F64
    light: F64
    haze: F64
    haze_m: float
    clouds: float
    exposure: float
    noise: float

    @cached_property
    def shade(self) -> float:
        """Light on the ground in the shadow, as a share of that in the sun."""
        around = float(self.light[3:6].mean())
        return around / (around + float(self.light[:3].mean() * self.to_sun[2]))

    @cached_property
    def panorama(self) -> NDArray[np.uint32]:
        """(SKY_HEIGHT, SKY_WIDTH) packed RGB, exposed; columns go counter-clockwise from east."""
        rng = np.random.default_rng([self.seed, SALT, 1])
        rows, columns = SKY_HEIGHT // 2, SKY_WIDTH // 4
        elevation = np.linspace(SKY_HIGH, SKY_LOW, rows, dtype=np.float32)
        rise = np.clip(np.sin(np.maximum(elevation, 0.0)), 0, 1)[:, None, None] ** 0.55
        horizon = np.array(self.sky.horizon, np.float32)
        picture = horizon + (np.array(self.sky.zenith, np.float32) - horizon) * rise
        field = fractal(rng, rows, columns, 5, (6, 24))
        level = np.quantile(field[::4, ::4], 1.0 - self.clouds) if self.clouds < 1 else -9.0
        above = field - np.float32(level)
        cover = np.clip(above * 2.2, 0, 1) * np.clip(elevation * 7, 0.1, 1)[:, None] * 0.9
        bright = np.clip(1.0 - 0.10 * above, 0.75, 1.05)[..., None]
        picture = (
            picture + (np.array(self.sky.cloud, np.float32) * bright - picture) * cover[..., None]
        )
        small = np.clip(picture * np.float32(self.exposure), 0, 255).astype(np.uint8)
        small = np.concatenate([small, small[:, :1]], axis=1)  # the last column meets the first
        grown = cv2.resize(small, (SKY_WIDTH + 4, SKY_HEIGHT))[:, 2:-2]
        self._hills(grown, rng)
        return packed(grown)

    def _hills(self, picture: U8, rng: np.random.Generator) -> None:
        """Wooded hills far away, so that the town does not end at nothing."""
        elevation = np.linspace(SKY_HIGH, SKY_LOW, SKY_HEIGHT)
        step = float(elevation[0] - elevation[1])
        first = int(np.argmax(elevation < HILLS))
        for height, depth in ((0.035, 0.80), (0.016, 0.62)):
            ridge = height * (0.65 + 0.28 * fractal(rng, 1, SKY_WIDTH, 5, (1, 20))[0])
            colour = np.array([86, 104, 84]) * self.light[3:6] * 1.4
            mixed = colour + (self.haze - colour) * depth
            cover = np.clip((ridge - elevation[first:, None]) / step + 0.5, 0.0, 1.0)[..., None]
            picture[first:] = picture[first:] * (1.0 - cover) + np.clip(mixed, 0, 255) * cover


@cache
def grain() -> NDArray[np.int16]:
    """(NOISE_TILE, NOISE_TILE * 3) sensor noise of deviation GRAIN_UNIT, cut at random places."""
    noise = np.random.default_rng([SALT, 2]).standard_normal((NOISE_TILE, NOISE_TILE * 3))
    return np.round(noise * GRAIN_UNIT).astype(np.int16)


def weather_of(seed: int) -> Weather:
    """The weather of a seed."""
    rng = np.random.default_rng([seed, SALT])
    sky = SKIES[int(rng.choice(len(SKIES), p=SHARES))]
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(*sky.height)
    to_sun = np.array([
        np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)
    ])  # fmt: skip
    exposure = float(np.exp(rng.uniform(-0.10, 0.16)))
    above = np.array(sky.sky)
    below = 0.55 * above + 0.20 * np.array(sky.sun) * to_sun[2]
    light = np.concatenate([np.array(sky.sun), above, below]) * exposure
    return Weather(
        seed, sky, to_sun, light, np.minimum(np.array(sky.horizon) * exposure, 255.0),
        float(rng.uniform(*sky.haze_m)), float(rng.uniform(*sky.clouds)), exposure,
        float(rng.uniform(1.0, 3.5)),
    )  # fmt: skip


def fractal(
    rng: np.random.Generator, height: int, width: int, octaves: int, cells: tuple[int, int]
) -> F32:
    """(height, width) smooth noise of mean 0 and deviation about 1 that repeats in both
    directions. cells: of the coarsest octave, down and across."""
    total = np.zeros((height, width), np.float32)
    weight, power = 1.0, 0.0
    rows, columns = cells
    for _ in range(octaves):
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        padded = np.pad(grid, 2, mode="wrap")
        x = (np.arange(width, dtype=np.float32) + 0.5) * (columns / width) + 1.5
        y = (np.arange(height, dtype=np.float32) + 0.5) * (rows / height) + 1.5
        columns_at, rows_at = np.meshgrid(x, y)
        grown = cv2.remap(padded, columns_at, rows_at, cv2.INTER_CUBIC)
        total += weight * grown
        power += weight * weight * 0.5
        weight *= 0.55
        rows, columns = min(rows * 2, height), min(columns * 2, width)
    return np.asarray(total / np.float32(np.sqrt(power)), np.float32)


def packed(picture: U8, alpha: U8 | int = 255) -> NDArray[np.uint32]:
    """(..., 3) RGB and (...) alpha or class -> (...) one 32-bit number a pixel, red lowest."""
    out = np.empty((*picture.shape[:-1], 4), np.uint8)
    out[..., :3] = picture
    out[..., 3] = alpha
    return out.view(np.uint32)[..., 0]
