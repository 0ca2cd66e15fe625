"""Values of strangers: JSON and YAML read within bounds, and shown within bounds.

A kilobyte of YAML can mean terabytes once its aliases are followed, and a deep nesting ends
programs that walk it. So what is read here is bounded in size, depth and what it stands for, and
`brief` shows any value in a few characters, without walking more of it than it shows. Every failure
of a parser becomes a sentence with the file's name. May import: types.
"""

from __future__ import annotations

import json
import os
import reprlib
import stat
from pathlib import Path
from typing import Any

import yaml

from irl_vla.types import InputError

MAX_FILE_BYTES = 2**29  # of a file that is read as a whole
MAX_YAML_BYTES = 2**24  # settings, splits and indexes; YAML is slow to read
MAX_DEPTH = 64  # of lists and objects in one another; ours need 12
MAX_ITEMS = 10**8  # that a value stands for when everything that is shared is written out
MAX_YAML_ITEMS = 10**6
SHOWN = 120  # characters of a value in a sentence
MESSAGE = 300  # characters of another library's words in a sentence

SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C: splits have 100,000 tokens


def brief(value: object) -> str:
    """A value in at most SHOWN characters, for a sentence."""
    try:
        text = _SHORT.repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python writes
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def cut(error: object) -> str:
    """Another library's words, in at most MESSAGE characters."""
    text = str(error)
    return text if len(text) <= MESSAGE else f"{text[: MESSAGE - 3]}..."


def _short() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxtuple = 3, 4, 4, 4
    short.maxset = short.maxfrozenset = short.maxarray = short.maxdeque = 4
    short.maxstring = short.maxother = short.maxlong = SHOWN
    return short


_SHORT = _short()


def refuse_special(path: Path) -> None:
    """Raises InputError for a pipe, device or socket: reading one might never end. What the user's
    shell hands over (/dev/stdin, /dev/fd/63) is read."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says why
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or path.parts[:2] == ("/", "dev")):
        raise InputError(f"{path}: is no plain file but a pipe, device or socket: refused")


def read_whole(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """A file's bytes. Raises InputError where it cannot be read, or is larger than `limit`."""
    refuse_special(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size or limit  # 0: a pipe, or one of /proc
            content = file.read(min(size, limit) + 1)  # so much memory is taken
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it does not exist") from None
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or "too large for this machine"
        raise InputError(f"{path}: cannot be read: {why}") from None
    if len(content) > limit:
        raise InputError(
            f"{path}: is larger than {limit} bytes, which is the limit. Give it in smaller parts"
        )
    return content


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers could choose differently between two values of one name. Raises ValueError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twin:.80}' is given twice")
    return found


def parse_json(content: bytes | str, where: str) -> Any:
    """JSON -> lists, dicts, texts and numbers. where: for the error.

    Raises InputError for what is no JSON, names something twice in one object, is nested deeper
    than MAX_DEPTH, or holds numbers of thousands of digits.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        value = json.loads(text, object_pairs_hook=without_twins)
    except RecursionError:
        raise InputError(f"{where}: not valid JSON: nested too deeply") from None
    except (ValueError, MemoryError) as error:
        raise InputError(f"{where}: not valid JSON: {cut(error)}") from None
    _refuse_deep(value, where)
    return value


def _refuse_deep(value: Any, where: str) -> None:
    """Level by level, so that no nesting is too deep to be found."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [
            item
            for parent in level
            for item in (parent.values() if type(parent) is dict else parent)
            if type(item) is list or type(item) is dict
        ]
        if not level:
            return
    raise InputError(f"{where}: lists and objects are nested deeper than {MAX_DEPTH}")


def parse_yaml(content: bytes, where: str) -> Any:
    """YAML of plain values. Raises InputError for what is none, or is out of bounds."""
    if len(content) > MAX_YAML_BYTES:
        raise InputError(f"{where}: is larger than {MAX_YAML_BYTES} bytes, which is the limit")
    try:
        text = content.decode("utf-8")
        _refuse_deep_yaml(text, where)
        value = yaml.load(text, Loader=SAFE_LOADER)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: not valid YAML: {cut(error)}") from None
    refuse_boundless(value, where, MAX_YAML_ITEMS)
    return value


def _refuse_deep_yaml(text: str, where: str) -> None:
    """Before it is read: the reader in C ends Python with a segmentation fault at some depth."""
    depth = 0
    for event in yaml.parse(text, Loader=SAFE_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError(f"{where}: lists and objects are nested deeper than {MAX_DEPTH}")


def refuse_boundless(value: Any, where: str, limit: int = MAX_ITEMS) -> None:
    """InputError where lists, tuples and dicts lie in one another deeper than MAX_DEPTH, hold
    themselves, or stand for more than `limit` items: one that is named ten times by one that is
    named ten times counts a hundred times."""
    sizes: dict[int, int] = {}  # what a container stands for, once its parts are known
    path: dict[int, Any] = {}  # the containers that are being counted, from the outermost
    stack = [(value, False)]
    while stack:
        item, counted = stack.pop()
        key = id(item)
        parts = _parts(item)
        if counted:
            sizes[key] = 1 + sum(sizes.get(id(part), 1) for part in parts)
            path.pop(key)
            if sizes[key] > limit:
                raise InputError(
                    f"{where}: stands for more than {limit} items once everything that is named "
                    "twice is written out; no such file is sensible"
                )
        elif key in path:
            raise InputError(f"{where}: a list or object holds itself")
        elif parts and key not in sizes:
            path[key] = item
            if len(path) > MAX_DEPTH:
                raise InputError(f"{where}: lists and objects are nested deeper than {MAX_DEPTH}")
            stack.append((item, True))
            stack += [(part, False) for part in parts if isinstance(part, (list, tuple, dict))]


def _parts(item: Any) -> Any:
    """What a container holds; the keys of a mapping are plain."""
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, (list, tuple)) else ()
