"""Recipes, run folders and checkpoints: refused where wrong, and nothing is lost by a kill."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lab_seeds import ENVIRONMENT
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from irl_vla.types import InputError
from irl_vla_training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from irl_vla_training.events import EventFile
from irl_vla_training.recipe import RECIPES, Recipe, load_recipe
from irl_vla_training.run import RunFolder
from irl_vla_training.samples.command import prepare_command

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(7)}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_one(path: Path) -> None:
    assert load_recipe(path.stem).name == path.stem


def test_an_unknown_setting_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\npreset: nano\nperceive: {stepz: 3}\n")
    with pytest.raises(InputError, match=r"mine.yaml: .*'.*stepz'.*Did you mean 'steps'"):
        load_recipe(str(path))
    with pytest.raises(InputError, match="Did you mean 'tiny'"):
        load_recipe("tinny")


def test_a_value_out_of_range_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\npreset: nano\nperceive: {augment: {mirror: 1.5}}\n")
    with pytest.raises(InputError, match=r"augment.mirror: a share between 0 and 1, got 1.5"):
        load_recipe(str(path))


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = Checkpoint(12, TENSORS, {"rate": 0.5, "names": ["a"]})
    found = load_checkpoint(save_checkpoint(tmp_path, saved))
    assert found.step == 12 and found.state == saved.state
    assert all(torch.equal(found.tensors[name], value) for name, value in TENSORS.items())


def test_a_checkpoint_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    """Killed between the tensors and the JSON, the older one is the newest."""
    whole = save_checkpoint(tmp_path, Checkpoint(1, TENSORS, {}))
    (tmp_path / "step-00000002.safetensors").write_bytes(b"half")
    assert newest_checkpoint(tmp_path) == whole


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in range(5):
        save_checkpoint(tmp_path, Checkpoint(step, TENSORS, {}), keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000003.json", "step-00000003.safetensors", "step-00000004.json",
        "step-00000004.safetensors",
    ]  # fmt: skip


def test_damaged_tensors_are_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, Checkpoint(1, TENSORS, {}))
    tensors = path.with_suffix(".safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-3] + b"xyz")
    with pytest.raises(InputError, match="another SHA-256"):
        load_checkpoint(path)


def test_a_run_goes_on_only_with_its_own_recipe_and_samples(tmp_path: Path) -> None:
    recipe = Recipe(name="a", preset="nano")
    folder = RunFolder.begin(tmp_path / "run", recipe, "samples1")
    assert folder.recipe == recipe
    assert RunFolder.begin(tmp_path / "run", recipe, "samples1") == folder
    with pytest.raises(InputError, match="another recipe"):
        RunFolder.begin(tmp_path / "run", Recipe(name="b", preset="nano"), "samples1")
    with pytest.raises(InputError, match="other samples"):
        RunFolder.begin(tmp_path / "run", recipe, "samples2")


def test_a_log_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    folder = RunFolder.begin(tmp_path, Recipe(name="a", preset="nano"), "s")
    for step in (1, 2, 3):
        folder.log({"step": step, "loss": 1.0 / step})
    path = tmp_path / "log.jsonl"
    path.write_text(path.read_text()[:-7])
    assert [entry["step"] for entry in folder.entries()] == [1, 2]
    folder.forget_after(1)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1]


def test_tensorboard_shows_what_is_logged_and_not_what_a_kill_undid(tmp_path: Path) -> None:
    first = EventFile(tmp_path)
    for step in (1, 2, 3):
        first.add({"step": step, "loss": 10.0 * step, "losses": {"seg": 1.0}, "name": "bf16"})
    first.close()
    again = EventFile(tmp_path, after=1)
    again.add({"step": 2, "loss": 25.0})
    again.close()
    shown = EventAccumulator(str(tmp_path))
    shown.Reload()
    assert [(e.step, e.value) for e in shown.Scalars("loss")] == [(1, 10.0), (2, 25.0)]
    assert "losses/seg" in shown.Tags()["scalars"]


COMMAND = [sys.executable, "-m", "irl_vla_training.app"]
FAULTS: list[tuple[dict[str, str], str]] = [
    ({"source": "mars"}, "source 'mars': expected one of"),
    ({"seeds": "5"}, "seeds '5': expected A:B"),
    ({}, "give either a split or seeds"),
    ({"seeds": "0:2", "preset": "tini"}, "preset: expected one of"),
    ({"seeds": "0:2", "preset": "nano", "out": "none://x/y"}, "fsspec cannot open"),
    ({"split": "world-hard"}, "groups of scenes"),
    ({"source": "bag", "seeds": "0:2"}, "--seeds: does nothing with source 'bag'"),
    ({"source": "scenarionet", "split": "world-dev"}, "--split: does nothing with source"),
]


@pytest.mark.parametrize(("given", "words"), FAULTS)
def test_what_cannot_be_prepared_is_a_sentence(
    given: dict[str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        prepare_command(**{"out": str(tmp_path / "out"), **given})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists(), "nothing is left of it"


def test_bad_input_ends_with_one_sentence_and_exit_code_3(tmp_path: Path) -> None:
    line = [*COMMAND, "prepare", "--out", str(tmp_path / "out"), "--seeds", "5"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 3
    assert done.stderr.startswith("error: seeds '5'") and done.stderr.count("\n") == 1


def test_help_names_the_commands_without_torch() -> None:
    code = "import sys, irl_vla_training.app; sys.exit('torch' in sys.modules)"
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, check=False, env=ENVIRONMENT).returncode == 0
    line = [*COMMAND, "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert "prepare" in done.stdout
