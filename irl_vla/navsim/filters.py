"""Which scenes belong to a split: the devkit's own YAML files, read as they are.

A split file names a folder of logs (`data_split`) and a scene filter (`defaults: - scene_filter:`);
a two-stage split also maps first-stage scenes to follow-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from irl_vla.config import from_mapping
from irl_vla.foreign import MAX_YAML_BYTES, brief, parse_yaml, read_whole
from irl_vla.paths import inside
from irl_vla.types import InputError

HYDRA_KEYS = {"_target_", "_convert_", "_recursive_", "_partial_", "defaults"}
MAPPING = "reactive_all_mapping"

Pair = tuple[str, str]  # tokens now and 0.5 s before


@dataclass(frozen=True, kw_only=True)
class SceneFilter:
    """The devkit's scene filter. Tokens are those of the current frame (the last of the history).

    frame_interval: step between windows; None = history + future, so windows do not overlap
    log_names: compared with file names; None = all
    """

    num_history_frames: int = 4
    num_future_frames: int = 10
    frame_interval: int | None = None
    has_route: bool = True
    max_scenes: int | None = None
    log_names: tuple[str, ...] | None = None
    tokens: tuple[str, ...] | None = None
    include_synthetic_scenes: bool = False
    synthetic_scene_tokens: tuple[str, ...] | None = None
    reactive_synthetic_initial_tokens: tuple[str, ...] | None = None
    non_reactive_synthetic_initial_tokens: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.num_history_frames < 1:
            raise InputError(
                f"scene filter: num_history_frames counts the current frame, so it is at least 1; "
                f"got {self.num_history_frames}"
            )
        if self.num_future_frames < 0 or self.step < 1:
            raise InputError(
                "scene filter: num_future_frames must be >= 0 and frame_interval >= 1, got "
                f"{self.num_future_frames} and {self.frame_interval}"
            )

    @property
    def length(self) -> int:
        return self.num_history_frames + self.num_future_frames

    @property
    def step(self) -> int:
        return self.length if self.frame_interval is None else self.frame_interval


@dataclass(frozen=True)
class TwoStageGroup:
    """A first-stage scene, the scene 0.5 s before it, and the follow-ups of both."""

    now: str
    previous: str
    follow_ups: tuple[Pair, ...]


@dataclass(frozen=True)
class NavsimSplit:
    """A named split: which folder, which scenes, and for two-stage splits which follow-ups."""

    name: str
    data_split: str
    scene_filter: SceneFilter
    groups: tuple[TwoStageGroup, ...] = ()

    @property
    def is_two_stage(self) -> bool:
        return bool(self.groups)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping."""
    loaded = parse_yaml(read_whole(path, MAX_YAML_BYTES), f"{path}")
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: expected settings (name: value), got {type(loaded).__name__}")
    return loaded


def scene_filter_from(settings: Any, where: str) -> SceneFilter:
    """Settings of a scene filter -> SceneFilter; Hydra's own keys are skipped, others refused."""
    if not isinstance(settings, dict):
        raise InputError(f"{where}: expected settings of a scene filter, got {brief(settings)}")
    known = {field.name for field in fields(SceneFilter)}
    strange = sorted(set(settings) - known - HYDRA_KEYS, key=str)
    if strange:
        raise InputError(
            f"{where}: unknown setting {brief(strange[0])} of a scene filter. Known: "
            f"{', '.join(sorted(known))}."
        )
    values: dict[str, Any] = {}
    for name in known & set(settings):
        value = settings[name]
        # Tokens may look like numbers (all digits, or 1e..): YAML must have them in quotes.
        if isinstance(value, list):
            wrong = [entry for entry in value if not isinstance(entry, str)]
            if wrong:
                raise InputError(
                    f"{where}: '{name}' holds {brief(wrong[0])}, which YAML reads as a number. "
                    "Write tokens in quotes."
                )
            value = tuple(value)
        values[name] = value
    return from_mapping(SceneFilter, values, where)


def split_file(folder: Path, name: str, where: str) -> Path:
    """`<folder>/<name>.yaml`; the message of a wrong name lists what is there. where: who says the
    name."""
    path = inside(folder, f"{name}.yaml", where)
    if not path.is_file():
        there = sorted(file.stem for file in folder.glob("*.yaml")) if folder.is_dir() else []
        raise InputError(
            f"{path}: there is no split '{name}'. "
            + (f"There are: {', '.join(there)}." if there else
               "Copy navsim/planning/script/config/common/train_test_split of the devkit here.")
        )  # fmt: skip
    return path


def load_split(folder: Path, name: str) -> NavsimSplit:
    """Reads `<folder>/<name>.yaml` and the filter that it names in `<folder>/scene_filter/`.

    folder: train_test_split of the devkit, unchanged. A filter written into the split file itself
    is accepted too. Raises InputError.
    """
    path = split_file(folder, name, "the split's name")
    settings = read_yaml(path)
    if "scene_filter" in settings:
        chosen, where = settings["scene_filter"], str(path)
    else:
        named = [
            entry["scene_filter"] for entry in _listed(settings, "defaults", path)
            if isinstance(entry, dict) and "scene_filter" in entry
        ]  # fmt: skip
        filter_name = named[0] if named else name
        filter_path = split_file(folder / "scene_filter", filter_name, f"{path}: scene_filter")
        chosen, where = read_yaml(filter_path), str(filter_path)
    if "data_split" not in settings:
        raise InputError(f"{path}: no 'data_split' (mini, trainval, test, ...): which folder?")
    data_split = str(settings["data_split"])
    inside(folder, data_split, f"{path}: data_split")
    groups = tuple(_group(entry, path) for entry in _listed(settings, MAPPING, path))
    return NavsimSplit(name, data_split, scene_filter_from(chosen, where), groups)


def _listed(settings: Mapping[str, Any], name: str, path: Path) -> list[Any]:
    """An optional list of a split file. Raises InputError."""
    found = settings.get(name)
    if not isinstance(found, (list, type(None))):
        raise InputError(f"{path}: {name}: expected a list, got {brief(found)}")
    return found or []


def _group(entry: Any, path: Path) -> TwoStageGroup:
    try:
        now, previous, follow_ups = entry
        pairs = tuple((str(first), str(second)) for first, second in follow_ups)
        return TwoStageGroup(str(now), str(previous), pairs)
    except (TypeError, ValueError):
        raise InputError(
            f"{path}: an entry of {MAPPING} is [now, previous, [[now, previous], ...]], "
            f"got {brief(entry)}"
        ) from None
