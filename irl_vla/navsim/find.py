"""One scene by its token, whatever split it belongs to."""

from __future__ import annotations

from pathlib import Path

from irl_vla.navsim.dataset import Dataset, window_of
from irl_vla.navsim.filters import SceneFilter
from irl_vla.navsim.followups import load_follow_up
from irl_vla.navsim.log_table import log_table
from irl_vla.navsim.logs import Log
from irl_vla.navsim.records import SceneWindow
from irl_vla.paths import inside
from irl_vla.types import InputError

HISTORY, FUTURE = 4, 10  # frames; the future is cut where the log ends


def find_window(
    dataset: Dataset, token: str, cache: Path | None = None
) -> tuple[SceneWindow, Path]:
    """The window around a frame, and the folder of its sensor files.

    Looks through follow-ups and all logs on disk. Raises InputError if the token is nowhere, or
    has no history.
    """
    for folder in sorted(dataset.root.glob("*/synthetic_scene_pickles")):
        path = inside(folder, f"{token}.pkl", "token")
        if path.is_file():
            return load_follow_up(path), folder.parent / "sensor_blobs"
    logs = sorted((dataset.root / "navsim_logs").glob("*/*.pkl"))
    for path in logs:
        table = log_table(path, cache)
        if token not in table.tokens:
            continue
        first = table.tokens.index(token) - (HISTORY - 1)
        if first < 0:
            raise InputError(
                f"token {token}: frame {first + HISTORY - 1} of {path}, before which there are no "
                f"{HISTORY - 1} frames of history. Choose a later frame of this log."
            )
        future = min(FUTURE, len(table) - first - HISTORY)
        chosen = SceneFilter(num_history_frames=HISTORY, num_future_frames=future)
        return window_of(Log(path), first, chosen), dataset.sensors(path.parent.name)
    raise InputError(
        f"token {token}: in none of the {len(logs)} logs and no follow-up below {dataset.root}"
    )
