"""Recorded scenarios become worlds: five real ones where they are, a drawn road anywhere."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from irl_vla.scoring.epdms import score
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.scene import AX, AY, HEADING, OMEGA, VX, VY, Scene
from irl_vla.scoring.scene_io import read_scenes, write_scenes
from irl_vla.types import InputError
from irl_vla.world.benchmark.scenes import FIRST, Cutter
from irl_vla.world.episode import Episode
from irl_vla.world.recorded.derived_areas import (
    closed_union,
    crossings,
    intersections,
    simple_rings,
)
from irl_vla.world.recorded.scenarionet import load_scenario, scoring_scene
from irl_vla.world.town import NONE, Light

REAL = Path(__file__).parents[2] / ".." / "shared" / "scenarios" / "scenarionet"
RECORDINGS = (
    "nuscenes_2_1", "sd_nuscenes_v1.0-mini_scene-0061", "sd_nuscenes_v1.0-mini_scene-0103",
    "sd_nuscenes_v1.0-mini_scene-0553", "sd_nuscenes_v1.0-mini_scene-0655",
)  # fmt: skip
SPEED, STEPS = 8.0, 80


def recording(name: str) -> Path:
    if not REAL.is_dir():
        pytest.skip(f"no ScenarioNet recordings at {REAL}")
    return REAL / f"{name}.pkl"


def track(
    kind: str, x: np.ndarray, y: float, speed: float, size: tuple[float, float, float]
) -> Any:
    steps = len(x)
    return {
        "type": kind, "metadata": {"type": kind.lower()},
        "state": {
            "position": np.column_stack([x, np.full(steps, y), np.zeros(steps)]),
            "heading": np.zeros(steps), "velocity": np.tile([speed, 0.0], (steps, 1)),
            "valid": np.ones(steps), "length": np.full((steps, 1), size[0]),
            "width": np.full((steps, 1), size[1]), "height": np.full((steps, 1), size[2]),
        },
    }  # fmt: skip


def straight(y: float, begin: float, end: float, sign: int = 1) -> Any:
    """A lane along x, 3.5 m wide; sign -1: the other way."""
    line = np.column_stack(
        [np.arange(begin, end + 1.0, 10.0), np.full(int(end - begin) // 10 + 1, y)]
    )
    ring = [(begin, y - 1.75), (end, y - 1.75), (end, y + 1.75), (begin, y + 1.75)]
    return {"type": "LANE_SURFACE_STREET", "polyline": line[::sign], "polygon": ring}


def drawn() -> dict[str, Any]:
    """8 s along the right one of two lanes, each in two parts; a car stands on the left lane; the
    opposite lane is beyond it; a lane without outline crosses."""
    time = np.arange(STEPS) * 0.1
    crossing = np.column_stack([np.full(7, 100.0), np.linspace(-30.0, 30.0, 7)])
    return {
        "id": "drawn", "version": "1", "length": STEPS,
        "metadata": {"dataset": "nuscenes", "sdc_id": "ego", "ts": time},
        "tracks": {
            "ego": track("VEHICLE", SPEED * time, 0.0, SPEED, (1.73, 4.08, 1.56)),
            "parked": track("VEHICLE", np.full(STEPS, 60.0), 3.5, 0.0, (4.5, 1.8, 1.5)),
            "far": track("PEDESTRIAN", np.full(STEPS, 900.0), 3.5, 0.0, (0.5, 0.5, 1.7)),
        },
        "map_features": {
            "right 1": straight(0.0, -50.0, 50.0), "right 2": straight(0.0, 50.0, 250.0),
            "left 1": straight(3.5, -50.0, 50.0), "left 2": straight(3.5, 50.0, 250.0),
            "opposite": straight(7.0, -50.0, 250.0, -1),
            "across": {"type": "LANE_SURFACE_STREET", "polyline": crossing},
            "paint": {
                "type": "ROAD_LINE_BROKEN_SINGLE_YELLOW", "polyline": [(0, 5.25), (900, 5.25)],
            },
        },
        "dynamic_map_states": {},
    }  # fmt: skip


def written(folder: Path, scenario: Any) -> Path:
    path = folder / "scenario.pkl"
    path.write_bytes(pickle.dumps(scenario))
    return path


def loaded(folder: Path, scenario: Any = None) -> Episode:
    return load_scenario(written(folder, drawn() if scenario is None else scenario))


# ------------------------------------------------------------------ real recordings


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_driver_stays_on_the_drivable_area_in_all_windows(name: str) -> None:
    cutter = Cutter(load_scenario(recording(name)))
    steps = range(FIRST, cutter.last + 1)
    kept = [dac_of(cutter.scene(step)) for step in steps]
    print(f"{name}: recorded driver's DAC {np.mean(kept):.4f} over {len(kept)} windows")
    assert np.mean(kept) >= 0.98


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_scene_is_a_valid_scoring_scene_in_its_file_too(
    name: str, tmp_path: Path
) -> None:
    scene = scoring_scene(recording(name))
    write_scenes(tmp_path / "scenes.json.gz", [scene])
    (again,) = read_scenes(tmp_path / "scenes.json.gz")
    assert dac_of(again) == dac_of(scene) == 1.0
    assert again.red_lights is None
    assert any("drivable area" in said for said in again.derived)
    assert scene.reference is not None and scene.reference.kind == "pdm_closed"


@pytest.mark.parametrize("name", RECORDINGS)
def test_routes_follow_links_and_lanes_continue_where_their_predecessors_end(name: str) -> None:
    episode = load_scenario(recording(name))
    lanes = episode.town.lanes
    for a, b in pairwise(episode.route):
        assert b in (*lanes[a].successors, lanes[a].left, lanes[a].right)
    for lane in lanes:
        assert shapely.Polygon(lane.polygon).is_valid
        assert np.hypot(*np.diff(lane.centre[:, :2], axis=0).T).max() <= 2.0 + 1e-9
        for successor in lane.successors:
            assert np.array_equal(lanes[successor].centre[0, :2], lane.centre[-1, :2])
    linked = np.mean([bool(lane.successors) for lane in lanes])
    assert linked > 0.8  # the others lead out of the area that is kept


def test_speeds_do_not_know_the_leaps_of_a_recording() -> None:
    episode = load_scenario(recording("sd_nuscenes_v1.0-mini_scene-0655"))
    steps = np.hypot(*np.diff(episode.ego[:, :2], axis=0).T) / 0.1
    assert steps.max() > 15.0  # the recording leaps by two frames at 9 m/s
    assert episode.ego[:, VX].max() < 10.0
    assert np.abs(episode.ego[:, [AX, AY]]).max() < 5.0


def dac_of(scene: Scene) -> float:
    assert scene.human is not None
    return float(score(prepare(scene), scene.human.poses[None]).raw.dac[0])


# ------------------------------------------------------------------ a road that can be checked


def test_the_drawn_recording_becomes_an_episode(tmp_path: Path) -> None:
    episode = loaded(tmp_path)
    assert (len(episode), episode.driver, episode.actors.ids) == (STEPS, "recorded", ("parked",))
    assert episode.ego[:, 0] == pytest.approx(SPEED * 0.1 * np.arange(STEPS))  # rear axle
    assert episode.ego[:, VX] == pytest.approx(SPEED)
    assert np.abs(episode.ego[:, [HEADING, VY, AX, AY, OMEGA]]).max() < 1e-9
    assert [episode.town.lanes[i].id for i in episode.route] == ["right 1", "right 2"]
    assert episode.states[3, 0].tolist() == [60.0, 3.5, 0.0, 0.0, 0.0]
    assert episode.actors.sizes[0].tolist() == [4.5, 1.8, 1.5]
    assert [(m.kind, m.yellow) for m in episode.town.markings] == [("dashed", True)]


def test_links_are_derived_where_the_export_has_none(tmp_path: Path) -> None:
    town = loaded(tmp_path).town
    lanes = {lane.id: lane for lane in town.lanes}
    place = {lane.id: i for i, lane in enumerate(town.lanes)}
    assert lanes["right 1"].successors == (place["right 2"],)
    assert lanes["right 1"].left == place["left 1"] and lanes["left 1"].right == place["right 1"]
    assert lanes["left 1"].left == NONE  # the next one comes towards us
    assert lanes["right 1"].block == lanes["left 1"].block != lanes["opposite"].block
    assert lanes["across"].crosses == tuple(place[n] for n in ("right 2", "left 2", "opposite"))
    assert lanes["right 1"].width == pytest.approx(3.5)
    assert len(town.junctions) == 1
    assert shapely.Polygon(town.junctions[0].polygon).centroid.coords[0] == pytest.approx(
        (100.0, 3.5), abs=0.1
    )


def test_links_and_limits_of_other_exports_are_kept(tmp_path: Path) -> None:
    scenario = drawn()
    scenario["metadata"]["dataset"] = "waymo"
    features = scenario["map_features"]
    features["right 1"] |= {
        "exit_lanes": ["right 2"], "speed_limit_mph": 30.0,
        "left_neighbor": [{"feature_id": "left 1"}], "right_neighbor": [],
    }  # fmt: skip
    features["left 1"] |= {"exit_lanes": [], "right_neighbor": ["right 1"]}
    episode = loaded(tmp_path, scenario)
    lanes = {lane.id: lane for lane in episode.town.lanes}
    place = {lane.id: i for i, lane in enumerate(episode.town.lanes)}
    assert lanes["right 1"].speed_limit == pytest.approx(13.41, abs=0.01)
    assert lanes["right 1"].successors == (place["right 2"],)
    assert lanes["left 1"].successors == ()  # said, so not derived
    assert lanes["right 1"].left == place["left 1"]
    # Elsewhere than in nuScenes a position is the middle of the box.
    assert episode.ego[0, 0] == pytest.approx(-episode.vehicle.centre)


def test_bicycle_lanes_are_not_for_cars(tmp_path: Path) -> None:
    scenario = drawn()
    scenario["map_features"]["opposite"]["type"] = "LANE_BIKE_LANE"
    scenario["map_features"]["left 1"]["type"] = "LANE_FREEWAY"
    names = {lane.id for lane in loaded(tmp_path, scenario).town.lanes}
    assert "opposite" not in names and "left 1" in names


def test_recorded_lights_become_signals(tmp_path: Path) -> None:
    scenario = drawn()
    shown = ["TRAFFIC_LIGHT_RED"] * 30 + ["LANE_STATE_GO"] * 50
    scenario["dynamic_map_states"]["right 2"] = {
        "type": "TRAFFIC_LIGHT", "state": {"object_state": shown}, "lane": "right 2",
        "stop_point": [50.0, 0.0, 0.0],
    }  # fmt: skip
    episode = loaded(tmp_path, scenario)
    assert episode.lights[[0, 29, 30, 79], 0].tolist() == [
        Light.RED, Light.RED, Light.GREEN, Light.GREEN,
    ]  # fmt: skip
    assert [lane.id for lane in episode.town.lanes if lane.signal == 0] == ["right 2"]
    assert not any("lights" in said for said in episode.town.derived)
    lights = scoring_scene(tmp_path / "scenario.pkl", 2.0).red_lights
    assert lights is not None and lights.ids == ("right 2",)
    assert lights.red[0].tolist() == [True] * 10 + [False] * 31


def test_a_road_user_who_comes_back_is_another_one(tmp_path: Path) -> None:
    scenario = drawn()
    scenario["tracks"]["parked"]["state"]["valid"][20:40] = 0
    episode = loaded(tmp_path, scenario)
    assert episode.actors.ids == ("parked", "parked#2")
    assert episode.present.sum(axis=0).tolist() == [20, 40]
    assert np.isnan(episode.states[~episode.present]).all()


def test_an_area_with_holes_is_covered_by_simple_polygons() -> None:
    block = shapely.box(0, 0, 30, 30).difference(shapely.box(10, 10, 20, 20))
    block = block.difference(shapely.box(24, 24, 26, 26))
    rings = [shapely.Polygon(ring) for ring in simple_rings(block)]
    assert all(ring.is_valid for ring in rings)
    assert shapely.union_all(rings).symmetric_difference(block).area < 1e-6


def test_gaps_of_less_than_two_metres_are_closed_and_wider_ones_are_not() -> None:
    def road(gap: float) -> float:
        lanes = [shapely.box(0, 0, 50, 3.5), shapely.box(0, 3.5 + gap, 50, 7 + gap)]
        return float(closed_union(lanes).area) - 350.0

    assert road(1.5) == pytest.approx(75.0, rel=0.05)
    assert road(2.5) == pytest.approx(0.0, abs=0.01)


def test_lanes_cross_by_heading_and_side_by_side_they_do_not() -> None:
    east = np.column_stack([np.linspace(0, 50, 26), np.zeros((26, 2))])
    beside, against = east + np.array([0, 2.0, 0]), east[::-1] + np.array([0, 2.0, np.pi])
    north = np.column_stack([np.full(26, 25.0), np.linspace(-25, 25, 26), np.full(26, np.pi / 2)])
    grounds = [shapely.LineString(line[:, :2]).buffer(1.75, cap_style="flat")
               for line in (east, beside, against, north)]  # fmt: skip
    found = crossings(grounds, [east, beside, against, north])
    assert [(c.a, c.b) for c in found] == [(0, 3), (1, 3), (2, 3)]
    (hull,) = intersections(found, closed_union(grounds))
    assert hull.contains(shapely.Point(25.0, 1.0))


# ------------------------------------------------------------------ bad input


def without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def remove(scenario: dict[str, Any]) -> None:
        for key in keys[:-1]:
            scenario = scenario[key]
        del scenario[keys[-1]]

    return remove


def set_to(value: Any, *keys: str) -> Callable[[dict[str, Any]], None]:
    def put(scenario: dict[str, Any]) -> None:
        for key in keys[:-1]:
            scenario = scenario[key]
        scenario[keys[-1]] = value

    return put


BAD = {
    "no ego named": (without("metadata", "sdc_id"), "sdc_id"),
    "ego's name a list": (set_to([1], "metadata", "sdc_id"), "sdc_id"),
    "no ego track": (without("tracks", "ego"), "without ego"),
    "no lanes": (set_to({}, "map_features"), "expected lanes within 100 m"),
    "lanes far away": (set_to({"l": straight(900.0, 0.0, 100.0)}, "map_features"), "no road"),
    "ego beside all lanes": (set_to({"l": straight(50.0, 0.0, 100.0)}, "map_features"), "none of"),
    "too short": (set_to(7, "length"), "too short"),
    "another step": (set_to(np.arange(STEPS) * 0.5, "metadata", "ts"), "steps of 0.1 s"),
    "no number of steps": (set_to("many", "length"), "length"),
    "no tracks": (without("tracks"), "expected a ScenarioNet scenario"),
    "tracks no object": (set_to([], "tracks"), "tracks: expected an object"),
    "no state": (set_to({}, "tracks", "parked"), "'parked': expected an object with a 'state'"),
    "no heading": (without("tracks", "ego", "state", "heading"), "'heading' is missing"),
    "wrong length": (set_to(np.zeros((3, 2)), "tracks", "ego", "state", "position"), "shape"),
    "words": (set_to(["x"] * STEPS, "tracks", "ego", "state", "heading"), "expected numbers"),
    "ego not finite": (
        set_to(np.full(STEPS, np.nan), "tracks", "ego", "state", "heading"),
        "finite",
    ),
    "ego leaves": (set_to(np.arange(STEPS) < 9, "tracks", "ego", "state", "valid"), "got 9"),
    "feature no object": (set_to(3, "map_features", "right 1"), "map_features 'right 1'"),
    "line of words": (set_to("ab", "map_features", "right 1", "polyline"), "rows of x and y"),
    "line not finite": (
        set_to([(0, np.inf), (1, 1)], "map_features", "right 1", "polyline"),
        "finite",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_scenario_that_cannot_be_driven_is_a_clear_error(tmp_path: Path, fault: str) -> None:
    scenario = drawn()
    spoil, said = BAD[fault]
    spoil(scenario)
    with pytest.raises(InputError, match=said) as error:
        loaded(tmp_path, scenario)
    assert str(tmp_path / "scenario.pkl") in str(error.value)


@pytest.mark.parametrize("value", [[1, 2], {"dataset_summary": 1}, None, "text"])
def test_another_pickle_is_not_taken_for_a_scenario(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InputError, match="expected a ScenarioNet scenario"):
        loaded(tmp_path, value if value is not None else 0)


def test_a_time_without_past_or_future_is_a_clear_error(tmp_path: Path) -> None:
    path = written(tmp_path, drawn())
    assert scoring_scene(path, 3.9).t0_us == 3_900_000
    for time_s in (1.9, 4.0, -1.0, 100.0):
        with pytest.raises(InputError, match=r"between 2\.0 and 3\.9 s"):
            scoring_scene(path, time_s)


class Attack:
    """Pickles to a call that makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


def test_a_hostile_scenario_is_refused_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    scenario, mark = drawn(), tmp_path / "mark"
    scenario["metadata"]["coordinate"] = Attack(mark)
    path = written(tmp_path, scenario)
    with pytest.raises(InputError, match="refused"):
        load_scenario(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # the attack itself works
    assert mark.exists()


def test_a_truncated_or_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    path = written(tmp_path, drawn())
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=str(path)):
            load_scenario(path)
    with pytest.raises(InputError, match="does not exist"):
        load_scenario(tmp_path / "none.pkl")
