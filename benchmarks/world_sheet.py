"""A contact sheet of what cameras see in the built-in world: 24 towns, as a WebP picture.

    python benchmarks/world_sheet.py [--first 400] [--out docs/images/world_cameras.webp]

Seeds follow one another, only the first is chosen; of each drive the moment is shown, of eight, in
which most road users can be seen. Cameras are those of nuscenes_like6, in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from irl_vla.camera.preprocess import ImageSpec, fitted_cameras
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.types import U8
from irl_vla.world.build import episode_of
from irl_vla.world.render.renderer import Renderer

ROOT = Path(__file__).parents[1]
COLUMNS, ROWS = 4, 6
TILE = (448, 252)  # width and height [px]
FOLD = 2  # pictures are drawn larger by that much and shrunk, which smooths their textures
GAP = 6  # [px] of white between two pictures
CAMERAS = (
    0,
    0,
    1,
    0,
    2,
    0,
    0,
    3,
)  # of the rig: front, front, one side, front, the other, ..., back
MOMENTS = 8
LARGEST = 4000  # [px] of one road user that count, so that no single bus decides
QUALITY = 85  # of the WebP file


def liveliest(seed: int, camera: int) -> U8:
    """The picture of a drive that shows most road users."""
    spec = ImageSpec(TILE[0] * FOLD, TILE[1] * FOLD)
    cameras = fitted_cameras(load_rig(ROOT / "calibration/rigs/nuscenes_like6.yaml"), spec)
    rig, episode = Rig("one", (cameras[camera],)), episode_of(seed)
    renderer = Renderer(episode.town, episode.actors, rig, seed, "full")
    moments = [episode.moment(int(k)) for k in np.linspace(0, len(episode) - 1, MOMENTS)]
    counts = []
    for moment in moments:
        found = renderer.measure(moment)[rig.names[0]].instance
        counts.append(np.minimum(np.bincount(found[found >= 0], minlength=1), LARGEST).sum())
    picture = renderer.render(moments[int(np.argmax(counts))])[rig.names[0]]
    small: U8 = cv2.resize(picture, TILE, interpolation=cv2.INTER_AREA)
    return small


def tiles(first: int) -> Iterator[U8]:
    for k in range(COLUMNS * ROWS):
        yield liveliest(first + k, CAMERAS[k % len(CAMERAS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--first", type=int, default=400)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/world_cameras.webp")
    given = parser.parse_args()
    sheet = np.full(
        (ROWS * (TILE[1] + GAP) - GAP, COLUMNS * (TILE[0] + GAP) - GAP, 3), 255, np.uint8
    )
    for k, tile in enumerate(tiles(given.first)):
        top, left = k // COLUMNS * (TILE[1] + GAP), k % COLUMNS * (TILE[0] + GAP)
        sheet[top : top + TILE[1], left : left + TILE[0]] = tile
    given.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(given.out, quality=QUALITY, method=6)
    print(f"wrote  {given.out}  ({given.out.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
