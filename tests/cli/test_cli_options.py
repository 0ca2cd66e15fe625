"""An option does something or is refused, and every command's help says what to type."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_bags import RULE, command

sys.path.append(str(Path(__file__).parents[1] / "scoring"))
from scoring_cases import plan, street
from test_cli_help import commands

from irl_vla.cli.drive_film import too_short, verdict_of
from irl_vla.evaluation.drive_run import LEAST_POLICY_S
from irl_vla.scoring.scene import NamedPlan, Scene
from irl_vla.scoring.scene_io import scene_to
from irl_vla.terminal.lazy import CommandEntry, loaded

ENTRIES = {words: e for words, e in commands().items() if isinstance(e, CommandEntry)}


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("world", "table", "--seeds", "0:1", "--rig", "x.yaml"), "--rig"),
        (("drive", "--bundle", "RULE", "--seed", "1", "--jobs", "2"), "--jobs"),
        (("drive", "--bundle", "RULE", "--seed", "1", "--seeds", "0:1"), "--seeds"),
        (("drive", "--bundle", "RULE", "--seed", "1", "--with-expert"), "--with-expert"),
        (("drive", "--bundle", "RULE", "--suite", "--seed", "1"), "--seed"),
        (("score", "x.json", "--split", "navtest"), "--split"),
        (("score", "x.json", "--agent", "human"), "--agent"),
        (("score", "--navsim", "x", "--proposals", "p.npz"), "--proposals"),
        (("explain", "x.json", "--candidate", "a", "--trajectory", "p.npz"), "--candidate"),
        (("replay", "bag", "--bundle", "RULE", "--follow-tolerance", "1"), "--follow-tolerance"),
        (("replay", "bag", "--bundle", "RULE", "--tolerance", "1"), "--tolerance"),
        (("replay", "bag", "--bundle", "RULE", "--follow", "x", "--seed", "1"), "--seed"),
        (("show", "world:1", "--anchor", "front"), "--anchor"),
        (("show", "situation:red_light:0", "--odometry", "/odom"), "--odometry"),
        (("show", "world:1", "--rig", "rig.yaml"), "--rig"),
        (("show", "scenes.json", "--camera-delay-ms", "3"), "--camera-delay-ms"),
        (("show", "bag", "--scene", "x"), "--scene"),
        (("show", "bag", "--animate"), "--animate"),
        (("show", "0123456789abcdef", "--navsim", "data", "--topics", "t.yaml"), "--topics"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    tmp_path: Path, words: tuple[str, ...], option: str
) -> None:
    given = [str(RULE) if word == "RULE" else word for word in words]
    ran = command(*given, "--out", str(tmp_path / "out"))
    assert ran.code == 3 and f"{option}: does nothing" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_empty_seeds_are_no_seeds(tmp_path: Path) -> None:
    for words in (("drive", "--bundle", str(RULE), "--suite"), ("world", "table")):
        ran = command(*words, "--seeds", "", "--out", str(tmp_path / "out"))
        assert ran.code == 3 and "seeds '': expected A:B" in ran.stderr


@pytest.mark.parametrize("words", ENTRIES, ids=" ".join)
def test_help_has_examples_that_can_be_typed_and_the_exit_codes(words: tuple[str, ...]) -> None:
    entry, ran = ENTRIES[words], command(*words, "-h")
    assert ran.code == 0 and ran.stdout == command(*words, "--help").stdout
    said = " ".join(ran.stdout.split())
    assert "Exit codes: 0 done; 2 wrong usage" in said and entry.examples
    known = {name for option in loaded("irl-vla", words[-1], entry).params for name in option.opts}
    for example in entry.examples:
        assert f"irl-vla {example}" in said
        parts = shlex.split(example)
        assert tuple(parts[: len(words)]) == words
        assert {part for part in parts if part.startswith("--")} <= known, example


def test_one_thing_has_one_name_over_all_commands() -> None:
    names = {
        name for words, entry in ENTRIES.items()
        for option in loaded("irl-vla", words[-1], entry).params
        for name in option.opts if name.startswith("--")
    }  # fmt: skip
    for several in (("--route-length", "--metres"), ("--jobs", "--workers", "--processes"),
                    ("--out", "--output"), ("--seconds", "--duration")):  # fmt: skip
        assert len(names & set(several)) == 1, several


def write(path: Path, *scenes: Scene) -> Path:
    listed = [scene_to(scene) for scene in scenes]
    path.write_text(json.dumps({"format": listed[0]["format"], "scenes": listed}))
    return path


def with_plans(*ids: str) -> Scene:
    plans = tuple(NamedPlan(name, "x", plan(10.0)) for name in ids)
    return replace(street(), candidates=plans, previous=None)


def test_two_plans_of_one_name_are_refused_and_not_one_of_them_lost(tmp_path: Path) -> None:
    ran = command("score", str(write(tmp_path / "s.json", with_plans("a", "a"))), "--out",
                  str(tmp_path / "r.json"))  # fmt: skip
    assert ran.code == 4 and "candidates: id 'a' is there more than once" in ran.stdout
    twice = tmp_path / "p.json"
    poses = json.dumps([plan(10.0).tolist()])
    twice.write_text(f'{{"street": {poses}, "street": {poses}}}')
    scenes = str(write(tmp_path / "s.json", with_plans("a")))
    ran = command("score", scenes, "--proposals", str(twice), "--out", str(tmp_path / "r.json"))
    assert ran.code == 3 and "'street' is given twice" in ran.stderr


@pytest.mark.parametrize("far", [1e300, 1e9, 2e5])
def test_a_polygon_beyond_any_map_takes_the_scene_out_and_no_other(
    tmp_path: Path, far: float
) -> None:
    data = [scene_to(replace(with_plans("a"), id=name)) for name in ("good", "bad")]
    data[1]["map"]["polygons"][0]["polygon"][0][0] = -far
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"format": data[0]["format"], "scenes": data}))
    ran = command("score", str(path), "--out", str(tmp_path / "r.json"))
    assert ran.code == 4 and "polygons" in ran.stdout and "at most" in ran.stdout
    assert set(json.loads((tmp_path / "r.json").read_text())) == {"good"}


@pytest.mark.parametrize("far", [1e300, -1e7, np.inf])
def test_plans_beyond_any_road_are_a_sentence(tmp_path: Path, far: float) -> None:
    poses = plan(10.0)
    poses[3, 0] = far
    np.savez(tmp_path / "p.npz", trajectories=poses[None])
    scenes = str(write(tmp_path / "s.json", with_plans("a")))
    ran = command("score", scenes, "--proposals", str(tmp_path / "p.npz"), "--out",
                  str(tmp_path / "r.json"))  # fmt: skip
    assert ran.code == 4 and "plan 0, pose 3: expected finite numbers" in " ".join(
        ran.stdout.split()
    )


def test_a_drive_in_which_the_expert_drove_most_is_no_success() -> None:
    summary = {"judged": False, "policy_seconds": 1.9}
    verdict = verdict_of(summary)
    assert verdict.level == "unknown" and verdict.sentence == too_short(summary)
    assert f"at least {LEAST_POLICY_S:g} s" in verdict.sentence and "1.9 s" in verdict.sentence


def test_a_short_route_is_not_judged_and_says_how_much_the_policy_drove(tmp_path: Path) -> None:
    ran = command("drive", "--bundle", str(RULE), "--seed", "37", "--route-length", "5",
                  "--out", str(tmp_path))  # fmt: skip
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert ran.code == 0 and "not judged" in ran.stdout
    assert summary["policy_seconds"] < LEAST_POLICY_S
    assert not summary["judged"] and not summary["success"]
