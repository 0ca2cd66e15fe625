"""Names are data: no name changes what is computed, where files lie, or what a terminal obeys."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_bags import command
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "scoring"))
from scoring_cases import street

from irl_vla.cli import world as world_command
from irl_vla.engine.bundle import load_bundle
from irl_vla.engine.policy_bundle import write_policy_bundle
from irl_vla.evaluation.drive_suite import EXPERT, Suite
from irl_vla.evaluation.plan_makers import makers
from irl_vla.planner.rule import RuleConfig
from irl_vla.resources import resource
from irl_vla.scoring.scene import NamedPlan
from irl_vla.scoring.scene_io import write_scenes
from irl_vla.terminal.console import Console, shown
from irl_vla.types import InputError

ROLES = tuple(makers())
HOSTILE = (
    "[/x]",
    "[red]x",
    "\x1b[2J\x1b]0;owned\x07",
    "a\u202egnp",
    ":boom:",
    "$\\frac{1$",
    "x\x9b31m",
)
OUTWARD = ("../../up", "/abs", "a/../../up", ".hidden", "c" * 400)


def named_bundle(folder: Path, name: str) -> Path:
    return write_policy_bundle(folder, "rule", RuleConfig(), name).root


@pytest.mark.parametrize("name", [*ROLES, "Expert", "pdm closed", " expert"])
def test_a_bundle_is_never_one_of_the_roles_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A bundle called "expert" must not be judged as the expert, nor filter the table's scenes."""
    seen: dict[str, Any] = {}

    def row(seed: int, groups: bool, drivers: Mapping[str, Any]) -> dict[str, Any]:
        seen.update(drivers)
        raise InputError("far enough")

    monkeypatch.setattr(world_command, "row_of_seed", row)
    bundle = named_bundle(tmp_path / "b", name)
    words = (
        "world",
        "table",
        "--seeds",
        "1:2",
        "--bundle",
        str(bundle),
        "--out",
        str(tmp_path / "o"),
    )
    assert command(*words).code == 3
    assert {role: seen[role] for role in ROLES} == dict(makers())
    assert set(seen) == {*ROLES, f"{name} (bundle)"}


def test_a_bundle_called_expert_drives_the_suite_as_itself(tmp_path: Path) -> None:
    bundle = named_bundle(tmp_path / "b", "Expert")
    rig = resource("calibration/rigs/tiny3.yaml")
    suite = Suite.planned(bundle, rig, "plain", ["cut_in"], "0:1", expert=True)
    assert suite.drivers == ("Expert (bundle)", EXPERT)
    policy, expert = (suite.key(unit) for unit in suite.units())
    assert policy.startswith("policy:") and expert.startswith("expert:")
    assert suite.settings()["bundle"] == load_bundle(bundle).id


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "x" * 101])
def test_a_bundle_s_name_is_short_and_can_be_read(tmp_path: Path, name: str) -> None:
    bundle = named_bundle(tmp_path / "b", "good")
    manifest = bundle / "manifest.json"
    data = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps(data | {"name": name}))
    with pytest.raises(InputError, match="name: expected 1 to 100 printable characters"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_console_shows_names_and_obeys_none(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console()
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    console.print(name, soft_wrap=True)
    console.print(table)
    said = capsys.readouterr().out
    assert shown(name) in said
    assert not any(
        (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e" for c in said
    )


def scenes_file(folder: Path, scene_id: str, plan_id: str = "p") -> Path:
    scene = street()
    plan = NamedPlan(plan_id, "x", np.column_stack([np.arange(1.0, 9.0), np.zeros((8, 2))]))
    path = folder / "scenes.json"
    write_scenes(path, [replace(scene, id=scene_id, candidates=(plan,), previous=None)])
    return path


@pytest.mark.parametrize("name", [*OUTWARD, *HOSTILE])
def test_ids_never_choose_where_a_picture_lies(tmp_path: Path, name: str) -> None:
    out = tmp_path / "in" / "deep" / "out"
    (tmp_path / "in").mkdir()
    path = scenes_file(tmp_path / "in", name, name)
    ran = command("explain", str(path), "--out", str(out))
    assert ran.code == 0, ran.stderr
    assert "\x1b[2J" not in ran.stdout and "Traceback" not in ran.stderr
    (picture,) = out.iterdir()
    assert picture.suffix == ".png" and not picture.name.startswith(".")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == sorted(
        ["scenes.json", picture.name]
    )


@pytest.mark.parametrize("name", ["proposals", "[/x]", "trajectories", "*", "\x1b[2J"])
def test_a_candidate_may_be_called_anything_and_is_scored(tmp_path: Path, name: str) -> None:
    path, out = scenes_file(tmp_path, "s", name), tmp_path / "results.json"
    ran = command("score", str(path), "--out", str(out))
    assert ran.code == 0, ran.stderr
    other = scenes_file(tmp_path, "s", "plain")
    again = tmp_path / "again.json"
    assert command("score", str(other), "--out", str(again)).code == 0
    first, second = (json.loads(p.read_text())["s"] for p in (out, again))
    assert first[name] == second["plain"]
