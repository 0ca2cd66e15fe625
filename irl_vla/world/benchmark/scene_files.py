"""Scenes of a seed as one file: `epdms-scene/1`, and beside the scenes what navigation said.

The file's bytes depend on the seed alone. May import: types, scoring.scene_io, language.labels,
world.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.foreign import brief, parse_json, read_whole
from irl_vla.scoring.scene import FORMAT, HEADING, VX, Scene, X, Y
from irl_vla.scoring.scene_io import scene_to
from irl_vla.types import F64, InputError, Intent
from irl_vla.unpack import gunzipped
from irl_vla.world.benchmark.hard import HardGroup, group_of
from irl_vla.world.benchmark.own_lane import labels_at
from irl_vla.world.benchmark.scenes import BEFORE, Cutter, ground_of
from irl_vla.world.benchmark.splits import HORIZON, VERSION, instants_of
from irl_vla.world.build import episode_of
from irl_vla.world.episode import Episode
from irl_vla.world.routes import intent_at

COMPRESSION = 3  # of gzip: higher is twice as slow for a tenth less


def file_name(seed: int) -> str:
    """Of a seed's file."""
    return f"world-{seed:07d}.json.gz"


def is_whole(path: Path, seed: int, groups: bool) -> bool:
    """Whether a seed's file is there, and all of it; an empty or damaged one is to be made again.

    Raises InputError for a sound file of something else: another seed, version or kind of split.
    """
    if not path.exists():
        return False
    try:
        about = parse_json(gunzipped(read_whole(path), f"{path}"), f"{path}")["world"]
        found = (about["version"], about["seed"], "group" in about)
    except (InputError, KeyError, TypeError):
        return False
    if found != (VERSION, seed, groups):
        kinds = {True: "a group", False: "scenes"}
        raise InputError(
            f"{path}: holds {kinds[found[2]]} of seed {brief(found[1])} ({brief(found[0])}), "
            f"expected {kinds[groups]} of seed {seed} ({VERSION}). Choose another --out"
        )
    return True


def file_of_seed(seed: int, groups: bool) -> bytes:
    """The whole file of a seed."""
    return _group_file(seed) if groups else _scenes_file(seed)


def _scenes_file(seed: int) -> bytes:
    episode = episode_of(seed)
    cutter = Cutter(episode)
    steps = instants_of(episode.ego)
    scenes = [cutter.scene(step, name=scene_name(seed, step)) for step in steps]
    frames = [_frame(cutter, step, scene.id) for step, scene in zip(steps, scenes, strict=True)]
    return _packed(scenes, _about(episode, frames))


def _group_file(seed: int) -> bytes:
    group = group_of(seed)
    ground, tokens = ground_of(group.first.town), group.tokens
    cutter = Cutter(group.first, ground)
    scenes, frames = [], []

    def add(cutter: Cutter, step: int, kind: str, name: str) -> None:
        scenes.append(cutter.scene(step, kind, name))
        frames.append(_frame(cutter, step, name))

    add(cutter, group.step, "original", tokens.now)
    add(cutter, group.step - BEFORE, "original", tokens.previous)
    for branch, (now, before) in zip(group.branches, tokens.follow_ups, strict=True):
        way = Cutter(branch.episode, ground)
        add(way, group.step + HORIZON, "synthetic", now)
        add(way, group.step + HORIZON - BEFORE, "synthetic", before)
    return _packed(scenes, _about(group.first, frames) | {"group": mapping(group)})


def mapping(group: HardGroup) -> dict[str, Any]:
    """A group as `irl-vla score --two-stage` reads it."""
    tokens = group.tokens
    return {
        "now": tokens.now, "previous": tokens.previous,
        "second_stage": [list(pair) for pair in tokens.follow_ups],
        "kinds": [branch.kind for branch in group.branches],
    }  # fmt: skip


def scene_name(seed: int, step: int) -> str:
    """Of a scene: the seed of its world and the tenth of a second."""
    return f"world-{seed}-{step:04d}"


def _frame(cutter: Cutter, step: int, name: str) -> dict[str, Any]:
    """What a policy is told at an instant, beside its pictures, and what the driver then did."""
    ego = cutter.episode.ego[step]
    intent: Intent = intent_at(cutter.path, ego[[X, Y, HEADING]], 0)
    route = [] if intent.route is None else _rounded(intent.route)
    did = labels_at(cutter, step)
    return {
        "id": name, "step": step, "intent": intent.direction.value, "route": route,
        "speed_m_s": float(ego[VX]),
        "command": {"speed": did.speed.value, "path": did.path.value},
    }  # fmt: skip


def _about(episode: Episode, frames: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    notes = [{"what": n.what, "time_s": n.time_s} for n in episode.notes]
    return {"version": VERSION, "seed": episode.seed, "town": episode.town.name,
            "frames": list(frames), "notes": notes}  # fmt: skip


def _rounded(points: F64) -> Any:
    return np.round(points, 3).tolist()


def _packed(scenes: Sequence[Scene], about: Mapping[str, Any]) -> bytes:
    data = {"format": FORMAT, "world": about, "scenes": [scene_to(scene) for scene in scenes]}
    return gzip.compress(json.dumps(data, separators=(",", ":")).encode(), COMPRESSION, mtime=0)


def groups_in(path: Path) -> dict[str, Any] | None:
    """The group that a file of world-hard holds, as a mapping, or None."""
    data = parse_json(gunzipped(read_whole(path), f"{path}"), f"{path}")
    group: dict[str, Any] | None = data["world"].get("group")
    return group
