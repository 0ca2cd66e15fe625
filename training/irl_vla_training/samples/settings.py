"""How a set of samples is made: written beside it, and compared before anything is added to it.

May import: irl_vla.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from irl_vla.camera.preprocess import ImageSpec
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.tele import TeleSpec
from irl_vla.perception.preset import Preset
from irl_vla_training.samples.sample import I32, Mask

FORMAT = "irl-vla-samples/1"
MARGIN = 1.125  # pictures are prepared so much larger than the preset's, each way, to be cut from
MOST_PX = 16_384  # a side of a picture
SEEN_PX = 12  # a road user with fewer pixels in every picture of the preset's size is not seen


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """image, tele: size [px] of prepared pictures; grid: of the truth about the ground; horizon:
    as in ImageSpec; per_seed: samples of one drive, at most."""

    preset: str
    image: tuple[int, int]
    tele: tuple[int, int] | None
    grid: BevGrid
    horizon: float
    per_seed: int = 22
    format: str = FORMAT

    def __post_init__(self) -> None:
        for width, height in (self.image, self.tele or (1, 1)):
            if not (0 < width <= MOST_PX and 0 < height <= MOST_PX):
                raise ValueError(f"pictures of 1 to {MOST_PX} px a side, got {width} x {height}")
        # Heights belong to the network alone: no truth of the ground depends on them.
        object.__setattr__(self, "grid", replace(self.grid, heights=(0.0,)))

    @staticmethod
    def of(preset: Preset, per_seed: int = 22) -> SampleSettings:
        """For a preset."""
        spec = preset.image
        tele = None if spec.tele is None else _larger(spec.tele.width, spec.tele.height)
        return SampleSettings(
            preset=preset.name, image=_larger(spec.width, spec.height), tele=tele,
            grid=preset.bev, horizon=spec.horizon, per_seed=per_seed,
        )  # fmt: skip

    @property
    def spec(self) -> ImageSpec:
        """What pictures are fitted to."""
        tele = None if self.tele is None else TeleSpec(*self.tele)
        return replace(ImageSpec(*self.image, horizon=self.horizon), tele=tele)

    def is_seen(self, pixels: I32, wide: int) -> Mask:
        """(n,) by pixels (n, pictures), of which the first `wide` are of wide pictures; the tele
        crop is not scaled."""
        least = np.full(pixels.shape[1], float(SEEN_PX))
        least[:wide] *= MARGIN * MARGIN
        return np.asarray((pixels >= least).any(axis=1))


def _larger(width: int, height: int) -> tuple[int, int]:
    """Even numbers, so that truth of half the size has whole pixels."""
    return round(width * MARGIN / 2) * 2, round(height * MARGIN / 2) * 2
