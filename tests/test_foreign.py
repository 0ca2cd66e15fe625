"""What strangers wrote is read within bounds: of size, depth, and what it stands for."""

from __future__ import annotations

import ast
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irl_vla.bag.source import open_source
from irl_vla.camera.rig import load_rig
from irl_vla.foreign import MAX_DEPTH, SHOWN, brief, parse_json, parse_yaml, read_whole
from irl_vla.navsim.filters import load_split
from irl_vla.pickle_scan import UnsoundPickle, refuse_unsound
from irl_vla.scoring.batch import load_proposals
from irl_vla.scoring.bench2drive_files import read_records
from irl_vla.scoring.scene_io import read_scenes
from irl_vla.types import InputError
from irl_vla.unpickle import load_pickle
from irl_vla.world.recorded.commonroad import load_commonroad

ROOT = Path(__file__).parents[1]
SECONDS, BYTES = 10.0, 2**30  # in which anything below is refused, in a process of its own

Reader = Callable[[Path], object]


def alias_bomb(levels: int = 30, wide: int = 10) -> str:
    """Some hundred bytes that stand for `wide ** levels` items."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * wide)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "aliases.yaml": alias_bomb().encode(),
    "deep.yaml": b"[" * 500_000 + b"]" * 500_000,
    "deep_block.yaml": b"".join(b" " * i + b"a:\n" for i in range(2000)),
    "itself.yaml": b"a: &a [*a]\n",
    "digits.yaml": b"a: " + b"9" * 100_000,
    "deep.json": b"[" * 500_000 + b"]" * 500_000,
    "deeper.json": b'{"a":' * 70 + b"0" + b"}" * 70,
    "digits.json": b'{"format": ' + b"9" * 100_000 + b"}",
    "long.json": json.dumps({"format": "x" * 10**7}).encode(),
}
YAML_READERS: dict[str, Reader] = {
    "rig": load_rig, "split": lambda path: load_split(path.parent, path.stem)
}  # fmt: skip
JSON_READERS: dict[str, Reader] = {
    "scenes": read_scenes,
    "proposals": load_proposals,
    "results": lambda path: read_records([path]),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_a_short_sentence_and_a_short_time(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / bomb
    path.write_bytes(BOMBS[bomb])
    readers = YAML_READERS if path.suffix == ".yaml" else JSON_READERS
    for read in readers.values():
        begin = time.process_time()
        with pytest.raises(InputError) as caught:
            read(path)
        assert time.process_time() - begin < SECONDS
        assert str(path) in str(caught.value) and len(str(caught.value)) < 1000


def test_a_file_of_a_terabyte_is_refused_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "scenes.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    code = f"""
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, ({4 * BYTES}, {4 * BYTES}))
from irl_vla.scoring.batch import load_proposals
from irl_vla.scoring.scene_io import read_scenes
from irl_vla.types import InputError
for read in (read_scenes, load_proposals):
    try:
        read(Path(sys.argv[1]))
    except InputError as error:
        assert "larger than" in str(error), error
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match=str(path)):
            read_whole(path)
    small = tmp_path / "small"
    small.write_bytes(b"abc")
    assert read_whole(small, 3) == b"abc"
    with pytest.raises(InputError, match="larger than 2 bytes"):
        read_whole(small, 2)


@given(st.recursive(st.none() | st.floats() | st.text() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_value_is_shown_briefly(value: Any) -> None:
    assert len(brief(value)) <= SHOWN


def test_a_value_of_many_parts_is_shown_at_once() -> None:
    value: Any = "x"
    for _ in range(60):
        value = [value] * 10
    begin = time.process_time()
    assert len(brief(value)) <= SHOWN and len(brief(10**100_000)) <= SHOWN
    assert time.process_time() - begin < 1.0


def test_plain_yaml_and_json_are_read_as_always() -> None:
    assert parse_yaml(b"a: &x [1, 2.5]\nb: *x\n", "f") == {"a": [1, 2.5], "b": [1, 2.5]}
    assert parse_json(b'{"a": [1, {"b": null}]}', "f") == {"a": [1, {"b": None}]}
    nested = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json(nested, "f") is not None
    with pytest.raises(InputError, match="nested deeper"):
        parse_json(f"[{nested}]", "f")


PICKLES = {
    "tuples": b"\x80\x04)" + b"\x85" * 300_000 + b".",
    "key of tuples": b"\x80\x04})" + b"\x85" * 300_000 + b"K\x01s.",
    "lists": b"\x80\x04" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "memo": b"\x80\x04Nr\xff\xff\xff\xff.",
    "length": b"\x80\x04B\xff\xff\xff\xffx.",
    "long length": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fx.",
    "frame": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7fN.",
    "no stack": b"\x80\x04a.",
    "no mark": b"\x80\x04t.",
    "no memo": b"\x80\x04h\x05.",
    "extension": b"\x80\x04\x82\x01.",
    "nothing": b"\x80\x04",
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_that_would_end_python_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(PICKLES[name])
    with pytest.raises(InputError, match="truncated or no pickle") as caught:
        load_pickle(path, "log")
    assert len(str(caught.value)) < 400


def shared(levels: int) -> Any:
    """Few lists that stand for 10 ** levels items."""
    value: Any = [0.0]
    for _ in range(levels):
        value = [value] * 10
    return value


def test_a_pickle_of_few_lists_that_stand_for_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(pickle.dumps(shared(30)))
    with pytest.raises(InputError, match="stands for more than"):
        load_pickle(path, "log")
    path.write_bytes(pickle.dumps(shared(3)))
    assert np.array(load_pickle(path, "log")).shape == (10, 10, 10, 1)


def test_arrays_in_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    """Deep ones end Python when they are thrown away."""
    inner = np.empty(1, object)
    inner[0] = np.zeros(1)
    path = tmp_path / "log.pkl"
    path.write_bytes(pickle.dumps(inner))
    with pytest.raises(InputError, match="no numbers and no texts"):
        load_pickle(path, "log")
    path.write_bytes(pickle.dumps(np.array(["a", None, 1], object)))
    assert load_pickle(path, "log").tolist() == ["a", None, 1]


@settings(max_examples=300, deadline=None)
@given(st.recursive(st.none() | st.floats() | st.text() | st.binary() | st.integers(),
                    lambda inner: st.lists(inner) | st.tuples(inner, inner)
                    | st.dictionaries(st.text(), inner)),
       st.integers(0, 5))  # fmt: skip
def test_what_python_writes_is_sound(value: Any, protocol: int) -> None:
    refuse_unsound(pickle.dumps(value, protocol))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_instructions_are_sound_or_refused(content: bytes) -> None:
    with suppress(UnsoundPickle):
        refuse_unsound(b"\x80\x04" + content)


def test_no_sentence_shows_a_value_without_a_bound() -> None:
    """`{value!r}` writes all of it, and `{value!r:.80}` writes all of it before it is cut."""
    for path in sorted((ROOT / "irl_vla").rglob("*.py")):
        if path.parent.name in ("bag", "messages", "camera") or "_shipped" in path.parts:
            continue  # what they show are the first bytes of a file
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FormattedValue):
                assert node.conversion != ord("r"), f"{path}:{node.lineno}: use foreign.brief"


def beside_bag(path: Path) -> Path:
    (path.parent / "x.mcap").write_bytes(b"")
    return path.parent


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.yaml", load_rig), ("x.json", load_proposals), ("x.npz", load_proposals),
        ("x.json.gz", lambda path: list(read_scenes(path))), ("x.xml", load_commonroad),
        ("x.pkl", lambda path: load_pickle(path, "log")), ("x.mcap", open_source),
        ("x.bag", open_source), ("bag/metadata.yaml", lambda path: open_source(beside_bag(path))),
        ("bag/x.mcap", lambda path: open_source(path.parent)),
    ],
)  # fmt: skip
def test_a_pipe_where_a_file_is_expected_is_refused_at_once(
    tmp_path: Path, name: str, read: Reader
) -> None:
    """An archive may hold one; who opens it waits for ever for somebody to write."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(InputError, match="is no plain file but a pipe"):
        read(path)


def test_what_the_shell_hands_over_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from a shell")
    os.close(writing)
    assert read_whole(Path(f"/dev/fd/{reading}")) == b"from a shell"
    os.close(reading)
