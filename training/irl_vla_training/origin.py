"""What samples and weights come from, and the refusal to mix them with others.

Whatever is kept to go on from says all that can change what is still to come: contents, settings,
code, versions. May import: irl_vla.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path

import cv2

from irl_vla.perception.preset import Preset
from irl_vla.resources import software
from irl_vla.scoring.journal import differences
from irl_vla.types import InputError

CHUNK = 1 << 20


@cache
def lab_software() -> dict[str, str]:
    """Which code runs: the core's with its numeric packages, the lab's own files, OpenCV."""
    digest, root = sha256(), Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return {**software(), "the lab's code": digest.hexdigest(), "opencv": cv2.__version__}


def preset_hash(preset: Preset) -> str:
    """Of all its numbers."""
    return sha256(json.dumps(asdict(preset), sort_keys=True, default=str).encode()).hexdigest()


def content_hash(*paths: Path) -> str:
    """Of files, and of all files of folders with their names in them. Raises InputError."""
    digest = sha256()
    for top in paths:
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            if path.is_file() or path == top:
                name = path.relative_to(top).as_posix()
                digest.update(f"{name}\0{_file_hash(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    digest = sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def refuse_mixture(
    where: str, before: Mapping[str, str], now: Mapping[str, str], advice: str
) -> None:
    """Raises InputError that names what differs. advice: what to do"""
    differ = differences(before, now)
    if differ:
        raise InputError(f"{where}: was begun with other settings: {differ}. {advice}")
