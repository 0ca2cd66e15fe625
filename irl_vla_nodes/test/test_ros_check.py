"""The dry run on a real ROS 2: green on a car that is ready, red with the reason on another."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_graph import RULE, ProbeNode, launched, needs_ros
from sensors import Faults, Sensors

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"


def test_a_car_that_is_ready_is_green_but_for_the_machine(tmp_path: Path) -> None:
    with ProbeNode() as probe:
        Sensors(probe)
        arguments = {"bundle": RULE, "cameras": NAMES, "check": "true"}
        with launched(tmp_path, "drive.launch.py", **arguments) as run:
            run.wait(60.0)
    red = [line for line in run.text().splitlines() if " red  " in line]
    assert all("receive buffer" in line for line in red), red
    for word in (
        "green bundle", "green calibration: of front_left, front, front_right",
        "green topic /sensing/front/image/compressed", "green clock of /sensing/front",
    ):  # fmt: skip
        assert word in run.text(), word


def test_what_is_missing_is_red_with_what_to_do_and_the_launch_fails(tmp_path: Path) -> None:
    with ProbeNode() as probe:
        sensors = Sensors(probe, tf=False)
        sensors.faults = Faults(unplugged={"front"}, late_s={"front_left": 2.0})
        arguments = {"bundle": RULE, "cameras": NAMES, "check": "true"}
        with launched(tmp_path, "drive.launch.py", **arguments) as run:
            assert run.wait(60.0) == 1
    said = run.text()
    assert "red   topic /sensing/front/image/compressed: has a publisher, and no message" in said
    assert "red   clock of /sensing/front_left/image/compressed: stamps are 2.0" in said
    assert "red   calibration of front" in said and "tf does not say where" in said
