"""Messages -> frame sets: calibration that comes late, changes or breaks; frozen pictures; damage.
The messages are built as a bag has them. No ROS."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from irl_vla_nodes.convert import cdr
from irl_vla_nodes.intake import ArrivedFrameSet, Intake, image_type
from irl_vla_nodes.params import CameraParams, from_values

from irl_vla.camera.preprocess import ImageSpec
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.messages.geometry_messages import camera_info_message, transform_message
from irl_vla.messages.messages import header, new
from irl_vla.resources import resource

RIG = load_rig(resource("calibration/rigs/tiny3.yaml"))
SPEC = ImageSpec(width=64, height=32)
PERIOD = 100_000_000


class CameraMessages:
    """A car's camera topics, message by message."""

    def __init__(self, **changed: Any) -> None:
        names = RIG.names
        values = {
            "cameras": list(names),
            "image_topics": [f"/{name}/compressed" for name in names],
            "camera_info_topics": [f"/{name}/info" for name in names],
        }
        params = from_values(CameraParams, values | changed, "camera_node")
        self.intake = Intake(params, SPEC, RIG if changed.get("rig") else None)
        self.ticks = 0

    def calibrate(self, rig: Rig = RIG, tf: bool = True) -> list[ArrivedFrameSet]:
        """CameraInfo of every camera, and where they sit."""
        ready = []
        if tf:
            edges = [transform_message("base_link", c.name, c.ego_from_cam, 1) for c in rig.cameras]
            ready += self._take("/tf_static", new("tf2_msgs/msg/TFMessage", transforms=edges))
        for camera in rig.cameras:
            info = camera_info_message(camera, 1, camera.name)
            ready += self._take(f"/{camera.name}/info", info)
        return ready

    def look(self, **special: bytes | None) -> list[ArrivedFrameSet]:
        """One picture of each camera; special: bytes in its place, None for no picture."""
        self.ticks += 1
        ready = []
        for camera in RIG.cameras:
            data = special.get(camera.name, jpeg(camera.width, camera.height, self.ticks))
            if data is None:
                continue
            message = new(
                "sensor_msgs/msg/CompressedImage", format="jpeg",
                header=header(self.now_ns, camera.name), data=np.frombuffer(data, np.uint8),
            )  # fmt: skip
            ready += self._take(f"/{camera.name}/compressed", message)
        return ready + list(self.intake.advance(self.now_ns + 60_000_000))

    @property
    def now_ns(self) -> int:
        return 10**18 + self.ticks * PERIOD

    def _take(self, topic: str, message: Any) -> list[ArrivedFrameSet]:
        return list(self.intake.take(topic, bytes(cdr(message)), self.now_ns))


def jpeg(width: int, height: int, number: int) -> bytes:
    picture = np.full((height, width, 3), number % 200, np.uint8)
    return bytes(cv2.imencode(".jpg", picture)[1])


def test_a_set_holds_the_pictures_of_all_cameras_ready_for_the_network() -> None:
    car = CameraMessages()
    car.calibrate()
    (arrived,) = car.look()
    assert arrived.images is not None and arrived.images.pixels.shape == (3, 3, 32, 64)
    assert arrived.images.present.all() and not arrived.frames.missing
    assert arrived.rig is not None and arrived.rig.names == RIG.names


def test_sets_wait_for_the_calibration_and_leave_in_order_when_it_comes() -> None:
    car = CameraMessages()
    assert car.look() == [] and car.look() == []
    arrived = car.calibrate() + car.look()
    assert len(arrived) == 3 and not car.intake.notices
    stamps = [entry.frames.anchor_stamp_ns for entry in arrived]
    assert stamps == sorted(stamps)


def test_without_tf_sets_leave_in_the_end_with_the_reason_of_each_camera() -> None:
    car = CameraMessages()
    car.calibrate(tf=False)
    arrived = [entry for _ in range(40) for entry in car.look()]
    assert arrived and all(entry.images is None for entry in arrived)
    assert all("no_calibration" in why for why in arrived[0].frames.missing.values())
    assert any("tf does not say" in notice for notice in car.intake.notices)
    assert len(car.intake.notices) == len(RIG.names), "each camera is said once"


def test_a_given_rig_needs_neither_camera_info_nor_tf() -> None:
    car = CameraMessages(rig="tiny3.yaml", camera_info_topics=[""])
    assert set(car.intake.kinds) == {f"/{name}/compressed" for name in RIG.names}
    assert car.look()[0].rig is RIG


def test_a_recalibration_is_noticed_and_used_from_then_on() -> None:
    car = CameraMessages()
    car.calibrate()
    before = car.look()[0].rig
    first = RIG.cameras[0]
    moved = first.ego_from_cam.copy()
    moved[2, 3] += 0.2
    car.calibrate(Rig("car", (replace(first, ego_from_cam=moved), *RIG.cameras[1:])))
    after = car.look()[0].rig
    assert before is not None and after is not None and before.fingerprint != after.fingerprint
    assert after.cameras[0].ego_from_cam[2, 3] == pytest.approx(moved[2, 3])


def test_a_calibration_that_breaks_takes_its_camera_out_and_says_so() -> None:
    car = CameraMessages()
    car.calibrate()
    car.look()
    first = RIG.cameras[0]
    broken = camera_info_message(first, 1, first.name)
    broken.k[:] = 0.0
    car._take(f"/{first.name}/info", broken)
    (arrived,) = car.look()
    assert set(arrived.frames.missing) == {first.name} and arrived.images is not None
    assert not arrived.images.present[0] and arrived.images.present[1:].all()
    assert any(first.name in notice for notice in car.intake.notices)
    car.calibrate()
    assert not car.look()[0].frames.missing


def test_a_frozen_picture_is_no_picture_until_it_moves_again() -> None:
    car = CameraMessages(frozen_after=5)
    car.calibrate()
    same = jpeg(640, 360, 77)
    sets = [entry for _ in range(8) for entry in car.look(front=same)]
    reasons = [entry.frames.missing.get("front", "") for entry in sets]
    assert reasons[:5] == [""] * 5 and len(reasons) > 6
    assert all("frozen" in why for why in reasons[5:])
    moving = [entry for _ in range(5) for entry in car.look()]
    assert not moving[-1].frames.missing


def test_a_broken_picture_makes_its_camera_missing_and_nothing_else() -> None:
    car = CameraMessages()
    car.calibrate()
    car.look()
    (arrived,) = car.look(front=jpeg(640, 360, 1)[:300])
    assert set(arrived.frames.missing) == {"front"}
    assert "bad_image" in arrived.frames.missing["front"]


def test_a_silent_camera_is_waited_for_once_and_then_not_any_more() -> None:
    car = CameraMessages()
    car.calibrate()
    for _ in range(5):
        car.look()
    late = [entry for _ in range(20) for entry in car.look(front_right=None)]
    assert "late" in late[0].frames.missing["front_right"]
    assert "stopped" in late[-1].frames.missing["front_right"]
    assert late[-1].images is not None and late[-1].images.present.sum() == 2


def test_after_a_jump_back_of_any_size_sets_come_again_at_once() -> None:
    """A bag of two seconds that is played over and over."""
    car = CameraMessages()
    car.calibrate()
    for _ in range(20):
        car.look()
    car.ticks = 0
    assert not [entry for _ in range(5) for entry in car.look()], "old stamps are not used"
    car.ticks = 0
    car.intake.forget()
    assert len([entry for _ in range(5) for entry in car.look()]) == 5


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_raw_pictures_are_taken_as_they_are(encoding: str) -> None:
    names = RIG.names
    topics = [f"/{name}/image_raw" for name in names]
    car = CameraMessages(rig="tiny3.yaml", camera_info_topics=[""], image_topics=topics)
    ready = []
    for camera in RIG.cameras:
        channels = 1 if encoding == "mono8" else 3
        data = np.arange(camera.width * camera.height * channels, dtype=np.uint8)
        message = new(
            "sensor_msgs/msg/Image", header=header(car.now_ns, camera.name), encoding=encoding,
            height=camera.height, width=camera.width, step=camera.width * channels,
            is_bigendian=0, data=data,
        )  # fmt: skip
        ready += car._take(f"/{camera.name}/image_raw", message)
    assert len(ready) == 1 and not ready[0].frames.missing


def test_compressed_pictures_are_known_by_their_topic() -> None:
    assert image_type("/a/image_raw/compressed") == "sensor_msgs/msg/CompressedImage"
    assert image_type("/a/image_raw") == "sensor_msgs/msg/Image"
