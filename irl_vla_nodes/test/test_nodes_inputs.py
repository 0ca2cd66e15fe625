"""Bad input is refused by name, also the kind that looks well. No ROS."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from irl_vla_nodes.convert import cdr

from irl_vla.drive.history import EgoHistory
from irl_vla.frames import rigid_from_pose
from irl_vla.messages.calibration import Calibration
from irl_vla.messages.events import EventReader, Notice, NoticeKind
from irl_vla.messages.geometry_messages import odometry_message
from irl_vla.messages.motion_source import MotionKind, MotionSource
from irl_vla.messages.plan_messages import intent_to_message
from irl_vla.messages.records import Record, StoredTopic
from irl_vla.messages.tf_tree import TransformTree
from irl_vla.messages.topics import INTENT, ODOMETRY, ChosenTopics
from irl_vla.types import SECOND_NS, EgoMotion, Intent, IntentDirection, RefusalReason

ODOM, WANTED = "/odom", "/navigation/intent"
NOW = 10 * SECOND_NS


def reader() -> EventReader:
    chosen = ChosenTopics(
        cameras={}, odometry=ODOM, tf=(), tf_static=(), intent=WANTED, boxes=None,
        base_frame="base_link", why={},
    )  # fmt: skip
    topics = {ODOM: StoredTopic(ODOM, ODOMETRY), WANTED: StoredTopic(WANTED, INTENT)}
    calibration = Calibration(TransformTree(), "base_link")
    motion = MotionSource(MotionKind.ODOMETRY, ODOM)
    return EventReader(topics, chosen, calibration, motion, every=True)


def at(x: float, y: float, yaw: float, speed: float = 8.0) -> EgoMotion:
    pose = rigid_from_pose(np.array([x, y, yaw]))
    return EgoMotion(NOW, pose, np.array([speed, 0.0, 0.0]), ODOM)


def events(source: EventReader, topic: str, message: Any) -> list[Any]:
    return list(source.read(Record(NOW, topic, bytes(cdr(message)))))


def route(*points: tuple[float, float]) -> Intent:
    return Intent(IntentDirection.LEFT, np.array(points), NOW - 1)


def test_a_route_in_the_world_frame_is_seen_from_the_car() -> None:
    source = reader()
    events(source, ODOM, odometry_message(at(100.0, 50.0, np.pi / 2), "map", "base_link"))
    message = intent_to_message(route((100.0, 60.0), (90.0, 70.0)), "map")
    (found,) = events(source, WANTED, message)
    np.testing.assert_allclose(found.route, [[10.0, 0.0], [20.0, 10.0]], atol=1e-9)
    assert found.stamp_ns == NOW, "of the pose that it is seen from"


@pytest.mark.parametrize("frame", ["", "base_link", "/base_link"])
def test_a_route_in_the_ego_frame_is_taken_as_it_is(frame: str) -> None:
    wanted = route((1.0, 2.0))
    (found,) = events(reader(), WANTED, intent_to_message(wanted, frame))
    assert found.route.tolist() == [[1.0, 2.0]] and found.stamp_ns == wanted.stamp_ns


def test_a_route_in_a_frame_that_nobody_knows_is_refused_each_time() -> None:
    source, message = reader(), intent_to_message(route((1.0, 2.0)), "earth")
    for _ in range(2):
        (notice,) = events(source, WANTED, message)
        assert isinstance(notice, Notice) and notice.kind is NoticeKind.NO_TRANSFORM
        assert "the route is in frame 'earth', which neither tf nor" in notice.text


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"route_x": np.zeros(25), "route_y": np.zeros(25)}, r"expected shape \(n <= 20, 2\)"),
        ({"route_x": np.zeros(3), "route_y": np.zeros(2)}, "differ in length"),
        ({"route_x": np.full(2, np.nan), "route_y": np.zeros(2)}, "not finite"),
    ],
)
def test_a_broken_route_is_refused_each_time(changed: dict[str, Any], word: str) -> None:
    source = reader()
    message = replace(intent_to_message(route((1.0, 2.0)), ""), **changed)
    for _ in range(2):
        (notice,) = events(source, WANTED, message)
        assert isinstance(notice, Notice)
        assert re.search(word, notice.text)


def test_odometry_of_a_frame_without_tf_is_named_as_the_cause() -> None:
    message = odometry_message(at(0.0, 0.0, 0.0), "map", "imu_link")
    (notice,) = events(reader(), ODOM, message)
    assert notice.kind is NoticeKind.MOTION_UNPLACED and notice.stamp_ns == NOW
    history = EgoHistory()
    history.spoil(notice.stamp_ns, notice.text)
    gap = history.gap(NOW, NOW)
    assert gap is not None and gap.reason is RefusalReason.BAD_EGO_MOTION
    assert "the odometry moves frame 'imu_link', and tf does not say" in gap.detail


def test_a_million_metres_a_second_is_no_speed() -> None:
    history = EgoHistory()
    assert "1000000 m/s, at most 100" in history.add(at(0.0, 0.0, 0.0, speed=1e6))
    gap = history.gap(NOW, NOW)
    assert gap is not None and gap.reason is RefusalReason.BAD_EGO_MOTION
    assert history.add(at(0.0, 0.0, 0.0, speed=99.0)) == ""
