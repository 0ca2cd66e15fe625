"""`irl-vla show world:SEED`, `situation:NAME:SEED`, `SCENARIO.pkl` or `.xml`: drives from above."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from irl_vla.terminal.console import Console
from irl_vla.types import U8, InputError
from irl_vla.view.animation import QUALITY, write_webp
from irl_vla.view.drawing import png, webp
from irl_vla.view.report import replace_file
from irl_vla.view.town import TownPainter
from irl_vla.view.town_film import (
    FPS,
    MANY_EVERY,
    MANY_FPS,
    MANY_QUALITY,
    drive_frames,
    instants,
    many_drives,
    moments,
)
from irl_vla.world.benchmark.splits import MOST_SEED
from irl_vla.world.build import episode_of
from irl_vla.world.episode import Episode
from irl_vla.world.recorded.commonroad import load_commonroad
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla.world.situations.expert_drive import expert_drive
from irl_vla.world.situations.situation import NAMES, situation

WORLD = re.compile(r"world:(?P<first>[^:]*)(:(?P<end>.*))?")
SITUATION = re.compile(r"situation:(?P<name>[^:]*):(?P<seed>.*)")
SCENARIO_ENDINGS = (".pkl", ".pickle", ".xml")
MOST_SEEDS = 24  # drives on one sheet: more are too small to look at
SHEET_QUALITY = 75  # of 100, of a still sheet: ten drives take about 0.2 MB


class Drives(NamedTuple):
    """What was asked for: a recording, a named situation, or else the built-in world's seeds."""

    name: str
    seeds: range
    scenario: Path | None = None
    situation: str = ""


def drives_of(source: Path) -> Drives | None:
    """What a source on the command line means; None: it is no world. Raises InputError."""
    if source.suffix in SCENARIO_ENDINGS:
        return Drives(source.stem, range(0), source)
    if str(source).startswith("situation:"):
        return _situation(str(source))
    found = WORLD.fullmatch(str(source))
    if found is None:
        return None
    first = _seed(str(source), found["first"])
    end = first + 1 if found["end"] is None else _seed(str(source), found["end"])
    if not 1 <= end - first <= MOST_SEEDS:
        raise InputError(
            f"'{source}': the seeds from the first up to, not including, the second; "
            f"expected 1 to {MOST_SEEDS} of them, got {end - first}"
        )
    return Drives(str(source).replace(":", "_"), range(first, end))


def _situation(source: str) -> Drives:
    found = SITUATION.fullmatch(source)
    if found is None or found["name"] not in NAMES:
        raise InputError(
            f"'{source}': expected situation:NAME:SEED, for example situation:merge:3; "
            f"names: {', '.join(NAMES)}"
        )
    seed = _seed(source, found["seed"])
    return Drives(source.replace(":", "_"), range(seed, seed + 1), situation=found["name"])


def _seed(source: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > MOST_SEED:
        raise InputError(
            f"'{source}': expected a seed from 0 to {MOST_SEED}, got '{text}'. "
            "Write for example world:7, or world:0:10 for ten drives on one sheet"
        )
    return int(text)


def show_world(drives: Drives, folder: Path, animate: bool) -> list[Path]:
    """Draws the drives and returns the files written. Raises InputError."""
    if len(drives.seeds) > 1:
        return _sheet(drives, folder, animate)
    episode = _episode(drives)
    town, sheet, film = folder / "town.png", folder / "moments.png", folder / "drive.webp"
    if drives.situation:
        sheet = folder / "situation.webp"
        replace_file(sheet, webp(instants(episode), SHEET_QUALITY))
        written = [sheet]
    else:
        painter = TownPainter(episode.town, episode.actors, episode.vehicle)
        replace_file(town, png(painter.overview()))
        replace_file(sheet, png(moments(episode)))
        written = [town, sheet]
    if animate:
        _film(film, drive_frames(episode), len(episode), FPS, QUALITY)
        written.append(film)
    return written


def _episode(drives: Drives) -> Episode:
    """The one drive."""
    if drives.situation:
        return expert_drive(situation(drives.situation, drives.seeds[0])).episode()
    if drives.scenario is None:
        return episode_of(drives.seeds[0])
    read = load_commonroad if drives.scenario.suffix == ".xml" else load_scenario
    return read(drives.scenario)


def _sheet(drives: Drives, folder: Path, animate: bool) -> list[Path]:
    """Many seeds on one sheet: the middle of each drive, and all of them together in motion."""
    episodes = [episode_of(seed) for seed in drives.seeds]
    titles = [f"seed {seed}" for seed in drives.seeds]
    longest = max(map(len, episodes))
    picture, film = folder / "sheet.webp", folder / "drives.webp"
    replace_file(picture, webp(next(many_drives(episodes, titles, [longest // 2])), SHEET_QUALITY))
    if not animate:
        return [picture]
    steps = range(0, longest, MANY_EVERY)
    _film(film, many_drives(episodes, titles, steps), len(steps), MANY_FPS, MANY_QUALITY)
    return [picture, film]


def _film(path: Path, frames: Iterator[U8], count: int, fps: float, quality: int) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("painting", total=count)
        write_webp(path, frames, fps, quality, lambda done: bar.update(task, completed=done))
