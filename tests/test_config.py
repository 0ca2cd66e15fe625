"""Settings are checked at birth."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest

from irl_vla.config import from_mapping, load_yaml
from irl_vla.types import InputError


class PaintColour(str, Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int]
    scale: float = 1.0


@dataclass(frozen=True)
class Outer:
    inner: Inner
    colour: PaintColour = PaintColour.RED
    many: dict[str, Inner] = field(default_factory=dict)
    row: tuple[Inner, ...] = ()
    maybe: Inner | None = None

    def __post_init__(self) -> None:
        if self.inner.size[0] < 0:
            raise ValueError(f"size must be positive, got {self.inner.size}")


GOOD = {"inner": {"size": [1, 2], "scale": 3}}


def test_yaml_becomes_the_dataclass_with_its_types() -> None:
    outer = from_mapping(Outer, {**GOOD, "colour": "red", "row": [{"size": [3, 4]}]}, "x.yaml")
    assert outer.inner == Inner((1, 2), 3.0) and isinstance(outer.inner.scale, float)
    assert outer.colour is PaintColour.RED and outer.row == (Inner((3, 4)),)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({**GOOD, "colur": "red"}, ["x.yaml", "'colur'", "Did you mean 'colour'"]),
        ({"inner": {"size": [1, 2], "scal": 1}}, ["'inner.scal'", "Did you mean 'scale'"]),
        ({**GOOD, "many": {"a": {"size": [1, 2], "zzz": 1}}}, ["zzz", "Known settings"]),
        ({**GOOD, "row": [{"siz": [1, 2]}]}, ["'row[0].siz'", "'size'"]),
        ({**GOOD, "maybe": {"siz": [1, 2]}}, ["siz", "'size'"]),
        ({}, ["'inner' is missing"]),
        ({"inner": {"size": "big"}}, ["inner.size", "'big'"]),
        ({"inner": {"size": [-1, 2]}}, ["x.yaml", "size must be positive"]),
        ({**GOOD, "colour": "blue"}, ["x.yaml", "blue"]),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(
    data: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping(Outer, data, "x.yaml")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"broken\.yaml"):
        load_yaml(path, Outer)
    with pytest.raises(InputError, match="no such file"):
        load_yaml(tmp_path / "absent.yaml", Outer)
