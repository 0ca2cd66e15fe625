"""The verdict names what is wrong, and pixels that move as calibrated are told from others."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look
from irl_vla.frames import inverse, rigid
from irl_vla.types import F64, U8, Boxes3D
from irl_vla.view.calibration_checks import judge
from irl_vla.view.ground_scale import ground_mask, ground_scale
from irl_vla.view.motion_evidence import (
    CameraRotation,
    MotionEvidence,
    direction_of_motion,
    turn_seen,
)

LENS = np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]])


def front(height: float = 1.5, look: ViewDirection | None = None, name: str = "front") -> Camera:
    pose = ego_from_look((1.5, 0.0, height), look or ViewDirection())
    return Camera(name, 640, 480, CameraModel.PLUMB_BOB, LENS, np.zeros(0), pose)


GOOD = {
    "front": MotionEvidence(
        (CameraRotation(0.001, 0.002, 0.2), CameraRotation(0.0, 0.001, 0.3)) * 2,
        scales=(1.0, 0.97, 1.04),
    ),
    "left": MotionEvidence((CameraRotation(-0.003, 0.0, 0.4),) * 4, scales=(1.02, 0.98, 1.0)),
}


def rig(*cameras: Camera) -> Rig:
    return Rig("test", cameras or (front(), front(look=ViewDirection(yaw_deg=90), name="left")))


def level(name: str, given: Rig, boxes: tuple[Boxes3D, ...] = ()) -> str:
    verdict = judge(given, {"front": (640, 480)}, boxes, GOOD)
    return next(check.level for check in verdict.checks if check.name == name)


def test_a_good_rig_is_trusted_when_its_pixels_agree() -> None:
    verdict = judge(rig(), {"front": (640, 480), "left": (640, 480)}, (), GOOD)
    assert verdict.level == "ok"
    assert verdict.sentence.startswith("Yes")


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        (replace(GOOD["left"], turns=GOOD["left"].turns[:3]), "warn", "at least 4 pairs"),
        (replace(GOOD["left"], scales=()), "warn", "not enough ground is seen by left"),
        (replace(GOOD["left"], scales=(1.36, 1.35, 1.37)), "bad", "left 2.04 m, calibrated 1.50"),
        (replace(GOOD["left"], scales=(0.8, 0.79, 0.81)), "warn", "left 1.20 m, calibrated 1.50"),
    ],
)
def test_yes_needs_enough_pairs_and_ground_in_every_camera(
    changed: MotionEvidence, level: str, words: str
) -> None:
    verdict = judge(rig(), {"front": (640, 480)}, (), GOOD | {"left": changed})
    assert verdict.level == level
    assert verdict.answer == ("no" if level == "bad" else "not enough")
    assert any(words in check.detail for check in verdict.checks)


def test_pairs_that_disagree_prove_neither_yes_nor_no() -> None:
    turns = tuple(CameraRotation(0.1 * sign, 0.0, 0.2) for sign in (1, -1, 1, -1, 1))
    verdict = judge(rig(front()), {}, (), {"front": MotionEvidence(turns, scales=(1.0,) * 5)})
    assert verdict.answer == "not enough"


def test_without_evidence_from_pixels_it_is_not_proven() -> None:
    verdict = judge(rig(), {"front": (640, 480)}, (), {})
    assert verdict.level == "warn"
    assert "could not confirm" in verdict.sentence


def test_without_calibration_there_is_nothing_to_judge() -> None:
    assert judge(None, {}, (), {}).level == "unknown"


@pytest.mark.parametrize(
    ("camera", "check", "expected"),
    [
        (front(height=-0.5), "Height of the cameras", "bad"),
        (front(height=12.0), "Height of the cameras", "bad"),
        (front(look=ViewDirection(roll_deg=180)), "Upright images", "bad"),
        (front(look=ViewDirection(pitch_deg=-60)), "Horizon", "warn"),
        (front(look=ViewDirection(pitch_deg=-60)), "Ground", "bad"),
        (front(), "Height of the cameras", "ok"),
        (front(), "Upright images", "ok"),
        (front(look=ViewDirection(yaw_deg=170)), "Horizon", "ok"),
        (front(), "Ground", "ok"),
    ],
)
def test_a_fault_of_the_mounting_is_named(camera: Camera, check: str, expected: str) -> None:
    assert level(check, rig(camera)) == expected


def test_images_of_another_size_are_named_with_both_sizes() -> None:
    verdict = judge(rig(front()), {"front": (1280, 720)}, (), GOOD)
    assert verdict.level == "bad"
    assert "images are 1280x720, calibration is for 640x480" in verdict.checks[0].detail


def test_one_transform_given_to_two_cameras_is_noticed() -> None:
    assert level("Mounting", rig(front(), front(name="second"))) == "bad"


@pytest.mark.parametrize(("lift", "expected"), [(0.0, "ok"), (1.2, "warn")])
def test_boxes_must_stand_on_the_ground(lift: float, expected: str) -> None:
    x = np.linspace(8, 30, 6)
    centers = np.stack([x, np.zeros(6), np.full(6, 0.8 + lift)], -1)
    boxes = Boxes3D(centers, np.full((6, 3), 1.6), np.zeros(6), np.zeros((6, 2)), ("car",) * 6)
    assert level("Boxes", rig(), (boxes,)) == expected


def seen_ground(camera: Camera, x: float) -> U8:
    """What the camera sees of a speckled ground and a speckled wall when the car stands at x [m]:
    exact, by casting a ray through each pixel."""
    u, v = np.meshgrid(np.arange(640.0), np.arange(480.0))
    rays = np.stack([(u - 319.5) / 500, (v - 239.5) / 500, np.ones_like(u)], -1)
    rays = rays @ camera.ego_from_cam[:3, :3].T
    eye = camera.ego_from_cam[:3, 3] + [x, 0, 0]
    with np.errstate(divide="ignore"):
        down = np.where(rays[..., 2] < -1e-6, -eye[2] / rays[..., 2], np.inf)
        wall = (40.0 - eye[0]) / rays[..., 0]
    hit = eye + np.minimum(down, wall)[..., None] * rays
    place = np.where((down < wall)[..., None], hit[..., :2], hit[..., 1:])
    texture = cv2.GaussianBlur(
        np.random.default_rng(3).integers(0, 255, (800, 800), np.uint8), (0, 0), 1.2
    )
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    grid = (place * 10).astype(np.float32) % 799
    grey = cv2.remap(texture, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR)
    return np.repeat(grey[..., None], 3, axis=-1)


def turn(believed: Camera) -> CameraRotation:
    """What the pixels of a camera that looks 4 degrees down say about another belief."""
    true = front(look=ViewDirection(pitch_deg=4.0))
    world_from_second = rigid(np.eye(3), (0.8, 0.0, 0.0))
    motion: F64 = inverse(world_from_second @ believed.ego_from_cam) @ believed.ego_from_cam
    got = turn_seen(seen_ground(true, 0.0), seen_ground(true, 0.8), believed, motion)
    assert got is not None
    return got


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (5.0, 0.0), (0.0, -3.0)])
def test_pixels_tell_by_how_much_a_camera_is_turned_against_its_calibration(
    yaw: float, pitch: float
) -> None:
    got = turn(front(look=ViewDirection(pitch_deg=4.0 + pitch, yaw_deg=yaw)))
    assert np.degrees(got.yaw) == pytest.approx(yaw, abs=0.3)
    assert np.degrees(got.pitch) == pytest.approx(-pitch, abs=0.3)  # rig files count down
    assert got.residual < 0.5


def test_the_direction_of_motion_is_found_among_moving_things() -> None:
    rng = np.random.default_rng(5)
    motion = np.array([0.1, -0.05, 1.0])
    points = rng.uniform([-10, -3, 6], [10, 3, 40], (300, 3))
    after = points - motion
    after[:60] += rng.uniform(-1, 1, (60, 3))  # a fifth moves by itself
    found = direction_of_motion(*(p / np.linalg.norm(p, axis=1, keepdims=True)
                                  for p in (points, after)))  # fmt: skip
    assert abs(found @ motion) / np.linalg.norm(motion) == pytest.approx(1.0, abs=1e-4)


def test_a_standing_picture_proves_nothing() -> None:
    image = seen_ground(front(), 0.0)
    assert turn_seen(image, image, front(), np.eye(4)) is None


def test_a_camera_that_its_pixels_contradict_is_not_trusted() -> None:
    evidence = {
        "front": MotionEvidence((CameraRotation(0.0, 0.1, 0.2), CameraRotation(0.0, 0.12, 0.2)) * 2)
    }
    verdict = judge(rig(front()), {}, (), evidence)
    assert verdict.level == "bad"
    assert "+6.3° pitch" in verdict.checks[-1].detail


@pytest.mark.parametrize("truth", [1.0, 1.3, 0.8])
def test_the_ground_tells_at_what_height_a_camera_stands(truth: float) -> None:
    """The pictures are taken at `truth` times the height that the calibration says."""
    true, believed = front(height=1.5 * truth), front(height=1.5)
    grey = [cv2.cvtColor(seen_ground(true, x), cv2.COLOR_RGB2GRAY) for x in (0.0, 0.8)]
    move = rigid(np.eye(3), (0.0, 0.0, -0.8))
    got = ground_scale(grey[0], grey[1], believed, move, ground_mask(believed))
    assert got == pytest.approx(truth, rel=0.05)


def test_a_wall_is_no_ground() -> None:
    image = np.random.default_rng(1).integers(0, 255, (480, 640), np.uint8)
    assert ground_scale(image, image, front(), np.eye(4), ground_mask(front())) is None
