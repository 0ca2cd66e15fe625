"""Small recordings of the drawn street as lists of messages that a test can spoil, and the command
line as a user runs it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from drawn_street import DrawnStreet

from irl_vla.bag.bag_writer import (
    BASE_FRAME,
    ODOMETRY,
    TF_STATIC,
    WORLD_FRAME,
    BagWriter,
    camera_info_topic,
    image_topic,
)
from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look
from irl_vla.cli.app import main
from irl_vla.frames import inverse, rigid_from_pose
from irl_vla.messages.geometry_messages import (
    camera_info_message,
    odometry_message,
    transform_message,
)
from irl_vla.messages.messages import header, new
from irl_vla.types import SECOND_NS, EgoMotion

ROOT = Path(__file__).parents[2]
RULE = ROOT / "models" / "rule"
START = 1_700_000_000 * SECOND_NS
PICTURE_NS, MOTION_NS = SECOND_NS // 10, SECOND_NS // 40
WIDTH, HEIGHT = 64, 48
STREET = DrawnStreet()
IMAGE, INFO = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
RAW, TFS, ODOM = "sensor_msgs/msg/Image", "tf2_msgs/msg/TFMessage", "nav_msgs/msg/Odometry"


@dataclass(frozen=True)
class Entry:
    """One message of a recording. stamp_ns: of its header, 0 where it has none."""

    log_ns: int
    topic: str
    msgtype: str
    message: Any
    stamp_ns: int = 0

    @property
    def is_picture(self) -> bool:
        return self.msgtype in (IMAGE, RAW)


def rig_of(names: Sequence[str], width: int = WIDTH, height: int = HEIGHT) -> Rig:
    """Cameras around the car, the first looks ahead."""
    return Rig(
        "small",
        tuple(
            Camera(
                name, width, height, CameraModel.PLUMB_BOB,
                np.array([[40.0, 0, 31.5], [0, 40.0, 23.5], [0, 0, 1.0]]), np.zeros(5),
                ego_from_look((1.5, 0.0, 1.5), ViewDirection(360.0 * k / len(names), 4.0, 0.0)),
            )
            for k, name in enumerate(names)
        ),
    )  # fmt: skip


@cache
def jpeg(tenths: int = 0, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """What the front camera sees of the street after so many tenths of a second."""
    ego_from_world = inverse(rigid_from_pose(STREET.pose(tenths / 10)))
    drawn = STREET.paint(rig_of(["front"], width, height).cameras[0], ego_from_world)
    return cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))[1].tobytes()


def picture(camera: str, stamp_ns: int, data: bytes, log_ns: int | None = None) -> Entry:
    message = new(
        IMAGE, header=header(stamp_ns, camera), format="jpeg", data=np.frombuffer(data, np.uint8)
    )
    log = stamp_ns if log_ns is None else log_ns
    return Entry(log, image_topic(camera), IMAGE, message, stamp_ns)


def info(camera: Camera, stamp_ns: int) -> Entry:
    message = camera_info_message(camera, stamp_ns, camera.name)
    return Entry(stamp_ns, camera_info_topic(camera.name), INFO, message, stamp_ns)


def placed(rig: Rig) -> Entry:
    edges = [transform_message(BASE_FRAME, c.name, c.ego_from_cam, START) for c in rig.cameras]
    return Entry(START, TF_STATIC, TFS, new(TFS, transforms=edges))


def odometry(motion: EgoMotion, log_ns: int | None = None) -> Entry:
    message = odometry_message(motion, WORLD_FRAME, BASE_FRAME)
    log = motion.stamp_ns if log_ns is None else log_ns
    return Entry(log, ODOMETRY, ODOM, message, motion.stamp_ns)


def street(
    cameras: Sequence[str] = ("front", "left"), anchors: int = 8, rig: Rig | None = None
) -> list[Entry]:
    """A recording: calibration, pictures at 10 Hz, odometry at 40 Hz, in the order of recording."""
    rig = rig or rig_of(cameras)
    entries = [placed(rig), *(info(camera, START) for camera in rig.cameras)]
    for tick in range((anchors - 1) * 4 + 5):
        stamp = START + tick * MOTION_NS
        entries.append(odometry(STREET.motion(stamp, START)))
        if tick % 4 == 0 and tick // 4 < anchors:
            data = jpeg(tick // 4 % 4)
            entries += [picture(camera.name, stamp, data) for camera in rig.cameras]
    return entries


def at(anchor: float) -> int:
    """Stamp of the n-th anchor."""
    return START + round(anchor * PICTURE_NS)


def shifted(entries: Sequence[Entry], by_ns: int, log_by_ns: int) -> list[Entry]:
    """The same, at other stamps and other times of recording. Pictures and odometry only."""
    moved = []
    for entry in entries:
        if entry.is_picture:
            camera = entry.message.header.frame_id
            data = bytes(entry.message.data)
            stamp = entry.stamp_ns + by_ns
            moved.append(picture(camera, stamp, data, entry.log_ns + log_by_ns))
        elif entry.msgtype == ODOM:
            motion = replace(STREET.motion(entry.stamp_ns, START), stamp_ns=entry.stamp_ns + by_ns)
            moved.append(odometry(motion, entry.log_ns + log_by_ns))
    return moved


def write(path: Path, entries: Sequence[Entry]) -> Path:
    """The recording as a rosbag2 (a folder, or one file where the name ends in .mcap)."""
    with BagWriter(path, overwrite=True) as writer:
        for entry in entries:
            writer.write(entry.topic, entry.msgtype, entry.message, entry.log_ns)
    return path


@dataclass(frozen=True)
class CommandResult:
    """What a command left behind. out: its folder of results."""

    code: int
    stdout: str
    stderr: str
    out: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        text = (self.out / "plans.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "summary.json").read_text(encoding="utf-8")))

    @property
    def page(self) -> str:
        return (self.out / "report.html").read_text(encoding="utf-8")

    def reasons(self) -> list[str]:
        return [line["reason"] for line in self.lines]


def command(*words: str | Path, out: Path = Path()) -> CommandResult:
    """`irl-vla WORDS`, in this process; anything but an exit code is a defect and comes through."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    argv = ["irl-vla", *map(str, words)]
    with patch.object(sys, "argv", argv), redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return CommandResult(code, stdout.getvalue(), stderr.getvalue(), out)


def replay(bag: Path, *more: str | Path, out: Path, bundle: Path = RULE) -> CommandResult:
    return command("replay", bag, "--bundle", bundle, "--out", out, *more, out=out)


def show(source: Path, *more: str | Path, out: Path) -> CommandResult:
    return command("show", source, "--out", out, *more, out=out)


def pictures_of(camera: str, entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.is_picture and camera in entry.topic]


def without(entries: Sequence[Entry], wrong: Callable[[Entry], bool]) -> list[Entry]:
    return [entry for entry in entries if not wrong(entry)]
