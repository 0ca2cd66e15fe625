"""A command that goes on where it stopped goes on with the same inputs, or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from cli_bags import RULE, command

from irl_vla.camera.rig import load_rig
from irl_vla.cli import drive_suite, world
from irl_vla.engine.policy_bundle import write_rule_bundle
from irl_vla.planner.rule import RuleConfig
from irl_vla.resources import resource, software
from irl_vla.world.benchmark.scene_files import file_name
from irl_vla.world.benchmark.splits import VERSION

RIG = resource("calibration/rigs/tiny3.yaml")


@contextmanager
def pressed_at_once(between: bool = True) -> Iterator[Event]:
    pressed = Event()
    pressed.set()
    yield pressed


def rig_file(folder: Path, change: tuple[str, str] = ("", "")) -> Path:
    """The same name in every folder, with other content."""
    folder.mkdir()
    path = folder / "rig.yaml"
    text = RIG.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    return path


def test_a_rig_of_the_same_name_with_other_cameras_does_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"drivers": {}, "stands": [], "easy": [], "broken": []}
    monkeypatch.setattr(world, "row_of_seed", lambda *_: row)
    monkeypatch.setattr(world, "interruptible", pressed_at_once)
    size = str(load_rig(RIG).cameras[0].width)
    rigs = rig_file(tmp_path / "ra"), rig_file(tmp_path / "rb", (size, str(int(size) + 2)))
    words = (
        "world",
        "table",
        "--seeds",
        "0:3",
        "--bundle",
        str(RULE),
        "--out",
        str(tmp_path / "o"),
    )
    assert command(*words, "--rig", str(rigs[0])).code == 130
    refused = command(*words, "--rig", str(rigs[1]))
    assert (
        refused.code == 3 and "rig was " in refused.stderr and "cannot be mixed" in refused.stderr
    )
    renamed = rig_file(tmp_path / "rc")
    assert "kept      1" in command(*words, "--rig", str(renamed)).stdout


@pytest.mark.parametrize("changed", ["bundle", "rig", "quality", "irl-vla"])
def test_a_suite_goes_on_only_with_the_same_drives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    row: dict[str, Any] = {}
    monkeypatch.setattr(drive_suite, "interruptible", pressed_at_once)
    monkeypatch.setattr("irl_vla.evaluation.drive_suite.row_of", lambda *_: row)
    monkeypatch.setattr("irl_vla.evaluation.drive_suite.policy_drive", lambda *_: None)
    base = {"--bundle": str(RULE), "--rig": str(rig_file(tmp_path / "ra"))}
    words = ("drive", "--suite", "--situation", "cut_in", "--seeds", "0:2",
             "--out", str(tmp_path / "o"))  # fmt: skip

    def run(given: dict[str, str], *more: str) -> Any:
        return command(*words, *(word for pair in given.items() for word in pair), *more)

    assert run(base).code == 130
    other, more = dict(base), []
    if changed == "bundle":
        other["--bundle"] = str(write_rule_bundle(tmp_path / "b", RuleConfig(lookahead_s=2.0)).root)
    if changed == "rig":
        other["--rig"] = str(tmp_path / "rb" / "rig.yaml")
        text = rig_file(tmp_path / "rb").read_text()
        (tmp_path / "rb" / "rig.yaml").write_text(text + "\nvehicle: {width: 1.9}\n")
    if changed == "quality":
        more = ["--full"]
    if changed == "irl-vla":
        newer = software() | {"irl-vla": "9.9"}
        monkeypatch.setattr("irl_vla.evaluation.drive_suite.software", lambda: newer)
    refused = run(other, *more)
    assert refused.code == 3 and f"{changed} was " in refused.stderr


def seed_file(seed: int, groups: bool = False, version: str = VERSION) -> bytes:
    about: dict[str, Any] = {"version": version, "seed": seed} | ({"group": {}} if groups else {})
    return gzip.compress(json.dumps({"world": about, "scenes": []}).encode())


@pytest.mark.parametrize("content", [b"", b"junk", seed_file(0)[:-9], gzip.compress(b"{}")])
def test_an_empty_or_damaged_file_of_the_right_name_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(world, "file_of_seed", seed_file)
    (tmp_path / file_name(0)).write_bytes(content)
    ran = command("world", "scenes", "--seeds", "0:2", "--out", str(tmp_path))
    assert ran.code == 0 and "kept" not in ran.stdout
    assert (tmp_path / file_name(0)).read_bytes() == seed_file(0)
    assert (
        "kept      2" in command("world", "scenes", "--seeds", "0:2", "--out", str(tmp_path)).stdout
    )


@pytest.mark.parametrize(
    "content", [seed_file(1), seed_file(0, groups=True), seed_file(0, version="world-splits/0")]
)
def test_a_sound_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / file_name(0)).write_bytes(content)
    ran = command("world", "scenes", "--seeds", "0:2", "--out", str(tmp_path))
    assert (
        ran.code == 3 and file_name(0) in ran.stderr and "expected scenes of seed 0" in ran.stderr
    )
    assert (tmp_path / file_name(0)).read_bytes() == content


def test_the_rig_s_content_counts_and_not_its_name() -> None:
    rig = load_rig(RIG)
    assert rig.content_hash == load_rig(RIG).content_hash
