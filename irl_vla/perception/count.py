"""How big and how costly the perception of each preset is, counted rather than claimed.

`python -m irl_vla.perception.count docs/policy.md` rewrites the tables between the two marks of
that file. Networks are built on torch's meta device: no weight is ever allocated.
Counted are multiplications with an addition (MAC) of convolutions and matrix products; reading the
images at the grid's points, normalisation and softmax are not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from irl_vla.perception.networks import Perception, build
from irl_vla.perception.preset import Preset, load_preset
from irl_vla.perception.tokens import TensorSpec, bev_io, camera_io

BEGIN = "<!-- begin: python -m irl_vla.perception.count docs/policy.md -->"
END = "<!-- end: irl_vla.perception.count -->"
SHOWN = ("nano", "tiny", "base", "paper")  # small to large
RIG = 6  # cameras of the rig for which a whole tick is counted
PARTS = {  # part -> (network, its module); the rest of `camera` is the neck
    "backbone": ("camera", "backbone"),
    "BEV encoder": ("bev", "encoder"),
    "agent, ego and map decoder": ("bev", "decoder"),
    "segmentation": ("bev", "segmentation"),
}


@dataclass(frozen=True)
class Cost:
    """parameters; macs: per image for parts of `camera`, per tick for parts of `bev`."""

    parameters: int
    macs: int


def costs(preset: Preset) -> dict[str, Cost]:
    """Cost of each part, and of the graphs "camera" and "bev" as a whole."""
    with torch.device("meta"):
        perception = build(preset, seed=0)
        inputs = {
            io.graph: [_empty(spec) for spec in io.inputs]
            for io in (camera_io(preset), bev_io(preset))
        }
    camera, bev = perception.graphs()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        camera(*inputs["camera"])
        bev(*inputs["bev"])
    flops = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    macs = {
        "camera": flops["CameraNet"],
        "bev": flops["BevGraph"],
        "backbone": flops["CameraNet.backbone"],
        **{
            part: flops[f"BevGraph.net.{name}"]
            for part, (net, name) in PARTS.items()
            if net == "bev"
        },
    }
    return {part: Cost(_parameters(perception, part), count // 2) for part, count in macs.items()}


def tables() -> str:
    """Markdown: sizes and costs of the shipped presets, then the tensors of both graphs."""
    presets = [load_preset(name) for name in SHOWN]
    return "\n\n".join([_cost_table(presets), *_tensor_tables(presets)])


def rewrite(text: str) -> str:
    """The document with fresh tables between its two marks."""
    return between(text, BEGIN, END, tables())


def between(text: str, begin: str, end: str, what: str) -> str:
    """The text with something else between two marks. Raises ValueError where they are missing."""
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"expected the marks {begin} and {end}")
    return f"{before}{begin}\n\n{what}\n\n{end}{after}"


def _empty(spec: TensorSpec) -> torch.Tensor:
    shape = [size if isinstance(size, int) else 1 for size in spec.shape]
    return torch.empty(shape, dtype=getattr(torch, spec.dtype))


def _parameters(perception: Perception, part: str) -> int:
    net, _, name = (".".join(PARTS[part]) if part in PARTS else part).partition(".")
    module = getattr(perception, net)
    module = getattr(module, name) if name else module
    return sum(weight.numel() for weight in module.parameters())


def _cost_table(presets: Sequence[Preset]) -> str:
    counted = [costs(preset) for preset in presets]
    rows: list[list[str]] = [["", *(f"`{preset.name}`" for preset in presets)]]
    rows.append(["backbone", *(f"VoVNetV2 {preset.backbone}" for preset in presets)])
    rows.append(["image", *(f"{p.image.height} x {p.image.width}" for p in presets)])
    rows.append(["token width D", *(str(preset.d_model) for preset in presets)])
    for part in (*PARTS, "camera", "bev"):
        unit = "an image" if part in ("backbone", "camera") else "a tick"
        title = f"**`{part}` graph**" if part in ("camera", "bev") else part
        rows.append([f"{title}: parameters", *(_si(c[part].parameters) for c in counted)])
        rows.append([f"{title}: MAC {unit}", *(_si(c[part].macs) for c in counted)])
    ticks = (c["camera"].macs * RIG + c["bev"].macs for c in counted)
    rows.append([f"**perception, a tick of {RIG} cameras: MAC**", *map(_si, ticks)])
    return markdown(rows)


def _tensor_tables(presets: Sequence[Preset]) -> list[str]:
    parts = []
    for describe in (camera_io, bev_io):
        ios = [describe(preset) for preset in presets]
        names = [f"`{preset.name}`" for preset in presets]
        rows = [["tensor", "", "type", *names]]
        rows += _tensor_rows([io.inputs for io in ios], "in")
        rows += _tensor_rows([io.outputs for io in ios], "out")
        parts.append(f"Tensors of the `{ios[0].graph}` graph:\n\n{markdown(rows)}")
    return parts


def _tensor_rows(specs: Sequence[Sequence[TensorSpec]], way: str) -> list[list[str]]:
    return [
        [f"`{same[0].name}`", way, same[0].dtype, *(_shape(spec) for spec in same)]
        for same in zip(*specs, strict=True)
    ]


def _shape(spec: TensorSpec) -> str:
    return " x ".join("N" if isinstance(size, str) else str(size) for size in spec.shape)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def _si(count: int) -> str:
    """1234567 -> "1.23 M"."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= factor:
            return f"{count / factor:.3g} {letter}"
    return str(count)


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(rewrite(document.read_text(encoding="utf-8")), encoding="utf-8")
