"""What a bag means: names, roles, rig, ego motion, intent, boxes, and words for what lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bag_maker import (
    OPTICAL,
    START,
    STEP,
    Message,
    camera_info,
    compressed,
    odometry,
    raw,
    scene,
    transforms,
    write_mcap,
    write_rosbag2,
)
from mcap.writer import Writer as McapWriter

from irl_vla.bag.bag import open_bag
from irl_vla.messages.events import Notice, NoticeKind, StampedBoxes
from irl_vla.messages.geometry_messages import detections_message
from irl_vla.messages.messages import new
from irl_vla.messages.plan_messages import intent_to_message
from irl_vla.messages.topics import CameraTopics, Role, Topics
from irl_vla.types import (
    Boxes3D,
    CameraImage,
    EgoMotion,
    InputError,
    Intent,
    IntentDirection,
)

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO, ODOMETRY, TF = "sensor_msgs/msg/CameraInfo", "nav_msgs/msg/Odometry", "tf2_msgs/msg/TFMessage"
NO_TURN = (0.0, 0.0, 0.0, 1.0)
QUARTER_LEFT = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))


def bag_of(folder: Path, messages: list[Message], topics: Topics | Path | None = None):
    path = folder / "bag.mcap"
    return open_bag(write_mcap(path, messages), topics)


def of(kind: type, events) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize(
    ("topics", "names"),
    [
        (["/sensing/camera_01/image/compressed"], {"camera_01"}),
        (["/sensing/camera/camera0/image_rect_color/compressed"], {"camera0"}),
        (["/camera/front_left/image_raw", "/camera/front/image_raw"], {"front_left", "front"}),
        (["/CAM_FRONT/image_rect_compressed"], {"CAM_FRONT"}),
        (["/image_raw"], {"camera"}),
        (["/camera/image_raw"], {"camera"}),
        (["/left/camera/image", "/right/camera/image"], {"left", "right"}),
        (["/a/cam/image", "/b/cam/image"], {"a", "b"}),
    ],
)
def test_cameras_are_named_by_what_tells_them_apart(
    topics: list[str], names: set[str], tmp_path: Path
) -> None:
    messages = [
        Message(t, COMPRESSED if t.endswith("compressed") else IMAGE,
                compressed(START) if t.endswith("compressed") else raw("mono8", 1, 1, [0]), START)
        for t in topics
    ]  # fmt: skip
    with bag_of(tmp_path, messages) as bag:
        assert set(bag.info().cameras) == names
        assert {event.camera for event in bag.events()} == names


def test_one_camera_on_two_topics_is_read_once_and_depth_is_no_camera(tmp_path: Path) -> None:
    base = "/front/image_raw"
    messages = [
        Message(base, IMAGE, raw("mono8", 1, 1, [0]), START),
        Message(f"{base}/compressed", COMPRESSED, compressed(START), START),
        Message("/front/depth/image", IMAGE, raw("32FC1", 1, 1, [0, 0, 0, 0]), START),
    ]
    with bag_of(tmp_path, messages) as bag:
        assert len(of(CameraImage, bag.events())) == 1
        rows = {row.name: row for row in bag.info().topics}
    assert rows[f"{base}/compressed"].role is Role.CAMERA
    assert rows[base].role is Role.IGNORED and "same camera" in rows[base].why
    assert "not a colour picture" in rows["/front/depth/image"].why


def test_topics_can_be_given_in_a_file_and_a_wrong_name_gets_a_suggestion(tmp_path: Path) -> None:
    settings = tmp_path / "topics.yaml"
    settings.write_text(
        "cameras:\n  nose: {image: /sensing/front/image/compressed}\nodometry: /odom\n"
        "base_frame: base_link\n"
    )
    with bag_of(tmp_path, scene(2), settings) as bag:
        assert bag.info().cameras == ("nose",) and bag.rig().names == ("nose",)
        assert {e.camera for e in of(CameraImage, bag.events())} == {"nose"}
    with pytest.raises(InputError, match=r"'/odm' \(setting 'odometry'\).*Did you mean '/odom'"):
        bag_of(tmp_path, scene(2), Topics(odometry="/odm"))
    with pytest.raises(InputError, match=r"is of type nav_msgs/msg/Odometry, expected sensor_msgs"):
        bag_of(tmp_path, scene(2), Topics(cameras={"a": CameraTopics("/odom")}))
    settings.write_text("camera: {}\n")
    with pytest.raises(InputError, match=r"Did you mean 'cameras'"):
        bag_of(tmp_path, scene(2), settings)


def test_the_rig_follows_the_chain_of_static_transforms(tmp_path: Path) -> None:
    messages = [
        Message(
            "/tf_static", TF, transforms(("base_link", "roof", (1, 0, 2), QUARTER_LEFT)), START
        ),
        Message("/tf_static", TF, transforms(("roof", "front", (0.5, 0, 0), OPTICAL)), START + 1),
        *[m for m in scene(2) if m.topic not in ("/tf_static", "/sensing/back/image/compressed")],
    ]
    with bag_of(tmp_path, messages) as bag:
        camera = bag.rig().camera("front")
    # On a mast that is turned to the left: half a metre to its front is half a metre to our left.
    np.testing.assert_allclose(camera.ego_from_cam[:3, 3], [1, 0.5, 2], atol=1e-12)
    np.testing.assert_allclose(camera.ego_from_cam[:3, 2], [0, 1, 0], atol=1e-12)  # looks left


def test_pictures_that_are_rectified_already_take_the_lens_from_p(tmp_path: Path) -> None:
    bent = camera_info(START, d=np.array([-0.3, 0.1, 0, 0, 0]),
                       p=np.array([40.0, 0, 30, 0, 0, 41, 20, 0, 0, 0, 1, 0]))  # fmt: skip
    tf = scene(1)[0]
    for word, focal in [("image_rect", 40.0), ("image_raw", 50.0)]:
        messages = [tf, Message(f"/front/{word}/compressed", COMPRESSED, compressed(START), START),
                    Message("/front/camera_info", INFO, bent, START)]  # fmt: skip
        with bag_of(tmp_path, messages) as bag:
            camera = bag.rig().camera("front")
        assert camera.intrinsics[0, 0] == focal
        assert np.any(camera.distortion) == (word == "image_raw")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: [x for x in m if "camera_info" not in x.topic], "no CameraInfo for camera f"),
        (lambda m: [x for x in m if x.topic != "/tf_static"], "frame 'front'.*no frame at all"),
        (lambda m: [x._replace(content=camera_info(START, "lost")) if "camera_info" in x.topic
                    else x for x in m], "frame 'lost'.*tf knows base_link, front"),
        (lambda m: [x._replace(content=camera_info(START, k=np.zeros(9))) if "camera_info"
                    in x.topic else x for x in m], "uncalibrated"),
    ],
)  # fmt: skip
def test_what_the_rig_lacks_is_said_and_what_to_do(change, said: str, tmp_path: Path) -> None:
    with bag_of(tmp_path, change(scene(2))) as bag:
        with pytest.raises(InputError, match=said):
            bag.rig()
        assert any("rig file" in sentence for sentence in bag.info().missing)
        assert len(of(CameraImage, bag.events())) == 4  # the pictures are still shown


def test_a_recalibration_on_the_way_is_noticed(tmp_path: Path) -> None:
    messages = scene(4)
    changed = [
        m._replace(content=camera_info(START, focal=60.0))
        if m.topic == "/sensing/front/camera_info" and m.log_ns > START + 2 * STEP + 5000 else m
        for m in messages
    ]  # fmt: skip
    with bag_of(tmp_path, changed) as bag:
        notices = of(Notice, bag.events())
    assert [(n.kind, n.camera) for n in notices] == [(NoticeKind.CALIBRATION_CHANGED, "front")]
    assert notices[0].now.intrinsics[0, 0] == 60.0


def test_odometry_of_another_frame_is_moved_to_the_base_frame(tmp_path: Path) -> None:
    # The GPS sits 2 m before and 1 m left of the rear axle; the car turns left on the spot.
    messages = [
        Message("/tf_static", TF, transforms(("base_link", "gps", (2, 1, 0), NO_TURN)), START),
        Message(
            "/odom", ODOMETRY, odometry(START, (10, 5, 0), 0.0, (-1.0, 2.0, 1.0), "gps"), START
        ),
    ]
    with bag_of(tmp_path, messages) as bag:
        (motion,) = of(EgoMotion, bag.events())
        assert bag.info().base_frame == "base_link"
    np.testing.assert_allclose(motion.world_from_ego[:3, 3], [8, 4, 0], atol=1e-12)
    np.testing.assert_allclose(motion.twist, [0, 0, 1], atol=1e-12)


def test_odometry_that_hangs_nowhere_is_named_and_not_used(tmp_path: Path) -> None:
    tf = Message("/tf_static", TF, transforms(("base_link", "lidar", (0, 0, 0), NO_TURN)), START)
    messages = [tf, Message("/odom", ODOMETRY, odometry(START, child="gps"), START)]
    with bag_of(tmp_path, messages) as bag:
        assert of(EgoMotion, bag.events()) == []
        info = bag.info()
    assert any("no ego motion" in text for text in info.missing)
    assert any("moves frame 'gps'" in text for text in info.warnings)


def test_without_odometry_the_tf_chain_tells_the_motion_and_odom_goes_before_map(
    tmp_path: Path,
) -> None:
    messages = [m for m in scene(3) if m.topic != "/odom"]
    for index in range(3):
        stamp = START + index * STEP
        edge = transforms(("map", "odom", (100, 0, 0), NO_TURN), stamp=stamp)
        messages.append(Message("/tf", TF, edge, stamp + 10))
        edge = transforms(("odom", "base_link", (index, 0, 0), NO_TURN), stamp=stamp)
        messages.append(Message("/tf", TF, edge, stamp + 20))
    with bag_of(tmp_path, messages) as bag:
        motion = of(EgoMotion, bag.events())
        assert bag.info().motion == motion[0].source == "/tf odom -> base_link"
    assert [m.world_from_ego[0, 3] for m in motion] == [0, 1, 2]
    assert [m.stamp_ns for m in motion] == [START + i * STEP for i in range(3)]
    assert motion[0].twist is None


def test_a_twist_that_nobody_filled_is_unknown(tmp_path: Path) -> None:
    still = [Message("/odom", ODOMETRY, odometry(START + i, (i, 0, 0), twist=(0, 0, 0)), START + i)
             for i in range(3)]  # fmt: skip
    moving = Message("/odom", ODOMETRY, odometry(START + 9, twist=(1, 0, 0)), START + 9)
    stopped = Message("/odom", ODOMETRY, odometry(START + 10, twist=(0, 0, 0)), START + 10)
    with bag_of(tmp_path, [*still, moving, stopped]) as bag:
        twists = [m.twist for m in of(EgoMotion, bag.events())]
    assert twists[:3] == [None, None, None]
    assert twists[3].tolist() == [1, 0, 0] and twists[4].tolist() == [0, 0, 0]


def test_nan_odometry_and_strange_stamps_are_passed_on(tmp_path: Path) -> None:
    stamps = [START, START - 5 * STEP, START, START + 900 * STEP]  # back, the same, far ahead
    messages = [
        Message("/odom", ODOMETRY, odometry(stamp, (np.nan, 0, 0)), START + i)
        for i, stamp in enumerate(stamps)
    ]
    with bag_of(tmp_path, messages) as bag:
        motion = of(EgoMotion, bag.events())
    assert [m.stamp_ns for m in motion] == stamps
    assert all(np.isnan(m.world_from_ego[0, 3]) for m in motion)


def test_a_header_stamp_of_zero_means_the_time_of_recording_and_is_said_once(
    tmp_path: Path,
) -> None:
    messages = [Message("/a/image/compressed", COMPRESSED, compressed(0), START + i * STEP)
                for i in range(3)]  # fmt: skip
    with bag_of(tmp_path, messages) as bag:
        events = list(bag.events())
    assert [e.stamp_ns for e in of(CameraImage, events)] == [START + i * STEP for i in range(3)]
    assert [n.kind for n in of(Notice, events)] == [NoticeKind.UNSTAMPED]


def test_each_picture_that_cannot_be_used_has_its_own_reason(tmp_path: Path) -> None:
    messages = [
        Message("/a/image", IMAGE, raw("rgb8", 2, 2, np.zeros(12, np.uint8)), START),
        Message("/a/image", IMAGE, raw("yuv420_mystery", 2, 2, np.zeros(12)), START + 1),
        Message("/b/image/compressed", COMPRESSED, compressed(START, data=b"GIF89a"), START + 2),
        Message("/b/image/compressed", COMPRESSED,
                compressed(START, form="rgb8; jpeg compressed bgr8"), START + 3),
    ]  # fmt: skip
    with bag_of(tmp_path, messages) as bag:
        events = list(bag.events())
    assert [e.camera for e in of(CameraImage, events)] == ["a", "b"]
    assert [(n.kind, n.camera) for n in of(Notice, events)] == [
        (NoticeKind.BAD_IMAGE, "a"), (NoticeKind.BAD_IMAGE, "b")
    ]  # fmt: skip
    assert "yuv420_mystery" in of(Notice, events)[0].text
    assert "neither JPEG nor PNG" in of(Notice, events)[1].text


def test_intent_comes_from_our_message_or_from_a_word(tmp_path: Path) -> None:
    route = np.array([[1.0, 0.5], [2.0, 1.5]])
    ours = intent_to_message(Intent(IntentDirection.RIGHT, route, START), "base_link")
    with bag_of(tmp_path, [Message("/nav", "irl_vla_msgs/msg/Intent", ours, START)]) as bag:
        (intent,) = bag.events()
    assert intent.direction is IntentDirection.RIGHT and intent.stamp_ns == START
    np.testing.assert_array_equal(intent.route, route)
    words = [Message("/intent", "std_msgs/msg/String", new("std_msgs/msg/String", data=word), START)
             for word in ("Straight ", "upwards")]  # fmt: skip
    with bag_of(tmp_path, words) as bag:
        events = list(bag.events())
    assert events[0].direction is IntentDirection.STRAIGHT
    assert isinstance(events[1], Notice) and "upwards" in events[1].text


def test_boxes_of_any_known_frame_come_in_the_ego_frame(tmp_path: Path) -> None:
    car = Boxes3D(np.array([[20.0, 3.0, 0.8]]), np.array([[4.5, 1.9, 1.6]]), np.array([0.1]),
                  np.full((1, 2), np.nan), ("car",), ("7",))  # fmt: skip
    kind, frames = "vision_msgs/msg/Detection3DArray", ["base_link", "lidar", "map"]
    messages = [
        Message("/tf_static", TF, transforms(("base_link", "lidar", (1, 0, 2), NO_TURN)), START),
        Message("/odom", ODOMETRY, odometry(START, (5, 0, 0)), START),
        *(Message("/boxes", kind, detections_message(car, stamp, frame), stamp)
          for stamp, frame in zip(range(START, START + 3 * STEP, STEP), frames, strict=True)),
    ]  # fmt: skip
    with bag_of(tmp_path, messages) as bag:
        found = of(StampedBoxes, bag.events())
        near, far = bag.boxes_at(START + 2 * STEP - 40_000_000), bag.boxes_at(START + 4 * STEP)
        again = bag.boxes_at(START)
    x = [event.boxes.centers[0, 0] for event in found]
    assert x == pytest.approx([20, 21, 15])
    assert found[0].boxes.labels == ("car",) and found[0].boxes.ids == ("7",)
    np.testing.assert_allclose(found[0].boxes.yaws, [0.1])
    assert near.centers[0, 0] == pytest.approx(15) and far is None
    assert again.centers[0, 0] == pytest.approx(20)


def test_unknown_message_types_are_listed_and_skipped(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", scene(2), chunked=False)
    data = path.read_bytes().replace(b"nav_msgs/msg/Odometry", b"my_msgs/mess/Odometry")
    path.write_bytes(data)
    with open_bag(path) as bag:
        row = next(row for row in bag.info().topics if row.name == "/odom")
        assert (row.msgtype, row.role) == ("my_msgs/mess/Odometry", Role.IGNORED)
        events = list(bag.events())
    assert of(EgoMotion, events) == [] and len(of(CameraImage, events)) == 4


def with_definition(path: Path, msgtype: str, encoding: str, text: str, data: bytes) -> Path:
    """One message on /intent, of a type that the file itself describes."""
    with path.open("wb") as stream:
        writer = McapWriter(stream)
        writer.start("ros2", "test")
        schema = writer.register_schema(msgtype, encoding, text.encode())
        channel = writer.register_channel("/intent", "cdr", schema)
        writer.add_message(channel, START, data, START)
        writer.finish()
    return path


WORD = b"\x00\x01\x00\x00" + (6).to_bytes(4, "little") + b"right\x00"  # CDR of "right"
IDL = "module std_msgs { module msg { struct String { string data; }; }; };"


@pytest.mark.parametrize(
    ("encoding", "text", "data"),
    [
        ("ros2msg", "string data\n", WORD),
        ("ros2msg", "string data\nuint8 loudness\n", WORD + b"\x07"),  # a newer definition
        ("ros2msg", "string d@ta\n", WORD),  # a broken one
        ("ros2msg", "", WORD),
        ("ros2idl", f"{'=' * 80}\nIDL: std_msgs/msg/String\n{IDL}\n", WORD),
        ("ros2idl", IDL, WORD),
    ],
)
def test_the_definition_in_the_bag_goes_before_ours_unless_it_is_broken(
    encoding: str, text: str, data: bytes, tmp_path: Path
) -> None:
    path = with_definition(tmp_path / "a.mcap", "std_msgs/msg/String", encoding, text, data)
    with open_bag(path) as bag:
        (intent,) = bag.events()
    assert intent.direction is IntentDirection.RIGHT


def test_other_encodings_than_ros_are_named(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", scene(1), chunked=False)
    path.write_bytes(path.read_bytes().replace(b"\x03\x00\x00\x00cdr", b"\x03\x00\x00\x00xml"))
    with open_bag(path) as bag:
        rows = bag.info().topics
        assert list(bag.events()) == []
    assert all(row.role is Role.IGNORED and "encoded as 'xml'" in row.why for row in rows)


def test_a_bag_without_definitions_is_read_with_ours(tmp_path: Path) -> None:
    folder = write_rosbag2(tmp_path / "bag", scene(2))
    path = next(folder.glob("*.mcap"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"ros2msg", b"unknown"))
    with open_bag(folder) as bag:
        assert len(of(EgoMotion, bag.events())) == 2
