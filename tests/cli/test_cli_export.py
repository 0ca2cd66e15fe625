"""`irl-vla export` and `irl-vla bench` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from irl_vla.cli.bench import bench
from irl_vla.cli.export import export
from irl_vla.engine.bundle import Bundle, load_bundle
from irl_vla.engine.policy_bundle import write_rule_bundle
from irl_vla.planner.rule import RuleConfig
from irl_vla.types import InputError

app = typer.Typer()
app.command()(export)
app.command()(bench)


def call(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_the_same_preset_and_seed_give_the_same_bundle(nano: Bundle, tmp_path: Path) -> None:
    told = call("export", "--preset", "nano", "--seed", 0, "--out", tmp_path / "again")
    assert load_bundle(tmp_path / "again").id == nano.id
    assert nano.id[:16] in told.replace("\n", "") and "untrained" in told


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of base, nano, paper, tiny"):
        call("export", "--preset", "huge", "--out", tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_bench_ends_with_one_json_object_whose_shares_add_up(nano: Bundle) -> None:
    told = call("bench", nano.root, "--cameras", 3, "--threads", 1, "--repetitions", 3)
    line = json.loads(told.splitlines()[-1])
    assert (line["bundle"], line["cameras"], line["threads"]) == (nano.id, 3, 1)
    shares = [graph["share"] for graph in line["graphs"].values()]
    assert len(shares) == 3 and sum(shares) == pytest.approx(1.0)
    assert all(0 < row["p50"] <= row["p90"] <= row["p99"] for row in line["graphs"].values())


def test_bench_of_a_rule_bundle_says_that_there_is_nothing_to_measure(tmp_path: Path) -> None:
    write_rule_bundle(tmp_path / "rule", RuleConfig())
    with pytest.raises(InputError, match="kind 'rule' has no networks"):
        call("bench", tmp_path / "rule")
