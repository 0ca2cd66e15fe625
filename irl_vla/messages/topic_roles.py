"""The one table that says what a topic can be: by message type, by the words of its name, and by
the `format` that its first message states.

Rules never hang on one spelling: types are compared in ROS 2's spelling (`records.ros2_type`),
names word by word (/front/image_rect_color, /Front/imageRect and /front-image.rect are the same),
formats by what they contain. Every answer carries its reason, which `irl-vla bag info` prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from irl_vla.messages.records import StoredTopic

RAW_IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"
TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
INTENT = "irl_vla_msgs/msg/Intent"
STRING = "std_msgs/msg/String"
BOXES = "vision_msgs/msg/Detection3DArray"
POSE_TYPES = (
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "geometry_msgs/msg/TransformStamped",
)
TWIST_TYPES = (
    "geometry_msgs/msg/TwistStamped",
    "geometry_msgs/msg/TwistWithCovarianceStamped",
)
FIX = "sensor_msgs/msg/NavSatFix"
HEADING_TYPES = ("sensor_msgs/msg/Imu", "geometry_msgs/msg/QuaternionStamped")
MOTION_TYPES = (ODOMETRY, *POSE_TYPES, *TWIST_TYPES, FIX)
VIDEO_TYPES = (
    "foxglove_msgs/msg/CompressedVideo",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
)
FOXGLOVE_IMAGES = ("foxglove_msgs/msg/CompressedImage", "foxglove_msgs/msg/RawImage")
FOXGLOVE_CALIBRATION = "foxglove_msgs/msg/CameraCalibration"
FOXGLOVE_POSE = "foxglove_msgs/msg/PoseInFrame"
FOXGLOVE_TRANSFORMS = ("foxglove_msgs/msg/FrameTransform", "foxglove_msgs/msg/FrameTransforms")
IMAGE_TYPES = (RAW_IMAGE, COMPRESSED_IMAGE)

ENCODINGS = ("cdr", "ros1")
UNREAD_ENCODINGS = {  # what else recorders write, and what to do about it
    "protobuf": "of protobuf only foxglove's own schemas are read; convert the topic to ROS 2 "
    "messages, or record it with them",
    "json": "of JSON only foxglove's own schemas are read; convert the topic to ROS 2 messages, or "
    "record it with them",
    "flatbuffer": "convert the topic to ROS 2 messages (CDR)",
    "cbor": "convert the topic to ROS 2 messages (CDR)",
    "msgpack": "convert the topic to ROS 2 messages (CDR)",
    "omgidl": "record it as CDR, ROS 2's own encoding",
    "": "the file does not say how its messages are encoded; record it again as CDR",
}
NO_COLOUR = {  # word that a part of the name starts with -> what such a topic shows
    "depth": "distances",
    "disparity": "distances",
    "confidence": "how sure a sensor is",
    "mask": "labels of pixels",
    "segment": "labels of pixels",
    "semantic": "labels of pixels",
    "panoptic": "labels of pixels",
    "label": "labels of pixels",
    "flow": "motion of pixels",
    "heatmap": "a drawn map",
    "costmap": "a drawn map",
}
DRAWN_ON = (  # pictures in which somebody has drawn: no camera sees that
    "detect", "overlay", "debug", "annotat", "visuali", "viz", "result", "bbox", "boundingbox",
    "tracks", "tracked", "keypoint", "lanes", "marker", "rendered", "stitch", "mosaic",
)  # fmt: skip
RECTIFIED = ("rect", "rectified", "undist", "undistort", "undistorted", "unwarped", "dewarped")
VIDEO_CODECS = {  # as formats, encodings and topic names spell them -> the decoder's name
    "h264": "h264", "avc": "h264", "avc1": "h264", "x264": "h264", "libx264": "h264",
    "h264_nvenc": "h264", "h264_vaapi": "h264", "h264_v4l2m2m": "h264", "h264_omx": "h264",
    "h265": "hevc", "hevc": "hevc", "x265": "hevc", "libx265": "hevc", "hevc_nvenc": "hevc",
    "hevc_vaapi": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "av1", "libaom-av1": "av1",
    "libsvtav1": "av1",
}  # fmt: skip
UNREAD_FORMS = {  # transports of ROS that are no picture file
    "zstd": "a raw picture packed with zstd (zstd_image_transport)",
    "theora": "theora video, which needs the packets before it",
    "rvl": "distances, packed with RVL",
    "compresseddepth": "distances (compressed_depth_image_transport)",
    "draco": "a point cloud",
}


class Role(str, Enum):
    """What a topic is read as."""

    CAMERA = "camera"
    CAMERA_INFO = "camera_info"
    ODOMETRY = "odometry"
    TWIST = "twist"
    HEADING = "heading"
    TF = "tf"
    INTENT = "intent"
    BOXES = "boxes"
    IGNORED = "ignored"


@dataclass(frozen=True)
class PictureForm:
    """How a topic's pictures are stored.

    says: for people, "JPEG or PNG"; video: name of the decoder, "" for single pictures; unread: why
    they cannot be used, "" where they can
    """

    says: str
    video: str = ""
    unread: str = ""


def words_of(name: str) -> tuple[str, ...]:
    """A name's words in lower case: /Front/imageRect_0 -> front, image, rect, 0."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return tuple(word for word in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if word)


def unread_encoding(topic: StoredTopic) -> str:
    """Why the messages of a topic cannot be read at all; "" where they can."""
    if topic.encoding in ENCODINGS or is_foxglove(topic):
        return ""
    advice = UNREAD_ENCODINGS.get(topic.encoding, "convert the topic to ROS 2 messages (CDR)")
    return (
        f"messages are encoded as '{topic.encoding}', expected {' or '.join(ENCODINGS)}: {advice}"
    )


def is_foxglove(topic: StoredTopic) -> bool:
    """Whether the topic is one of foxglove's schemas in an encoding that we read."""
    return topic.encoding in ("protobuf", "json") and topic.msgtype in (
        *FOXGLOVE_IMAGES, FOXGLOVE_CALIBRATION, FOXGLOVE_POSE, *FOXGLOVE_TRANSFORMS, VIDEO_TYPES[0],
    )  # fmt: skip


def is_image(topic: StoredTopic) -> bool:
    """Whether messages of this type hold pictures, of whatever form."""
    return topic.msgtype in (*IMAGE_TYPES, *VIDEO_TYPES, *FOXGLOVE_IMAGES)


def no_camera(name: str) -> str:
    """Why pictures of this name are not those of a camera; "" where they may be."""
    words = words_of(name)
    for word in words:
        for start, shows in NO_COLOUR.items():
            if word.startswith(start):
                return f"not a colour picture by its name: '{word}' means {shows}"
        if word.startswith(DRAWN_ON):
            return (
                f"not a camera by its name: '{word}' means a picture that somebody has drawn in; "
                "name it in --topics to use it"
            )
    return ""


def is_rectified(image_topic: str) -> bool:
    """Whether a driver has already undistorted these pictures, by the words of the name
    (image_rect, image_undistorted, ...)."""
    words = words_of(image_topic)
    return any(word in RECTIFIED for word in words)


def picture_form(topic: StoredTopic, stated: str = "") -> PictureForm:
    """stated: `format` or `encoding` of its first message, "" where not known."""
    last = topic.name.lower().rsplit("/", 1)[-1]
    low = stated.lower().strip()
    tokens = set(re.split(r"[\s;,]+", low)) | {last}
    for word, says in UNREAD_FORMS.items():
        if word in tokens or word in low.replace("_", ""):
            return PictureForm(says, unread=f"{says}; record the plain or the compressed topic too")
    if topic.msgtype in VIDEO_TYPES or not tokens.isdisjoint(VIDEO_CODECS):
        codec = next((VIDEO_CODECS[t] for t in sorted(tokens) if t in VIDEO_CODECS), "h264")
        return PictureForm(f"{codec} video", video=codec)
    if topic.msgtype in (RAW_IMAGE, FOXGLOVE_IMAGES[1]):
        return PictureForm(f"raw pictures{f', {stated}' if stated else ''}")
    return PictureForm(f"pictures as files, {stated}" if stated else "pictures as files")
