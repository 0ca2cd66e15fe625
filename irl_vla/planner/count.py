"""How big and how costly the planner of each preset is, counted rather than claimed.

`python -m irl_vla.planner.count FILE.md` rewrites the tables between the two marks of that file.
Counted are multiplications with an addition (MAC) of matrix products, for all denoising steps.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from irl_vla.perception.count import between, markdown
from irl_vla.perception.preset import Preset, load_preset
from irl_vla.planner.denoiser import Denoiser
from irl_vla.planner.example import example_planner
from irl_vla.planner.sampler import PlannerGraph, build_planner
from irl_vla.planner.tensors import planner_io

BEGIN = "<!-- begin: python -m irl_vla.planner.count -->"
END = "<!-- end: irl_vla.planner.count -->"
SHOWN = ("nano", "tiny", "base", "paper")  # small to large


def parameters(net: Denoiser) -> int:
    """Learnt numbers; the anchors are not learnt."""
    return sum(weight.numel() for weight in net.parameters())


def macs(preset: Preset, net: Denoiser) -> int:
    """Of one plan: all denoising steps of all anchors."""
    inputs = example_planner(preset, np.random.default_rng(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        PlannerGraph(net, preset.planner.denoise_steps)(*map(torch.from_numpy, inputs.values()))
    return int(counter.get_total_flops()) // 2


def tables() -> str:
    """Markdown: sizes and costs, then the tensors of the graph."""
    presets = [load_preset(name) for name in SHOWN]
    nets = [build_planner(preset, 0) for preset in presets]
    rows = [
        ["anchors K", *(str(preset.planner.anchors) for preset in presets)],
        ["layers", *(str(preset.planner.layers) for preset in presets)],
        ["denoising steps", *(str(preset.planner.denoise_steps) for preset in presets)],
        ["parameters", *(f"{parameters(net) / 1e6:.3g} M" for net in nets)],
        [
            "MAC a plan",
            *(f"{macs(p, net) / 1e6:.3g} M" for p, net in zip(presets, nets, strict=True)),
        ],
    ]
    names = [f"`{name}`" for name in SHOWN]
    sizes = markdown([["", *names], *rows])
    return f"{sizes}\n\nTensors of the `planner` graph:\n\n{_tensors(presets, names)}"


def _tensors(presets: Sequence[Preset], names: Sequence[str]) -> str:
    rows = []
    for way in ("inputs", "outputs"):
        for same in zip(*(getattr(planner_io(preset), way) for preset in presets), strict=True):
            shapes = [" x ".join(map(str, spec.shape)) for spec in same]
            rows.append([f"`{same[0].name}`", way.removesuffix("puts"), same[0].dtype, *shapes])
    return markdown([["tensor", "", "type", *names], *rows])


def rewrite(text: str) -> str:
    """The document with fresh tables between its two marks."""
    return between(text, BEGIN, END, tables())


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(rewrite(document.read_text(encoding="utf-8")), encoding="utf-8")
