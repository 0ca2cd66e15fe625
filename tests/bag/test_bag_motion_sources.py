"""Whatever tells where the car is becomes its motion; where two sources tell it, or anything else,
they are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_maker import (
    OPTICAL,
    START,
    STEP,
    Message,
    camera_info,
    compressed,
    events_of,
    odometry,
    quaternion,
    transforms,
    vector,
    write_mcap,
)

from irl_vla.bag.bag import open_bag
from irl_vla.frames import yaw_of
from irl_vla.messages.messages import header, new
from irl_vla.messages.motion_reader import east_north_up
from irl_vla.types import EgoMotion

SPEED = 8.0  # [m/s]


# Ego motion without odometry


def drive(motion: Callable[[int, int], list[Message]], count: int = 20) -> list[Message]:
    """A camera, its place, and what `motion` says at each moment (index, stamp)."""
    found = [
        Message("/tf_static", "tf2_msgs/msg/TFMessage",
                transforms(("base_link", "front", (1.5, 0, 1.6), OPTICAL)), START),
    ]  # fmt: skip
    for index in range(count):
        stamp = START + (index + 1) * STEP
        found += motion(index, stamp)
        found.append(Message("/front/image/compressed", "sensor_msgs/msg/CompressedImage",
                             compressed(stamp), stamp + 5))  # fmt: skip
        found.append(Message("/front/camera_info", "sensor_msgs/msg/CameraInfo",
                             camera_info(stamp), stamp + 6))  # fmt: skip
    return found


def pose(x: float, y: float, yaw: float) -> Any:
    turn = quaternion(0, 0, np.sin(yaw / 2), np.cos(yaw / 2))
    return new("geometry_msgs/msg/Pose", position=vector(x, y, 0, "Point"), orientation=turn)


def twist(index: int, stamp: int) -> list[Message]:
    speed = new("geometry_msgs/msg/Twist", linear=vector(SPEED, 0, 0), angular=vector(0, 0, 0))
    message = new("geometry_msgs/msg/TwistStamped", header=header(stamp, "base_link"), twist=speed)
    return [Message("/vehicle/twist", "geometry_msgs/msg/TwistStamped", message, stamp)]


def pose_stamped(index: int, stamp: int) -> list[Message]:
    place = pose(SPEED * index / 10, 0.0, 0.0)
    message = new("geometry_msgs/msg/PoseStamped", header=header(stamp, "map"), pose=place)
    return [Message("/pose", "geometry_msgs/msg/PoseStamped", message, stamp)]


def transform_stamped(index: int, stamp: int) -> list[Message]:
    moved = transforms(("map", "base_link", (SPEED * index / 10, 0, 0), (0, 0, 0, 1)), stamp=stamp)
    kind = "geometry_msgs/msg/TransformStamped"
    return [Message("/ego", kind, moved.transforms[0], stamp)]


def fix(index: int, stamp: int) -> list[Message]:
    """Northward from Karlsruhe, with an IMU that looks north."""
    latitude = 49.0 + np.degrees(SPEED * index / 10 / 6_365_000.0)
    status = new("sensor_msgs/msg/NavSatStatus", status=0, service=1)
    where = new(
        "sensor_msgs/msg/NavSatFix", header=header(stamp, "gps"), status=status, latitude=latitude,
        longitude=8.4, altitude=120.0, position_covariance=np.zeros(9), position_covariance_type=0,
    )  # fmt: skip
    north = quaternion(0, 0, np.sin(np.pi / 4), np.cos(np.pi / 4))
    imu = new(
        "sensor_msgs/msg/Imu", header=header(stamp, "base_link"), orientation=north,
        orientation_covariance=np.zeros(9), angular_velocity=vector(0, 0, 0),
        angular_velocity_covariance=np.zeros(9), linear_acceleration=vector(0, 0, 0),
        linear_acceleration_covariance=np.zeros(9),
    )  # fmt: skip
    return [
        Message("/imu", "sensor_msgs/msg/Imu", imu, stamp - 2),
        Message("/gps/fix", "sensor_msgs/msg/NavSatFix", where, stamp),
    ]


@pytest.mark.parametrize(
    ("motion", "source"),
    [
        (pose_stamped, "/pose"),
        (transform_stamped, "/ego"),
        (fix, "/gps/fix + /imu"),
        (twist, "/vehicle/twist"),
        (lambda i, s: [*twist(i, s - 1), *pose_stamped(i, s)], "/pose + /vehicle/twist"),
    ],
)
def test_whatever_tells_where_the_car_is_gives_its_speed(
    motion: Callable[[int, int], list[Message]], source: str, tmp_path: Path
) -> None:
    path = write_mcap(tmp_path / "a.mcap", drive(motion))
    with open_bag(path) as bag:
        assert bag.info().motion == source
    seen = events_of(path, EgoMotion)
    assert len(seen) >= 19
    first, last = seen[0], seen[-1]
    seconds = (last.stamp_ns - first.stamp_ns) / 1e9
    way = last.world_from_ego[:3, 3] - first.world_from_ego[:3, 3]
    assert np.linalg.norm(way) / seconds == pytest.approx(SPEED, rel=0.01)
    assert np.arctan2(way[1], way[0]) == pytest.approx(yaw_of(first.world_from_ego), abs=0.01)


def test_a_degree_of_latitude_is_as_long_as_the_earth_says() -> None:
    """At 45 degrees: 111.132 km a degree (WGS 84)."""
    origin = np.array([np.radians(45.0), 0.2, 0.0])
    way = east_north_up(origin + np.array([np.radians(0.001), 0.0, 0.0]), origin)
    assert way == pytest.approx([0.0, 111.132, 0.0], abs=0.002)


# Two sources of one fact


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((0.0, 0.0, 0.0), "its twist says 0.0 m/s, its poses move at 8.0 m/s"),
        ((28.8, 0.0, 0.0), "its twist says 28.8 m/s"),  # km/h
        ((-8.0, 0.0, 0.0), "16.0 m/s apart"),  # backwards
    ],
)
def test_a_twist_that_its_poses_contradict_is_not_used(
    said: Sequence[float], words: str, tmp_path: Path
) -> None:
    def odom(index: int, stamp: int) -> list[Message]:
        message = odometry(stamp, (SPEED * index / 10, 0, 0), twist=said)
        return [Message("/odom", "nav_msgs/msg/Odometry", message, stamp)]

    path = write_mcap(tmp_path / "a.mcap", drive(odom))
    with open_bag(path) as bag:
        info = bag.info()
    assert any(words in text and "the poses are used" in text for text in info.warnings)
    assert all(motion.twist is None for motion in events_of(path, EgoMotion))
    assert "its twist contradicts them" in events_of(path, EgoMotion)[0].source


def test_poses_that_nobody_filled_in_give_way_to_the_twist(tmp_path: Path) -> None:
    def odom(index: int, stamp: int) -> list[Message]:
        return [Message("/odom", "nav_msgs/msg/Odometry", odometry(stamp, twist=(8, 0, 0)), stamp)]

    seen = events_of(write_mcap(tmp_path / "a.mcap", drive(odom)), EgoMotion)
    way = seen[-1].world_from_ego[0, 3] - seen[0].world_from_ego[0, 3]
    assert way == pytest.approx(8.0 * (len(seen) - 1) / 10, rel=1e-6)
    assert "its poses never change" in seen[0].source


def test_two_odometries_are_compared_and_one_can_be_chosen(tmp_path: Path) -> None:
    def both(index: int, stamp: int) -> list[Message]:
        return [
            Message(f"/{name}", "nav_msgs/msg/Odometry",
                    odometry(stamp, (speed * index / 10, 0, 0), twist=(speed, 0, 0)), stamp)
            for name, speed in (("localization/odom", 8.0), ("wheel", 12.0))
        ]  # fmt: skip

    path = write_mcap(tmp_path / "a.mcap", drive(both))
    with open_bag(path) as bag:
        assert bag.info().motion == "/localization/odom"
        assert any("/wheel says 12.0 m/s" in text for text in bag.info().warnings)
    with open_bag(path, odometry="/wheel") as bag:
        assert bag.info().motion == "/wheel"


def test_a_static_frame_that_is_defined_twice_is_named(tmp_path: Path) -> None:
    lower = transforms(("base_link", "front", (0.2, 0, 0.4), OPTICAL))
    again = Message("/tf_static", "tf2_msgs/msg/TFMessage", lower, START + 5)
    first, *rest = drive(pose_stamped)
    path = write_mcap(tmp_path / "a.mcap", [first, again, *rest])
    with open_bag(path) as bag:
        assert any("'front' is defined twice" in text for text in bag.info().warnings)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"width": 128, "height": 96}, "pictures are 64x48, CameraInfo is for 128x96"),
        ({"p": np.array([80.0, 0, 32, 0, 0, 80.0, 24, 0, 0, 0, 1, 0])}, "differ by 60 % in focal"),
    ],
)
def test_a_camera_info_that_contradicts_itself_or_its_pictures_is_named(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    messages = [
        m._replace(content=camera_info(m.log_ns, **changed)) if m.topic.endswith("info") else m
        for m in drive(pose_stamped)
    ]
    with open_bag(write_mcap(tmp_path / "a.mcap", messages)) as bag:
        assert any(words in text for text in bag.info().warnings)
