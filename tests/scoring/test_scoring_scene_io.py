"""Scenes survive a round trip exactly; what cannot be used is refused by name."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_cases import PUBLIC, fan, needs_cases, public_scenes, street, tracks

from irl_vla.scoring.epdms import score
from irl_vla.scoring.scene import VEHICLE
from irl_vla.scoring.scene_io import read_scenes, scene_to, try_scenes, write_scenes
from irl_vla.types import InputError


def base() -> dict[str, Any]:
    scene = street(agents=tracks(("a0", VEHICLE, 30.0, 0.0, 0.0, 5.0, 0.0)))
    return json.loads(json.dumps(scene_to(scene)))


def write(path: Path, *scenes: dict[str, Any], form: str = "epdms-scene/1") -> Path:
    path.write_text(json.dumps({"format": form, "scenes": list(scenes)}))
    return path


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_scene_survives_the_round_trip_exactly(tmp_path: Path, suffix: str) -> None:
    scene = street(agents=tracks(("a0", VEHICLE, 30.0, 0.1, 0.2, 5.0, 0.0)))
    path = tmp_path / f"scenes{suffix}"
    write_scenes(path, [scene])
    (again,) = read_scenes(path)
    assert scene_to(again) == scene_to(scene)
    assert np.array_equal(score(again, fan(scene, 9)).epdms, score(scene, fan(scene, 9)).epdms)


@needs_cases
def test_the_public_file_survives_the_round_trip_exactly() -> None:
    with gzip.open(PUBLIC / "scenes.json.gz") as file:
        raw = json.load(file)["scenes"]
    for before, scene in zip(raw, public_scenes().values(), strict=True):
        after = json.loads(json.dumps(scene_to(scene)))
        for past in after["ego"]["history"]:  # columns that files leave out where they are 0
            for name in ("steering_rate", "angular_velocity", "angular_acceleration"):
                assert past.pop(name) == 0.0
        assert after == before


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(scene: dict[str, Any]) -> None:
        at: Any = scene
        *way, last = [int(p) if p.isdigit() else p for p in path.split(".")]
        for step in way:
            at = at[step]
        at[last] = value

    return change


BAD = [
    (put("ego.initial.x", float("nan")), "ego: initial: x: expected a finite number"),
    (put("agents.0.track.states.3", [0, 0, float("inf"), 0, 0]), "states[3]: expected finite"),
    (put("agents.0.track.states.3", None), "it has a gap"),
    (put("agents.0.track.start", 5), "track: start: expected 41 states within steps 0..40"),
    (put("agents.0.type", "tram"), "agents[0]: type: expected one of vehicle"),
    (put("map.polygons.1.type", "river"), "map: polygons[1]: type: expected one of lane"),
    (put("map.polygons.1.polygon", [[0, 0], [2, 2], [2, 0], [0, 2]]), "'oncoming': expected a s"),
    (put("map.polygons.1.polygon", [[0, 0], [2, 2]]), "expected >= 3 corners, got 2"),
    (put("map.polygons", []), "the map is empty"),
    (put("time.step_s", 0.2), "time: step_s: expected 0.1 s between steps, got 0.2"),
    (put("time.steps", 40), "time: steps: expected 41 steps"),
    (put("human", {"kind": "x", "trajectory": [[0, 0, 0]] * 7}), "expected shape (8, 3), got (7"),
    (put("reference.poses", [[0, 0, 0]] * 5), "expected at least 41 poses"),
    (put("route.lane_ids", ["lane", "gone"]), "no lane 'gone' in the map"),
    (put("route.centerline", [[0, 0, 0]]), "expected at least 2 points"),
    (put("previous.dt_us", 900_000), "previous: dt_us: expected between"),
    (put("ego.history.3.t_us", 7), "history: t_us: expected increasing times that end at 0"),
    (put("format", "epdms-scene/0"), "format: expected 'epdms-scene/1', got 'epdms-scene/0'"),
    (put("scene_type", "dream"), "scene_type: expected one of original, synthetic, got 'dream'"),
    (lambda scene: scene.pop("route"), "field 'route' is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD, ids=[m[:40] for _, m in BAD])
def test_a_bad_scene_is_refused_by_file_scene_and_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    good, bad = base(), copy.deepcopy(base())
    change(bad)
    path = write(tmp_path / "scenes.json", good, bad, good)
    outcomes = list(try_scenes(path))
    assert not isinstance(outcomes[0], InputError) and not isinstance(outcomes[2], InputError)
    error = outcomes[1]
    assert isinstance(error, InputError)
    assert message in str(error)
    assert "scenes.json" in str(error) and "'street'" in str(error)
    with pytest.raises(InputError):
        read_scenes(path)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.json.gz"
    write_scenes(cut, [street()])
    cut.write_bytes(cut.read_bytes()[:900])
    text = tmp_path / "text.json"
    text.write_text("{")
    newer = write(tmp_path / "newer.json", base(), form="epdms-scene/9")
    for path, message in [
        (cut, "damaged or cut short"), (text, "not valid JSON"), (tmp_path / "no", "no such file"),
        (newer, "expected 'epdms-scene/1', got 'epdms-scene/9'"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=message) as error:
            read_scenes(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("plans", "message"),
    [
        (np.zeros((5, 7, 3)), r"expected 8 poses .* got shape \(5, 7, 3\)"),
        (np.zeros((5, 8, 2)), r"got shape \(5, 8, 2\)"),
        (np.full((2, 8, 3), np.nan), "plan 0, pose 0: expected finite numbers"),
        (np.where(np.arange(48).reshape(2, 8, 3) == 40, np.inf, 0.0), "plan 1, pose 5"),
    ],
)
def test_plans_that_cannot_be_scored_are_refused(plans: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(street(), plans)


def test_previous_plans_must_fit_scene_and_plans() -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="no previous frame"):
        score(replace(street(), previous=None), np.zeros((2, 8, 3)), np.zeros((8, 3)))
    with pytest.raises(InputError, match="expected 1 or 2"):
        score(street(), np.zeros((2, 8, 3)), np.zeros((3, 8, 3)))
