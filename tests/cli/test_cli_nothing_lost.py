"""Nothing is lost at the end of long work: targets are looked at first, readers may leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cli_bags import RULE, command

sys.path.append(str(Path(__file__).parents[1] / "scoring"))
from scoring_cases import plan, street

from irl_vla.cli.results import refuse_target
from irl_vla.scoring.scene import NamedPlan
from irl_vla.scoring.scene_io import write_scenes
from irl_vla.types import InputError

WORK = (
    "irl_vla.cli.score.read_tasks", "irl_vla.cli.explain.explained", "irl_vla.cli.world.spread",
    "irl_vla.engine.networks.build_networks", "irl_vla.cli.world_statistics.episode_of",
    "irl_vla.cli.drive_suite.drive_all",
)  # fmt: skip
RUN = "from irl_vla.cli.app import main; main()"


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    scene = replace(street(), candidates=(NamedPlan("a", "x", plan(10.0)),), previous=None)
    path = tmp_path / "in" / "s.json"
    path.parent.mkdir()
    write_scenes(path, [replace(scene, id=f"s{i}") for i in range(6)])
    return path


def test_a_result_never_takes_the_place_of_its_input(scenes: Path, tmp_path: Path) -> None:
    before = scenes.read_bytes()
    link = tmp_path / "link.json"
    link.symlink_to(scenes)
    for out in (scenes, link):
        ran = command("score", str(scenes), "--out", str(out))
        assert ran.code == 3 and "would be overwritten" in ran.stderr
    assert scenes.read_bytes() == before
    assert sorted(path.name for path in scenes.parent.iterdir()) == ["s.json"]


@pytest.mark.parametrize("lines", [0, 1])
def test_a_reader_that_leaves_early_costs_nothing(scenes: Path, tmp_path: Path, lines: int) -> None:
    out = tmp_path / "results.json"
    reader = subprocess.Popen(["head", f"-{lines}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdin is not None
    if not lines:
        reader.stdin.close()
        reader.wait()
    end = os.pipe()
    os.close(end[0])  # nobody will ever read
    ran = subprocess.run(
        [sys.executable, "-c", RUN, "score", scenes, "--out", out],
        stdout=end[1], stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(end[1])
    if lines:
        reader.communicate()
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr
    assert len(json.loads(out.read_text())) == 6


@pytest.mark.parametrize(
    "words",
    [
        ("score", "SCENES", "--out", "FILE/results.json"),
        ("score", "SCENES", "--out", "FOLDER"),
        ("explain", "SCENES", "--out", "FILE"),
        ("export", "--preset", "nano", "--out", "FILE/b"),
        ("export", "--preset", "nano", "--out", "FOLDER"),
        ("world", "table", "--seeds", "0:1", "--out", "FILE"),
        ("world", "scenes", "--seeds", "0:1", "--out", "FILE"),
        ("world", "statistics", "SCENES", "--out", "FILE"),
        ("drive", "--bundle", "RULE", "--seed", "1", "--suite", "--out", "FILE"),
    ],
    ids=lambda words: f"{' '.join(words[:2])} {words[-1]}",
)
def test_a_target_that_cannot_be_written_is_found_before_the_work(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "own").write_text("kept")
    places = {
        "SCENES": str(scenes), "RULE": str(RULE), "FILE": str(tmp_path / "file"),
        "FILE/results.json": str(tmp_path / "file" / "results.json"),
        "FILE/b": str(tmp_path / "file" / "b"), "FOLDER": str(tmp_path / "folder"),
    }  # fmt: skip

    def worked(*_: object, **__: object) -> None:
        raise AssertionError("work has begun")

    for name in WORK:
        monkeypatch.setattr(name, worked)
    words = tuple(word for word in words if word != "--seed" or "--suite" not in words)
    given = [places.get(word, word) for word in words if word != "1"]
    ran = command(*given)
    assert ran.code == 3 and "--out" in ran.stderr, ran.stderr
    assert (tmp_path / "file").read_text() == "kept"
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["own"]


def test_a_folder_that_only_others_may_write_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        refuse_target(tmp_path / "x.json", [])


@pytest.mark.parametrize(
    "words", [("export", "--preset", "nano"), ("demo",), ("replay", "b", "--bundle", "b")]
)
def test_a_huge_seed_is_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = command(*words, "--seed", str(10**30), "--out", str(tmp_path / "o"))
    assert ran.code in (2, 3) and "Traceback" not in ran.stderr
