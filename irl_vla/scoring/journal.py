"""Finished work, line by line on the disk, so that an interrupted run goes on where it stopped.

The first line says everything besides the unit of work itself that can change a result: contents,
versions, settings. A run with others does not go on from there: half of each would be neither.
May import: types, foreign.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irl_vla.foreign import parse_json, read_whole
from irl_vla.types import InputError

SHOWN = 24  # characters of a setting's value in a sentence


@dataclass(frozen=True)
class SceneOutcome:
    """One scene: its results, or why there are none. key: of the journal"""

    scene_id: str
    key: str
    results: dict[str, Any] | None
    error: str = ""


class Journal:
    """Finished scenes, one JSON line each, written through to the disk; a torn last line, as
    `kill -9` leaves it, is ignored.

    settings: by name, whatever can change a result and is not in its key. Raises InputError, naming
    what differs, for a journal of other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self.path = path
        self.done: dict[str, SceneOutcome] = {}
        self._head = json.dumps({"settings": dict(settings)}, sort_keys=True)
        lines = read_whole(path).decode("utf-8", "replace").splitlines() if path.exists() else []
        self._begun = bool(lines) and not (len(lines) == 1 and _torn(lines[0]))
        if self._begun:
            _refuse_other(path, lines[0], dict(settings))
        for line in lines[1:]:
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
            outcome = SceneOutcome(record["id"], record["key"], record["results"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if isinstance(outcome.key, str) and isinstance(outcome.results, dict):
            self.done[outcome.key] = outcome

    def add(self, outcome: SceneOutcome) -> None:
        """Remember a scored scene; failures are tried again by the next run. Raises InputError
        where the disk is full."""
        if outcome.results is None:
            return
        record = {"id": outcome.scene_id, "key": outcome.key, "results": outcome.results}
        try:
            self._write(json.dumps(record) + "\n")
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written: {error.strerror}. Make room there and run the "
                "same command again: it goes on from here"
            ) from None
        self.done[outcome.key] = outcome

    def _write(self, line: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a" if self._begun else "w", encoding="utf-8") as file:
            if not self._begun:
                file.write(self._head + "\n")
            elif not self._ends_whole():
                file.write("\n")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._begun = True

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def _torn(line: str) -> bool:
    """Whether a first and only line is the beginning of one of ours."""
    return '{"settings": {'.startswith(line[:14]) and not line.endswith("}}")


def _refuse_other(path: Path, line: str, wanted: Mapping[str, str]) -> None:
    try:
        found = parse_json(line, f"{path}")["settings"]
        settings = {str(name): str(value) for name, value in found.items()}
    except (InputError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: is no journal of this version. Remove it, or choose another --out"
        ) from None
    differ = differences(settings, wanted)
    if differ:
        raise InputError(
            f"{path}: was begun with other settings: {differ}. Results of both cannot be mixed: "
            "run the command as it was, remove the journal, or choose another --out"
        )


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Names and both values of the settings that differ; "" for none."""
    others = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    return "; ".join(
        f"{name} was {_short(before.get(name))}, is {_short(now.get(name))}" for name in others
    )


def _short(value: str | None) -> str:
    return "not there" if value is None else value if len(value) <= SHOWN else f"{value[:16]}.."
