"""JSON files of recordings: read with the file's name in every complaint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from irl_vla.foreign import cut, parse_json, read_whole
from irl_vla.types import InputError


def read_json(path: Path) -> Any:
    """Content of a JSON file. Raises InputError."""
    return parse_json(read_whole(path), f"{path}")


@contextmanager
def shape_of(path: Path, expected: str) -> Iterator[None]:
    """Around code that takes a parsed file apart: what is missing or of another type becomes an
    InputError that names the file."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{path}: {error}") from None
        reason = f"no {error}" if isinstance(error, KeyError) else cut(error)
        raise InputError(f"{path}: not {expected}: {reason}") from None
