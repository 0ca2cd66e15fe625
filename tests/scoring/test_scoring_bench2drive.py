"""Bench2Drive's numbers, on records whose result can be worked out on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irl_vla.scoring.bench2drive import ABILITIES, Bench2Drive, evaluate, junction_share
from irl_vla.scoring.bench2drive_comfort import as_meant, as_published, route_comfort
from irl_vla.scoring.bench2drive_files import Motion, read_records
from irl_vla.types import InputError

KINDS = (
    "collisions_layout", "collisions_pedestrian", "collisions_vehicle", "red_light",
    "stop_infraction", "outside_route_lanes", "min_speed_infractions",
    "yield_emergency_vehicle_infractions", "scenario_timeouts", "route_dev", "vehicle_blocked",
    "route_timeout",
)  # fmt: skip


def record(
    route: int, scenario: str = "ParkingCutIn_1", status: str = "Completed",
    composed: float = 100.0, completion: float = 100.0, **infractions: list[str],
) -> dict[str, Any]:  # fmt: skip
    return {
        "index": 0, "route_id": f"RouteScenario_{route}_rep0", "scenario_name": scenario,
        "weather_id": 0, "save_name": f"run_{route}", "town_name": "Town12", "status": status,
        "num_infractions": 0, "infractions": {kind: [] for kind in KINDS} | infractions,
        "scores": {
            "score_route": completion, "score_penalty": 1.0, "score_composed": composed,
        },
        "meta": {"route_length": 100.0, "duration_game": 10.0, "duration_system": 20.0},
    }  # fmt: skip


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"_checkpoint": {"records": list(records)}, "entry_status": "x"}))
    return path


def scored(folder: Path, *records: dict[str, Any], **options: Any) -> Bench2Drive:
    return evaluate(read_records([write(folder / "result.json", *records)]), **options)


def speed(percent: float) -> str:
    return f"Average speed is {percent}% of the surrounding traffic's one"


def test_missing_routes_count_as_zero_in_driving_score_and_success_rate(tmp_path: Path) -> None:
    result = scored(tmp_path, record(1, composed=88.0), record(2, composed=22.0, status="Failed"))
    for column in (result.compatible, result.corrected):
        assert column.driving_score == 110.0 / 220.0
        assert column.success_rate == 1.0 / 220.0
    assert result.routes == 2 and "220" in result.notes[0]


def test_driving_slowly_is_no_failure_but_any_other_infraction_is(tmp_path: Path) -> None:
    result = scored(
        tmp_path, record(1, min_speed_infractions=[speed(40)]), record(2, status="Perfect"),
        record(3, route_dev=["left the route"]), record(4, outside_route_lanes=["3 %"]),
        record(5, status="Failed - Agent timed out"),
    )  # fmt: skip
    assert result.compatible.success_rate == 2 / 220


def test_efficiency_is_the_mean_over_routes_that_have_any(tmp_path: Path) -> None:
    result = scored(
        tmp_path, record(1, min_speed_infractions=[speed(50), speed(100)]),
        record(2, min_speed_infractions=[speed(125.0)]), record(3),
    )  # fmt: skip
    assert result.compatible.efficiency == result.corrected.efficiency == (75 + 125) / 2


def test_efficiencies_above_a_thousand_percent_are_dropped(tmp_path: Path) -> None:
    result = scored(tmp_path, record(1, min_speed_infractions=[speed(1000), speed(1000.1)]))
    assert result.compatible.efficiency == 1000.0


def test_a_route_with_dropped_values_only_divides_the_script_by_zero(tmp_path: Path) -> None:
    result = scored(
        tmp_path, record(1, min_speed_infractions=[speed(2000)]),
        record(2, min_speed_infractions=[speed(80)]),
    )  # fmt: skip
    assert np.isnan(result.compatible.efficiency) and result.corrected.efficiency == 80.0
    assert any("divides by zero" in note for note in result.notes)


def test_without_any_measurement_there_is_no_efficiency(tmp_path: Path) -> None:
    result = scored(tmp_path, record(1))
    assert np.isnan(result.compatible.efficiency) and np.isnan(result.corrected.efficiency)


def test_a_scenario_counts_in_every_ability_that_it_asks_for(tmp_path: Path) -> None:
    result = scored(
        tmp_path, record(1, "Accident_2"), record(2, "EnterActorFlow_1"),
        record(3, "StaticCutIn_1"), record(4, "InvadingTurn_1"), record(5, "T_Junction_1"),
        record(6, "HighwayExit_1", status="Failed"),
    )  # fmt: skip
    assert result.compatible.ability == {
        "Overtaking": 1.0, "Merging": 0.5, "Emergency_Brake": 1.0, "Give_Way": 1.0,
        "Traffic_Signs": 1.0,
    }  # fmt: skip
    assert result.compatible.ability_mean == pytest.approx(4.5 / 5)


def test_an_ability_that_no_route_asks_for_is_unknown_not_zero(tmp_path: Path) -> None:
    result = scored(tmp_path, record(1, "Accident_1"))
    assert result.compatible.ability["Overtaking"] == 1.0
    assert np.isnan(result.compatible.ability["Give_Way"])
    assert np.isnan(result.compatible.ability_mean)


def test_a_failed_route_that_got_past_its_junction_obeyed_the_signs(tmp_path: Path) -> None:
    failed = [
        record(n, "T_Junction_1", status="Failed", completion=completion, **infractions)
        for n, (completion, infractions) in enumerate([
            (61.0, {}), (60.0, {}), (100.0, {"red_light": ["ran it"]}),
            (100.0, {"stop_infraction": ["ran it"]}),
            (100.0, {"collisions_vehicle": ["behind the junction"]}),
        ])
    ]  # fmt: skip
    shares = {str(n): junction_share(52, 100) for n in range(5)}  # (52 + 8) / 100
    result = scored(tmp_path, *failed, junctions=shares)
    assert result.compatible.ability["Traffic_Signs"] == 2 / 5


def test_a_failed_route_with_an_unknown_junction_leaves_traffic_signs_open(tmp_path: Path) -> None:
    result = scored(tmp_path, record(7, "T_Junction_1", status="Failed"), record(8, "Accident_1"))
    assert np.isnan(result.compatible.ability["Traffic_Signs"])
    assert any("routes 7" in note for note in result.notes)


def test_all_44_scenarios_of_the_benchmark_ask_for_an_ability() -> None:
    assert len(frozenset().union(*ABILITIES.values())) == 44
    assert [len(kinds) for kinds in ABILITIES.values()] == [9, 16, 12, 2, 19]


def motion(
    samples: int, lon: Any = 0.0, yaw_rate: Any = 0.0, lat: Any = 0.0, every: int = 1
) -> Motion:
    """Driving along x; accelerations [m/s²] and yaw rate [deg/s] at the given samples."""
    full = np.ones(samples)
    zero, one = np.zeros(samples), np.ones(samples)
    return Motion(
        np.arange(samples) * float(every), np.stack([lon * full, lat * full], axis=1),
        np.stack([one, zero], axis=1), np.stack([zero, one], axis=1), yaw_rate * full,
    )  # fmt: skip


def published(recorded: Motion) -> float:
    return route_comfort(recorded, as_published(recorded), "route")


def corrected(recorded: Motion) -> float:
    return route_comfort(recorded, as_meant(recorded, "route"), "route")


def test_gentle_driving_is_comfortable_and_hard_braking_is_not() -> None:
    assert published(motion(40, lon=2.3)) == corrected(motion(40, lon=2.3)) == 1.0
    assert published(motion(40, lon=2.5)) == corrected(motion(40, lon=2.5)) == 0.0
    assert published(motion(40, lon=-4.0)) == corrected(motion(40, lon=-4.0)) == 1.0
    assert published(motion(40, lat=-5.0)) == corrected(motion(40, lat=-5.0)) == 0.0


def test_published_comfort_fails_a_turn_of_one_degree_per_second() -> None:
    assert published(motion(40, yaw_rate=1.0)) == 0.0 and corrected(motion(40, yaw_rate=1.0)) == 1.0
    assert published(motion(40, yaw_rate=0.9)) == 1.0
    assert corrected(motion(40, yaw_rate=54.0)) == 1.0  # 0.942 rad/s
    assert corrected(motion(40, yaw_rate=55.0)) == 0.0  # 0.960 rad/s


def test_published_jerk_is_half_the_jerk() -> None:
    up = -3.0 + 6.0 * 0.05 * np.arange(20)  # 6 m/s³ at 20 Hz, -3 .. 2.7
    recorded = motion(40, lon=np.concatenate([up - 0.5, (up - 0.5)[::-1]]))
    assert published(recorded) == 1.0 and corrected(recorded) == 0.0


def test_published_yaw_acceleration_is_the_yaw_rate_and_never_binds() -> None:
    fast, slow = np.full(40, 50.0), np.linspace(-50.0, 50.0, 40)
    fast[:16] = np.linspace(-50.0, 50.0, 16)  # 133 deg/s² = 2.3 rad/s²; slow: 51 deg/s² = 0.9
    assert corrected(motion(40, yaw_rate=fast)) == 0.0
    assert corrected(motion(40, yaw_rate=slow)) == 1.0
    assert published(motion(40, yaw_rate=fast / 60.0)) == 1.0  # +-0.83 "rad/s" in 0.75 s


def test_published_chunks_last_one_second_and_corrected_ones_two() -> None:
    quarter = np.repeat([2.3, 2.3, 2.3, 9.9], 20)
    assert published(motion(80, lon=quarter)) == 3 / 4
    assert corrected(motion(80, lon=quarter)) == 1 / 2


def test_the_corrected_time_step_follows_the_recorded_ticks() -> None:
    every_second = motion(40, lon=np.repeat([2.3, 9.9], 20), every=2)  # 0.1 s: 20 samples are 2 s
    assert corrected(every_second) == 1 / 2


def test_a_tail_shorter_than_a_chunk_is_dropped() -> None:
    for samples, tail in ((39, 19), (21, 1)):
        lon = np.zeros(samples)
        lon[-tail:] = 9.9
        assert published(motion(samples, lon=lon)) == 1.0


def test_a_route_not_longer_than_a_chunk_is_one_chunk() -> None:
    assert published(motion(20, lon=1.0)) == published(motion(5, lon=1.0)) == 1.0
    assert published(motion(19, lon=9.0)) == 0.0


def test_the_published_script_takes_jumps_of_two_pi_out_of_the_yaw_rate() -> None:
    rate = np.full(20, 2 * np.pi)
    rate[0] = 0.0
    assert published(motion(20, yaw_rate=rate)) == 1.0
    assert published(motion(20, yaw_rate=2 * np.pi)) == 0.0


def test_bounds_are_strict() -> None:
    assert published(motion(3, yaw_rate=0.95 + 1e-9)) == 0.0
    assert published(motion(3, yaw_rate=0.95 - 1e-9)) == 1.0


def entry(lon: float, yaw_rate: float) -> dict[str, list[float]]:
    return {
        "acceleration": [0.0, lon, 9.8], "angular_velocity": [5.0, 5.0, yaw_rate],
        "forward_vector": [0.0, 1.0, 0.0], "right_vector": [-1.0, 0.0, 0.0],
        "location": [0.0, 0.0, 0.0], "rotation": [0.0, 0.0, 90.0],
    }  # fmt: skip


def record_motion(folder: Path, route: int, entries: dict[str, Any]) -> None:
    (folder / f"run_{route}").mkdir(exist_ok=True)
    (folder / f"run_{route}" / "metric_info.json").write_text(json.dumps(entries))


def test_comfort_is_the_mean_over_routes_of_recorded_motion(tmp_path: Path) -> None:
    record_motion(tmp_path, 1, {str(t): entry(1.0, 0.0) for t in range(20)})
    record_motion(tmp_path, 2, {str(t): entry(1.0, 3.0) for t in range(45)})
    result = scored(tmp_path, record(1), record(2), metrics=tmp_path)
    assert result.compatible.comfort == 0.5 and result.corrected.comfort == 1.0


def test_without_motion_comfort_is_unknown(tmp_path: Path) -> None:
    result = scored(tmp_path, record(1))
    assert np.isnan(result.compatible.comfort) and "metric_info" in " ".join(result.notes)


def test_results_of_several_files_are_one_run_and_merged_files_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "a.json", record(1))
    write(tmp_path / "b.json", record(2), record(3))
    write(tmp_path / "merged.json", record(1), record(2), record(3))
    assert [r.route for r in read_records([tmp_path])] == ["1", "2", "3"]


def broken(**changes: Any) -> dict[str, Any]:
    return record(7) | changes


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (broken(route_id="something"), r"route_id.*RouteScenario"),
        (broken(status=None), r"RouteScenario_7_rep0.*status.*text"),
        (broken(scores={"score_route": 1.0}), r"score_composed.*missing"),
        (broken(scores={"score_route": 1.0, "score_composed": float("nan")}), r"finite"),
        (broken(scores={"score_route": 101.0, "score_composed": 1.0}), r"0\.\.100"),
        (broken(infractions={}), r"min_speed_infractions.*missing"),
        (broken(infractions=[]), r"infractions.*object"),
        (broken(save_name="../../etc"), r"save_name.*stays in its folder"),
        (record(7, min_speed_infractions=["slow"]), r"percentage.*'slow'"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, bad: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        scored(tmp_path, record(1), bad)


def test_a_route_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="route 1 is also in"):
        scored(tmp_path, record(1), record(1))


def test_no_route_is_no_score(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no route"):
        scored(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"_checkpoint": {}}', '{"_checkpoint": 3}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(InputError, match=r"result\.json"):
        read_records([tmp_path / "result.json"])


def test_a_missing_file_or_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_records([tmp_path / "gone.json"])
    with pytest.raises(InputError, match="no result files"):
        read_records([tmp_path])


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({}, "entry for each tick"),
        ({"a": entry(0, 0)}, "simulation steps"),
        ({"2": entry(0, 0), "1": entry(0, 0)}, "increasing"),
        ({"0": entry(0, 0), "1": entry(float("inf"), 0)}, "acceleration.*finite"),
        ({"0": {"acceleration": [0, 0]}}, "three numbers"),
        ({"0": entry(0, 0), "1": entry(0, 0)}, "more than 2 samples"),
        ({str(t): entry(0, 0) for t in (0, 1, 2, 4)}, "equal distances"),
    ],
)
def test_damaged_motion_is_named(tmp_path: Path, entries: dict[str, Any], told: str) -> None:
    record_motion(tmp_path, 1, entries)
    with pytest.raises(InputError, match=told):
        scored(tmp_path, record(1), metrics=tmp_path)


def test_a_route_without_recorded_motion_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run_1.*no such file.*RouteScenario_1"):
        scored(tmp_path, record(1), metrics=tmp_path)
