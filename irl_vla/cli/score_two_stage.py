"""The two-stage sum over scored scenes, with a mapping file.

{"mappings": [{"now": id, "previous": id, "second_stage": [[id of now, id of previous], ...]}, ...],
 "candidate": "id of the candidate that is the submitted plan"}     (default: each scene's first)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from irl_vla.foreign import brief, cut, parse_json, read_whole
from irl_vla.frames import to_outer
from irl_vla.scoring.journal import SceneOutcome
from irl_vla.scoring.scene import Scene
from irl_vla.scoring.scene_io import try_scenes
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.two_stage import (
    COLUMNS,
    SUB_SCORE_NAMES,
    Group,
    ScoredFrame,
    TwoStage,
    two_stage,
)
from irl_vla.terminal.console import Console
from irl_vla.types import InputError
from irl_vla.unpack import gunzipped
from irl_vla.view.report import replace_file


def score_two_stage(
    files: list[Path], outcomes: list[SceneOutcome], mapping: Path, out: Path
) -> None:
    """Aggregate, print the table, and write it beside the results as NAME.two_stage.json."""
    groups, candidate = read_mapping(mapping)
    results = {o.scene_id: o.results for o in outcomes if o.results is not None}
    frames = {}
    for file in files:
        for scene in try_scenes(file):
            if not isinstance(scene, InputError) and scene.id in results:
                frames[scene.id] = frame_of(scene, results[scene.id], candidate)
    done = two_stage(frames, groups)
    console = Console()
    console.print(_table(done, len(groups)))
    for token, why in done.left_out.items():
        console.print(f"left out  group '{token}': {why}", style="yellow", markup=False)
    path = out.with_name(out.stem + ".two_stage.json")
    replace_file(path, (json.dumps(as_json(done), indent=1) + "\n").encode())
    console.print(f"wrote  {path}", markup=False, highlight=False, soft_wrap=True)


def read_mapping(path: Path) -> tuple[list[Group], str | None]:
    """Groups, and the id of the candidate that counts. Raises InputError."""
    try:
        content = parse_json(gunzipped(read_whole(path), f"{path}"), f"{path}")
        groups = [
            Group(
                str(entry["now"]), str(entry["previous"]),
                tuple((str(now), str(before)) for now, before in entry["second_stage"]),
            )
            for entry in content["mappings"]
        ]  # fmt: skip
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a mapping: {cut(error)}. Expected JSON with 'mappings': a list of 'now', "
            "'previous' and 'second_stage' (pairs of scene ids)"
        ) from None
    firsts = [group.now for group in groups]
    if len(set(firsts)) != len(firsts):
        twice = next(name for name in firsts if firsts.count(name) > 1)
        raise InputError(f"{path}: two groups begin with '{twice}'; expected one of each")
    candidate = content.get("candidate")
    if not isinstance(candidate, (str, type(None))):
        raise InputError(f"{path}: candidate: expected an id, got {brief(candidate)}")
    return groups, candidate


def frame_of(scene: Scene, results: dict[str, Any], candidate: str | None) -> ScoredFrame:
    """One scored scene as the two-stage sum wants it. Raises InputError for a missing candidate."""
    plans = {plan.id: plan for plan in scene.candidates}
    name = next(iter(plans), None) if candidate is None else candidate
    if name not in plans or name not in results:
        raise InputError(
            f"scene '{scene.id}': has no scored candidate '{name}'; it has {', '.join(plans)}. "
            "Two-stage scores one candidate a scene (without --proposals)"
        )
    poses, initial = plans[name].poses, scene.ego.initial
    states = simulate(initial, sample_plans(poses[None], initial, scene.t0_us)[0])[0]
    sub_scores = np.array([results[name]["filtered"][sub_score] for sub_score in SUB_SCORE_NAMES])
    end = to_outer(poses[-1], initial[:3])[:2]
    return ScoredFrame(scene.t0_us, np.array(initial[:2]), end, sub_scores, np.asarray(states))


def as_json(done: TwoStage) -> dict[str, Any]:
    """Everything by name."""

    def named(values: Any) -> dict[str, float | None]:
        known = [None if np.isnan(value) else float(value) for value in values]
        return dict(zip(COLUMNS, known, strict=True))

    def stages(group: Any) -> dict[str, Any]:
        return {key: named(getattr(group, key)) for key in ("stage_one", "stage_two", "combined")}

    return {
        "overall": stages(done.overall),
        "groups": {token: stages(group) for token, group in done.groups.items()},
        "scenes": {
            token: {"weight": done.weights[token], **named(values)}
            for token, values in done.columns.items()
        },
        "left_out": dict(done.left_out),
    }


def _table(done: TwoStage, groups: int) -> Table:
    title = f"two stages: {len(done.groups)} of {groups} groups, means in percent"
    table = Table("", "stage one", "stage two", "combined", title=title, title_justify="left")
    for index, name in enumerate(COLUMNS):
        stages = (done.overall.stage_one, done.overall.stage_two, done.overall.combined)
        table.add_row(name.upper(), *(f"{100 * stage[index]:.2f}" for stage in stages))
    return table
