"""Pickles of strangers: plain data come through, nothing is ever run."""

from __future__ import annotations

import collections
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irl_vla.types import InputError
from irl_vla.unpickle import ALLOWED, Stub, load_pickle


class Call:
    """Pickles to a call of any function with any arguments."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


def write(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_values_come_back_as_they_were_written(tmp_path: Path, protocol: int) -> None:
    value = {
        "boxes": np.arange(14.0).reshape(2, 7), "none": np.zeros((0, 7)),
        "names": np.array(["vehicle", "barrier"]), "scalar": np.float64(2.5),
        "flag": np.bool_(True),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "list": [1, "a", None, (True, 2)],
        "ordered": collections.OrderedDict(a=1), "bytes": b"\x00\xff", "set": {1, 2},
    }  # fmt: skip
    read = load_pickle(write(tmp_path / "log.pkl", value, protocol), "log")
    assert repr(read) == repr(value)


def test_paths_of_numpy_1_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    written = pickle.dumps(np.arange(3.0), 0)  # a text format: names have no length in front
    path.write_bytes(written.replace(b"numpy._core.", b"numpy.core."))
    assert load_pickle(path, "log").tolist() == [0.0, 1.0, 2.0]


HOSTILE = {
    "os.system": Call(os.system, "touch {mark}"),
    "subprocess": Call(subprocess.check_output, ["touch", "{mark}"]),
    "eval": Call(eval, "open('{mark}', 'w')"),
    "open": Call(open, "{mark}", "w"),
    "getattr": Call(getattr, "", "join"),
    "a method": Call(Path("{mark}").touch),
    "numpy's loader": Call(np.load, "{mark}", None, True),
}


@pytest.mark.parametrize("stubs", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, protocol: int, stubs: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "log.pkl", [1, HOSTILE[name]], protocol)
    with pytest.raises(InputError, match="refused"):
        load_pickle(path, "log", stubs)
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.pkl"]


def test_the_attack_that_is_refused_would_work_on_a_plain_unpickler(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = write(tmp_path / "log.pkl", Call(os.system, f"touch {mark}"))
    with pytest.raises(InputError, match="refused"):
        load_pickle(path, "log", stubs=True)
    assert not mark.exists()
    code = f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert mark.exists()


def test_unknown_modules_are_not_even_imported(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(b"cantigravity\nfly\n.")
    with pytest.raises(InputError, match=r"antigravity\.fly"):
        load_pickle(path, "log", stubs=True)
    assert "antigravity" not in sys.modules


def test_dotted_names_cannot_reach_through_an_allowed_one(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(b"\x80\x04\x8c\x08builtins\x8c\x0ddict.__init__\x93.")
    with pytest.raises(InputError, match="refused"):
        load_pickle(path, "log")


@pytest.mark.parametrize("target", ["numpy\ndtype", "numpy.core.numeric\n_frombuffer"])
def test_attributes_of_allowed_functions_cannot_be_set(tmp_path: Path, target: str) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(b"c" + target.encode() + b"\n(N}S'_function'\nI1\nstb.")
    with pytest.raises(InputError):
        load_pickle(path, "log")
    assert all(value is not None for value in ALLOWED.values())
    assert load_pickle(write(path, np.arange(2)), "log").tolist() == [0, 1]


def test_a_stub_class_cannot_be_changed_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scene.pkl"
    path.write_bytes(b"cnuplan.x\nAgent\n(N}S'__setstate__'\nI1\nstb.")
    with pytest.raises(InputError):
        load_pickle(path, "follow-up", stubs=True)
    assert callable(Stub.__setstate__)


def test_objects_arrays_and_records_cannot_hide_in_a_type(tmp_path: Path) -> None:
    path = write(tmp_path / "log.pkl", np.zeros(2, [("a", "f8"), ("b", "i4")]))
    with pytest.raises(InputError, match="array type"):
        load_pickle(path, "log")


def test_objects_of_nuplan_are_refused_where_none_belong(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(b"cnuplan.common\nAgent\n(tR.")
    with pytest.raises(InputError, match=r"nuplan\.common\.Agent"):
        load_pickle(path, "log")
    assert load_pickle(path, "follow-up", stubs=True).name == "Agent"
