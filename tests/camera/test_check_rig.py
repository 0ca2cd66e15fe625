"""calibration/check_rig.py: what it says, draws and refuses."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from irl_vla.camera.rig import load_rig

CALIBRATION = Path(__file__).parents[2] / "calibration"
TINY = CALIBRATION / "rigs" / "tiny3.yaml"


@pytest.fixture(scope="module")
def check_rig() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_rig", CALIBRATION / "check_rig.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_rig"] = module
    spec.loader.exec_module(module)
    return module


def test_it_says_where_cameras_look_and_where_nobody_looks(
    check_rig: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_rig.main([str(TINY)]) == 0
    text = capsys.readouterr().out
    assert "looks 60.0° to the left and 4.0° down" in text
    assert "no camera covers 99° to -99°" in text
    assert "front_left and front share" in text
    assert "5.18 x 2.30 m, 4.05 m ahead of the rear axle and 1.13 m behind it" in text


def test_cameras_all_around_leave_no_gap(check_rig: ModuleType) -> None:
    for name in ("nuscenes_like6", "navsim_like8"):
        around = check_rig.coverage(load_rig(CALIBRATION / "rigs" / f"{name}.yaml"))
        assert around.gaps() == []


def test_a_gap_straight_ahead_is_one_gap(check_rig: ModuleType) -> None:
    seen = np.ones((1, 360), bool)
    seen[0, [358, 359, 0, 1, 90]] = False
    assert check_rig.Coverage(seen).gaps() == [(90, 90), (-2, 1)]
    assert check_rig.Coverage(np.zeros((1, 360), bool)).gaps() == [(-180, 179)]


def test_it_draws_the_rig_and_the_grid_into_an_image(check_rig: ModuleType, tmp_path: Path) -> None:
    photo = tmp_path / "front.png"
    cv2.imwrite(str(photo), np.full((360, 640, 3), 60, np.uint8))
    out = tmp_path / "out"
    assert check_rig.main([str(TINY), "--image", f"front={photo}", "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["front.png", "rig_from_above.png"]
    drawn = cv2.imread(str(out / "front.png"))
    sky, road = drawn[:250], drawn[350:]
    assert (sky == 60).all() and (road != 60).any()  # the horizon is at row 148 of 360


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        ([str(TINY), "--image", "front"], "expected CAMERA=FILE"),
        ([str(TINY), "--image", "front=nowhere.png"], "no such file"),
        ([str(TINY), "--image", "back=x.png"], "no camera 'back'"),
        ([str(TINY), "--image", f"front={TINY}"], "neither a JPEG nor a PNG"),
    ],
)
def test_a_file_that_cannot_be_used_is_code_3_and_a_sentence(
    check_rig: ModuleType,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check_rig.main(arguments) == 3
    assert words in capsys.readouterr().err


def test_an_image_of_another_size_is_code_3_and_says_both_sizes(
    check_rig: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "front.png"
    cv2.imwrite(str(photo), np.zeros((720, 1280, 3), np.uint8))
    assert check_rig.main([str(TINY), "--image", f"front={photo}"]) == 3
    assert "image is 1280x720, rig says 640x360" in capsys.readouterr().err
