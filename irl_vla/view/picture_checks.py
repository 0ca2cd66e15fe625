"""Are the pictures pictures? Frozen, black, saturated, one flat colour, or a colour mosaic.

A few pictures of each camera are looked at, spread over the recording; equal ones are counted in
all. In: CameraImage and EgoMotion in stream order   Out: Check   May import: camera, types.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

import cv2
import numpy as np

from irl_vla.camera.frozen import FROZEN_AFTER, FrozenPictures
from irl_vla.camera.preprocess import BadImage, decode
from irl_vla.types import U8, CameraImage, EgoMotion
from irl_vla.view.report import Check

LOOKED_AT = 6  # pictures of a camera; later ones are farther apart
BLACK = 24  # [0..255] 99 of 100 pixels of a black picture are darker
WHITE, MUCH = 250, 0.5  # a saturated picture has so many pixels brighter than this
FLAT = 2.0  # [0..255] standard deviation of a picture that shows nothing
TILE = 32  # [px] squares in which the four places of a mosaic are compared
MOSAIC = 5.0  # [0..255] by which their means differ, in half of the squares
SMALL = 320  # [px] width at which brightness is measured


class PictureChecks:
    """Takes a stream once through."""

    def __init__(self) -> None:
        self._frozen = FrozenPictures()
        self._seen: dict[str, int] = defaultdict(int)
        self._looked: dict[str, list[str]] = defaultdict(list)
        self._runs: dict[str, int] = defaultdict(int)  # camera -> longest run of frozen pictures
        self._frozen_pictures: dict[str, int] = defaultdict(int)

    def add_motion(self, motion: EgoMotion) -> None:
        """Where the car is."""
        self._frozen.moved(motion.world_from_ego)

    def add_image(self, image: CameraImage) -> int:
        """Look at one picture; how often it has come in a row if its camera is frozen, else 0."""
        name = image.camera
        times = self._frozen.times(image)
        if times:
            self._runs[name] = max(self._runs[name], times)
            self._frozen_pictures[name] += 1
        count = self._seen[name]
        self._seen[name] = count + 1
        if count & (count - 1) == 0 and len(self._looked[name]) < LOOKED_AT:  # 0, 1, 2, 4, 8 ...
            with suppress(BadImage):
                self._looked[name].append(fault_of(decode(image)))
        return times

    @property
    def frozen(self) -> dict[str, int]:
        """Camera -> pictures that were frozen."""
        return dict(self._frozen_pictures)

    def checks(self) -> tuple[Check, Check]:
        """Frozen cameras; pictures that show nothing."""
        return self._frozen_check(), self._shown_check()

    def _frozen_check(self) -> Check:
        name, bound = "New pictures", f"{FROZEN_AFTER} equal in a row"
        total = sum(self._seen.values())
        if not total:
            return Check("unknown", name, "no pictures", "", bound, 0)
        longest = max([0, *self._runs.values()])
        if not self._runs:
            detail = "no camera repeats a picture while the car moves"
            return Check("ok", name, detail, "no frozen camera", bound, total)
        faults = [
            f"camera '{camera}' is frozen: the same picture {times} times in a row"
            for camera, times in self._runs.items()
        ]
        return Check("warn", name, "; ".join(faults), f"{longest} equal in a row", bound, total)

    def _shown_check(self) -> Check:
        name, bound = "Pictures show something", f"brighter than {BLACK}, darker than {WHITE}"
        looked = sum(len(faults) for faults in self._looked.values())
        if not looked:
            return Check("unknown", name, "no picture could be decoded", "", bound, 0)
        said = []
        for camera, faults in self._looked.items():
            worst = max(set(faults), key=faults.count, default="")
            if worst and 2 * faults.count(worst) >= len(faults):
                said.append(f"camera '{camera}': {worst}")
        value = f"{len(said)} of {len(self._looked)} cameras show nothing of use"
        detail = "; ".join(said) or f"{looked} pictures are neither black, nor white, nor a mosaic"
        return Check("warn" if said else "ok", name, detail, value, bound, looked)


def fault_of(picture: U8) -> str:
    """What makes a picture (H, W, 3) useless, "" where nothing does."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    if is_mosaic(picture):
        return "a grey mosaic: the colour filter was not undone (debayering)"
    small = cv2.resize(grey, (SMALL, max(1, SMALL * grey.shape[0] // grey.shape[1])),
                       interpolation=cv2.INTER_AREA)  # fmt: skip
    if float(np.percentile(small, 99)) < BLACK:
        return f"black: 99 of 100 pixels are darker than {BLACK} of 255"
    if float(np.mean(small >= WHITE)) > MUCH:
        return f"saturated: {100 * float(np.mean(small >= WHITE)):.0f} % of the pixels are white"
    return "one flat colour" if float(small.std()) < FLAT else ""


def is_mosaic(picture: U8) -> bool:
    """Whether a grey picture has the 2x2 pattern of a colour filter: in small squares the means of
    its four places differ, which a picture of a scene does not show at the scale of one pixel."""
    height, width = (side // TILE * TILE for side in picture.shape[:2])
    if not height or not width or (picture[::7, ::7] != picture[::7, ::7, :1]).any():
        return False
    grey = picture[:height, :width, 0].astype(np.float32)
    half = TILE // 2
    places = grey.reshape(height // TILE, half, 2, width // TILE, half, 2).mean(axis=(1, 4))
    means = places.transpose(0, 2, 1, 3).reshape(-1, 4)
    return float(np.median(np.ptp(means, axis=1))) > MOSAIC
