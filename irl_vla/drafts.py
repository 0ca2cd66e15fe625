"""Folders of results that are not whole yet, and nobody's once their maker is dead.

A draft is made beside its place and moved there in one rename. Its maker holds a lock on it that
the system drops whatever ends him, `kill -9` included; so the next one who makes a draft there
knows which are left over, and removes them. May import: types.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from irl_vla.types import InputError

PREFIX = ".unfinished-"
TRIES = 5  # somebody may sweep a draft away between its making and its lock

_swept: set[Path] = set()  # by this process: a cache may hold a hundred thousand files


def refuse_unwritable(folder: Path) -> None:
    """Makes the folder and writes into it: said before long work, not after. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written: {error.strerror}. Choose another --out"
        ) from None


class DraftFolder:
    """A new folder in `parent`, until it is closed. Raises OSError."""

    def __init__(self, parent: Path) -> None:
        if parent not in _swept:
            _swept.add(parent)
            sweep(parent)
        for _ in range(TRIES):
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            self._lock = _locked(self.path)
            if self._lock is not None and self.path.exists():
                return
            self.close()
        raise OSError(0, "folders vanish as soon as they are made", str(parent))

    def close(self) -> None:
        """Remove what is still in it; may be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def sweep(parent: Path) -> None:
    """Remove drafts in `parent` whose maker is dead; those of others, and of other users, stay."""
    try:
        left = [Path(e.path) for e in os.scandir(parent) if e.name.startswith(PREFIX)]
    except OSError:
        return
    for folder in left:
        lock = None if folder.is_symlink() else _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock on a folder, or None where somebody else has it, or it is no folder of ours."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
