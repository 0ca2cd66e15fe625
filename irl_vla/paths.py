"""Names that stand in other people's files -> paths that stay in their folder.

A log, a recording or a scene may say any name for a file: "../../x", "/etc/passwd". Every such name
becomes a path here and nowhere else. May import: types.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from irl_vla.types import InputError

LONGEST_NAME = 255  # [B] of one part of a path; Linux: NAME_MAX


def inside(folder: Path, name: object, where: str) -> Path:
    """`folder / name` for a relative name, with or without folders of its own.

    where: file and field that say the name, for the error. Raises InputError for what is no text,
    leaves the folder, is the folder itself, or can be no name of a file. Links on disk are
    followed: data sets are often put together of them, and who can make one needs no name.
    """
    if not isinstance(name, str):
        raise InputError(f"{where}: expected the name of a file, got {name!r:.80}")
    pure = PurePath(name)
    parts = pure.parts
    if not parts or pure.root or ".." in parts:
        raise InputError(
            f"{where}: expected a relative path that stays in its folder, got {name!r:.200}. Is "
            "the file damaged, or from an untrusted source?"
        )
    if "\0" in name or any(_bytes(part) > LONGEST_NAME for part in parts):
        raise InputError(
            f"{where}: no file can have this name: {name!r:.80} (at most {LONGEST_NAME} bytes a "
            "part, no zero bytes)"
        )
    return folder / name


def _bytes(part: str) -> int:
    """Length on disk; a text that no disk can hold is too long."""
    try:
        return len(os.fsencode(part))
    except UnicodeEncodeError:
        return LONGEST_NAME + 1
