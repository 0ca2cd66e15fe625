"""`irl-vla drive` and `world bag`: a recorded drive replays to the same plans."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from irl_vla.bag.source import open_source
from irl_vla.cli.app import app, main
from irl_vla.types import InputError
from irl_vla.view.drive_page import PAGE_FRAMES
from irl_vla.world.simulated_sensors import START_NS

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / ".." / "shared" / "scenarios" / "scenarionet"
RULE = str(ROOT / "models" / "rule")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    run(
        "drive", "--bundle", RULE, "--seed", "4", "--route-length", "25", "--bag",
        str(folder / "bag"), "--out", str(folder / "out"),
    )  # fmt: skip
    return folder


def test_a_drive_writes_animation_page_and_numbers(driven: Path) -> None:
    out = driven / "out"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["route_m"] == 25.0 and 0.0 < summary["route_completion"] <= 100.0
    assert (out / "drive.webp").read_bytes()[8:12] == b"WEBP"
    page = (out / "report.html").read_text()
    assert "How it went" in page
    assert 'src="http' not in page and "<link" not in page and "<script src" not in page
    pictures = sum(map(len, re.findall(r"data:image/webp;base64,([^\"]+)", page)))
    assert pictures / page.count('class="frame"') * PAGE_FRAMES < 5e6
    assert sorted(path.name for path in out.iterdir()) == [
        "drive.webp", "plans.jsonl", "plans.mcap", "report.html", "summary.json",
    ]  # fmt: skip


def test_the_replay_of_a_recorded_drive_gives_the_same_plans(driven: Path, tmp_path: Path) -> None:
    run("replay", str(driven / "bag"), "--bundle", RULE, "--seed", "4", "--out", str(tmp_path))
    assert (tmp_path / "plans.jsonl").read_bytes() == (driven / "out/plans.jsonl").read_bytes()


def test_a_world_bag_begins_like_the_drive_of_the_same_seed(driven: Path, tmp_path: Path) -> None:
    run("world", "bag", str(tmp_path / "bag"), "--seed", "4", "--seconds", "1.5")
    with open_source(tmp_path / "bag") as world, open_source(driven / "bag") as drive:
        ours = [event for event in world.events() if event.stamp_ns < START_NS + 1_400_000_000]
        theirs = [event for event in drive.events() if event.stamp_ns < START_NS + 1_400_000_000]
    assert len(ours) == len(theirs) > 60
    for a, b in zip(ours, theirs, strict=True):
        assert type(a) is type(b) and a.stamp_ns == b.stamp_ns
        assert getattr(a, "encoded", None) == getattr(b, "encoded", None)


def test_a_world_bag_holds_the_truth_beside_the_pictures(tmp_path: Path) -> None:
    run("world", "bag", str(tmp_path / "town.mcap"), "--seed", "7", "--seconds", "0.5")
    with open_source(tmp_path / "town.mcap") as bag:
        assert set(bag.info().cameras) == {"front_left", "front", "front_right"}
        boxes = bag.boxes_at(START_NS + 200_000_000)
    assert boxes is not None and len(boxes) > 3


@pytest.mark.skipif(not SCENARIOS.exists(), reason="no recorded scenarios at ../shared")
def test_a_recorded_scenario_becomes_a_bag_and_can_be_driven(tmp_path: Path) -> None:
    file = sorted(SCENARIOS.glob("*.pkl"))[0]
    run("world", "bag", str(tmp_path / "bag"), "--scenario", str(file), "--seconds", "0.3")
    with open_source(tmp_path / "bag") as bag:
        assert len(list(bag.events())) > 9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "1", "--scenario", "x.pkl"], "either"),
        ([], "either"),
        (["--seed", "-1"], "expected 0 to"),
        (["--seed", "1", "--route-length", "0"], "1 to 5000 metres"),
        (["--scenario", "missing.pkl"], "missing.pkl"),
    ],
)
def test_a_drive_that_cannot_be_is_refused_in_a_sentence(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    monkeypatch.setattr(
        "sys.argv", ["irl-vla", "drive", "--bundle", RULE, "--out", str(out), *arguments]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (2, 3)
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_a_bag_is_not_overwritten(driven: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        CliRunner().invoke(
            app, ["world", "bag", str(driven / "bag"), "--seed", "1", "--seconds", "0.3"],
            catch_exceptions=False, standalone_mode=False,
        )  # fmt: skip
