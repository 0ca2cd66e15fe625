"""The rig: what can be written in a file, what a CameraInfo means, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from irl_vla.camera.projection import project, unproject
from irl_vla.camera.rig import (
    Camera,
    CameraModel,
    Region,
    Rig,
    ViewDirection,
    camera_from_info,
    ego_from_look,
    load_rig,
    save_rig,
)
from irl_vla.types import InputError
from irl_vla.vehicle import PACIFICA, Limits, Vehicle

RIGS = Path(__file__).parents[2] / "calibration" / "rigs"
K = [800.0, 0, 640.0, 0, 810.0, 360.0, 0, 0, 1]
AHEAD = ego_from_look((1.7, 0.0, 1.5), ViewDirection())


def plain(**changes: Any) -> Camera:
    values: dict[str, Any] = {
        "name": "front", "width": 1280, "height": 720, "model": CameraModel.PLUMB_BOB,
        "intrinsics": np.array(K).reshape(3, 3), "distortion": np.zeros(5), "ego_from_cam": AHEAD,
    }  # fmt: skip
    return Camera(**{**values, **changes})


def test_a_camera_that_looks_nowhere_in_particular_looks_ahead() -> None:
    np.testing.assert_allclose(AHEAD[:3, 2], [1, 0, 0], atol=1e-12)  # z of the camera: forward
    np.testing.assert_allclose(AHEAD[:3, 0], [0, -1, 0], atol=1e-12)  # x: to the right
    np.testing.assert_allclose(AHEAD[:3, 1], [0, 0, -1], atol=1e-12)  # y: down


VAN = """
name: van
vehicle:
  width: 2.1
  front_length: 4.4
  rear_length: 1.3
  wheel_base: 3.4
  limits: {max_braking: 7.5, max_speed: 30.0}
cameras:
- name: front
  size: [640, 360]
  intrinsics: {fx: 460.0, fy: 460.0, cx: 319.5, cy: 180.5}
  mounting: {translation: [1.75, 0.0, 1.45], look: {}}
"""


def test_a_rig_file_may_say_how_large_the_car_is_and_what_it_can_do(tmp_path: Path) -> None:
    file = tmp_path / "van.yaml"
    file.write_text(VAN)
    vehicle = load_rig(file).vehicle
    assert vehicle == Vehicle(2.1, 4.4, 1.3, 3.4, Limits(max_braking=7.5, max_speed=30.0))
    assert vehicle.length == pytest.approx(5.7) and vehicle.centre == pytest.approx(1.55)
    save_rig(load_rig(file), tmp_path / "copy.yaml")
    assert load_rig(tmp_path / "copy.yaml").vehicle == vehicle
    assert load_rig(RIGS / "tiny3.yaml").vehicle == PACIFICA


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("width: 2.1", "width: -2.1", "vehicle.width: expected a positive finite number, got -2.1"),
        (
            "max_braking: 7.5",
            "max_braking: .nan",
            "vehicle.limits.max_braking: expected a pos",
        ),
        ("rear_length", "rear_lenght", "unknown setting 'vehicle.rear_lenght'. Did you mean"),
        ("max_speed", "max_sped", "unknown setting 'vehicle.limits.max_sped'. Did you mean"),
    ],
)
def test_a_vehicle_that_cannot_be_is_refused(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "van.yaml"
    file.write_text(VAN.replace(old, new))
    with pytest.raises(InputError, match=words):
        load_rig(file)


def test_yaw_turns_left_pitch_turns_down_roll_leans_right() -> None:
    left = ego_from_look((0, 0, 0), ViewDirection(yaw_deg=90))
    np.testing.assert_allclose(left[:3, 2], [0, 1, 0], atol=1e-12)
    down = ego_from_look((0, 0, 0), ViewDirection(pitch_deg=90))
    np.testing.assert_allclose(down[:3, 2], [0, 0, -1], atol=1e-12)
    leaning = ego_from_look((0, 0, 0), ViewDirection(roll_deg=90))
    np.testing.assert_allclose(leaning[:3, 0], [0, 0, -1], atol=1e-12)  # its right is down
    both = ego_from_look((0, 0, 0), ViewDirection(yaw_deg=90, pitch_deg=30))
    np.testing.assert_allclose(both[:3, 2], [0, np.cos(np.pi / 6), -0.5], atol=1e-12)


@pytest.mark.parametrize("name", ["tiny3", "nuscenes_like6", "navsim_like8"])
def test_shipped_rigs_load_and_come_back_from_a_file(name: str, tmp_path: Path) -> None:
    rig = load_rig(RIGS / f"{name}.yaml")
    assert rig.name == name and len(rig.cameras) == int(name[-1])
    save_rig(rig, tmp_path / "copy.yaml")
    copy = load_rig(tmp_path / "copy.yaml")
    assert copy.names == rig.names
    for before, after in zip(rig.cameras, copy.cameras, strict=True):
        np.testing.assert_array_equal(before.intrinsics, after.intrinsics)
        np.testing.assert_array_equal(before.distortion, after.distortion)
        np.testing.assert_allclose(before.ego_from_cam, after.ego_from_cam, atol=1e-12)
        assert before.offset_ns == after.offset_ns
    assert list(tmp_path.iterdir()) == [tmp_path / "copy.yaml"]  # no draft is left


@pytest.mark.parametrize("name", ["tiny3", "nuscenes_like6", "navsim_like8"])
def test_shipped_lenses_explain_every_pixel_of_their_pictures(name: str) -> None:
    for camera in load_rig(RIGS / f"{name}.yaml").cameras:
        corners = np.array([[0, 0], [camera.width - 1, 0], [0, camera.height - 1]], np.float64)
        rays = unproject(camera, corners)
        np.testing.assert_allclose(project(camera, rays).pixels, corners, atol=1e-6)


def test_the_fingerprint_changes_with_every_number_and_only_then() -> None:
    base = Rig("a", (plain(),))
    assert Rig("b", (plain(),)).fingerprint == base.fingerprint
    moved = AHEAD.copy()
    moved[0, 3] += 1e-9
    bent = np.array([0, 0, 0, 0, 1e-12])
    others = [
        plain(name="back"), plain(width=1281), plain(offset_ns=1), plain(ego_from_cam=moved),
        plain(distortion=bent), plain(model=CameraModel.RATIONAL_POLYNOMIAL, distortion=[]),
    ]  # fmt: skip
    prints = {Rig("a", (camera,)).fingerprint for camera in others}
    assert len(prints) == len(others) and base.fingerprint not in prints


def test_a_camera_cannot_be_changed_behind_its_back() -> None:
    matrix = np.array(K).reshape(3, 3)
    camera = plain(intrinsics=matrix)
    matrix[0, 0] = 1.0
    assert camera.intrinsics[0, 0] == 800.0
    with pytest.raises(ValueError, match="read-only"):
        camera.intrinsics[0, 0] = 1.0


MIRROR = AHEAD.copy()
MIRROR[:3, 0] *= -1
STRETCHED = AHEAD.copy()
STRETCHED[0, 2] = 1.2
NAN = AHEAD.copy()
NAN[0, 3] = np.nan
BAD_CAMERAS: list[tuple[dict[str, Any], str]] = [
    ({"width": 0}, "size 0x720 px, expected 1 to 16384"),
    ({"name": "front left"}, "a name has"),
    ({"intrinsics": np.zeros((3, 3))}, "uncalibrated"),
    ({"intrinsics": np.eye(3)}, "field of view"),
    ({"intrinsics": np.diag([1e6, 1e6, 1.0])}, "must be in pixels"),
    ({"intrinsics": np.full((3, 3), np.inf)}, "finite"),
    ({"intrinsics": np.eye(4)}, r"expected shape \(3, 3\)"),
    ({"intrinsics": np.array([[800.0, 0, 0], [0, 800, 0], [640, 360, 1]])}, "must read fx s cx"),
    ({"distortion": [0.1, 0.2]}, r"takes 5 distortion numbers \(or none\), got 2"),
    ({"distortion": [np.nan] * 5}, "finite"),
    ({"ego_from_cam": MIRROR}, "a mirror image"),
    ({"ego_from_cam": STRETCHED}, "not a rotation"),
    ({"ego_from_cam": NAN}, "finite"),
    ({"ego_from_cam": ego_from_look((1700.0, 0, 1500.0), ViewDirection())}, "in metres"),
]


@pytest.mark.parametrize(("changes", "words"), BAD_CAMERAS)
def test_a_calibration_that_cannot_be_true_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        plain(**changes)
    assert "camera 'front" in str(caught.value)


def test_a_rig_has_one_to_eight_cameras_with_different_names() -> None:
    with pytest.raises(InputError, match="0 cameras, expected 1 to 8"):
        Rig("van", ())
    with pytest.raises(InputError, match="9 cameras"):
        Rig("van", tuple(plain(name=f"c{i}") for i in range(9)))
    with pytest.raises(InputError, match="'front' is given twice"):
        Rig("van", (plain(), plain()))
    with pytest.raises(InputError, match="no camera 'rear', it has front"):
        Rig("van", (plain(),)).camera("rear")


FILE = yaml.safe_load((RIGS / "tiny3.yaml").read_text())
BAD_FILES: list[tuple[list[str | int], Any, str]] = [
    (["cameras", 0, "siez"], [1, 1], "Did you mean 'size'?"),
    (["cameras", 0, "size"], [640], "size"),
    (["cameras", 0, "size"], [-640, 360], "camera 'front_left': size -640x360"),
    (["cameras", 0, "model"], "pinhole", "model"),
    (["cameras", 0, "mounting"], {"translation": [0, 0, 1]}, "either 'look' or 'quaternion'"),
    (["cameras", 0, "mounting", "quaternion"], [0, 0, 0, 1], "either 'look' or 'quaternion'"),
    (["cameras", 0, "mounting"], {"translation": [0, 0, 1], "quaternion": [0, 0, 0, 0]}, "unit"),
    (["cameras", 0, "mounting", "look"], {"yaw_deg": float("nan")}, "finite"),
    (["cameras", 0, "offset_ms"], float("inf"), "offset_ms must be finite"),
    (["cameras", 1, "name"], "front_left", "given twice"),
    (["cameras"], [], "0 cameras"),
    (["name"], None, "name"),
]


@pytest.mark.parametrize(("where", "value", "words"), BAD_FILES)
def test_a_bad_rig_file_is_refused_with_its_name(
    where: list[str | int], value: Any, words: str, tmp_path: Path
) -> None:
    content = yaml.safe_load(yaml.safe_dump(FILE))
    part = content
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        load_rig(path)
    assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value)


def test_camera_info_without_calibration_is_refused() -> None:
    for k in ([0.0] * 9, []):
        with pytest.raises(InputError, match="camera 'c': uncalibrated"):
            camera_from_info("c", 1280, 720, "plumb_bob", [], k, AHEAD)


def test_camera_info_names_of_ros_and_empty_distortion_are_understood() -> None:
    def model(name: str, d: list[float]) -> str:
        return camera_from_info("c", 1280, 720, name, d, K, AHEAD).model

    assert model("plumb_bob", []) == CameraModel.PLUMB_BOB
    assert model("", []) == CameraModel.PLUMB_BOB
    assert model("rational_polynomial", [0.1] * 8) == CameraModel.RATIONAL_POLYNOMIAL
    assert model("rational_polynomial", [0.1] * 8 + [0.0] * 6) == CameraModel.RATIONAL_POLYNOMIAL
    assert model("fisheye", [0.1] * 4) is model("equidistant", []) == CameraModel.EQUIDISTANT
    assert model("plumb_bob", [0.1] * 8) == CameraModel.RATIONAL_POLYNOMIAL
    with pytest.raises(InputError, match="'mei' is not supported"):
        model("mei", [0.1])
    with pytest.raises(InputError, match="Thin prism"):
        model("rational_polynomial", [0.1] * 12)


def test_binning_and_region_of_interest_move_the_calibration_with_the_pixels() -> None:
    full = camera_from_info("c", 1280, 720, "", [], K, AHEAD)
    roi = Region(200, 100, 800, 600)
    part = camera_from_info("c", 1280, 720, "", [], K, AHEAD, binning=(2, 2), roi=roi)
    assert (part.width, part.height) == (400, 300)
    point = np.array([[0.3, 0.2, 4.0]])
    u, v = project(full, point).pixels[0]
    binned = [(u - 200 + 0.5) / 2 - 0.5, (v - 100 + 0.5) / 2 - 0.5]
    np.testing.assert_allclose(project(part, point).pixels[0], binned, atol=1e-9)
    same = camera_from_info(
        "c", 1280, 720, "", [], K, AHEAD, binning=(0, 0), roi=Region(0, 0, 0, 0)
    )
    np.testing.assert_array_equal(same.intrinsics, full.intrinsics)
