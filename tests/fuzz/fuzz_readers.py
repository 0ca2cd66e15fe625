"""Every reader of foreign files, with a small sound file of each to begin from."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[1] / "scoring"))
sys.path.append(str(Path(__file__).parents[1] / "cli"))
sys.path.append(str(Path(__file__).parents[1] / "world"))
sys.path.append(str(Path(__file__).parents[1]))
from cli_bags import street as recording
from cli_bags import write as write_recording
from scoring_cases import plan, street
from test_world_commonroad import drawn as commonroad_text

from irl_vla.bag.source import open_source
from irl_vla.camera.camera import Camera
from irl_vla.camera.rig import load_rig
from irl_vla.cli.score_two_stage import read_mapping
from irl_vla.config import load_yaml
from irl_vla.engine.bundle import load_bundle
from irl_vla.engine.onnx_check import check_onnx
from irl_vla.engine.onnx_runner import onnx_session
from irl_vla.messages.topics import Topics
from irl_vla.navsim.filters import load_split
from irl_vla.navsim.logs import Log
from irl_vla.perception.preset import load_preset
from irl_vla.resources import resource
from irl_vla.scoring.batch import load_proposals
from irl_vla.scoring.epdms import score_case
from irl_vla.scoring.journal import Journal, SceneOutcome
from irl_vla.scoring.scene import NamedPlan
from irl_vla.scoring.scene_io import read_scenes, write_scenes
from irl_vla.types import EgoStatus
from irl_vla.unpickle import load_pickle
from irl_vla.world.recorded.commonroad import load_commonroad
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from irl_vla_training.recipe import RECIPES, Recipe, load_recipe
from irl_vla_training.run import Consent, RunFolder
from irl_vla_training.samples.decoded import Window, decoded
from irl_vla_training.samples.sample import Picture, Pictures, Sample
from irl_vla_training.samples.sample_set import SampleSet
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.shards import SampleStore

HERE = Path(__file__).parent
NANO2 = HERE.parent / "engine" / "bundles" / "nano2"
SHARED = HERE.parents[1] / ".." / "shared"


@dataclass(frozen=True)
class FuzzedReader:
    """make: writes a sound file into a folder and returns what is read; read: reads it, all of it;
    spoil: which file of it is changed (default: the thing itself)"""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    after: Callable[[Path], None] = lambda _: None
    victim: str = ""


def _scenes(folder: Path) -> Path:
    plans = (NamedPlan("a", "x", plan(10.0)),)
    path = folder / "scenes.json"
    write_scenes(path, [replace(street(), candidates=plans, previous=None)])
    return path


def _score(path: Path) -> None:
    for scene in read_scenes(path):
        score_case(scene)


def _proposals(folder: Path) -> Path:
    path = folder / "plans.npz"
    np.savez_compressed(path, trajectories=plan(10.0)[None])
    return path


def _plain_proposals(folder: Path) -> Path:
    path = folder / "plans.json"
    path.write_text(json.dumps({"street": [plan(10.0).tolist()]}))
    return path


def _journal(folder: Path) -> Path:
    path = folder / "x.journal"
    journal = Journal(path, {"rig": "a"})
    for name in "abc":
        journal.add(SceneOutcome(name, name, {"epdms": 0.5}))
    return path


def _copy(source: Path, name: str = "") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        target = folder / (name or source.name)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
        return target

    return make


def _text(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return make


def _pickle(folder: Path) -> Path:
    frame = {"token": "a", "boxes": np.arange(14.0).reshape(2, 7), "names": ("x", "y"), "n": None}
    path = folder / "log.pkl"
    path.write_bytes(pickle.dumps([frame] * 3))
    return path


def _recording(folder: Path) -> Path:
    return write_recording(folder / "bag", recording(anchors=2))


def _all_events(path: Path) -> None:
    with open_source(path) as source:
        source.info()
        for _ in source.events():
            pass
        source.rig()


def _onnx(path: Path) -> None:
    content = path.read_bytes()
    check_onnx(content, f"{path}")
    onnx_session(content, 1, f"{path}")


def _hashed_again(root: Path) -> None:
    """Honest hashes around what was spoilt: the attacker can count, too."""
    manifest = root / "manifest.json"
    try:
        data = json.loads(manifest.read_bytes())
        for name in data["files"]:
            content = (root / name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            data["files"][name] = {"bytes": len(content), "sha256": digest}
        manifest.write_text(json.dumps(data))
    except (OSError, ValueError, KeyError, TypeError):
        return


def _bundle(path: Path) -> None:
    bundle = load_bundle(path)
    if bundle.manifest.network is not None:
        for graph in bundle.network.graphs:
            bundle.golden(graph, "fp32")


def _checkpoint(folder: Path) -> Path:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3)}
    return save_checkpoint(folder, Checkpoint(3, tensors, {"stage": "perceive"}))


def _run(folder: Path) -> Path:
    run = RunFolder.begin(folder / "run", Recipe(name="a", preset="nano"), "data")
    for step in (1, 2, 3):
        run.log({"step": step, "loss": 1.0})
    return run.path


def _all_of_run(path: Path) -> None:
    run = RunFolder(path)
    run.forget_after(2)
    RunFolder.begin(path, run.recipe, "data", Consent(samples=True, settings=True))
    _ = run.preset


def _sample_set(folder: Path) -> Path:
    pixels = cv2.imencode(".jpg", np.zeros((36, 72, 3), np.uint8))[1].tobytes()
    matrix = np.array([[60.0, 0.0, 36.0], [0.0, 60.0, 18.0], [0.0, 0.0, 1.0]])
    camera = Camera("front", 72, 36, "plumb_bob", matrix, np.zeros(0), FORWARD)
    ego = EgoStatus(1, np.zeros(2), np.zeros(2), 0.0, True, "odometry", 0)
    pictures = Pictures((Picture(camera, pixels),), None)
    sample = Sample("a-1", "bag", pictures, None, ego, None, pixels=(None,))
    store = SampleStore.at(str(folder / "set"))
    store.begin(SampleSettings.of(load_preset("nano")))
    store.add("bag-a", [sample], {"opencv": "5"})
    return folder / "set"


def _rehashed_set(folder: Path) -> None:
    note, data = folder / "bag-a.json", (folder / "bag-a.tar").read_bytes()
    try:
        content = json.loads(note.read_bytes())
        content |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        note.write_text(json.dumps(content))
    except (ValueError, TypeError):
        return


def _all_samples(path: Path) -> None:
    found = SampleSet.open(str(path))
    for sample in found.read(found.in_order()):
        for picture in sample.pictures.all:
            decoded(picture, None, Window(), (64, 32))


def _split(path: Path) -> object:
    return load_split(path.parent, path.stem)


def _frames(path: Path) -> None:
    log = Log(path)
    for index in range(min(len(log), 3)):
        log.frame(index)


RIG = resource("calibration/rigs/tiny3.yaml")
PRESET = resource("models/presets") / "nano.yaml"
TOPICS = "cameras: {front: {image: /a/image, camera_info: /a/info}}\nodometry: /odom\ntf: [/tf]\n"
SPLIT = "data_split: test\nscene_filter:\n  num_history_frames: 4\n  tokens: ['a', 'b']\n"
FORWARD = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.5], [0.0, 0.0, 0.0, 1.0]]
)
MAPPING = json.dumps({
    "candidate": "a",
    "mappings": [{"now": "n", "previous": "p", "second_stage": [["x", "y"], ["z", "w"]]}],
})  # fmt: skip
TWO_STAGE = SPLIT + "reactive_all_mapping:\n- ['a', 'b', [['c', 'd'], ['e', 'f']]]\n"

READERS = {
    "scenes": FuzzedReader(_scenes, _score),
    "proposals npz": FuzzedReader(_proposals, load_proposals),
    "proposals json": FuzzedReader(_plain_proposals, load_proposals),
    "journal": FuzzedReader(_journal, lambda path: Journal(path, {"rig": "a"})),
    "rig": FuzzedReader(_copy(RIG), load_rig),
    "topics": FuzzedReader(_text("topics.yaml", TOPICS), lambda path: load_yaml(path, Topics)),
    "two-stage mapping": FuzzedReader(_text("m.json", MAPPING), read_mapping),
    "two-stage split": FuzzedReader(_text("mini.yaml", TWO_STAGE), _split),
    "recipe": FuzzedReader(_copy(RECIPES / "tiny.yaml"), lambda path: load_recipe(str(path))),
    "checkpoint": FuzzedReader(_checkpoint, load_checkpoint),
    "run's origin": FuzzedReader(_run, _all_of_run, victim="origin.json"),
    "run's log": FuzzedReader(_run, _all_of_run, victim="log.jsonl"),
    "run's recipe": FuzzedReader(_run, _all_of_run, victim="recipe.yaml"),
    "sample settings": FuzzedReader(_sample_set, _all_samples, victim="samples.json"),
    "shard note": FuzzedReader(_sample_set, _all_samples, victim="bag-a.json"),
    "shard": FuzzedReader(_sample_set, _all_samples, _rehashed_set, "bag-a.tar"),
    "split": FuzzedReader(_text("mini.yaml", SPLIT), _split),
    "preset": FuzzedReader(_copy(PRESET), lambda path: load_preset(str(path))),
    "pickle": FuzzedReader(_pickle, lambda path: load_pickle(path, "log", stubs=True)),
    "commonroad": FuzzedReader(_text("x.xml", commonroad_text()), load_commonroad),
    "bag": FuzzedReader(_recording, _all_events, victim="*.mcap"),
    "bag metadata": FuzzedReader(_recording, _all_events, victim="metadata.yaml"),
    "graph": FuzzedReader(_copy(NANO2 / "planner.fp32.onnx"), _onnx),
    "bundle manifest": FuzzedReader(_copy(NANO2), _bundle, victim="manifest.json"),
    "bundle graph": FuzzedReader(_copy(NANO2), _bundle, _hashed_again, "planner.fp32.onnx"),
    "bundle golden": FuzzedReader(_copy(NANO2), _bundle, _hashed_again, "*.golden.npz"),
    "rule bundle": FuzzedReader(
        _copy(resource("models/rule")), _bundle, _hashed_again, "rule.yaml"
    ),
}
for name, pattern, read in (
    ("navsim log", "navsim/data/navsim_logs/*/*.pkl", _frames),
    ("scenario", "scenarios/scenarionet/nuscenes_2_1.pkl", load_scenario),
):
    for found in sorted(SHARED.glob(pattern))[:1]:
        READERS[name] = FuzzedReader(_copy(found, "x.pkl"), read)
