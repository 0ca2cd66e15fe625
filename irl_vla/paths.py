"""Names that stand in other people's files -> paths that stay in their folder, and names of files.

A log, a recording or a scene may say any name for a file: "../../x", "/etc/passwd". Every such name
becomes a path here and nowhere else: `inside` for a file that is there to be read, `file_name` for
one that is written and only called after it. May import: types, foreign.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePath

from irl_vla.foreign import brief
from irl_vla.types import InputError

LONGEST_NAME = 255  # [B] of one part of a path; Linux: NAME_MAX
KEPT = 80  # characters of a foreign name in a file's name
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")


def inside(folder: Path, name: object, where: str) -> Path:
    """`folder / name` for a relative name, with or without folders of its own.

    where: file and field that say the name, for the error. Raises InputError for what is no text,
    leaves the folder, is the folder itself, or can be no name of a file. Links on disk are
    followed: data sets are often put together of them, and who can make one needs no name.
    """
    if not isinstance(name, str):
        raise InputError(f"{where}: expected the name of a file, got {brief(name)}")
    pure = PurePath(name)
    parts = pure.parts
    if not parts or pure.root or ".." in parts:
        raise InputError(
            f"{where}: expected a relative path that stays in its folder, got {brief(name)}. Is "
            "the file damaged, or from an untrusted source?"
        )
    if "\0" in name or any(_bytes(part) > LONGEST_NAME for part in parts):
        raise InputError(
            f"{where}: no file can have this name: {brief(name)} (at most {LONGEST_NAME} bytes a "
            "part, no zero bytes)"
        )
    return folder / name


def file_name(*names: str, ending: str = "") -> str:
    """One part of a path, made of foreign names: "run 7/x" -> "run_7_x-5d0e24c1.png".

    ending: ".png". A name of letters, digits, ".", "_" and "-" stays as it is. Any other loses what
    could lead elsewhere, be hidden, or be too long, and gets a hash of what it was: different names
    give different files.
    """
    wanted = "_".join(names)
    plain = _FOREIGN.sub("_", wanted).lstrip(".")[:KEPT]
    if plain != wanted or not plain:
        digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()
        plain = f"{plain}-{digest[:8]}" if plain else digest[:8]
    return f"{plain}{ending}"


def _bytes(part: str) -> int:
    """Length on disk; a text that no disk can hold is too long."""
    try:
        return len(os.fsencode(part))
    except UnicodeEncodeError:
        return LONGEST_NAME + 1
