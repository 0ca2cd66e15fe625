"""Overlays on a real ROS 2: painted into the very pictures, and only while somebody looks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from real_graph import RULE, ProbeNode, launched, needs_ros, until
from sensors import CAMERAS, Sensors

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"


def test_overlays_come_while_somebody_looks_with_the_stamps_of_the_pictures(
    tmp_path: Path,
) -> None:
    arguments = {"bundle": RULE, "cameras": NAMES, "overlay": "true"}
    with ProbeNode() as probe, launched(tmp_path, "drive.launch.py", **arguments):
        paths = probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory")
        pictures = probe.subscribe("sensor_msgs/msg/CompressedImage", CAMERAS["front"][0])
        Sensors(probe)
        until(lambda: len(paths.heard) > 10, 60.0, "the graph drives")

        def listeners() -> int:
            return probe.node.count_subscribers(CAMERAS["front"][0])

        alone = listeners()
        whole = probe.subscribe("sensor_msgs/msg/Image", "/overlay_node/overlay/front")
        small = probe.subscribe(
            "sensor_msgs/msg/CompressedImage", "/overlay_node/overlay/front/compressed"
        )
        until(lambda: whole.heard and small.heard, 20.0, "overlays")
        assert listeners() == alone + 1
        taken = {
            (p.message.header.stamp.sec, p.message.header.stamp.nanosec) for p in pictures.heard
        }
        stamp = whole.heard[-1].message.header.stamp
        assert (stamp.sec, stamp.nanosec) in taken
        assert (whole.heard[-1].message.height, whole.heard[-1].message.width) == (360, 640)
        for subscription in list(probe.node.subscriptions):
            if "overlay" in subscription.topic_name:
                probe.node.destroy_subscription(subscription)
        until(lambda: listeners() == alone, 10.0, "nobody looks, nobody listens")
        time.sleep(0.1)
