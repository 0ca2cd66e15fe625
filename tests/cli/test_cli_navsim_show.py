"""`show --navsim`: one picture of one scene, whatever split it belongs to."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from irl_vla.cli.navsim_show import WIDTH, show_navsim
from irl_vla.navsim.dataset import Dataset
from irl_vla.types import InputError
from irl_vla.view.palette import GREEN


@pytest.mark.parametrize("token", ["5b6100d586bf712d", "002a3f3006ebf983e"])
def test_a_logged_scene_and_a_follow_up_are_drawn(
    dataset: Dataset, tmp_path: Path, token: str
) -> None:
    path = show_navsim(dataset.root, token, tmp_path / "a.png", tmp_path / "cache")
    picture = cv2.imread(str(path))[:, :, ::-1]
    assert abs(picture.shape[1] - WIDTH) <= 8
    below = picture[-800:].reshape(-1, 3).astype(int)
    route = np.abs(below - np.array(GREEN)).sum(axis=1) < 60
    assert route.sum() > 100  # the route is painted into the map


def test_missing_images_and_a_missing_map_are_said_in_the_picture(
    own_copy: Path, tmp_path: Path
) -> None:
    shutil.rmtree(own_copy / "maps")
    path = show_navsim(own_copy, "5b6100d586bf712d", tmp_path / "a.png")
    assert cv2.imread(str(path)).shape[0] > 800


def test_unknown_tokens_and_first_frames_are_clear_errors(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in none of the \d+ logs"):
        show_navsim(dataset.root, "123", tmp_path / "a.png")
    with pytest.raises(InputError, match="3 frames of history"):
        show_navsim(dataset.root, "931f6d9ba3543b4e", tmp_path / "a.png")
