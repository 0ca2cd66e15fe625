"""Names from other people's files stay in their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irl_vla.paths import file_name, inside
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


@given(st.lists(st.text(max_size=300), min_size=1, max_size=3))
def test_any_names_make_one_visible_part_of_a_path(names: list[str]) -> None:
    made = file_name(*names, ending=".png")
    assert Path(made).name == made and made.endswith(".png") and len(made.encode()) < 120
    assert not made.startswith(".") and made.isascii() and made.isprintable()
    assert made == file_name(*names, ending=".png")


@given(
    st.text(st.sampled_from("ab/. _-"), max_size=5), st.text(st.sampled_from("ab/. _-"), max_size=5)
)
def test_different_names_make_different_files(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


def test_a_plain_name_stays_as_it_is() -> None:
    assert file_name("world-7-0030", "expert", ending=".png") == "world-7-0030_expert.png"
    assert file_name("a" * 1000) != file_name("a" * 999)
