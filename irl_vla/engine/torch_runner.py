"""The reference runner: torch, from the bundle's preset and weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from irl_vla.engine.bundle import Bundle
from irl_vla.engine.networks import networks_from_bytes, run_module
from irl_vla.engine.runner import FP32, checked
from irl_vla.perception.tokens import Tensors


class TorchRunner:
    """See runner.Runner. device: where torch computes, such as "cpu" or "cuda"."""

    variant = FP32

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        network = bundle.network
        where = f"bundle {bundle.root}: {network.weights}"
        networks = networks_from_bytes(network.preset, bundle.read(network.weights), where)
        self._graphs = network.graphs
        self._modules = {name: module.to(device) for name, module in networks.graphs().items()}

    def run(self, graph: str, inputs: Tensors, out: Tensors | None = None) -> dict[str, Any]:
        """See Runner."""
        spec = self._graphs[graph]
        ordered, _ = checked(graph, spec, inputs)
        result = run_module(
            self._modules[graph], ordered, tuple(tensor.name for tensor in spec.outputs)
        )
        for name, target in (out or {}).items():
            np.copyto(target, result[name], casting="no")
            result[name] = target
        return result
