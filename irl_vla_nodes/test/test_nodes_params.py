"""Parameters come from dataclasses: words, bounds, refusals. No ROS."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from irl_vla_nodes.params import CameraParams, Common, MonitorParams, from_values

from irl_vla.types import InputError
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla_nodes import params

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "camera_node": params.CameraParams,
    "perception_node": params.PerceptionParams,
    "command_node": params.CommandParams,
    "planner_node": params.PlannerParams,
    "monitor_node": params.MonitorParams,
    "world_node": params.WorldParams,
    "lockstep_node": params.LockstepParams,
}
CAMERA = {"cameras": ["a", "b"], "image_topics": ["/a", "/b"], "camera_info_topics": ["/i", "/j"]}


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_parameter_says_what_it_means_and_numbers_say_their_bounds(kind: type) -> None:
    for name, (text, low, high) in params.about(kind).items():
        assert len(text) > 5, name
        default = params.default_values(kind)[name]
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            assert low is not None and high is not None and low <= default <= high, name


@pytest.mark.parametrize("name", [name for name in KINDS if name != "camera_node"])
def test_defaults_are_accepted_and_come_back_as_they_are(name: str) -> None:
    kind = KINDS[name]
    assert from_values(kind, params.default_values(kind), name) == kind()


def test_the_planner_s_vehicle_is_that_of_the_rig_file_or_of_the_parameters(tmp_path: Path) -> None:
    given = params.PlannerParams(vehicle_width=2.5, vehicle_rear_length=2.0, max_braking=6.0)
    vehicle = given.vehicle
    assert (vehicle.width, vehicle.rear_length, vehicle.limits.max_braking) == (2.5, 2.0, 6.0)
    assert params.PlannerParams().vehicle == PACIFICA
    text = (ROOT / "calibration/rigs/tiny3.yaml").read_text()
    (tmp_path / "van.yaml").write_text(text + "vehicle: {width: 1.8}\n")
    given = params.PlannerParams(vehicle_width=2.5, rig=str(tmp_path / "van.yaml"))
    assert given.vehicle == Vehicle(width=1.8)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"ring_slots": 1}, r"camera_node: parameter 'ring_slots' is 1, expected 2 to 64: frame"),
        ({"image_topics": ["/a"]}, "image_topics: expected one for each of 2 cameras, got 1"),
        ({"cameras": [""]}, "cameras: expected at least one name"),
        ({"cameras": ["a", "a"]}, "a name is given twice"),
        ({"anchor": "c"}, "anchor: 'c' is none of a, b"),
        ({"camera_info_topics": [""]}, "or give a calibration file as 'rig'"),
        ({"tolerance_ms": 500}, "tolerance_ms <= deadline_ms <= silence_ms, got 500, 100, 1000"),
        ({"cameras": ["a", " b"]}, "the name ' b' begins or ends with a blank"),
        ({"ring_slots": 4.5}, "'ring_slots' is 4.5, expected a whole number"),
        ({"reliable": 1}, "'reliable' is 1, expected true or false"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        from_values(CameraParams, CAMERA | changed, "camera_node")


def test_every_silence_within_the_described_bounds_is_accepted() -> None:
    _, low, high = params.about(CameraParams)["silence_ms"]
    assert low is not None and high is not None
    for silence_ms in (int(low) + 100, 4000, int(high)):
        sync = from_values(CameraParams, CAMERA | {"silence_ms": silence_ms}, "camera_node").sync
        assert sync.silence_ns == silence_ms * 1_000_000


def test_topics_belong_to_cameras_in_order() -> None:
    topics = from_values(CameraParams, CAMERA, "camera_node").topics
    assert {name: (t.image, t.camera_info) for name, t in topics.items()} == {
        "a": ("/a", "/i"), "b": ("/b", "/j"),
    }  # fmt: skip


def test_whole_numbers_are_accepted_where_a_number_with_a_point_is_meant() -> None:
    assert from_values(MonitorParams, {"period_s": 1}, "monitor_node").period_s == 1.0


def test_the_monitor_notices_in_time_to_stop_within_one_and_a_half_periods_and_150_ms() -> None:
    for period_s in (0.05, 0.1, 0.2):
        silence = MonitorParams(period_s=period_s).silence_s
        assert silence < 1.5 * period_s + 0.150 and silence > 1.5 * period_s


def test_the_shipped_yaml_names_only_parameters_that_exist_with_values_that_are_accepted() -> None:
    text = (ROOT / "launch" / "params" / "car.yaml").read_text(encoding="utf-8")
    nodes = yaml.safe_load(text)
    assert set(nodes) == {f"/**/{name}" for name in KINDS} - {
        "/**/world_node",
        "/**/lockstep_node",
    }
    for path, entry in nodes.items():
        name, values = path.removeprefix("/**/"), entry["ros__parameters"]
        known = {field.name for field in fields(KINDS[name])}
        assert set(values) <= known, name
        needed = CAMERA if name == "camera_node" else {}
        from_values(KINDS[name], needed | values, name)


def test_every_node_has_the_common_parameters() -> None:
    assert all(issubclass(kind, Common) for kind in KINDS.values())
