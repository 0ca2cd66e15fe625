"""The folders of NAVSIM as they are downloaded, and the windows that a split picks from them.

`Dataset` knows the paths. `index_split` scans the logs once and keeps only where each window is;
`SplitIndex.window` makes one window on demand from a `LogShelf`, so memory does not grow with the
number of tokens. Logs are visited by name: the devkit takes the order of the directory, so with
`max_scenes` its choice depends on the file system, ours does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from irl_vla.navsim.filters import NavsimSplit, SceneFilter, load_split
from irl_vla.navsim.followups import load_follow_up, load_metadata
from irl_vla.navsim.log_table import LogTable, log_table
from irl_vla.navsim.logs import Log, LogShelf
from irl_vla.navsim.records import Metadata, SceneWindow
from irl_vla.paths import inside
from irl_vla.types import InputError

SPLIT_FOLDERS = ("splits/train_test_split", "train_test_split", "splits")


@dataclass(frozen=True)
class Dataset:
    """Paths below one dataset root; see docs/navsim.md for the tree.

    splits: folder with the devkit's train_test_split files; None = looked for below the root
    """

    root: Path
    splits: Path | None = None

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder. Give the folder with navsim_logs/")

    def logs(self, data_split: str) -> Path:
        return self.root / "navsim_logs" / data_split

    def sensors(self, data_split: str) -> Path:
        return self.root / "sensor_blobs" / data_split

    @property
    def maps(self) -> Path:
        return self.root / "maps"

    def follow_up_root(self, split_name: str) -> Path:
        """Folder of the follow-ups of a two-stage split: that of its name, else navhard's."""
        own = self.root / split_name
        has_own = (own / "synthetic_scene_pickles").is_dir()
        return own if has_own else self.root / "navhard_two_stage"

    def follow_ups(self, split_name: str) -> Path:
        return self.follow_up_root(split_name) / "synthetic_scene_pickles"

    def follow_up_sensors(self, split_name: str) -> Path:
        return self.follow_up_root(split_name) / "sensor_blobs"

    def split(self, name: str) -> NavsimSplit:
        """The split `name` of the devkit's YAML files."""
        if self.splits is not None:
            return load_split(self.splits, name)
        folders = [self.root / folder for folder in SPLIT_FOLDERS]
        found = [folder for folder in folders if (folder / f"{name}.yaml").is_file()]
        return load_split((found or folders)[0], name)

    def log_paths(self, data_split: str) -> list[Path]:
        """All log files of a folder, by name. A folder without logs is an error, not zero scenes
        that count as success."""
        folder = self.logs(data_split)
        paths = sorted(folder.glob("*.pkl")) if folder.is_dir() else []
        if not paths:
            there = self.root / "navsim_logs"
            names = sorted(p.name for p in there.iterdir()) if there.is_dir() else []
            raise InputError(
                f"{folder}: no logs (*.pkl). Below {there} there is: "
                f"{', '.join(names) or 'nothing'}."
            )
        return paths


@dataclass(frozen=True)
class Place:
    """Where a window starts: `frames[first : first + length]` of a log file, or a follow-up."""

    path: Path
    log_name: str
    city: str
    first: int | None  # None: a follow-up file
    final_token: str


@dataclass(frozen=True)
class SplitIndex:
    """What a split found: token -> place, and what it asked for in vain.

    unknown_tokens, unknown_logs: asked for by the filter and absent from the data; unusable_tokens:
    there, but without route or too near an end of their log (the devkit is silent about all)
    """

    dataset: Dataset
    split: NavsimSplit
    places: dict[str, Place]
    unknown_tokens: tuple[str, ...]
    unusable_tokens: tuple[str, ...]
    unknown_logs: tuple[str, ...]
    missing_follow_ups: tuple[str, ...]
    shelf: LogShelf = field(default_factory=LogShelf)

    @property
    def stage_one(self) -> tuple[str, ...]:
        return tuple(token for token, place in self.places.items() if place.first is not None)

    @property
    def follow_ups(self) -> tuple[str, ...]:
        return tuple(token for token, place in self.places.items() if place.first is None)

    @property
    def stage_two(self) -> tuple[str, ...] | None:
        """Follow-ups that are scored: those of `reactive_synthetic_initial_tokens`."""
        wanted = self.split.scene_filter.reactive_synthetic_initial_tokens
        if wanted is None:
            return None
        chosen = set(wanted)
        return tuple(token for token in self.follow_ups if token in chosen)

    def by_log(self) -> dict[str, list[str]]:
        """log name (the field, not the file name) -> tokens."""
        grouped: dict[str, list[str]] = {}
        for token, place in self.places.items():
            grouped.setdefault(place.log_name, []).append(token)
        return grouped

    def window(self, token: str) -> SceneWindow:
        """The window whose current frame is `token`. Raises InputError for unknown tokens."""
        place = self.places.get(token)
        if place is None:
            raise InputError(
                f"token {token}: not in split '{self.split.name}' of {self.dataset.root} "
                f"({len(self.places)} scenes)"
            )
        if place.first is None:
            return load_follow_up(place.path)
        return window_of(self.shelf.get(place.path), place.first, self.split.scene_filter)

    def notes(self) -> list[str]:
        """What the user should know before trusting the split: one line each."""
        lines = []
        for count, what in (
            (self.unknown_tokens, "tokens of the filter are in none of its logs"),
            (self.unusable_tokens, "tokens have no route, or too few frames around them"),
            (self.unknown_logs, "logs of the filter are not on disk"),
            (self.missing_follow_ups, "follow-ups of the split are not on disk or not selected"),
        ):
            if count:
                shown = ", ".join(count[:5]) + (", ..." if len(count) > 5 else "")
                lines.append(f"split '{self.split.name}': {len(count)} {what}: {shown}")
        return lines


def window_of(log: Log, first: int, scene_filter: SceneFilter) -> SceneWindow:
    """Frames `first` .. `first + length - 1` of a log as a Window."""
    current = log.raw[first + scene_filter.num_history_frames - 1]
    metadata = Metadata(
        log_name=current["log_name"],
        scene_token=current["scene_token"],
        map_name=current["map_location"],
        initial_token=current["token"],
        num_history_frames=scene_filter.num_history_frames,
        num_future_frames=scene_filter.num_future_frames,
    )
    frames = tuple(log.frame(index) for index in range(first, first + scene_filter.length))
    return SceneWindow(metadata, frames)


def windows_in(log: LogTable, scene_filter: SceneFilter) -> Iterator[tuple[str, Place]]:
    """The windows that the filter picks from one log, in time order."""
    wanted = None if scene_filter.tokens is None else set(scene_filter.tokens)
    for first in range(0, len(log) - scene_filter.length + 1, scene_filter.step):
        current = first + scene_filter.num_history_frames - 1
        if scene_filter.has_route and not log.routed[current]:
            continue  # the route of the CURRENT frame counts, not of the others
        token = log.tokens[current]
        if wanted is not None and token not in wanted:
            continue
        inside(log.path.parent, token, f"{log.path}: frame {current}: token")
        final = log.tokens[first + scene_filter.length - 1]
        yield token, Place(log.path, log.log_names[first], log.cities[current], first, final)


def index_split(dataset: Dataset, split: NavsimSplit, cache: Path | None = None) -> SplitIndex:
    """Scans the logs (one in memory at a time, or their tables in `cache`) and the follow-ups."""
    scene_filter, places = split.scene_filter, dict[str, Place]()
    paths = dataset.log_paths(split.data_split)
    names = {path.stem for path in paths}
    if scene_filter.log_names is not None:
        chosen = set(scene_filter.log_names)
        paths = [path for path in paths if path.stem in chosen]
    wanted, there = set(scene_filter.tokens or ()), set[str]()
    limit = scene_filter.max_scenes
    for path in paths:
        log = log_table(path, cache)
        there.update(wanted.intersection(log.tokens))
        for token, place in windows_in(log, scene_filter):
            if limit is None or len(places) < limit:
                places[token] = place
        if limit is not None and len(places) >= limit:
            wanted = set()  # the rest was not looked for
            break
    lost = [token for token in scene_filter.tokens or () if token in wanted - set(places)]
    missing: tuple[str, ...] = ()
    if scene_filter.include_synthetic_scenes:
        folder = dataset.follow_ups(split.name)
        places.update(_follow_ups(folder, scene_filter, places, cache))
        asked = scene_filter.synthetic_scene_tokens or ()
        scored = scene_filter.reactive_synthetic_initial_tokens or ()
        missing = tuple(token for token in (*asked, *scored) if token not in places)
    return SplitIndex(
        dataset, split, places,
        tuple(token for token in lost if token not in there),
        tuple(token for token in lost if token in there),
        tuple(name for name in scene_filter.log_names or () if name not in names), missing,
    )  # fmt: skip


def _follow_ups(
    folder: Path, scene_filter: SceneFilter, places: dict[str, Place], cache: Path | None
) -> dict[str, Place]:
    """Follow-ups of the loaded first-stage scenes, by name.

    Selected by log name and by `corresponding_original_scene`, which is the token of the LAST
    frame of a first-stage window (4 s after its start, so the future must have 8 frames); or by
    `synthetic_scene_tokens` where the filter lists them.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; the split needs follow-up scenes. "
            "Download navhard_two_stage (or another two-stage set)."
        )
    ends = {place.final_token for place in places.values()}
    asked = scene_filter.synthetic_scene_tokens
    found = {}
    for path in sorted(folder.glob("*.pkl")):
        if asked is not None and path.stem not in asked:
            continue
        metadata = load_metadata(path, cache)
        if scene_filter.log_names is not None and metadata.log_name not in scene_filter.log_names:
            continue
        if asked is None and metadata.corresponding_original_scene not in ends:
            continue
        found[metadata.initial_token] = Place(path, metadata.log_name, metadata.map_name, None, "")
    return found
