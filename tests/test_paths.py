"""Names from other people's files stay in their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irl_vla.paths import inside
from irl_vla.types import InputError

LEAVING = ["..", "../x", "../../../etc/passwd", "/etc/passwd", "a/../../x", "a/..", "//x", "/"]
NOTHING = ["", ".", "./.", None, 3, b"x", ["x"]]
IMPOSSIBLE = ["a\0b", "x" * 256, "a/" + "ä" * 128, "\ud800"]


@pytest.mark.parametrize("name", ["x", "a/b.jpg", "a//b", "./x", "..x", "x..", "a b", "\\..\\x"])
def test_a_relative_name_is_a_path_in_its_folder(name: str) -> None:
    assert inside(Path("/data"), name, "log.pkl: data_path") == Path("/data") / name


@pytest.mark.parametrize("name", [*LEAVING, *NOTHING, *IMPOSSIBLE])
def test_any_other_name_is_refused_with_file_and_field(name: object) -> None:
    with pytest.raises(InputError, match=r"^log\.pkl: data_path: "):
        inside(Path("/data"), name, "log.pkl: data_path")


@given(st.text(st.sampled_from("./a\0\\"), max_size=12))
def test_whatever_is_accepted_lies_in_the_folder(name: str) -> None:
    folder = Path("/somewhere/data")
    try:
        path = inside(folder, name, "here")
    except InputError:
        return
    assert folder in path.resolve().parents
