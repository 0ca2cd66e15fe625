"""YAML -> frozen dataclasses. A dataclass is documentation, check and file format in one.

Unknown keys are refused with "did you mean", and so are unknown names of a table (`named`); a value
that the dataclass itself refuses keeps the file's name.
May import: types, foreign.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from irl_vla.foreign import MAX_YAML_BYTES, brief, cut, parse_yaml, read_whole
from irl_vla.types import InputError

T = TypeVar("T")


def load_yaml(path: Path, kind: type[T]) -> T:
    """Read one YAML file as `kind`. Raises InputError that names the file, the key, what was
    expected and got."""
    return from_mapping(kind, read_yaml(path), where=str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file as a mapping."""
    data = parse_yaml(read_whole(path, MAX_YAML_BYTES), str(path))
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of settings, got {type(data).__name__}")
    return data


class UnknownSetting(InputError):
    """A key that the dataclass does not have."""


def from_mapping(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    """Mapping -> dataclass `kind`: no unknown keys, no wrong types, no missing values. What YAML
    may spell in several ways is converted: 1 for 1.0, "yes" for true."""
    return _checked(kind, data, where, TypeAdapter(kind).validate_python)


def from_json(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    """What `json.loads` gave -> dataclass `kind`, as strictly as JSON is typed: "yes" is no true.

    Raises UnknownSetting for a key that the dataclass does not have, else InputError.
    """
    adapter = TypeAdapter(kind)
    return _checked(
        kind, data, where, lambda given: adapter.validate_json(json.dumps(given), strict=True)
    )


def _checked(
    kind: type[T], data: Mapping[str, Any], where: str, read: Callable[[Mapping[str, Any]], T]
) -> T:
    _refuse_unknown(kind, data, where)
    try:
        return read(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: {_sentence(key, first['msg'], first['input'])}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deeply") from None


def named(table: Mapping[str, T], name: str, what: str) -> T:
    """The entry of a table by its name. Raises InputError with the known names and "did you
    mean"."""
    if name in table:
        return table[name]
    hint = _did_you_mean(name, list(table))
    raise InputError(f"{what} '{name}': expected one of {', '.join(table)}{hint and f'. {hint}'}")


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else ""


def _sentence(key: str, message: str, value: Any) -> str:
    if message == "Field required":
        return f"setting '{key}' is missing"
    if message.startswith("Value error, "):  # the dataclass's own words
        return message.removeprefix("Value error, ")
    return f"setting '{key}': {message[0].lower()}{message[1:]}, got {brief(value)}"


def _refuse_unknown(kind: Any, data: Any, where: str, path: str = "") -> None:
    """Walk dataclass and data side by side and refuse the first key that the dataclass does not
    have."""
    if isinstance(data, (list, tuple)):
        for index, item in enumerate(data):
            for inner in get_args(kind):
                _refuse_unknown(inner, item, where, f"{path.rstrip('.')}[{index}].")
        return
    if not isinstance(data, Mapping):
        return
    for inner in get_args(kind):  # Mapping[str, Inner], Inner | None
        values = data.values() if not is_dataclass(inner) or _is_mapping(kind) else [data]
        for item in values:
            _refuse_unknown(inner, item, where, path)
    if not is_dataclass(kind):
        return
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    for key, value in data.items():
        if key not in names:
            hint = _did_you_mean(str(key), names) or f"Known settings: {', '.join(names)}."
            raise UnknownSetting(f"{where}: unknown setting '{path}{cut(key)}'. {hint}")
        _refuse_unknown(hints[key], value, where, f"{path}{key}.")


def _is_mapping(kind: Any) -> bool:
    origin = getattr(kind, "__origin__", None)
    return isinstance(origin, type) and issubclass(origin, Mapping)
