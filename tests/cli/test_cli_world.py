"""`irl-vla world scenes` and `world table`: resumable, the same bytes however many processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from irl_vla.cli.app import app
from irl_vla.scoring.scene_io import read_scenes
from irl_vla.types import InputError
from irl_vla.world.benchmark.scene_files import file_name, file_of_seed


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["world", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    run("scenes", "--seeds", "20:23", "--out", str(folder))
    return folder


def test_a_seed_is_a_file_of_ten_scenes(written: Path) -> None:
    assert sorted(p.name for p in written.iterdir()) == [file_name(s) for s in (20, 21, 22)]
    scenes = read_scenes(written / file_name(20))
    assert len(scenes) == 10 and len({scene.id for scene in scenes}) == 10


def test_two_processes_write_the_same_bytes_as_one(written: Path, tmp_path: Path) -> None:
    run("scenes", "--seeds", "20:23", "--out", str(tmp_path), "--jobs", "2")
    for seed in (20, 21, 22):
        assert (tmp_path / file_name(seed)).read_bytes() == (written / file_name(seed)).read_bytes()


def test_a_stopped_run_goes_on_and_keeps_what_is_there(written: Path, tmp_path: Path) -> None:
    kept = (written / file_name(21)).read_bytes()
    (tmp_path / file_name(21)).write_bytes(kept)
    assert "kept      1 files" in run("scenes", "--seeds", "21:23", "--out", str(tmp_path))
    assert (tmp_path / file_name(22)).read_bytes() == (written / file_name(22)).read_bytes()


def test_the_bytes_depend_on_the_seed_alone(written: Path) -> None:
    assert file_of_seed(22, groups=False) == (written / file_name(22)).read_bytes()


def test_a_table_has_every_driver_with_an_interval(tmp_path: Path) -> None:
    run("table", "--seeds", "20:22", "--out", str(tmp_path))
    data = json.loads((tmp_path / "table.json").read_text())
    assert set(data["drivers_unfiltered"]) == {
        "expert", "pdm_closed", "constant_velocity", "standing_still", "rule",
    }  # fmt: skip
    expert = data["drivers_unfiltered"]["expert"]["epdms"]
    assert expert["ci95"][0] <= expert["mean"] <= expert["ci95"][1]
    assert data["scenes"] == 20 and set(data["dropped"]) >= {"either"}
    assert "| expert |" in (tmp_path / "table.md").read_text()
    assert not list(tmp_path.glob("*.journal"))


def test_groups_are_written_with_their_mapping_and_scored(tmp_path: Path) -> None:
    monkey = pytest.MonkeyPatch()
    from irl_vla.world.benchmark import splits

    monkey.setitem(splits.SPLITS, "world-hard", splits.SeedSplit("world-hard", range(5, 6), True))
    try:
        run("scenes", "--split", "world-hard", "--out", str(tmp_path))
        run("table", "--split", "world-hard", "--out", str(tmp_path / "table"))
    finally:
        monkey.undo()
    table = json.loads((tmp_path / "table/table.json").read_text())
    assert table["scenes"] == 1
    worth = {
        name: sub_scores["epdms"]["mean"]
        for name, sub_scores in table["drivers_unfiltered"].items()
    }
    assert worth["expert"] > worth["standing_still"]
    out = tmp_path / "results.json"
    result = CliRunner().invoke(
        app,
        ["score", str(tmp_path / file_name(5)), "--two-stage", str(tmp_path / "groups.json"),
         "--out", str(out)], catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    done = json.loads((tmp_path / "results.two_stage.json").read_text())
    assert done["left_out"] == {} and 0.0 < done["overall"]["combined"]["score"] <= 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "world-vall"], "Did you mean 'world-val'"),
        (["--seeds", "9:3"], "A < B"),
        (["--split", "world-train"], "has no fixed size"),
        ([], "either"),
    ],
)
def test_what_is_no_split_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        CliRunner().invoke(
            app, ["world", "scenes", "--out", str(tmp_path), *arguments],
            catch_exceptions=False, standalone_mode=False,
        )  # fmt: skip


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Choose another --out"):
        CliRunner().invoke(
            app, ["world", "scenes", "--out", str(tmp_path / "file"), "--seeds", "1:2"],
            catch_exceptions=False, standalone_mode=False,
        )  # fmt: skip


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
sys.argv = ["irl-vla", "world", "scenes", "--seeds", "1:2", "--out", sys.argv[1]]
from irl_vla.cli.app import main
main()
"""


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    file_of_seed(1, groups=False)  # compiled code must be on the disk before it is full
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []
