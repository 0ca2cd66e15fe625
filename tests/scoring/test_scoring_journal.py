"""A journal goes on with the very same work, and with no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from irl_vla.scoring.journal import Journal, SceneOutcome
from irl_vla.types import InputError

SETTINGS = {"rig": "a" * 64, "quality": "plain"}
DONE = SceneOutcome("s", "key", {"epdms": 0.5})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Journal(tmp_path / "j", SETTINGS).add(DONE)
    return tmp_path / "j"


def test_the_same_settings_find_what_was_done(path: Path) -> None:
    again = Journal(path, SETTINGS)
    assert again.done == {"key": DONE}
    again.add(SceneOutcome("t", "other", {}))
    assert set(Journal(path, SETTINGS).done) == {"key", "other"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (SETTINGS | {"rig": "b" * 64}, r"rig was a{16}\.\., is b{16}\.\.\."),
        (SETTINGS | {"quality": "full"}, "quality was plain, is full"),
        (SETTINGS | {"bundle": "x"}, "bundle was not there, is x"),
        ({"rig": "a" * 64}, "quality was plain, is not there"),
        ({}, "quality was plain, is not there; rig was"),
    ],
)
def test_other_settings_are_refused_and_named(
    path: Path, settings: Mapping[str, str], why: str
) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError, match=why) as caught:
        Journal(path, settings)
    assert "choose another --out" in str(caught.value) and path.read_bytes() == before


@pytest.mark.parametrize("content", [b"{}\n", b"[]\n", b"hello\n", b'{"settings": 3}\n', b"\xff\n"])
def test_another_file_in_its_place_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="no journal of this version"):
        Journal(path, SETTINGS)
    assert path.read_bytes() == content


def test_wherever_it_is_cut_it_goes_on(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        journal = Journal(path, SETTINGS)
        assert set(journal.done) <= {"key"}
        journal.add(SceneOutcome("t", "other", {"epdms": 1.0}))
        journal.add(DONE)
        assert set(Journal(path, SETTINGS).done) == {"key", "other"}, whole[:length]


@pytest.mark.parametrize(
    "line", ["", "[]", "3", "{}", '{"id": 1, "key": 2, "results": {}}', "[" * 100_000,
             json.dumps({"id": "s", "key": "k", "results": [1]})],
)  # fmt: skip
def test_lines_that_are_none_of_ours_are_passed_over(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")
    assert Journal(path, SETTINGS).done == {"key": DONE}
