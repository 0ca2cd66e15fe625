"""Small bags for tests, written by rosbags and by mcap's own writer, not by ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from irl_vla.bag.bag import open_bag
from irl_vla.messages.messages import header, new, ros1_typestore, typestore

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
STEP = SECOND // 10
OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # a camera that looks straight ahead, in base_link


def events_of(path: Path, kind: type) -> list[Any]:
    """What our reader makes of a bag, of one kind."""
    with open_bag(path) as bag:
        return [event for event in bag.events() if isinstance(event, kind)]


class Message(NamedTuple):
    topic: str
    msgtype: str
    content: Any
    log_ns: int


def jpeg(width: int = 64, height: int = 48, grey: int = 90) -> bytes:
    picture = np.full((height, width, 3), grey, np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def compressed(stamp: int, frame: str = "front", data: bytes | None = None, form: str = "jpeg"):
    return new(
        "sensor_msgs/msg/CompressedImage", header=header(stamp, frame), format=form,
        data=np.frombuffer(jpeg() if data is None else data, np.uint8),
    )  # fmt: skip


def raw(encoding: str, width: int, height: int, data: Any, step: int = 0, big: int = 0) -> Any:
    return new(
        "sensor_msgs/msg/Image", header=header(START, "front"), height=height, width=width,
        encoding=encoding, is_bigendian=big, step=step,
        data=np.ascontiguousarray(np.asarray(data).reshape(-1)).view(np.uint8),
    )  # fmt: skip


def camera_info(stamp: int, frame: str = "front", focal: float = 50.0, **changed: Any) -> Any:
    fields = {
        "header": header(stamp, frame), "height": 48, "width": 64,
        "distortion_model": "plumb_bob", "d": np.zeros(5),
        "k": np.array([focal, 0, 32, 0, focal, 24, 0, 0, 1.0]), "r": np.eye(3).reshape(-1),
        "p": np.array([focal, 0, 32, 0, 0, focal, 24, 0, 0, 0, 1.0, 0]),
        "binning_x": 0, "binning_y": 0,
        "roi": new("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0,
                   do_rectify=False),
    }  # fmt: skip
    return new("sensor_msgs/msg/CameraInfo", **(fields | changed))


def transforms(*edges: tuple[str, str, Sequence[float], Sequence[float]], stamp: int = START):
    """edges: parent, child, translation, quaternion x y z w."""
    return new(
        "tf2_msgs/msg/TFMessage",
        transforms=[
            new(
                "geometry_msgs/msg/TransformStamped", header=header(stamp, parent),
                child_frame_id=child,
                transform=new(
                    "geometry_msgs/msg/Transform", translation=vector(*t), rotation=quaternion(*q)
                ),
            )
            for parent, child, t, q in edges
        ],
    )  # fmt: skip


def vector(x: float, y: float, z: float, kind: str = "Vector3") -> Any:
    return new(f"geometry_msgs/msg/{kind}", x=float(x), y=float(y), z=float(z))


def quaternion(x: float, y: float, z: float, w: float) -> Any:
    return new("geometry_msgs/msg/Quaternion", x=float(x), y=float(y), z=float(z), w=float(w))


def odometry(
    stamp: int,
    position: Sequence[float] = (0, 0, 0),
    yaw: float = 0.0,
    twist: Sequence[float] = (10.0, 0.0, 0.0),
    child: str = "base_link",
    world: str = "map",
) -> Any:
    """twist: vx, vy, yaw rate."""
    turn = quaternion(0, 0, np.sin(yaw / 2), np.cos(yaw / 2))
    pose = new("geometry_msgs/msg/Pose", position=vector(*position, kind="Point"), orientation=turn)
    speed = new(
        "geometry_msgs/msg/Twist", linear=vector(twist[0], twist[1], 0),
        angular=vector(0, 0, twist[2]),
    )  # fmt: skip
    return new(
        "nav_msgs/msg/Odometry", header=header(stamp, world), child_frame_id=child,
        pose=new("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
        twist=new("geometry_msgs/msg/TwistWithCovariance", twist=speed, covariance=np.zeros(36)),
    )  # fmt: skip


def scene(count: int = 5, start: int = START) -> list[Message]:
    """Two cameras, odometry, intent: `count` moments, 0.1 s apart; 4 messages each and 2 before."""
    found = [
        Message(
            "/tf_static", "tf2_msgs/msg/TFMessage",
            transforms(("base_link", "front", (1.5, 0, 1.6), OPTICAL),
                       ("base_link", "back", (0, 0, 1.5), (0.5, 0.5, -0.5, -0.5))),
            start,
        ),
        Message("/intent", "std_msgs/msg/String", new("std_msgs/msg/String", data="left"), start),
    ]  # fmt: skip
    for index in range(count):
        stamp = start + (index + 1) * STEP
        for order, name in enumerate(("front", "back")):
            log = stamp + order * 1000
            base = f"/sensing/{name}"
            found.append(Message(f"{base}/image/compressed", "sensor_msgs/msg/CompressedImage",
                                 compressed(stamp, name), log))  # fmt: skip
            found.append(Message(f"{base}/camera_info", "sensor_msgs/msg/CameraInfo",
                                 camera_info(stamp, name), log))  # fmt: skip
        found.append(Message("/odom", "nav_msgs/msg/Odometry",
                             odometry(stamp, (index + 1.0, 0, 0)), stamp + 2000))  # fmt: skip
    return found


def write_rosbag2(
    path: Path,
    messages: Sequence[Message],
    storage: StoragePlugin = StoragePlugin.MCAP,
    mode: CompressionMode = CompressionMode.NONE,
    version: int = 9,
) -> Path:
    writer = Writer(path, version=version, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    connections = {}
    with writer:
        for topic, msgtype, content, log_ns in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=typestore())
            data = typestore().serialize_cdr(content, msgtype)
            writer.write(connections[topic], log_ns, data)
    return path


def write_mcap(
    path: Path,
    messages: Sequence[Message],
    compression: CompressionType = CompressionType.NONE,
    chunked: bool = True,
    chunk_size: int = 4096,
    indexed: bool = True,
    finish: bool = True,
) -> Path:
    """With the reference writer of mcap. finish: False leaves the file as a crash would."""
    with path.open("wb") as stream:
        writer = McapWriter(
            stream, chunk_size=chunk_size, compression=compression, use_chunking=chunked,
            use_summary_offsets=indexed, repeat_channels=indexed, repeat_schemas=indexed,
            use_statistics=indexed,
        )  # fmt: skip
        writer.start("ros2", "test")
        channels: dict[str, int] = {}
        for topic, msgtype, content, log_ns in messages:
            if topic not in channels:
                text, _ = typestore().generate_msgdef(msgtype, ros_version=2)
                schema = writer.register_schema(msgtype, "ros2msg", text.encode())
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            data = bytes(typestore().serialize_cdr(content, msgtype))
            writer.add_message(channels[topic], log_ns, data, log_ns)
        if finish:
            writer.finish()
    return path


def write_rosbag1(path: Path, messages: Sequence[Message], compression: Any = None) -> Path:
    store = ros1_typestore()
    writer = Writer1(path)
    if compression is not None:
        writer.set_compression(compression)
    connections = {}
    with writer:
        for topic, msgtype, content, log_ns in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=store)
            data = store.serialize_ros1(ros1_message(content), msgtype)
            writer.write(connections[topic], log_ns, data)
    return path


def ros1_message(value: Any) -> Any:
    """The same message as ROS 1 spells it: headers count, CameraInfo has capitals."""
    if isinstance(value, list):
        return [ros1_message(item) for item in value]
    if not hasattr(value, "__msgtype__"):
        return value
    store, kind = ros1_typestore(), value.__msgtype__
    fields = {}
    for name, _ in store.fielddefs[kind][1]:
        there = name if hasattr(value, name) else name.lower()
        fields[name] = 0 if name == "seq" else ros1_message(getattr(value, there))
    return store.types[kind](**fields)
