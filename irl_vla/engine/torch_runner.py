"""The reference runner: torch, from the bundle's preset and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.manifest import GRAPHS
from irl_vla.engine.networks import called, networks_from_bytes
from irl_vla.engine.runner import (
    Arrays,
    LoadedGraphs,
    checked,
    refuse_other,
    shape_of,
)


class TorchRunner(LoadedGraphs):
    """See runner.Runner. Arrays may be torch tensors, of any device; they are moved to its own."""

    def __init__(
        self, bundle: Bundle, device: str = "cpu", graphs: Sequence[str] = GRAPHS,
        variants: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """device: where torch computes, such as "cpu" or "cuda". Whatever the variant, torch
        computes from the weights, in float32."""
        backend = f"torch-{torch.device(device).type} {torch.__version__}"
        super().__init__(bundle, graphs, variants, backend)
        network = bundle.network
        where = f"bundle {bundle.root}: {network.weights}"
        networks = networks_from_bytes(
            network.preset, bundle.read(network.weights), where, network.vocabulary,
            network.scene_tokens,
        )  # fmt: skip
        modules = networks.graphs()
        self.device = device
        self._modules = {name: modules[name].to(device) for name in self.graphs}

    def run(self, graph: str, inputs: Arrays, out: Arrays | None = None) -> dict[str, Any]:
        """See Runner."""
        spec = self.spec(graph)
        ordered, images = checked(graph, spec, inputs)
        targets = out or {}
        for tensor in spec.outputs:
            if tensor.name in targets:
                target = targets[tensor.name]
                refuse_other(graph, "output", tensor, target, shape_of(tensor, images))
        result = called(self._modules[graph], ordered)
        names = [tensor.name for tensor in spec.outputs]
        told = result[: len(names)]  # the last ones are those that an older bundle does not have
        return {
            name: _handed(value, targets.get(name)) for name, value in zip(names, told, strict=True)
        }


def _handed(value: torch.Tensor, target: Any) -> Any:
    """An output where the caller wants it, else as a NumPy array."""
    if isinstance(target, torch.Tensor):
        return target.copy_(value)
    array = value.cpu().numpy()
    if target is None:
        return array
    np.copyto(target, array, casting="no")
    return target
