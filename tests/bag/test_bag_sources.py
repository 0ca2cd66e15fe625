"""Real recordings: their boxes lie on the things, their cameras and motion are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from irl_vla.bag.bag import open_bag
from irl_vla.bag.source import open_source
from irl_vla.frames import inverse, move
from irl_vla.types import F64, Boxes3D, CameraImage, EgoMotion, InputError

RECORDINGS = Path(__file__).parents[2] / ".." / "shared" / "recordings"
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


def recording(name: str) -> Path:
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"the recording {name} is not here (../shared/recordings)")
    return path


def corners(boxes: Boxes3D) -> F64:
    """(n, 8, 3) corners in the ego frame."""
    local = boxes.sizes[:, None, :] * CORNERS
    cos, sin = np.cos(boxes.yaws)[:, None], np.sin(boxes.yaws)[:, None]
    x = cos * local[..., 0] - sin * local[..., 1]
    y = sin * local[..., 0] + cos * local[..., 1]
    return np.stack([x, y, local[..., 2]], -1) + boxes.centers[:, None]


def outlines(boxes: Boxes3D, camera) -> F64:
    """(n, 4) left, top, right, bottom [px] in a camera without distortion; NaN behind it."""
    points = move(corners(boxes), inverse(camera.ego_from_cam))
    pixels = points @ camera.intrinsics.T
    pixels = pixels[..., :2] / pixels[..., 2:]
    found = np.concatenate([pixels.min(1), pixels.max(1)], -1)
    found[(points[..., 2] < 0.3).any(1)] = np.nan
    size = np.array([camera.width - 1, camera.height - 1] * 2)
    return np.clip(found, 0, size)


def overlap(a: F64, b: F64) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    both = np.prod(np.maximum(0, high - low))
    return float(both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both))


def test_nuscenes_boxes_project_onto_the_rectangles_that_nuscenes_drew() -> None:
    folder = recording("nuscenes_scene0061")
    sample = json.loads((folder / "scene-0061.json").read_text())["data_list"][0]
    with open_source(folder) as source:
        boxes, rig = source.boxes_at(round(sample["timestamp"] * 1e9)), source.rig()
        images = [event for event in source.events() if isinstance(event, CameraImage)]
    assert len(boxes) == 69 and len(images) == len(rig.cameras) == 6
    best = []
    for name, instances in sample["cam_instances"].items():
        mine = outlines(boxes, rig.camera(name))
        mine = mine[np.isfinite(mine).all(1)]
        drawn = [np.array(instance["bbox"]) for instance in instances]
        best += [max(overlap(rectangle, one) for one in mine) for rectangle in drawn]
    # Not 1: those rectangles belong to each camera's own stamp, up to 43 ms away.
    assert len(best) >= 80 and np.median(best) > 0.8 and np.mean(np.array(best) > 0.5) > 0.95


def test_nuscenes_cars_point_where_they_drive() -> None:
    with open_source(recording("nuscenes_scene0061")) as source:
        stamp = next(e.stamp_ns for e in source.events() if isinstance(e, EgoMotion))
        boxes = source.boxes_at(stamp)
    fast = np.linalg.norm(boxes.velocities, axis=1) > 2
    course = np.arctan2(boxes.velocities[fast, 1], boxes.velocities[fast, 0])
    assert fast.sum() >= 3
    assert np.cos(course - boxes.yaws[fast]).min() > 0.97


def test_dgp_boxes_stand_on_the_road_at_the_stamp_of_each_picture() -> None:
    with open_source(recording("dgp_scene02_6cam")) as source:
        rig = source.rig()
        stamps = {e.stamp_ns for e in source.events() if isinstance(e, CameraImage)}
        boxes = [source.boxes_at(stamp) for stamp in sorted(stamps)]
    assert len(rig.cameras) == 6 and len(boxes) == 3 and all(len(one) >= 10 for one in boxes)
    for one in boxes:
        rear = one.ids.index("1545514913")  # the car that follows, seen by the rear camera
        assert one.centers[rear, 0] < -15 and abs(one.yaws[rear]) < 0.1
        bottom = one.centers[rear, 2] - one.sizes[rear, 2] / 2
        assert abs(bottom) < 0.5
        shown = {c.name: np.isfinite(outlines(one, c)[rear]).all() for c in rig.cameras}
        assert shown["camera_09"] and not shown["camera_01"]


def test_dgp_pictures_show_a_dark_car_inside_the_box() -> None:
    """The car that follows is dark on a light road: its box is darker than the band around it."""
    import cv2

    with open_source(recording("dgp_scene02_6cam")) as source:
        picture = next(e for e in source.events()
                       if isinstance(e, CameraImage) and e.camera == "camera_09")  # fmt: skip
        boxes = source.boxes_at(picture.stamp_ns)
        outline = outlines(boxes, source.rig().camera("camera_09"))[boxes.ids.index("1545514913")]
    grey = cv2.imdecode(np.frombuffer(picture.encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
    left, top, right, bottom = outline.astype(int)
    inside = grey[top:bottom, left:right].mean()
    below = grey[bottom : bottom + (bottom - top) // 3, left:right].mean()
    assert inside < 0.75 * below


def test_kitti_has_one_camera_and_drives_twelve_metres_a_second() -> None:
    with open_source(recording("kitti_clip1")) as source:
        info = source.info()
        motion = [e for e in source.events() if isinstance(e, EgoMotion)]
    assert (info.cameras, info.missing, info.messages) == (("camera_front",), (), 205)
    path = np.array([m.world_from_ego[:3, 3] for m in motion])
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1) / 0.1
    assert len(motion) == 51 and 11.5 < np.median(speed) < 12.5


@pytest.mark.parametrize("name", ["autoware_ego", "autoware_ego/bag_ego_trajectory.db3"])
def test_autoware_without_cameras_says_so_and_shows_its_motion(name: str) -> None:
    with open_source(recording(name)) as source:
        info = source.info()
        with pytest.raises(InputError, match="no camera topics"):
            source.rig()
        motion = [e for e in source.events() if isinstance(e, EgoMotion)]
    assert info.storage == "sqlite3" and len(info.missing) == 1
    assert "no camera topics" in info.missing[0]
    assert len(motion) == 2130 and info.motion == "/localization/kinematic_state"


def test_comma_is_ego_motion_only_and_drives_forward() -> None:
    with open_source(recording("comma2k19_ego")) as source:
        info = source.info()
        motion = list(source.events())
        with pytest.raises(InputError, match="no cameras"):
            source.rig()
    assert "ego motion only" in info.missing[0] and len(motion) == 1200
    poses = np.array([m.world_from_ego for m in motion])
    steps = np.einsum("nji,nj->ni", poses[:-1, :3, :3], np.diff(poses[:, :3, 3], axis=0))
    assert (steps[:, 0] > 0).all() and np.abs(steps[:, 1]).max() < 0.05
    assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(1010, abs=10)  # its README: 1.01 km


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_cut_real_bag_gives_what_lies_before_the_cut(share: float, tmp_path: Path) -> None:
    data = (recording("kitti_clip1") / "kitti_clip1_NC.mcap").read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(data[: int(len(data) * share)])
    with open_bag(cut) as bag:
        pictures = [e for e in bag.events() if isinstance(e, CameraImage)]
        assert abs(len(pictures) - 51 * share) <= 3
        assert any("broken at byte" in text for text in bag.warnings)


@pytest.mark.parametrize("content", ["", "[]", '{"metainfo": 3}', '{"data_list": [{}]}'])
def test_a_broken_nuscenes_folder_is_refused_with_the_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "a__CAM_FRONT__1.jpg").write_bytes(b"")
    (tmp_path / "info.json").write_text(content)
    with pytest.raises(InputError, match=r"info\.json"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "..", ""])
def test_a_nuscenes_picture_outside_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    (whole,) = recording("nuscenes_scene0061").glob("*.json")
    content = json.loads(whole.read_text())
    content["data_list"][0]["images"]["CAM_FRONT"]["img_path"] = name
    (tmp_path / "a__CAM_FRONT__1.jpg").write_bytes(b"")
    (tmp_path / "info.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"info\.json: images\.CAM_FRONT\.img_path: "):
        open_source(tmp_path)
