"""The eyes to be looked at: of a bundle, as the car runs them, or of a run's last checkpoint.

In: folder of either   Out: SceneTokens of a batch of one, with and without memory
May import: torch, irl_vla, irl_vla_training's ground floor, samples, perception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.engine.bundle import load_bundle
from irl_vla.engine.networks import run_module
from irl_vla.engine.onnx_runner import OnnxRunner
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.perception.networks import Perception
from irl_vla.perception.preset import Preset
from irl_vla.perception.tokens import bev_io, camera_io, memory_inputs, scene_tokens, to_slots
from irl_vla.types import InputError, SceneTokens
from irl_vla_training.checkpoint import load_checkpoint
from irl_vla_training.perception.eyes import Eyes
from irl_vla_training.perception.trainer import load_eyes
from irl_vla_training.run import RunFolder
from irl_vla_training.samples.batch import Batch, ViewBatch

Arrays = Mapping[str, NDArray[Any]]
RunGraph = Callable[[str, Arrays], Arrays]


@dataclass(frozen=True)
class LookedAt:
    """What was seen of one scene. without: the same with the memory masked."""

    tokens: SceneTokens
    without: SceneTokens


@dataclass(frozen=True)
class EyesModel:
    """run: graph and its inputs -> outputs; name: for people; trained_steps: of a run, or None"""

    name: str
    preset: Preset
    classes: SceneClasses
    run: RunGraph
    trained_steps: int | None = None

    @staticmethod
    def of_bundle(folder: Path) -> EyesModel:
        """In ONNX Runtime. Raises InputError, also for classes other than this version's."""
        bundle = load_bundle(folder)
        network = bundle.network
        words = network.vocabulary
        if (words.agents, words.map, words.seg) != (CLASSES.agents, CLASSES.map, CLASSES.seg):
            raise InputError(f"bundle {folder}: its classes are not those that truth is told in")
        runner = OnnxRunner(bundle, 1, ("camera", "bev"))
        return EyesModel(bundle.manifest.name, network.preset, CLASSES, runner.run)

    @staticmethod
    def of_run(folder: Path) -> EyesModel:
        """Of its newest checkpoint. Raises InputError."""
        eyes, step = eyes_of_run(folder)
        return EyesModel(folder.name, eyes.preset, CLASSES, _torch_graphs(eyes), step)

    def look(self, batch: Batch) -> LookedAt:
        """A batch of one sample."""
        now = self._features(batch.views)
        memory, blind = None, memory_inputs(self.preset, None)
        if bool(batch.memory.valid[0, 0]):
            then = self._features(batch.memory.views)
            seen = self._understand(batch.memory.views, then, blind, batch)
            memory = {
                "memory_bev": seen["bev"],
                "ego_now_from_memory": batch.memory.ego_now_from_memory[0].numpy(),
                "memory_age_s": batch.memory.age_s[0].numpy(), "memory_valid": np.ones(1, np.bool_),
            }  # fmt: skip
        without = scene_tokens(self._understand(batch.views, now, blind, batch), 0, 0, None)
        if memory is None:
            return LookedAt(without, without)
        tokens = scene_tokens(self._understand(batch.views, now, memory, batch), 0, 0, None)
        return LookedAt(tokens, without)

    def _features(self, views: ViewBatch) -> NDArray[np.float32]:
        """(8, C, h, w)."""
        spec, there = self.preset.image, views.present[0].numpy()
        images = views.images[0].numpy()[there[: views.images.shape[1]]].astype(np.float32)
        mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (spec.mean, spec.std))
        found = self.run("camera", {"images": (images - mean) / std})["features"]
        return to_slots(found, there)

    def _understand(
        self, views: ViewBatch, features: NDArray[np.float32], memory: Arrays, batch: Batch
    ) -> Arrays:
        assert len(features) == MAX_CAMERAS
        return self.run("bev", {
            "features": features, "sampling_grid": views.sampling_grid[0].numpy(),
            "visible": views.visible[0].numpy(), "present": views.present[0].numpy(),
            **memory, "ego_vector": batch.ego_vector[0].numpy(),
        })  # fmt: skip


def eyes_of_run(folder: Path) -> tuple[Eyes, int]:
    """Networks with the weights of a run's newest checkpoint, and after how many steps."""
    run = RunFolder(folder)
    if run.newest is None:
        raise InputError(f"{folder}: no run with a checkpoint. Train with `irl-vla-train perceive`")
    checkpoint = load_checkpoint(run.newest)
    eyes = Eyes(run.preset, run.recipe.seed)
    load_eyes(eyes, checkpoint, str(run.newest))
    return eyes.eval(), checkpoint.step


def _torch_graphs(eyes: Eyes) -> RunGraph:
    camera, bev = Perception(eyes.preset, eyes.camera, eyes.bev).graphs()
    graphs = {"camera": (camera, camera_io(eyes.preset)), "bev": (bev, bev_io(eyes.preset))}

    def run(graph: str, inputs: Arrays) -> Arrays:
        module, io = graphs[graph]
        ordered = {spec.name: inputs[spec.name] for spec in io.inputs}
        return run_module(module, ordered, tuple(spec.name for spec in io.outputs))

    return run
