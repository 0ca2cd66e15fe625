"""CommonRoad scenarios become worlds: two real ones where they are, a drawn road anywhere."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely

from irl_vla.scoring.scene import HEADING, VX
from irl_vla.types import InputError
from irl_vla.world.episode import Episode
from irl_vla.world.recorded.commonroad import load_commonroad

REAL = Path(__file__).parents[2] / ".." / "shared" / "scenarios" / "commonroad"
STEPS = 21


def state(tag: str, step: int, x: float, y: float, speed: float) -> str:
    return (
        f"<{tag}><position><point><x>{x}</x><y>{y}</y></point></position>"
        f"<orientation><exact>0.0</exact></orientation><time><exact>{step}</exact></time>"
        f"<velocity><exact>{speed}</exact></velocity></{tag}>"
    )


def lanelet(name: int, right: float, inner: str, points: int = 11) -> str:
    def bound(tag: str, y: float, count: int) -> str:
        rows = "".join(
            f"<point><x>{x}</x><y>{y}</y></point>" for x in np.linspace(-20.0, 80.0, count)
        )
        return f"<{tag}>{rows}</{tag}>"

    return (
        f'<lanelet id="{name}">{bound("leftBound", right + 3.5, points)}'
        f"{bound('rightBound', right, 11)}{inner}</lanelet>"
    )


def drawn() -> str:
    """Two lanelets along x, the right one under the ego; a car ahead at 5 m/s, a parked one."""
    box = "<shape><rectangle><length>4.5</length><width>1.8</width></rectangle></shape>"
    moves = "".join(state("state", i, 30.0 + 0.5 * i, 1.75, 5.0) for i in range(1, STEPS))
    return (
        '<commonRoad benchmarkID="drawn" commonRoadVersion="2018b" timeStepSize="0.1">'
        + lanelet(1, 0.0, '<adjacentLeft ref="2" drivingDir="same"/><speedLimit>10</speedLimit>')
        + lanelet(2, 3.5, "", points=6)
        + f'<obstacle id="7"><role>dynamic</role><type>car</type>{box}'
        + f"{state('initialState', 0, 30.0, 1.75, 5.0)}<trajectory>{moves}</trajectory></obstacle>"
        + f'<staticObstacle id="8"><type>parkedVehicle</type>{box}'
        + f"{state('initialState', 0, 50.0, 5.25, 0.0)}</staticObstacle>"
        + f'<planningProblem id="9">{state("initialState", 0, 0.0, 2.0, 8.0)}</planningProblem>'
        + "</commonRoad>"
    )


def loaded(folder: Path, text: str) -> Episode:
    path = folder / "scenario.xml"
    path.write_text(text, encoding="utf-8")
    return load_commonroad(path)


def test_the_drawn_scenario_becomes_an_episode(tmp_path: Path) -> None:
    episode = loaded(tmp_path, drawn())
    right, left = episode.town.lanes
    assert (len(episode), episode.driver, episode.route) == (STEPS, "stand-in", (0,))
    assert (right.left, right.right, left.left, left.right) == (1, -1, -1, 0)
    assert right.speed_limit == 10.0 and right.width == pytest.approx(3.5)
    assert right.centre[[0, -1], :2].tolist() == [[-20.0, 1.75], [80.0, 1.75]]
    assert left.centre[[0, -1], :2].tolist() == [[-20.0, 5.25], [80.0, 5.25]]
    # The start is the middle of the box; a state is at the rear axle.
    assert episode.ego[:, 0] == pytest.approx(0.8 * np.arange(STEPS) - episode.vehicle.centre)
    assert episode.ego[:, 1] == pytest.approx(2.0)
    assert episode.ego[:, VX] == pytest.approx(8.0)
    assert episode.states[:, 0, 0] == pytest.approx(30.0 + 0.5 * np.arange(STEPS))
    assert episode.states[4, 1].tolist() == [50.0, 5.25, 0.0, 0.0, 0.0]
    assert episode.present.all()
    assert any("planning problem" in said for said in episode.town.derived)


@pytest.mark.parametrize("name", ["USA_Lanker-1_1_T-1", "USA_US101-3_3_T-1"])
def test_real_scenarios_are_whole(name: str) -> None:
    if not REAL.is_dir():
        pytest.skip(f"no CommonRoad scenarios at {REAL}")
    episode = load_commonroad(REAL / f"{name}.xml")
    lanes = episode.town.lanes
    for a, b in pairwise(episode.route):
        assert b in (*lanes[a].successors, lanes[a].left, lanes[a].right)
    rings = [episode.town.drivable.ring(i) for i in range(len(episode.town.drivable))]
    road = shapely.union_all([shapely.Polygon(ring) for ring in rings])
    on_road = shapely.contains_xy(road, episode.states[episode.present][:, :2])
    assert on_road.mean() > 0.98
    assert shapely.contains_xy(road, episode.ego[:, :2]).all()
    # Recorded speeds are those of the recorded way: the columns are what they seem.
    moved = np.diff(episode.states[:, :, :2], axis=0) / 0.1
    there = np.isfinite(moved).all(axis=2)
    assert np.median(np.abs(moved[there] - episode.states[:-1, :, 3:5][there])) < 0.5
    assert np.abs(np.diff(np.unwrap(episode.ego[:, HEADING]))).max() < 0.05


BAD = {
    "an entity": ('<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + drawn(), "refused"),
    "no XML": ("lanelets", "not valid XML"),
    "cut off": (drawn()[:900], "not valid XML"),
    "another document": ("<svg/>", "expected a <commonRoad>"),
    "no lanelets": (drawn().replace("lanelet", "lane"), "got 0 lanelets"),
    "no ego": (drawn().replace("planningProblem", "problem"), "no planning problem"),
    "no traffic": (drawn().replace("obstacle", "thing").replace("Obstacle", "thing"), "traffic"),
    "another step": (drawn().replace('"0.1"', '"0.2"'), "timeStepSize"),
    "no step": (drawn().replace('timeStepSize="0.1"', ""), "timeStepSize"),
    "a word": (drawn().replace("<x>30.0</x>", "<x>here</x>"), "lanelet 1.*number in <x>"),
    "infinity": (drawn().replace("<x>30.0</x>", "<x>inf</x>"), "number in <x>"),
    "a short bound": (drawn().replace("leftBound", "bound"), "leftBound.*at least 2 points"),
    "no shape": (drawn().replace("rectangle", "polygon"), "expected a <shape>"),
    "no end": (drawn().replace("<exact>20</exact>", "<exact>9999999</exact>"), "36000 steps"),
    "time back": (drawn().replace("<exact>3</exact>", "<exact>1</exact>"), "increasing times"),
    "ego off the road": (drawn().replace("<y>2.0</y>", "<y>90.0</y>"), "none of the lanelets"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_scenario_that_cannot_be_driven_is_a_clear_error(tmp_path: Path, fault: str) -> None:
    text, said = BAD[fault]
    with pytest.raises(InputError, match=said) as error:
        loaded(tmp_path, text)
    assert str(tmp_path / "scenario.xml") in str(error.value)
    with pytest.raises(InputError, match="does not exist"):
        load_commonroad(tmp_path / "none.xml")
