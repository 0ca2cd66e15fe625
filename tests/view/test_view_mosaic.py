"""Cameras stand in the picture as they stand on the car, undeformed, and absent ones say why."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.types import U8
from irl_vla.view.mosaic import Tile, arrange, azimuth_of_name, contact_sheet, mosaic

NUSCENES = {
    "back_right": -110.0, "front": 0.0, "back_left": 110.0, "front_left": 55.0, "back": 180.0,
    "front_right": -55.0,
}  # fmt: skip


def disc(width: int, height: int) -> U8:
    """White picture with a black disc: it shows whether pixels stay square."""
    v, u = np.mgrid[:height, :width]
    inside = (u - width / 2) ** 2 + (v - height / 2) ** 2 < (0.4 * min(width, height)) ** 2
    return np.repeat(np.where(inside, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def test_cameras_stand_as_around_the_car() -> None:
    tiles = [Tile(name, None, "", np.radians(angle)) for name, angle in NUSCENES.items()]
    rows = [[tile.name for tile in row] for row in arrange(tiles)]
    assert rows == [["front_left", "front", "front_right"], ["back_left", "back", "back_right"]]


def test_names_place_cameras_without_calibration_the_same_way() -> None:
    tiles = [Tile(name, None, "", azimuth_of_name(name)) for name in NUSCENES]
    rows = [[tile.name for tile in row] for row in arrange(tiles)]
    assert rows == [["front_left", "front", "front_right"], ["back_left", "back", "back_right"]]


@pytest.mark.parametrize("size", [(640, 360), (1242, 375), (400, 400), (300, 500)])
def test_a_mosaic_keeps_the_aspect_ratio(size: tuple[int, int]) -> None:
    tiles = [Tile("wide", disc(640, 360), "", 0.5), Tile("this", disc(*size), "", -0.5)]
    sheet = mosaic(tiles, 800)
    right = sheet[:, sheet.shape[1] // 2 + 10 :]
    middle = right.shape[1] // 2
    light = right.min(axis=2) > 200
    row, column = light[light.shape[0] // 2], light[:, middle]
    bright = np.flatnonzero(column)
    tall = int((~column[bright.min() : bright.max()]).sum())
    shining = np.flatnonzero(row)
    broad = int((~row[shining.min() : shining.max()]).sum())
    assert broad == pytest.approx(tall, abs=3)


def test_a_missing_camera_is_a_grey_tile_that_differs_by_its_reason() -> None:
    one = mosaic([Tile("left", None, "late: 83 ms", 0.0)], 400)
    other = mosaic([Tile("left", None, "stopped: no image for 2 s", 0.0)], 400)
    assert one.shape == other.shape
    assert (one != other).any()


@pytest.mark.parametrize("count", range(1, 9))
def test_one_to_eight_cameras_fill_about_the_same_width(count: int) -> None:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    tiles = [Tile(str(i), disc(160, 90), "", float(a)) for i, a in enumerate(angles)]
    sheet = mosaic(tiles, 1200)
    assert 790 <= sheet.shape[1] <= 1200


def test_a_contact_sheet_holds_every_picture_unchanged() -> None:
    a, b = disc(60, 40), disc(80, 30)
    sheet = contact_sheet([a, b])
    assert (sheet[:40, :60] == a).all()
    assert (sheet[-30:, :80] == b).all()
