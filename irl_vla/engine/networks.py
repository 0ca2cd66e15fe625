"""All networks of one preset, as they are trained, saved and exported."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as read_safetensors
from safetensors.torch import save as write_safetensors
from torch import Tensor, nn

from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.perception.example import example_bev, example_camera
from irl_vla.perception.networks import Perception, build
from irl_vla.perception.preset import Preset
from irl_vla.perception.tokens import FIRST_TOKENS, SCENE_TOKENS
from irl_vla.planner.denoiser import Denoiser
from irl_vla.planner.example import example_planner
from irl_vla.planner.sampler import PlannerGraph, build_planner
from irl_vla.types import InputError

CLOSED = "bev.segmentation.closed."  # weights that networks of SceneTokens/1 do not have


@dataclass(frozen=True)
class Networks:
    """Perception and planner of one preset. classes: that perception tells apart."""

    preset: Preset
    perception: Perception
    planner: Denoiser
    classes: SceneClasses = CLASSES

    def graphs(self) -> dict[str, nn.Module]:
        """Copies of the three graphs by name, in evaluation mode; the networks stay as they are,
        also while they are trained."""
        camera, bev = self.perception.graphs()
        steps = self.preset.planner.denoise_steps
        planner = PlannerGraph(deepcopy(self.planner), steps).eval()
        return {"camera": camera, "bev": bev, "planner": planner}

    def parts(self) -> dict[str, nn.Module]:
        """What carries weights, by the prefix of their names."""
        return {
            "camera": self.perception.camera, "bev": self.perception.bev, "planner": self.planner
        }  # fmt: skip

    def weights(self) -> dict[str, Tensor]:
        """Every weight and statistic by name, such as `planner.anchors`."""
        return {
            f"{prefix}.{name}": value.contiguous()
            for prefix, part in self.parts().items()
            for name, value in part.state_dict().items()
        }


def build_networks(preset: Preset, seed: int, classes: SceneClasses = CLASSES) -> Networks:
    """Seeded initial weights, untrained."""
    return Networks(preset, build(preset, seed, classes), build_planner(preset, seed), classes)


def weights_to_bytes(networks: Networks) -> bytes:
    """safetensors, with the entries sorted by name."""
    return write_safetensors(dict(sorted(networks.weights().items())))


def networks_from_bytes(
    preset: Preset, content: bytes, where: str, classes: SceneClasses = CLASSES,
    tokens: str = SCENE_TOKENS,
) -> Networks:  # fmt: skip
    """Networks of `preset` with weights from safetensors. Raises InputError where they differ.

    tokens: the version of SceneTokens that they make
    """
    try:
        weights = read_safetensors(content)
    except SafetensorError as error:
        raise InputError(f"{where}: no safetensors file: {error}") from None
    anchors = np.zeros((preset.planner.anchors, 8, 2), np.float32)  # replaced by the loaded ones
    planner = build_planner(preset, 0, anchors)
    networks = Networks(preset, build(preset, 0, classes), planner, classes)
    expected = networks.weights()
    if tokens == FIRST_TOKENS:
        weights |= {name: value for name, value in expected.items() if name.startswith(CLOSED)}
    for name in sorted(set(expected) ^ set(weights)):
        verb = "misses" if name in expected else "has an unknown"
        raise InputError(f"{where}: {verb} weight '{name}' for preset '{preset.name}'")
    for name, value in expected.items():
        if value.shape != weights[name].shape or value.dtype != weights[name].dtype:
            raise InputError(
                f"{where}: weight '{name}': preset '{preset.name}' has {list(value.shape)} "
                f"{value.dtype}, got {list(weights[name].shape)} {weights[name].dtype}"
            )
    for prefix, part in networks.parts().items():
        mine = {k: v for k, v in weights.items() if k.startswith(f"{prefix}.")}
        part.load_state_dict({k.removeprefix(f"{prefix}."): v for k, v in mine.items()})
    return networks


def example_inputs(
    preset: Preset, graph: str, rng: np.random.Generator, images: int = 1
) -> dict[str, NDArray[Any]]:
    """Fresh random inputs of one graph; `images` is the batch of the camera graph."""
    if graph == "camera":
        return example_camera(preset, rng, images)
    return example_bev(preset, rng) if graph == "bev" else example_planner(preset, rng)


def run_module(
    module: nn.Module, inputs: dict[str, NDArray[Any]], outputs: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """The reference: a graph as torch runs it, on the device of its weights."""
    values = called(module, inputs)
    return {name: value.cpu().numpy() for name, value in zip(outputs, values, strict=True)}


@torch.no_grad()
def called(module: nn.Module, inputs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """A graph's outputs in order, on the device of its weights. inputs: NumPy or torch, in the
    order of its arguments."""
    device = next(module.parameters()).device
    result = module(*(torch.as_tensor(value).to(device) for value in inputs.values()))
    return (result,) if isinstance(result, Tensor) else tuple(result)
