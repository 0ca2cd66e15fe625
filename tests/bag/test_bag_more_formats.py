"""What else people record: bags without their index, poses and fixes for odometry, video, and
foxglove's schemas. Each must become the same values as the plain recording of the same drive."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bag_maker import (
    START,
    STEP,
    Message,
    compressed,
    events_of,
    jpeg,
    scene,
    write_mcap,
    write_rosbag1,
)
from mcap.writer import Writer as McapWriter

from irl_vla.bag.bag import open_bag
from irl_vla.messages.protobuf import ProtobufTypes
from irl_vla.messages.records import StoredTopic, ros2_type
from irl_vla.messages.topic_roles import is_rectified, no_camera, picture_form
from irl_vla.types import CameraImage, EgoMotion, InputError

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
        both = [[(v.stamp_ns, getattr(v, "encoded", None)) for v in events_of(p, kind)]
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
    seen, every = events_of(cut, CameraImage), events_of(whole, CameraImage)
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
    seen = events_of(write_mcap(tmp_path / "a.mcap", messages), CameraImage)
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
        first, _ = events_of(path, CameraImage)
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
