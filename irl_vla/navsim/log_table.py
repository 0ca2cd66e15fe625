"""What the filters need of a log: tokens, log names, and which frames have a route.

Reading a whole log for this takes seconds on a large split, so the table is kept as a small JSON
file beside our other caches, keyed by what `source_of` says of the log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from irl_vla.drafts import DraftFolder
from irl_vla.foreign import brief, parse_json, read_whole
from irl_vla.navsim.logs import Log
from irl_vla.paths import inside
from irl_vla.resources import software
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
    columns = None
    try:
        entry = parse_json(read_whole(kept), f"{kept}")
        if entry["source"] == source:
            columns = [tuple(entry[name]) for name in COLUMNS]
    except (InputError, KeyError, TypeError):
        pass  # absent, or no file of ours: it is made anew
    if columns is not None:
        return LogTable(path, *columns)  # names that no log may have are refused from here, too
    table = _read(path)
    entry = {"source": source, **{name: getattr(table, name) for name in COLUMNS}}
    replace_file(kept, json.dumps(entry).encode())
    return table


def source_of(*paths: Path, more: str = "") -> str:
    """What something is made from, as one text that changes with the files and with the code.

    Files are told by name, size, inode, and the times of content and inode: the last one is set by
    the system alone, so neither `touch -r` nor `cp -p` hides a change. Reading gigabytes for a hash
    would cost more than what is kept. more: settings. Raises InputError for a missing file.
    """
    parts = [f"{name} {version}" for name, version in {**software(), **_geometry()}.items()]
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            why = "this file has disappeared" if gone else f"cannot be read: {error.strerror}"
            raise InputError(f"{path}: {why}") from None
        times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
        parts.append(f"{brief(path.name)} {status.st_size} {status.st_ino} {times}")
    return "; ".join([*parts, more])


@cache
def _geometry() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("shapely", "pyproj", "pyarrow")}


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
