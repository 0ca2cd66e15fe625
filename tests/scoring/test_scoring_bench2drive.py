"""Bench2Drive's numbers from hand-made records; every result can be checked on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from irl_vla.scoring.bench2drive import evaluate, junction_share
from irl_vla.scoring.bench2drive_files import read_records
from irl_vla.types import InputError

KINDS = (
    "collisions_layout", "collisions_pedestrian", "collisions_vehicle", "red_light",
    "stop_infraction", "outside_route_lanes", "min_speed_infractions", "scenario_timeouts",
    "yield_emergency_vehicle_infractions", "route_dev", "vehicle_blocked", "route_timeout",
)  # fmt: skip


def route(number: int, kind: str, status: str, score: float, **broken: list[str]) -> dict[str, Any]:
    return {
        "index": number, "route_id": f"RouteScenario_{number}_rep0", "scenario_name": f"{kind}_1",
        "save_name": f"run{number}", "status": status,
        "infractions": {name: broken.get(name, []) for name in KINDS},
        "scores": {"score_route": 80.0, "score_penalty": 1.0, "score_composed": score},
    }  # fmt: skip


def slow(*percents: float) -> list[str]:
    return [f"Average speed is {p}% of the surrounding traffic's one" for p in percents]


def records(tmp_path: Path, *routes: dict[str, Any]) -> Any:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"_checkpoint": {"records": list(routes)}}))
    return read_records([path])


def test_missing_routes_count_as_zero_and_slow_driving_is_no_infraction(tmp_path: Path) -> None:
    found = evaluate(
        records(
            tmp_path,
            route(1, "ParkedObstacle", "Perfect", 100.0, min_speed_infractions=slow(50.0, 150.0)),
            route(2, "ParkedObstacle", "Completed", 60.0, collisions_vehicle=["hit"]),
            route(3, "HardBreakRoute", "Failed", 10.0),
        )
    )
    column = found.compatible
    assert column.driving_score == pytest.approx(170.0 / 220.0)
    assert column.success_rate == pytest.approx(1.0 / 220.0)
    assert column.efficiency == pytest.approx(100.0)
    assert column.ability["Overtaking"] == 0.5 and column.ability["Emergency_Brake"] == 0.0
    assert any("3 routes" in note for note in found.notes)


def test_efficiencies_above_1000_are_dropped_and_only_such_ones_break_the_script(
    tmp_path: Path,
) -> None:
    normal = route(1, "HighwayExit", "Perfect", 100.0, min_speed_infractions=slow(80.0, 2000.0))
    standing = route(2, "HighwayExit", "Perfect", 100.0, min_speed_infractions=slow(5000.0))
    assert evaluate(records(tmp_path, normal)).compatible.efficiency == pytest.approx(80.0)
    both = evaluate(records(tmp_path, normal, standing))
    assert both.compatible.efficiency != both.compatible.efficiency  # NaN: divided by zero
    assert both.corrected.efficiency == pytest.approx(80.0)


def test_a_failed_route_passes_its_signs_if_it_got_past_the_junction(tmp_path: Path) -> None:
    failed = route(7, "T_Junction", "Failed", 20.0)
    ran_red = route(8, "T_Junction", "Failed", 20.0, red_light=["ran it"])
    share = junction_share(52, 100)  # (52 + 8) / 100 < 80 % driven
    found = evaluate(records(tmp_path, failed, ran_red), junctions={"7": share, "8": share})
    assert share == pytest.approx(0.6)
    assert found.compatible.ability["Traffic_Signs"] == 0.5
    late = evaluate(records(tmp_path, failed), junctions={"7": 0.9})
    assert late.compatible.ability["Traffic_Signs"] == 0.0


def motion(folder: Path, yaw_rate_deg_s: float, ticks: int = 80) -> None:
    folder.mkdir(parents=True)
    sample = {
        "acceleration": [0.5, 0.0, 0.0], "angular_velocity": [0.0, 0.0, yaw_rate_deg_s],
        "forward_vector": [1.0, 0.0, 0.0], "right_vector": [0.0, 1.0, 0.0],
    }  # fmt: skip
    (folder / "metric_info.json").write_text(json.dumps({str(k): sample for k in range(ticks)}))


def test_a_gentle_turn_fails_the_published_comfort_because_degrees_are_taken_for_radians(
    tmp_path: Path,
) -> None:
    motion(tmp_path / "run1", yaw_rate_deg_s=10.0)  # 0.17 rad/s, far below 0.95
    done = records(tmp_path, route(1, "HighwayExit", "Perfect", 100.0))
    found = evaluate(done, metrics=tmp_path)
    assert found.compatible.comfort == 0.0 and found.corrected.comfort == 1.0


def test_driving_straight_is_comfortable_in_both_columns(tmp_path: Path) -> None:
    motion(tmp_path / "run1", yaw_rate_deg_s=0.5)
    done = records(tmp_path, route(1, "HighwayExit", "Perfect", 100.0))
    found = evaluate(done, metrics=tmp_path)
    assert found.compatible.comfort == found.corrected.comfort == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"route_id": "x"}, "RouteScenario_1711_rep0"),
        ({"scores": {"score_route": 80.0, "score_composed": 140.0}}, "0..100"),
        ({"infractions": []}, "an object with a list"),
        ({"save_name": "../up"}, "without a path"),
    ],
)
def test_what_is_no_leaderboard_record_is_refused_in_words(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        records(tmp_path, route(1, "HighwayExit", "Perfect", 100.0) | change)


def test_no_routes_the_same_route_twice_and_no_file_are_refused(tmp_path: Path) -> None:
    one = route(1, "HighwayExit", "Perfect", 100.0)
    with pytest.raises(InputError, match="no route"):
        evaluate([])
    with pytest.raises(InputError, match="route 1 is also in"):
        records(tmp_path, one, one)
    with pytest.raises(InputError, match="no such file"):
        read_records([tmp_path / "absent.json"])
