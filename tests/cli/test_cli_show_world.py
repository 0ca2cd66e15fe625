"""`irl-vla show world:SEED` and `show SCENARIO.pkl`: pictures of drives, and clear refusals."""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path

import cv2
import pytest
from PIL import Image
from typer.testing import CliRunner

from irl_vla.cli.app import app
from irl_vla.cli.show_world import MOST_SEEDS
from irl_vla.types import InputError
from irl_vla.world.build import EpisodeRequest, episode_of

SCENARIOS = Path(__file__).parents[2] / ".." / "shared" / "scenarios" / "scenarionet"


def show(*arguments: str) -> str:
    """What is printed; raises what the command raises."""
    result = CliRunner().invoke(app, ["show", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def refusal(*arguments: str) -> str:
    """The sentence that a user reads."""
    with pytest.raises(InputError) as found:
        show(*arguments)
    return str(found.value)


def test_a_seed_becomes_a_town_and_moments_of_its_drive(tmp_path: Path) -> None:
    said = show("world:7", "--out", str(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["moments.png", "town.png"]
    for name in ("moments.png", "town.png"):
        assert str(tmp_path / name) in said.replace("\n", "")
        assert cv2.imread(str(tmp_path / name)).std() > 10


def test_the_animation_lasts_as_long_as_the_drive_and_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = partial(episode_of, request=EpisodeRequest(steps=30))
    monkeypatch.setattr("irl_vla.cli.show_world.episode_of", short)
    show("world:7", "--out", str(tmp_path), "--animate")
    times = 0
    with Image.open(tmp_path / "drive.webp") as film:
        assert film.size == (960, 640)
        for index in range(getattr(film, "n_frames", 1)):
            film.seek(index)
            film.load()
            times += film.info["duration"]
    assert times == 3000
    assert (tmp_path / "drive.webp").stat().st_size < 4e6 * 3 / 20


def test_several_seeds_become_one_sheet(tmp_path: Path) -> None:
    show("world:3:5", "--out", str(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.webp"]
    height, width = cv2.imread(str(tmp_path / "sheet.webp")).shape[:2]
    assert (height, width) == (214, 2 * 320 + 6)


def test_a_seed_looks_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        show("world:7", "--out", str(tmp_path / name))
    for name in ("town.png", "moments.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_recorded_scenario_is_shown_the_same_way(tmp_path: Path) -> None:
    path = SCENARIOS / "nuscenes_2_1.pkl"
    if not path.exists():
        pytest.skip("the real scenarios are not at ../shared/scenarios")
    show(str(path), "--out", str(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["moments.png", "town.png"]


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "99999999999", "0:x", "0:", "3:4:5"])
def test_a_seed_that_is_none_is_named(text: str) -> None:
    assert "expected a seed" in refusal(f"world:{text}")


@pytest.mark.parametrize("text", ["5:5", "5:3", f"0:{MOST_SEEDS + 1}"])
def test_a_range_that_makes_no_sheet_is_refused(text: str) -> None:
    assert f"expected 1 to {MOST_SEEDS}" in refusal(f"world:{text}")


def test_broken_foreign_and_hostile_files_are_refused_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "it ran"),)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps(list(range(99)))[:-9])
    (tmp_path / "foreign.pkl").write_bytes(pickle.dumps({"a": 1}))
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "out"
    assert "refused" in refusal(str(tmp_path / "evil.pkl"), "--out", str(out))
    assert "truncated" in refusal(str(tmp_path / "cut.pkl"), "--out", str(out))
    assert "ScenarioNet" in refusal(str(tmp_path / "foreign.pkl"), "--out", str(out))
    assert "does not exist" in refusal(str(tmp_path / "none.pkl"), "--out", str(out))
    assert not any(out.rglob("*"))
    assert sorted(set(tmp_path.iterdir()) - {out}) == before


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert "cannot be written" in refusal("world:7", "--out", str(tmp_path / "file" / "x"))


def test_animate_is_for_drives_alone(tmp_path: Path) -> None:
    (tmp_path / "scene.json").write_text("{}")
    assert "--animate" in refusal(str(tmp_path / "scene.json"), "--animate")
