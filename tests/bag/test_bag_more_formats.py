"""What else people record: bags without their index, poses and fixes for odometry, video, and
foxglove's schemas. Each must become the same values as the plain recording of the same drive."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_maker import (
    START,
    STEP,
    Message,
    camera_info,
    compressed,
    jpeg,
    odometry,
    quaternion,
    scene,
    transforms,
    vector,
    write_mcap,
    write_rosbag1,
)
from mcap.writer import Writer as McapWriter

from irl_vla.bag.bag import open_bag
from irl_vla.frames import yaw_of
from irl_vla.messages.messages import header, new
from irl_vla.messages.motion_reader import east_north_up
from irl_vla.messages.protobuf import ProtobufTypes
from irl_vla.messages.records import StoredTopic, ros2_type
from irl_vla.messages.topic_roles import is_rectified, no_camera, picture_form
from irl_vla.types import CameraImage, EgoMotion, InputError

OPTICAL = (-0.5, 0.5, -0.5, 0.5)
SPEED = 8.0  # [m/s]


def values(path: Path, kind: type) -> list[Any]:
    with open_bag(path) as bag:
        return [event for event in bag.events() if isinstance(event, kind)]


# ROS 1 without its index


def index_at(data: bytes) -> int:
    """Where the index starts: the bag header, the first record, says so."""
    at = data.index(b"index_pos=") + len(b"index_pos=")
    return int(struct.unpack_from("<Q", data, at)[0])


@pytest.mark.parametrize("compression", [None, "bz2", "lz4"])
@pytest.mark.parametrize("suffix", [".bag", ".bag.active"])
def test_a_bag_without_index_gives_what_the_whole_bag_gives(
    compression: str | None, suffix: str, tmp_path: Path
) -> None:
    from rosbags.rosbag1 import Writer

    form = None if compression is None else Writer.CompressionFormat[compression.upper()]
    whole = write_rosbag1(tmp_path / "whole.bag", scene(6), form)
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: index_at(data)])
    for kind in (CameraImage, EgoMotion):
        both = [[(v.stamp_ns, getattr(v, "encoded", None)) for v in values(p, kind)]
                for p in (whole, cut)]  # fmt: skip
        assert both[0] == both[1] and both[0]
    with open_bag(cut) as bag:
        assert any("has no index" in text for text in bag.warnings)


def test_a_bag_that_breaks_off_is_used_up_to_the_break(tmp_path: Path) -> None:
    """A recorder that dies leaves a chunk whose stated length is still zero."""
    whole = write_rosbag1(tmp_path / "whole.bag", scene(6))
    data = bytearray(whole.read_bytes())
    at = data.index(b"#ROSBAG V2.0\n") + 13
    for _ in range(2):  # over the bag header and its padding, to the chunk
        at += 4 + struct.unpack_from("<I", data, at)[0]
    length = at + 4 + struct.unpack_from("<I", data, at)[0]
    data[length : length + 4] = bytes(4)
    middle = (length + index_at(bytes(data))) // 2
    cut = tmp_path / "cut.bag.active"
    cut.write_bytes(data[:middle])
    seen, every = values(cut, CameraImage), values(whole, CameraImage)
    assert 0 < len(seen) < len(every)
    assert [v.stamp_ns for v in seen] == [v.stamp_ns for v in every][: len(seen)]
    with open_bag(cut) as bag:
        assert any(f"of {middle}, everything before is used" in text for text in bag.warnings)


def test_a_bag_with_nothing_but_its_head_is_refused(tmp_path: Path) -> None:
    whole = write_rosbag1(tmp_path / "whole.bag", scene(6)).read_bytes()
    cut = tmp_path / "cut.bag"
    cut.write_bytes(whole[:4200])
    with pytest.raises(InputError, match="without its index"):
        open_bag(cut)


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
    seen = values(path, EgoMotion)
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
    assert all(motion.twist is None for motion in values(path, EgoMotion))
    assert "its twist contradicts them" in values(path, EgoMotion)[0].source


def test_poses_that_nobody_filled_in_give_way_to_the_twist(tmp_path: Path) -> None:
    def odom(index: int, stamp: int) -> list[Message]:
        return [Message("/odom", "nav_msgs/msg/Odometry", odometry(stamp, twist=(8, 0, 0)), stamp)]

    seen = values(write_mcap(tmp_path / "a.mcap", drive(odom)), EgoMotion)
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


# Names and spellings


@pytest.mark.parametrize(
    "spelled",
    ["sensor_msgs/Image", "sensor_msgs/msg/Image", "sensor_msgs::msg::dds_::Image_",
     "sensor_msgs.msg.Image", "sensor_msgs::msg::Image"],
)  # fmt: skip
def test_a_type_has_one_name_however_it_is_spelled(spelled: str) -> None:
    assert ros2_type(spelled) == "sensor_msgs/msg/Image"


@pytest.mark.parametrize(
    ("name", "undistorted"),
    [
        ("/front/image_rect_color", True), ("/front/imageRect", True),
        ("/front/image_undistorted/compressed", True), ("/cam/undistorted", True),
        ("/CAM_FRONT/image_rect_compressed", True), ("/front/image_raw", False),
        ("/front/image_unrectified", False), ("/direct/image", False),
    ],
)  # fmt: skip
def test_undistorted_pictures_are_known_by_the_words_of_their_topic(
    name: str, undistorted: bool
) -> None:
    assert is_rectified(name) == undistorted


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("/front/image_raw/compressed", True), ("/oak/rgb/preview/image_raw", True),
        ("/front/detections/compressed", False), ("/debugImage", False),
        ("/front/image_annotated", False), ("/depth/image", False), ("/front/depthImage", False),
        ("/segmentation/overlay", False), ("/Disparity", False),
    ],
)  # fmt: skip
def test_a_picture_that_no_lens_made_is_no_camera(name: str, camera: bool) -> None:
    assert (no_camera(name) == "") == camera


@pytest.mark.parametrize(
    ("last", "stated", "unread", "video"),
    [
        ("compressed", "jpeg", False, ""), ("compressed", "rgb8; jpeg compressed bgr8", False, ""),
        ("zstd", "zstd", True, ""), ("compressed", "zstd", True, ""),
        ("compressedDepth", "", True, ""),
        ("compressed", "16UC1; compressedDepth png", True, ""), ("theora", "", True, ""),
        ("compressed", "h264", False, "h264"), ("h265", "", False, "hevc"),
        ("compressed", "hevc", False, "hevc"),
    ],
)  # fmt: skip
def test_a_form_is_known_by_name_or_format(
    last: str, stated: str, unread: bool, video: str
) -> None:
    form = picture_form(StoredTopic(f"/f/{last}", "sensor_msgs/msg/CompressedImage"), stated)
    assert (bool(form.unread), form.video) == (unread, video)


# Video


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_video_gives_a_picture_for_each_packet_at_its_own_stamp(codec: str, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is an extra (irl-vla[video])")
    name = {"h264": "libx264", "hevc": "libx265"}[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    from fractions import Fraction

    context.time_base = Fraction(1, 10)
    context.options = {"tune": "zerolatency", "preset": "ultrafast"}
    packets = []
    for index in range(6):
        frame = av.VideoFrame.from_ndarray(
            np.full((48, 64, 3), 30 + 30 * index, np.uint8), format="rgb24"
        )
        frame.pts = index
        packets += [bytes(packet) for packet in context.encode(frame)]
    packets += [bytes(packet) for packet in context.encode(None)]
    messages = [
        Message("/front/image/compressed", "sensor_msgs/msg/CompressedImage",
                compressed(START + k * STEP, data=data, form=codec), START + k * STEP)
        for k, data in enumerate(packets)
    ]  # fmt: skip
    seen = values(write_mcap(tmp_path / "a.mcap", messages), CameraImage)
    assert [image.stamp_ns for image in seen] == [START + k * STEP for k in range(6)]
    assert [float(image.pixels.mean()) for image in seen] == pytest.approx(
        [30 + 30 * k for k in range(6)], abs=6
    )


# foxglove's schemas


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def part(number: int, value: int | float | bytes | str) -> bytes:
    """One protobuf field."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message_type(name: str, *fields: tuple[str, int, int, str]) -> bytes:
    """A DescriptorProto. fields: name, number, type, type name."""
    body = part(1, name)
    for label, number, kind, of in fields:
        entry = part(1, label) + part(3, number) + part(4, 1) + part(5, kind)
        body += part(2, entry + (part(6, of) if of else b""))
    return body


TIME = part(2, "google.protobuf") + part(
    4, message_type("Timestamp", ("seconds", 1, 3, ""), ("nanos", 2, 5, ""))
)
IMAGE = part(2, "foxglove") + part(
    4,
    message_type(
        "CompressedImage", ("timestamp", 1, 11, ".google.protobuf.Timestamp"), ("data", 2, 12, ""),
        ("format", 3, 9, ""), ("frame_id", 4, 9, ""),
    ),
)  # fmt: skip
SCHEMA = part(1, TIME) + part(1, IMAGE)


def foxglove_file(path: Path, encoding: str, schema: bytes, data: Sequence[bytes]) -> Path:
    with path.open("wb") as stream:
        writer = McapWriter(stream)
        writer.start("", "test")
        form = "protobuf" if encoding == "protobuf" else "jsonschema"
        schema_id = writer.register_schema("foxglove.CompressedImage", form, schema)
        channel = writer.register_channel("/front/image", encoding, schema_id)
        for index, content in enumerate(data):
            writer.add_message(channel, START + index * STEP, content, START + index * STEP)
        writer.finish()
    return path


def test_pictures_in_protobuf_and_in_json_are_those_of_ros(tmp_path: Path) -> None:
    seconds, picture = START // 10**9, jpeg(grey=200)
    stamp = part(1, seconds) + part(2, 7)
    binary = part(1, stamp) + part(2, picture) + part(3, "jpeg") + part(4, "front")
    text = json.dumps({
        "timestamp": {"sec": seconds, "nsec": 7}, "frame_id": "front", "format": "jpeg",
        "data": base64.b64encode(picture).decode(),
    }).encode()  # fmt: skip
    for encoding, schema, content in (("protobuf", SCHEMA, binary), ("json", b"{}", text)):
        path = foxglove_file(tmp_path / f"{encoding}.mcap", encoding, schema, [content] * 2)
        first, _ = values(path, CameraImage)
        assert (first.camera, first.stamp_ns, first.encoded) == ("front", START + 7, picture)


def test_protobuf_numbers_come_back(tmp_path: Path) -> None:
    kinds = [("a", 1, 1, ""), ("b", 2, 5, ""), ("c", 3, 8, ""), ("d", 4, 9, ""), ("e", 5, 17, "")]
    file = part(2, "x") + part(4, message_type("M", *kinds))
    types = ProtobufTypes.of_descriptors(part(1, file))
    negative = (1 << 64) - 3
    data = part(1, 2.5) + part(2, negative) + part(3, 1) + part(4, "hé") + part(5, 5)
    got = types.decode("x.M", data)
    assert (got.a, got.b, got.c, got.d, got.e) == (2.5, -3, 1, "hé", -3)
    assert vars(types.decode("x.M", b"")) == {"a": 0.0, "b": 0, "c": False, "d": "", "e": 0}
    with pytest.raises(ValueError, match="no protobuf"):
        types.decode("x.M", b"\xff\xd8\xff\xe0")
