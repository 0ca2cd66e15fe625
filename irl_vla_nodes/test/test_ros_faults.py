"""Faults of sensors while the real graph drives: each ends in a refusal or in a plan without that
camera, with the reason, and /diagnostics names the camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_graph import RULE, ProbeNode, TopicListener, launched, needs_ros, until
from sensors import Faults, Sensors

pytestmark = pytest.mark.ros
needs_ros()

SETTLE_S = 0.6  # from the fault's beginning until every set shows it
WATCH_S = 1.0
NAMES = "front_left,front,front_right"


@dataclass
class Driving:
    """A graph that drives, its sensors, and what it says."""

    sensors: Sensors
    frames: TopicListener
    plans: TopicListener
    refusals: TopicListener
    paths: TopicListener
    diagnostics: TopicListener

    def under(self, faults: Faults, settle_s: float = SETTLE_S) -> FaultOutcome:
        """Drive with a fault for a while; then everything is well again."""
        self.sensors.faults = faults
        time.sleep(settle_s)
        begin = time.monotonic()
        time.sleep(WATCH_S)
        seen = FaultOutcome(
            [entry.message for entry in self.plans.since(begin)],
            [entry.message for entry in self.refusals.since(begin)],
            [entry.message for entry in self.frames.since(begin)],
            {s.name: s for entry in self.diagnostics.since(begin) for s in entry.message.status},
        )
        self.sensors.faults = Faults()
        self.recovered()
        return seen

    def recovered(self) -> None:
        """Wait until whole sets are planned and driven again."""
        begin = time.monotonic()
        until(
            lambda: any(not f.message.missing_cameras for f in self.frames.since(begin)[-3:])
            and len(self.plans.since(begin)) > 6 and len(self.paths.since(begin)) > 6,
            20.0, "plans after the fault",
        )  # fmt: skip


@dataclass
class FaultOutcome:
    """What the graph said while a fault lasted."""

    plans: list[Any]
    refusals: list[Any]
    frames: list[Any]
    diagnostics: dict[str, Any]  # the last line of each name

    def missing(self, camera: str) -> set[str]:
        """Reasons for which a camera was left out; "" for a set that had it."""
        return {
            dict(zip(f.missing_cameras, f.missing_reasons, strict=True)).get(camera, "")
            for f in self.frames
        }

    def status(self, name: str) -> Any:
        """A line of /diagnostics."""
        return self.diagnostics[f"irl_vla: {name}"]


@pytest.fixture(scope="module")
def driving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driving]:
    folder = tmp_path_factory.mktemp("faults")
    with ProbeNode() as probe, launched(folder, "drive.launch.py", bundle=RULE, cameras=NAMES):
        car = Driving(
            Sensors(probe),
            probe.subscribe("irl_vla_msgs/msg/FrameSet", "/irl_vla/frames"),
            probe.subscribe("irl_vla_msgs/msg/Plan", "/irl_vla/plan"),
            probe.subscribe("irl_vla_msgs/msg/Refusal", "/irl_vla/refusal"),
            probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory"),
            probe.subscribe("diagnostic_msgs/msg/DiagnosticArray", "/diagnostics"),
        )
        until(lambda: len(car.paths.heard) > 10, 40.0, "the graph drives")
        yield car


def level(status: Any) -> int:
    return int.from_bytes(status.level, "little")


def all_of(reasons: set[str], word: str) -> bool:
    return bool(reasons) and all(word in why for why in reasons)


def test_without_tf_everything_is_refused_until_the_cameras_have_their_place(
    tmp_path: Path,
) -> None:
    """Before the others: the car of `driving` tells where its cameras sit."""
    arguments = {"bundle": RULE, "cameras": NAMES, "namespace": "second"}
    with ProbeNode("probe_2") as probe, launched(tmp_path, "drive.launch.py", **arguments):
        refusals = probe.subscribe("irl_vla_msgs/msg/Refusal", "/second/irl_vla/refusal")
        diagnostics = probe.subscribe("diagnostic_msgs/msg/DiagnosticArray", "/diagnostics")
        plans = probe.subscribe("irl_vla_msgs/msg/Plan", "/second/irl_vla/plan")
        sensors = Sensors(probe, tf=False)
        first = until(lambda: refusals.heard, 40.0, "a refusal")[0].message
        assert first.reason == "no_calibration" and "tf does not say" in first.detail
        begin, title = time.monotonic(), "second/irl_vla: camera front"
        named = until(
            lambda: [
                status.message for entry in diagnostics.since(begin)
                for status in entry.message.status if status.name == title
            ],
            5.0, "diagnostics",
        )  # fmt: skip
        assert "no_calibration" in named[0]
        sensors.place_cameras()
        until(lambda: len(plans.heard) > 5, 10.0, "plans, once tf is there")


def test_without_a_fault_every_set_is_planned_and_every_camera_is_well(driving: Driving) -> None:
    seen = driving.under(Faults())
    assert len(seen.plans) >= 8 and not seen.refusals
    assert level(seen.status("camera front")) == level(seen.status("graph")) == 0
    assert seen.plans[-1].schedule.tokens_stamp_ns > 0 and seen.plans[-1].bundle_id


@pytest.mark.parametrize("camera", ["front", "front_left"])
def test_an_unplugged_camera_is_left_out_and_named_also_the_anchor(
    driving: Driving, camera: str
) -> None:
    seen = driving.under(Faults(unplugged={camera}), settle_s=2.5)
    assert all_of(seen.missing(camera), "stopped") and len(seen.plans) >= 8
    assert level(seen.status(f"camera {camera}")) == 2
    assert "stopped" in seen.status(f"camera {camera}").message
    assert level(seen.status("camera front_right")) == 0


def test_a_frozen_picture_takes_its_camera_out(driving: Driving) -> None:
    seen = driving.under(Faults(frozen={"front"}), settle_s=1.2)
    assert all_of(seen.missing("front"), "frozen") and len(seen.plans) >= 8
    assert "frozen" in seen.status("camera front").message


def test_torn_pictures_take_their_camera_out(driving: Driving) -> None:
    seen = driving.under(Faults(torn={"front_right"}))
    assert all_of(seen.missing("front_right"), "bad_image") and len(seen.plans) >= 8


def test_one_camera_whose_stamps_are_a_second_old_is_left_out(driving: Driving) -> None:
    seen = driving.under(Faults(late_s={"front": 1.0}), settle_s=2.5)
    assert "" not in seen.missing("front") and len(seen.plans) >= 8
    assert level(seen.status("camera front")) == 2


def test_stamps_that_are_all_a_second_old_are_refused_as_stale(driving: Driving) -> None:
    everybody = dict.fromkeys(NAMES.split(","), 1.0)
    seen = driving.under(Faults(late_s=everybody), settle_s=2.5)
    assert not seen.plans and seen.refusals
    assert {refusal.reason for refusal in seen.refusals} == {"stale_input"}


def test_odometry_that_is_not_a_number_is_refused_by_name(driving: Driving) -> None:
    seen = driving.under(Faults(odometry_nan=True), settle_s=1.0)
    assert not seen.plans and {r.reason for r in seen.refusals} == {"bad_ego_motion"}
    assert "not a number" in seen.refusals[-1].detail
    assert level(seen.status("control authority")) == 2, "the monitor stops the car"


def test_silent_odometry_is_refused(driving: Driving) -> None:
    seen = driving.under(Faults(odometry_silent=True), settle_s=1.0)
    assert not seen.plans and {r.reason for r in seen.refusals} == {"stale_ego_motion"}


def test_all_cameras_dead_is_said_while_nothing_else_is(driving: Driving) -> None:
    everybody = set(NAMES.split(","))
    seen = driving.under(Faults(unplugged=everybody), settle_s=2.5)
    assert not seen.plans and not seen.frames
    for name in everybody:
        assert level(seen.status(f"camera {name}")) == 2
        assert "no frame set for" in seen.status(f"camera {name}").message


def test_another_camera_info_is_another_rig_from_then_on(driving: Driving) -> None:
    before = driving.frames.heard[-1].message.rig
    seen = driving.under(Faults(wider=1.1))
    assert {f.rig for f in seen.frames} - {before} and len(seen.plans) >= 8
    assert not any(f.missing_cameras for f in seen.frames)
