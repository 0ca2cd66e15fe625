"""irl-vla score, explain and show on the recorded scenes: the same numbers, nothing lost."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from irl_vla.cli.app import app
from irl_vla.types import InputError

SHARED = Path(__file__).parents[2] / ".." / "shared"
EPDMS, NAVSIM = SHARED / "epdms", SHARED / "navsim" / "data"

pytestmark = pytest.mark.skipif(
    not EPDMS.is_dir(), reason="the EPDMS cases (../shared/epdms) are not on this machine"
)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    if isinstance(done.exception, InputError):
        return 3, str(done.exception)
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of the recorded scenes in a file of their own."""
    data = json.loads(gzip.decompress((EPDMS / "public" / "scenes.json.gz").read_bytes()))
    data["scenes"] = data["scenes"][:4]
    path = tmp_path_factory.mktemp("few") / "scenes.json"
    path.write_text(json.dumps(data))
    return path


def read(path: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(path.read_text())
    return results


def test_the_commands_results_are_those_of_the_original(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    code, text = run("score", str(EPDMS / "public"), "--out", str(out))
    assert code == 0 and "79 scenes" in text
    command = [sys.executable, str(EPDMS / "compare.py"), str(EPDMS / "public"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert " wrong 0 " in done.stdout and done.stdout.rstrip().endswith("missing 0"), done.stdout


def test_two_processes_give_the_same_results(few: Path, tmp_path: Path) -> None:
    alone, shared = tmp_path / "a.json", tmp_path / "b.json"
    assert run("score", str(few), "--out", str(alone))[0] == 0
    assert run("score", str(few), "--out", str(shared), "--jobs", "2")[0] == 0
    assert read(alone) == read(shared)


@pytest.mark.slow
def test_two_ray_workers_give_the_same_results(few: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'irl-vla[ray]'")
    alone, spread = tmp_path / "a.json", tmp_path / "b.json"
    assert run("score", str(few), "--out", str(alone))[0] == 0
    words = ("score", str(few), "--out", str(spread), "--ray", "local", "--jobs", "2")
    assert run(*words)[0] == 0
    assert read(alone) == read(spread)


def test_an_interrupted_run_goes_on_and_ignores_a_torn_line(few: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.json", tmp_path / "results.json"
    run("score", str(few), "--out", str(whole))
    from irl_vla.cli.score import score_settings
    from irl_vla.scoring.batch import read_tasks, run_task
    from irl_vla.scoring.journal import Journal

    journal = Journal(out.with_name("results.json.journal"), score_settings(None))
    first = next(iter(read_tasks([few], None)))
    journal.add(run_task(first, None))
    with journal.path.open("a") as file:
        file.write('{"id": "p0001", "key": "torn')
    code, text = run("score", str(few), "--out", str(out))
    assert code == 0 and "1 scenes are already in" in text
    assert read(out) == read(whole) and not journal.path.exists()


def test_a_failing_scene_is_named_in_no_mean_and_takes_nothing_with_it(
    few: Path, tmp_path: Path
) -> None:
    data = read(few)
    data["scenes"][1]["candidates"][0]["trajectory"][3][0] = float("nan")
    broken, out = tmp_path / "broken.json", tmp_path / "results.json"
    broken.write_text(json.dumps(data))
    code, text = run("score", str(broken), "--out", str(out))
    assert code == 4 and "1 of 4 scenes failed" in text and "scene 1" in text
    assert set(read(out)) == {data["scenes"][k]["id"] for k in (0, 2, 3)}


def test_proposals_for_all_scenes_are_scored_as_columns(few: Path, tmp_path: Path) -> None:
    plans = np.zeros((3, 8, 3))
    plans[1:, :, 0] = np.linspace(1.0, 20.0, 8)
    np.savez(tmp_path / "plans.npz", trajectories=plans)
    (tmp_path / "plans.json").write_text(json.dumps(plans.tolist()))
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    for name, out in zip(("plans.npz", "plans.json"), outs, strict=True):
        words = ("score", str(few), "--proposals", str(tmp_path / name), "--out", str(out))
        assert run(*words)[0] == 0
    assert read(outs[0]) == read(outs[1])
    columns = next(iter(read(outs[0]).values()))["proposals"]
    assert len(columns["epdms"]) == 3 and columns["epdms"][1] == columns["epdms"][2]
    np.savez(tmp_path / "plans.npz", trajectories=plans[:, :5])
    code, text = run("score", str(few), "--proposals", str(tmp_path / "plans.npz"))
    assert code == 3 and "(P, 8, 3)" in text


def test_two_stages_are_summed_with_a_mapping(few: Path, tmp_path: Path) -> None:
    data = read(few)
    ids = [scene["id"] for scene in data["scenes"]]
    for index, scene in enumerate(data["scenes"]):
        scene["time"]["t0_us"] = 10_000_000 - 500_000 * (index % 2)
    scenes, mapping = tmp_path / "pairs.json", tmp_path / "mapping.json"
    scenes.write_text(json.dumps(data))
    pairs = {"now": ids[0], "previous": ids[1], "second_stage": [[ids[2], ids[3]]]}
    mapping.write_text(json.dumps({"mappings": [pairs]}))
    out = tmp_path / "results.json"
    code, text = run("score", str(scenes), "--two-stage", str(mapping), "--out", str(out))
    assert code == 0 and "1 of 1 groups" in text
    sums = read(tmp_path / "results.two_stage.json")
    now, follow = sums["scenes"][ids[0]], sums["scenes"][ids[2]]
    before, after = sums["scenes"][ids[1]], sums["scenes"][ids[3]]
    expected = (now["ttc"] * follow["ttc"] + before["ttc"] * after["ttc"]) / 2  # one follow-up each
    assert sums["overall"]["combined"]["ttc"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\x1f\x8b\x08 torn", "scenes.json.gz"), (None, "neither a scene file")],
)
def test_what_is_no_scene_file_is_a_sentence(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "scenes.json.gz").write_bytes(content)
    code, text = run("score", str(tmp_path), "--out", str(tmp_path / "results.json"))
    assert code == 3 and words in text
    assert run("score")[0] == 3


def test_explain_draws_the_worst_candidate_and_suggests_names(few: Path, tmp_path: Path) -> None:
    for _ in range(2):
        code, text = run("explain", str(few), "--out", str(tmp_path))
        assert code == 0 and "EPDMS" in text
    pictures = list(tmp_path.glob("*.png"))
    assert len(pictures) == 1 and pictures[0].stat().st_size > 10_000
    assert "Did you mean" in run("explain", str(few), "--scene", "p000x", "--out", str(tmp_path))[1]
    code, text = run("explain", str(few), "--candidate", "c99", "--out", str(tmp_path))
    assert code == 3 and "no candidate 'c99'" in text
    assert run("show", str(few), "--out", str(tmp_path))[0] == 0


@pytest.mark.parametrize("place", ["scene", "candidate"])
def test_a_picture_named_by_a_scene_stays_in_its_folder(
    few: Path, tmp_path: Path, place: str
) -> None:
    data, out = read(few), tmp_path / "a" / "out"
    scene = data["scenes"][0]
    (scene if place == "scene" else scene["candidates"][0])["id"] = "x/../../../escaped"
    file = tmp_path / "scenes.json"
    file.write_text(json.dumps(data))
    chosen = ["--candidate", scene["candidates"][0]["id"]]
    code, text = run("explain", str(file), *chosen, "--out", str(out))
    assert code == 0, text
    assert [path.parent for path in tmp_path.rglob("*.png")] == [out]


@pytest.mark.skipif(not NAVSIM.is_dir(), reason="../shared/navsim is not on this machine")
def test_a_navsim_scene_is_drawn_by_its_token(tmp_path: Path) -> None:
    scores = json.loads(gzip.decompress((NAVSIM / "expected" / "scores.json.gz").read_bytes()))
    token = next(iter(scores.get("scores", scores)))
    code, _ = run("show", token, "--navsim", str(NAVSIM), "--out", str(tmp_path))
    assert code == 0 and (tmp_path / f"{token}.png").is_file()
    assert run("show", "nonsense", "--navsim", str(NAVSIM))[0] == 3
