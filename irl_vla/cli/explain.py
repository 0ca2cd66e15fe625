"""`irl-vla explain`: why a plan scores what it scores, in sentences and as a picture."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from irl_vla.drafts import refuse_unwritable
from irl_vla.paths import file_name
from irl_vla.scoring.batch import load_proposals, scene_files
from irl_vla.scoring.epdms import score
from irl_vla.scoring.explain import Explanation
from irl_vla.scoring.explain import explain as explained
from irl_vla.scoring.scene import Scene
from irl_vla.scoring.scene_io import try_scenes
from irl_vla.terminal.console import Console
from irl_vla.terminal.lazy import only_with
from irl_vla.types import F64, InputError
from irl_vla.view.report import replace_file
from irl_vla.view.scene import scene_png


@only_with(candidate="!trajectory")
def explain(
    scenes: Annotated[Path, typer.Argument(help="scene file, or folder with scenes.json.gz")],
    scene: Annotated[str | None, typer.Option(help="id of a scene; default: the first")] = None,
    candidate: Annotated[
        str | None, typer.Option(help="id of a candidate; default: the worst")
    ] = None,
    trajectory: Annotated[
        Path | None, typer.Option(help="a plan (8, 3) instead of a candidate (.npz or .json)")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the picture")] = Path("out/explain"),
) -> None:
    """Report which agent or area cost which point, and when, and draw it."""
    refuse_unwritable(out)
    chosen = _scene(scenes, scene)
    name, plan, previous = _plan(chosen, candidate, trajectory)
    picture = out / file_name(chosen.id, name, ending=".png")
    found = explained(chosen, plan, previous)
    replace_file(picture, scene_png(chosen, found, f"{chosen.id} · {name}", plan))
    console = Console()
    console.print(_table(found, f"{chosen.id}, {name}"))
    console.print(f"wrote  {picture}", markup=False, highlight=False, soft_wrap=True)


def _scene(path: Path, name: str | None) -> Scene:
    ids = []
    for found in try_scenes(scene_files([path])[0]):
        if isinstance(found, InputError):
            if name is None:
                raise found
            continue
        if name in (None, found.id):
            return found
        ids.append(found.id)
    raise InputError(f"{path}: no scene '{name}'. {_near(str(name), ids)}")


def _near(name: str, names: Iterable[str]) -> str:
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(known[:12])}"


def _plan(
    scene: Scene, candidate: str | None, trajectory: Path | None
) -> tuple[str, F64, F64 | None]:
    """(name, poses (8, 3), plan of the frame before or None)."""
    if trajectory is not None:
        plans = next(iter(load_proposals(trajectory).values()))
        if len(plans) != 1:
            raise InputError(f"{trajectory}: expected one plan (1, 8, 3), got {len(plans)}")
        return trajectory.stem, plans[0], None
    if not scene.candidates:
        raise InputError(f"scene '{scene.id}' has no candidates; give --trajectory")
    ids = [plan.id for plan in scene.candidates]
    if candidate is not None and candidate not in ids:
        raise InputError(f"scene '{scene.id}': no candidate '{candidate}'. {_near(candidate, ids)}")
    previous = None if scene.previous is None else scene.previous.trajectories
    if candidate is None:
        index = int(np.argmin(score(scene, scene.plans(), previous).epdms))
    else:
        index = ids.index(candidate)
    earlier = None if previous is None else previous[index]
    return ids[index], scene.candidates[index].poses, earlier


def _table(found: Explanation, title: str) -> Table:
    score_now = 100.0 * float(found.scores.epdms[0])
    table = Table("sub-score", "value", "worth", "why", title=f"{title}: EPDMS {score_now:.2f}",
                  title_justify="left")  # fmt: skip
    for loss in found.losses:
        worth = "forgiven" if loss.forgiven else f"{100.0 * loss.gain:.1f}"
        table.add_row(loss.sub_score.upper(), f"{loss.value:.2f}", worth, loss.text)
    if not found.losses:
        table.add_row("", "", "", "no point lost")
    return table
