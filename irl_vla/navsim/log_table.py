"""What the filters need of a log: tokens, log names, and which frames have a route.

Reading a whole log for this takes seconds on a large split, so the table is kept as a small JSON
file beside our other caches, keyed by the log's name, time and size.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from irl_vla.drafts import DraftFolder
from irl_vla.navsim.logs import Log
from irl_vla.paths import inside
from irl_vla.types import InputError

VERSION = 1  # raised whenever the table's content changes
COLUMNS = ("tokens", "log_names", "cities", "routed")


@dataclass(frozen=True)
class LogTable:
    """Per frame of one log file, in time order."""

    path: Path
    tokens: tuple[str, ...]
    log_names: tuple[str, ...]
    cities: tuple[str, ...]
    routed: tuple[bool, ...]

    def __post_init__(self) -> None:
        """Raises InputError for names that become names of files and cannot be such."""
        for field, names in {"log_name": self.log_names, "map_location": self.cities}.items():
            for name in dict.fromkeys(names) if all(map(_is_text, names)) else names:
                where = f"{self.path}: frame {names.index(name)}: {field}"
                inside(self.path.parent, name, where)

    def __len__(self) -> int:
        return len(self.tokens)


def _is_text(name: object) -> bool:
    return isinstance(name, str)


def log_table(path: Path, cache: Path | None = None) -> LogTable:
    """The table of a log, from the cache where it is fresh. Raises InputError for bad logs."""
    if cache is None:
        return _read(path)
    kept = cache / "logs" / f"v{VERSION}" / path.parent.name / f"{path.stem}.json"
    source = source_of(path)
    try:
        entry = json.loads(kept.read_text(encoding="utf-8"))
        if entry["source"] == source:
            columns = (tuple(entry[name]) for name in COLUMNS)
            return LogTable(path, *columns)
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
        pass  # absent, or no file of ours: it is made anew
    table = _read(path)
    entry = {"source": source, **{name: getattr(table, name) for name in COLUMNS}}
    replace_file(kept, json.dumps(entry).encode())
    return table


def source_of(*paths: Path) -> str:
    """Names, times and sizes of files that something is made from, as one text."""
    parts = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            raise InputError(f"{path}: this file has disappeared") from None
        parts.append(f"{path.name} {status.st_mtime_ns} {status.st_size}")
    return "; ".join(parts)


def replace_file(path: Path, data: bytes) -> None:
    """Writes beside and renames: readers see the old file or the whole new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with DraftFolder(path.parent) as draft:
            (draft / path.name).write_bytes(data)
            (draft / path.name).replace(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror}. Make room there, or give another --cache"
        ) from None


def _read(path: Path) -> LogTable:
    log = Log(path)
    return LogTable(
        path,
        tuple(frame["token"] for frame in log.raw),
        tuple(frame["log_name"] for frame in log.raw),
        tuple(frame["map_location"] for frame in log.raw),
        tuple(bool(frame["roadblock_ids"]) for frame in log.raw),
    )
