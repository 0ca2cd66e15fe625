"""Many scenes, in this process, in several, or over machines with Ray; results do not depend on it.

    for outcome in score_files(paths, proposals, jobs=2): ...

May import: types, foreign, unpack, scoring.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.foreign import cut, parse_json, read_whole, refuse_special
from irl_vla.scoring.epdms import PlanScores, SubScores, score, score_case
from irl_vla.scoring.journal import SceneOutcome
from irl_vla.scoring.scene import Scene
from irl_vla.scoring.scene_io import scene_to, try_scenes
from irl_vla.scoring.spread import spread
from irl_vla.types import F64, InputError
from irl_vla.unpack import read_npz

SCENES_FILE = "scenes.json.gz"
EVERY_SCENE = "*"  # proposals under this name are scored in every scene
SCENES_PER_TASK = 4  # sent to a worker at once
SUB_SCORE_NAMES = tuple(SubScores.__dataclass_fields__)

Proposals = Mapping[str, F64]


@dataclass(frozen=True)
class _Task:
    """A scene, or the reason why it could not be read."""

    scene: Scene | InputError
    where: str
    key: str


def scene_files(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, folders by their scenes.json.gz. Raises InputError for what is neither."""
    files = []
    for path in paths:
        inside = [path / SCENES_FILE, path / "scenes.json"]
        found = [path] if path.is_file() else [file for file in inside if file.is_file()]
        if not found:
            raise InputError(f"{path}: neither a scene file nor a folder with {SCENES_FILE}")
        files.append(found[0])
    return files


def load_proposals(path: Path) -> Proposals:
    """(P, 8, 3) plans by scene id, or under EVERY_SCENE. From .npz: one array per scene, or one
    called `trajectories` for all; from .json: the same as lists. Raises InputError."""
    try:
        if path.suffix == ".npz":
            refuse_special(path)
            arrays = read_npz(path, f"{path}")
            named = {name: np.asarray(plans, np.float64) for name, plans in arrays.items()}
        else:
            data = parse_json(read_whole(path), f"{path}")
            data = {"trajectories": data} if isinstance(data, list) else data
            named = {name: np.asarray(plans, np.float64) for name, plans in data.items()}
    except InputError:
        raise
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path}: cannot be read as proposals (.npz or .json): {cut(error)}"
        ) from None
    for name, plans in named.items():
        if plans.ndim != 3 or plans.shape[1:] != (8, 3):
            raise InputError(f"{path}: '{name}': expected plans (P, 8, 3), got {plans.shape}")
    return {EVERY_SCENE if name == "trajectories" else name: p for name, p in named.items()}


def proposals_hash(proposals: Proposals | None) -> str:
    """Which plans they are; of none: "the scenes' candidates"."""
    if proposals is None:
        return "the scenes' candidates"
    digest = hashlib.sha256()
    for name, plans in sorted(proposals.items()):
        digest.update(f"{len(name)} {name} {plans.shape}".encode() + plans.tobytes())
    return digest.hexdigest()


def read_tasks(files: Sequence[Path], proposals: Proposals | None) -> Iterator[_Task]:
    """Scenes one by one, each with the key that its content and its plans have."""
    salt = proposals_hash(proposals).encode()
    for file in files:
        for index, scene in enumerate(try_scenes(file)):
            where = f"{file}: scene {index}"
            if isinstance(scene, InputError):
                yield _Task(scene, where, "")
                continue
            content = json.dumps(scene_to(scene), sort_keys=True).encode()
            yield _Task(scene, where, hashlib.sha256(salt + content).hexdigest())


def run_task(task: _Task, proposals: Proposals | None) -> SceneOutcome:
    """Score one scene; an error is an outcome, never a zero."""
    if isinstance(task.scene, InputError):
        return SceneOutcome(task.where, "", None, str(task.scene))
    try:
        results = _results(task.scene, proposals)
    except InputError as error:
        return SceneOutcome(task.scene.id, "", None, f"{task.where}: {error}")
    return SceneOutcome(task.scene.id, task.key, results)


def _results(scene: Scene, proposals: Proposals | None) -> dict[str, Any]:
    if proposals is None:
        return score_case(scene)
    plans = proposals.get(scene.id, proposals.get(EVERY_SCENE))
    if plans is None:
        raise InputError(f"scene '{scene.id}': the proposals have no plans for it")
    return {"proposals": columns_of(score(scene, plans))}


def columns_of(scores: PlanScores) -> dict[str, list[float | None]]:
    """Scores of P plans as one list per column: epdms, epdms_raw, ec, raw.nc, filtered.nc, ..."""
    arrays = {"epdms": scores.epdms, "epdms_raw": scores.epdms_raw, "ec": scores.ec}
    for side, sub_scores in (("raw", scores.raw), ("filtered", scores.filtered)):
        arrays |= {f"{side}.{name}": getattr(sub_scores, name) for name in SUB_SCORE_NAMES}
    return {
        name: [None if np.isnan(value) else float(value) for value in values]
        for name, values in arrays.items()
    }


def score_files(
    tasks: Sequence[_Task], proposals: Proposals | None, jobs: int = 1, ray: str | None = None
) -> Iterator[SceneOutcome]:
    """Outcomes in any order. jobs: processes here; ray: "local" or the address of a cluster, then
    `jobs` is the number of its workers."""
    batches = [tasks[i : i + SCENES_PER_TASK] for i in range(0, len(tasks), SCENES_PER_TASK)]
    work = partial(_run_batch, proposals=proposals)
    for outcomes in spread(batches, work, jobs, ray):
        yield from outcomes


def _run_batch(tasks: Sequence[_Task], proposals: Proposals | None) -> list[SceneOutcome]:
    return [run_task(task, proposals) for task in tasks]
