"""`irl-vla export`: networks of a preset with seeded weights -> a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from irl_vla.drafts import refuse_unwritable
from irl_vla.engine.bundle import Bundle
from irl_vla.engine.manifest import GRAPHS, MANIFEST
from irl_vla.perception.preset import load_preset
from irl_vla.terminal.console import Console
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import MOST_SEED


def export(
    out: Annotated[Path, typer.Option(help="folder of the new bundle; must not exist")],
    preset: Annotated[
        str, typer.Option(help="nano, tiny, base, paper, or the path of a .yaml file")
    ] = "tiny",
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="seed of the initial weights")
    ] = 0,
) -> None:
    """Export untrained networks as ONNX graphs, each compared with torch."""
    sizes = load_preset(preset)
    if out.exists() and not (out / MANIFEST).is_file():
        raise InputError(f"{out}: exists already and is no bundle. Choose another --out")
    refuse_unwritable(out.parent)
    # Torch takes seconds to import; the other commands need not wait for it.
    from irl_vla.engine.export import Provenance, export_bundle, stored_differences
    from irl_vla.engine.networks import build_networks

    console, watched = Console(), Console(stderr=True)
    with watched.status("building the networks") as status:
        networks = build_networks(sizes, seed)
        origin = Provenance(name=f"{sizes.name}-untrained", seed=seed)
        bundle = export_bundle(networks, out, origin, tell=status.update)
    _table(console, bundle, stored_differences(bundle))
    console.print(f"bundle {bundle.id[:16]} in {out}: untrained weights, seed {seed}", style="bold")


def _table(console: Console, bundle: Bundle, differences: dict[str, float]) -> None:
    table = Table("graph", "variant", "size MB", "largest difference from torch")
    for name in GRAPHS:
        for variant, files in bundle.graph(name).variants.items():
            size = bundle.manifest.files[files.onnx].bytes / 1e6
            table.add_row(name, variant, f"{size:.1f}", f"{differences[name]:.1e} (relative)")
    console.print(table)
