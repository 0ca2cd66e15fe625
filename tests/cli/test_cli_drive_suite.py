"""`irl-vla drive --suite`: tables of named situations, gone on with, and never short of a drive."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import cv2
import pytest
from typer.testing import CliRunner

from irl_vla.cli import drive_suite
from irl_vla.cli.app import app
from irl_vla.cli.drive_suite_table import summed, wilson
from irl_vla.types import InputError
from irl_vla.world.situations.situation import NAMES, Situation, situation

ROOT = Path(__file__).parents[2]
RULE = str(ROOT / "models" / "rule")
SMALL = ("--situation", "cut_in", "--seeds", "0:2")
TABLES = ["suite.html", "suite.json", "suite.md"]


def suite(*arguments: str | Path, code: int = 0) -> str:
    """What is printed; raises what the command raises."""
    words = ["drive", "--suite", "--bundle", RULE, *map(str, arguments)]
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished suite with the expert, and what was printed."""
    folder = tmp_path_factory.mktemp("suite") / "out"
    return folder, suite(*SMALL, "--with-expert", "--out", folder)


def test_a_suite_prints_and_writes_a_table_per_driver(whole: tuple[Path, str]) -> None:
    folder, said = whole
    assert files(folder) == TABLES
    assert "rule, situations/1, seeds 0:2" in said and "expert, situations/1" in said
    lines = (folder / "suite.md").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| cut_in")]
    assert [row[1] for row in rows] == ["2", "2"]
    assert rows[0][2:4] == ["0", "0-66"]  # who keeps its speed runs into whoever cuts in
    assert rows[1][2:4] == ["100", "34-100"]


def test_the_numbers_of_every_drive_are_kept(whole: tuple[Path, str]) -> None:
    numbers = json.loads((whole[0] / "suite.json").read_text())
    assert [(d["driver"], d["seed"]) for d in numbers["drives"]] == [
        ("rule", 0), ("rule", 1), ("expert", 0), ("expert", 1),
    ]  # fmt: skip
    blind, sees = numbers["drives"][0], numbers["drives"][2]
    assert blind["ending"] == "collision" and "collisions_vehicle" in blind["infractions"]
    assert sees["success"] and not sees["infractions"]
    assert sees["happened"][0][0] == "cut-in"
    for drive in numbers["drives"]:
        assert 0.0 < drive["efficiency"] < 200.0, "[%] of the traffic's speed"
        assert 0.0 <= drive["route_completion"] <= 100.0
    assert numbers["drivers"]["rule"]["cut_in"] == summed(numbers["drives"][:2])


def test_processes_do_not_change_a_byte(whole: tuple[Path, str], tmp_path: Path) -> None:
    suite(*SMALL, "--with-expert", "--jobs", "2", "--out", tmp_path)
    for name in TABLES:
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes()


def test_a_stopped_suite_goes_on_where_it_was(
    whole: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def pressed_at_once(between: bool = True) -> Iterator[Event]:
        pressed = Event()
        pressed.set()
        yield pressed

    with monkeypatch.context() as patch:
        patch.setattr(drive_suite, "interruptible", pressed_at_once)
        said = suite(*SMALL, "--with-expert", "--out", tmp_path, code=130)
    assert "1 of 4 drives are done" in said and files(tmp_path) == ["suite.journal"]
    said = suite(*SMALL, "--with-expert", "--out", tmp_path)
    assert "kept      1 drives" in said and files(tmp_path) == TABLES
    assert (tmp_path / "suite.json").read_bytes() == (whole[0] / "suite.json").read_bytes()


def test_a_drive_that_is_not_possible_counts_as_failed_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sometimes(name: str, seed: int) -> Situation:
        if seed == 1:
            raise InputError("no place for it")
        return situation(name, seed)

    monkeypatch.setattr("irl_vla.evaluation.drive_suite.situation", sometimes)
    said = suite(*SMALL, "--out", tmp_path, code=4)
    assert "not driven  rule, cut_in, seed 1: no place for it" in said
    numbers = json.loads((tmp_path / "suite.json").read_text())
    assert numbers["drivers"]["rule"]["cut_in"]["drives"] == 2
    assert numbers["drives"][1]["error"] == "no place for it"
    assert "1 not driven" in said or "not driven" in (tmp_path / "suite.md").read_text()
    assert "suite.journal" in files(tmp_path)  # only what failed is tried again


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--situation", "tea_time"], "expected one of lead_brakes, red_light"),
        (["--seeds", "5:3"], "expected A < B"),
        (["--seeds", "all"], "expected A:B"),
        (["--seed", "3"], "--seed: does nothing with --suite"),
        (["--route-length", "50"], "--route-length: does nothing with --suite"),
        (["--bag", "bag"], "--bag: does nothing with --suite"),
        (["--rig", "nowhere.yaml"], "nowhere.yaml"),
        (["--bundle", "nowhere"], "bundle nowhere"),
    ],
)
def test_a_suite_that_cannot_be_is_refused_in_a_sentence(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        suite(*arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file_is_refused_before_anything_is_driven(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Choose another --out"):
        suite(*SMALL, "--out", tmp_path / "file")


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["irl-vla", *sys.argv[2:]]
from irl_vla.cli.app import main
main()
"""


def on_a_full_disk(free: int, *arguments: str | Path) -> str:
    """What is said where no file may be larger than `free` bytes."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(free), *map(str, arguments)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_full_disk_keeps_a_suite_that_can_go_on(whole: tuple[Path, str], tmp_path: Path) -> None:
    words = ("drive", "--suite", "--bundle", RULE, *SMALL, "--with-expert", "--out", tmp_path)
    said = on_a_full_disk(1000, *words)
    assert "suite.journal: cannot be written" in said and "Make room" in said
    assert files(tmp_path) == ["suite.journal"]
    suite(*SMALL, "--with-expert", "--out", tmp_path)
    assert (tmp_path / "suite.json").read_bytes() == (whole[0] / "suite.json").read_bytes()


def test_a_full_disk_leaves_neither_half_a_bag_nor_half_a_drive(tmp_path: Path) -> None:
    drive = ("drive", "--bundle", RULE, "--situation", "cut_in", "--seed", "0", "--route-length",
             "10", "--out", tmp_path / "out", "--bag", tmp_path / "bag")  # fmt: skip
    CliRunner().invoke(app, [str(word) for word in drive])  # compiles all: its cache has room
    for made in ("out", "bag"):
        shutil.rmtree(tmp_path / made)
    said = on_a_full_disk(100_000, *drive)
    assert "bag: cannot be written" in said
    assert files(tmp_path) == ["out"] and files(tmp_path / "out") == []


def test_wilsons_interval_is_that_of_his_paper() -> None:
    low, high = wilson(0, 50)
    assert low == 0.0 and high == pytest.approx(3.8415 / (50 + 3.8415), abs=1e-4)
    assert wilson(25, 50)[0] == pytest.approx(1.0 - wilson(25, 50)[1])


def test_a_situation_can_be_looked_at(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["show", "situation:cut_in:0", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert files(tmp_path) == ["situation.webp"]
    assert cv2.imread(str(tmp_path / "situation.webp")).std() > 10
    for source in ("situation:cut_in", "situation:tea_time:1", "situation:cut_in:-1"):
        result = CliRunner().invoke(app, ["show", source, "--out", str(tmp_path)])
        assert isinstance(result.exception, InputError)


@pytest.mark.slow
def test_the_blind_rule_fails_most_seeds_of_every_situation(tmp_path: Path) -> None:
    suite("--seeds", "0:50", "--jobs", "2", "--out", tmp_path)
    found = json.loads((tmp_path / "suite.json").read_text())["drivers"]["rule"]
    assert tuple(found) == NAMES
    assert {name for name, row in found.items() if row["success_rate"] > 0.3} == set()


def test_the_page_has_every_table_and_says_what_it_is(whole: tuple[Path, str]) -> None:
    page = (whole[0] / "suite.html").read_text()
    assert "<title>Situations: " in page and "· driving suite · IRL-VLA</title>" in page
    assert page.count("<table>") == 2 and "<h2>expert</h2>" in page and "cut_in" in page
    assert "http" not in page.replace("http://www.w3.org", "")
