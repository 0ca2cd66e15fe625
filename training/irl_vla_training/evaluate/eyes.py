"""Looking at many scenes with one pair of eyes: rows, figures, and the best and worst painted.

In: EyesModel, a set of samples   Out: rows.jsonl, summary.json, index.html with pictures
May import: rich, irl_vla, irl_vla_training's stages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.types import SceneTokens
from irl_vla.view.drawing import png
from irl_vla_training.checkpoint import write_whole
from irl_vla_training.evaluate.measures import SceneRow, as_json, scene_row
from irl_vla_training.evaluate.model import EyesModel
from irl_vla_training.evaluate.painted import painted_scene
from irl_vla_training.evaluate.recursion import Recursion
from irl_vla_training.evaluate.summary import by_group, intervals, summary
from irl_vla_training.samples.batch import Batch
from irl_vla_training.samples.loader import Loader
from irl_vla_training.samples.sample_set import SampleSet

PAINTED = 4  # best, and as many worst
FIGURES = ("iou", "vehicles", "lamps", "velocity_error")  # on the page
KEPT = ("drivable", "walkway", "vehicle")  # what a scene is judged by, for the page

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Looked:
    """One scene."""

    row: SceneRow
    batch: Batch
    tokens: SceneTokens


def looked_at(
    model: EyesModel, samples: SampleSet, recursion: Recursion | None = None
) -> Iterator[Looked]:
    """Every sample of a set, whole and unvaried."""
    for batch in Loader(samples, model.preset, None, batch=1, ahead=0).batches():
        seen = model.look(batch)
        looped = None
        if recursion is not None:
            seed, step = batch.keys[0].split("-")
            looped = recursion.tokens(int(seed), int(step))
        row = scene_row(seen.tokens, seen.without, batch, model.preset.bev, looped)
        yield Looked(row, batch, seen.tokens)


def evaluate_eyes(
    model: EyesModel, samples: SampleSet, out: Path, about: dict[str, Any], tell: Tell,
    recursion: Recursion | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Writes everything into `out`; the summary. about: what was evaluated, for the summary."""
    out.mkdir(parents=True, exist_ok=True)
    rows: list[SceneRow] = []
    kept: list[tuple[float, Looked]] = []
    for one in looked_at(model, samples, recursion):
        rows.append(one.row)
        kept = _best_and_worst([*kept, (grade(one.row), one)])
        if len(rows) % 50 == 0:
            tell(f"{len(rows)} of {len(samples)} scenes")
    found = {
        **summary(rows), **about, "intervals_95": intervals(rows),
        "by_weather": by_group(rows, lambda row: row.weather),
        "by_rig": by_group(rows, lambda row: row.rig),
    }  # fmt: skip
    text = "".join(json.dumps(as_json(row)) + "\n" for row in rows)
    write_whole(out / "rows.jsonl", text.encode())
    write_whole(out / "summary.json", (json.dumps(found, indent=1) + "\n").encode())
    _page(model, kept, found, out)
    return found


def grade(row: SceneRow) -> float:
    """Mean IoU of what is there."""
    shares = [both / either for both, either in (row.iou[name] for name in KEPT) if either]
    return float(np.mean(shares)) if shares else 1.0


def _best_and_worst(scenes: list[tuple[float, Looked]]) -> list[tuple[float, Looked]]:
    order = sorted(scenes, key=lambda pair: -pair[0])
    return order if len(order) <= 2 * PAINTED else [*order[:PAINTED], *order[-PAINTED:]]


def _page(
    model: EyesModel, kept: list[tuple[float, Looked]], found: dict[str, Any], out: Path
) -> None:
    parts = [
        "<!doctype html><meta charset=utf-8><title>eyes</title>",
        "<style>body{background:#14181e;color:#ddd;font:14px sans-serif;margin:24px}"
        "img{max-width:100%;display:block;margin:8px 0 24px}</style>",
        f"<h1>{model.name}: best and worst scenes</h1>",
        f"<pre>{json.dumps({name: found[name] for name in FIGURES}, indent=1)}</pre>",
    ]
    for place, (value, one) in enumerate(kept):
        name = f"scene-{place}.png"
        title = f"{one.row.key}  {one.row.weather}  {value:.2f}"
        write_whole(out / name, png(painted_scene(one.batch, one.tokens, model.preset.bev, title)))
        parts.append(f"<p>{title}</p><img src={name}>")
    write_whole(out / "index.html", "\n".join(parts).encode())
