"""Whatever goes on from what is there goes on only with what it was begun with."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from lab_seeds import ENVIRONMENT

from irl_vla.perception.preset import Preset
from irl_vla.resources import resource
from irl_vla.terminal.console import Console
from irl_vla.types import InputError
from irl_vla_training import run as runs
from irl_vla_training.checkpoint import load_checkpoint, write_whole
from irl_vla_training.evaluate.scenes import SceneSource
from irl_vla_training.origin import content_hash
from irl_vla_training.recipe import Recipe, load_recipe
from irl_vla_training.run import ORIGIN, Consent, RunFolder
from irl_vla_training.samples import prepare as preparation
from irl_vla_training.samples.prepare import CONTENT, made_by, prepare
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.sample_set import SampleSet
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.shards import SampleStore, ShardNote
from irl_vla_training.samples.sources import ShardSource, bag_source, scenario_source

TINY3 = resource("calibration/rigs/tiny3.yaml")


def other_software(monkeypatch: pytest.MonkeyPatch, module: object, **changed: str) -> None:
    now = module.lab_software()  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "lab_software", lambda: {**now, **changed})


@pytest.mark.parametrize("name", ["irl-vla", "the lab's code", "numpy", "opencv"])
def test_a_run_does_not_go_on_with_other_code_or_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recipe = Recipe(name="a", preset="nano")
    RunFolder.begin(tmp_path / "run", recipe, "s")
    other_software(monkeypatch, runs, **{name: "another"})
    with pytest.raises(InputError, match=f"begun with other settings: {name} was .*, is another"):
        RunFolder.begin(tmp_path / "run", recipe, "s")


def test_a_run_does_not_go_on_with_another_count_of_processes(tmp_path: Path) -> None:
    recipe = Recipe(name="a", preset="nano")
    RunFolder.begin(tmp_path / "run", recipe, "s", processes=2)
    with pytest.raises(InputError, match=r"processes was 2, is 1\..*--accept-changes"):
        RunFolder.begin(tmp_path / "run", recipe, "s")


def test_a_change_that_is_meant_is_recorded_and_only_once(tmp_path: Path) -> None:
    recipe, consent = Recipe(name="a", preset="nano"), Consent(samples=True, settings=True)
    RunFolder.begin(tmp_path / "run", recipe, "s", processes=2)
    for _ in range(2):
        RunFolder.begin(tmp_path / "run", recipe, "t", consent)
    RunFolder.begin(tmp_path / "run", recipe, "t")
    kept = json.loads((tmp_path / "run" / ORIGIN).read_text())
    assert (kept["data"], kept["settings"]["processes"]) == ("t", "1")
    assert [(e["data"], e["settings"]["processes"]) for e in kept["earlier"]] == [("s", "2")]
    with pytest.raises(InputError, match="another recipe"):
        RunFolder.begin(tmp_path / "run", Recipe(name="b", preset="nano"), "t", consent)


def test_a_preset_that_changed_behind_its_name_is_seen(tmp_path: Path) -> None:
    """Sizes stay the same, so weights would fit; what the network is shown does not."""
    path = tmp_path / "mine.yaml"
    shutil.copy(resource("models/presets") / "nano.yaml", path)
    recipe = Recipe(name="a", preset=str(path))
    run = RunFolder.begin(tmp_path / "run", recipe, "s")
    assert run.preset.name
    settings = yaml.safe_load(path.read_text())
    settings["image"]["horizon"] = settings["image"].get("horizon", 0.5) - 0.01
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError, match=r"preset's content was .*, is "):
        RunFolder.begin(tmp_path / "run", recipe, "s")
    with pytest.raises(InputError, match="has changed since this run was begun"):
        _ = run.preset


def test_a_run_of_an_earlier_version_goes_on_only_when_that_is_meant(tmp_path: Path) -> None:
    recipe = Recipe(name="a", preset="nano")
    RunFolder.begin(tmp_path / "run", recipe, "s")
    (tmp_path / "run" / ORIGIN).write_text('{"data": "s", "code": "x", "torch": "2"}')
    with pytest.raises(InputError, match="processes was not there, is 1"):
        RunFolder.begin(tmp_path / "run", recipe, "s")
    RunFolder.begin(tmp_path / "run", recipe, "s", Consent(settings=True))
    RunFolder.begin(tmp_path / "run", recipe, "s")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"settings": 5, "data": 3}', "[" * 100000])
def test_a_damaged_origin_is_a_sentence(tmp_path: Path, text: str) -> None:
    recipe = Recipe(name="a", preset="nano")
    RunFolder.begin(tmp_path / "run", recipe, "s")
    (tmp_path / "run" / ORIGIN).write_text(text)
    with pytest.raises(InputError):
        RunFolder.begin(tmp_path / "run", recipe, "s")


def add(store: SampleStore, source: ShardSource, samples: list[Sample]) -> None:
    for unit in source.units:
        store.add(unit, samples[:1], made_by(source, unit))


def begun(folder: Path, settings: SampleSettings) -> SampleStore:
    store = SampleStore.at(str(folder / "set"))
    store.begin(settings)
    return store


@pytest.mark.parametrize("kind", [scenario_source, bag_source])
def test_another_file_of_the_same_name_is_not_taken_for_done(
    kind: Callable[[tuple[Path, ...]], ShardSource], tmp_path: Path, settings: SampleSettings,
    samples: list[Sample],
) -> None:  # fmt: skip
    paths = [tmp_path / folder / "drive.pkl" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    store = begun(tmp_path, settings)
    add(store, kind((paths[0],)), samples)
    quiet = Console(stderr=True)
    assert prepare(f"{tmp_path}/set", settings, kind((paths[0],)), 1, None, quiet) == 1
    for accept in (False, True):
        with pytest.raises(InputError, match=f"drive(_pkl)?.tar: .*{CONTENT} was .*, is "):
            prepare(f"{tmp_path}/set", settings, kind((paths[1],)), 1, None, quiet, accept)


def test_shards_of_other_code_stand_beside_only_when_that_is_meant(
    tmp_path: Path, settings: SampleSettings, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "drive.pkl"
    path.write_text("x")
    source, quiet = scenario_source((path,)), Console(stderr=True)
    add(begun(tmp_path, settings), source, samples)
    other_software(monkeypatch, preparation, numpy="another")
    with pytest.raises(InputError, match=r"numpy was .*, is another.*--accept-changes"):
        prepare(f"{tmp_path}/set", settings, source, 1, None, quiet)
    assert prepare(f"{tmp_path}/set", settings, source, 1, None, quiet, True) == 1


def test_scenes_of_another_rig_seed_or_step_are_not_taken_for_the_same(tmp_path: Path) -> None:
    """Their shards have the same names: places of seeds."""
    rig = yaml.safe_load(TINY3.read_text())
    rig["cameras"][0]["size"] = [2 * side for side in rig["cameras"][0]["size"]]
    other = tmp_path / "tiny3.yaml"
    other.write_text(yaml.safe_dump(rig))
    sources = [
        SceneSource((1, 2), str(TINY3)), SceneSource((1, 3), str(TINY3)),
        SceneSource((1, 2), str(other)), SceneSource((1, 2), str(TINY3), {1: (20,), 2: (20,)}),
        SceneSource((1, 2), str(TINY3), {1: (20,), 2: (30,)}),
    ]  # fmt: skip
    assert len({source.units[0] for source in sources}) == 1
    assert len({source.content(source.units[0]) for source in sources}) == len(sources)


def test_an_evaluation_looks_at_the_shards_it_names_and_at_no_others(
    prepared: Path, preset: Preset
) -> None:
    every = SampleSet.open(str(prepared))
    one = SampleSet.open(str(prepared), only=[every.notes[1].name])
    assert len(every.notes) > 1 and [note.name for note in one.notes] == [every.notes[1].name]


def test_a_hash_of_content_knows_names_files_and_nothing_else(tmp_path: Path) -> None:
    for name, files in {"a": {"x": "1", "y": "2"}, "b": {"x": "1", "y": "2"}, "c": {"x": "12"},
                        "d": {"x": "2", "y": "1"}}.items():  # fmt: skip
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    hashes = [content_hash(tmp_path / name) for name in "abcd"]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3
    with pytest.raises(InputError, match="cannot be read: No such file"):
        content_hash(tmp_path / "nothing")


DEEP = "[" * 100_000
CHECKPOINTS = [
    "", DEEP, '{"format": "irl-vla-checkpoint/1"}', '{"format": 1}',
    '{"format": "irl-vla-checkpoint/1", "sha256": "", "step": "x", "state": {}}',
    '{"format": "irl-vla-checkpoint/1", "sha256": "", "step": 1e300, "state": {}}',
    '{"format": "irl-vla-checkpoint/1", "sha256": "", "step": 1, "state": []}',
    '{"a": 1' + "0" * 6000 + "}",
]  # fmt: skip


@pytest.mark.parametrize("text", CHECKPOINTS)
def test_a_checkpoint_of_nonsense_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "step-00000001.json"
    path.write_text(text)
    path.with_suffix(".safetensors").write_bytes(b"x")
    with pytest.raises(InputError):
        load_checkpoint(path)


@pytest.mark.parametrize("line", ["[1]", '{"step": "x"}', DEEP, "\xff{"])
def test_a_log_of_nonsense_is_a_sentence(tmp_path: Path, line: str) -> None:
    (tmp_path / "log.jsonl").write_text(f'{line}\n{{"step": 2}}\n', encoding="latin-1")
    with pytest.raises(InputError, match=r"log.jsonl: line 1"):
        RunFolder(tmp_path).forget_after(1)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "../../up"), ("name", "/etc/passwd"), ("name", "a\0b"), ("keys", ["a", "a"])],
)
def test_a_note_names_its_own_file_and_each_sample_once(
    tmp_path: Path, settings: SampleSettings, samples: list[Sample], field: str, value: object
) -> None:
    store = begun(tmp_path, settings)
    store.add("s", samples[:1])
    path = tmp_path / "set" / "s.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(InputError, match=rf"s.json: {field}: "):
        store.notes()


def packed(*members: tuple[str, bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_what_a_killed_writer_left_is_gone_with_the_next_run(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from irl_vla.drafts import DraftFolder; from pathlib import Path\n"
        "folder = DraftFolder(Path(sys.argv[1])); (folder.path / 'half').write_bytes(b'x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, env=ENVIRONMENT)
    assert [path.name[:12] for path in tmp_path.iterdir()] == [".unfinished-"]
    write_whole(tmp_path / "step-1.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["step-1.json"]


SHARDS = {
    "no tar": b"abc", "cut": packed(("k.json", b"{}" * 600, tarfile.REGTYPE))[:700],
    "link": packed(("k.json", b"", tarfile.SYMTYPE)),
    "other sample": packed(("q.json", b"{}", tarfile.REGTYPE)),
    "deep": packed(("k.json", DEEP.encode(), tarfile.REGTYPE)),
    "no arrays": packed(("k.json", b"{}", tarfile.REGTYPE)),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHARDS)
def test_a_shard_of_nonsense_with_an_honest_hash_is_a_sentence(
    tmp_path: Path, settings: SampleSettings, kind: str
) -> None:
    begun(tmp_path, settings)
    data = SHARDS[kind]
    note = ShardNote(name="s", sha256=sha256(data).hexdigest(), size=len(data), keys=("k",))
    (tmp_path / "set" / "s.tar").write_bytes(data)
    (tmp_path / "set" / "s.json").write_text(json.dumps(asdict(note)))
    found = SampleSet.open(str(tmp_path / "set"))
    with pytest.raises(InputError):
        list(found.read(found.in_order()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 99999999999999999999", "seed: 0 to"),
        ("perceive: {steps: 1000000000000}", "perceive.steps: 1 to"),
        ("perceive: {losses: {seg: .nan}}", "losses.seg: a weight"),
        ("perceive: {losses: {seg: .inf}}", "losses.seg: a weight"),
        ("perceive: {optimiser: {betas: [2, 3]}}", "optimiser.betas"),
        ("perceive: {optimiser: {clip_norm: .nan}}", "must be positive"),
        ("perceive: {optimiser: {warm_up: -5}}", "optimiser.warm_up"),
    ],
)
def test_numbers_of_a_recipe_are_bounded(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"name: a\npreset: nano\n{text}\n")
    with pytest.raises(InputError, match=words):
        load_recipe(str(path))
