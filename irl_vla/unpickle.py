"""Pickles of strangers, read without running them.

A pickle is a small program: it may call anything that the reader lets it find. This reader finds
numpy arrays and a few containers, each behind a function of ours, and nothing else. NAVSIM's
follow-up scenes also hold objects of nuPlan; these become `Stub`s, which keep what was written and
run nothing. Any other name is refused before it is looked up. Depth and lengths are bounded first
(`pickle_scan.py`), and what came out stands for a bounded number of items (`foreign.py`).
May import: types, foreign, pickle_scan.
"""

from __future__ import annotations

import io
import mmap
import pickle
import re
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from irl_vla.foreign import brief, cut, refuse_boundless, refuse_special
from irl_vla.pickle_scan import UnsoundPickle, refuse_unsound
from irl_vla.types import InputError

PLAIN_DTYPE = re.compile(r"[<>=|]?[biufcUSO?][0-9]*\Z")  # no records, no dates, no raw memory
PLAIN = (str, bytes, int, float, bool, type(None), np.generic)  # in an array of objects
STUBBED = ("nuplan.", "navsim.", "shapely.")  # packages whose classes become stubs


class _Refused(Exception):
    """A name or a call outside the allow-list."""


class _Sealed(type):
    """A class whose attributes a pickle cannot change (BUILD may target the class itself)."""

    def __setattr__(cls, name: str, value: object) -> NoReturn:
        raise _Refused(f"it sets '{name}' on a class")


class Stub(metaclass=_Sealed):
    """An object of a class that is not here: its name, its arguments, its attributes.

    name: class name as written; args: what it was called with; fields: attribute -> value
    """

    __slots__ = ("args", "fields")
    name = "?"

    args: tuple[Any, ...]
    fields: dict[str, Any]

    def __new__(cls, *args: Any) -> Stub:
        made = object.__new__(cls)
        made.args, made.fields = args, {}
        return made

    def __setstate__(self, state: Any) -> None:
        """Plain attributes come as a dict, attributes of __slots__ as the tuple (None, dict)."""
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.fields.update({str(key): value for key, value in part.items()})

    def __getitem__(self, field: str) -> Any:
        return self.fields[field]


def _named_stub(name: str) -> type[Stub]:
    """A class of its own for each name and file: files cannot meddle with one another's."""

    class Named(Stub):
        __slots__ = ()

    type.__setattr__(Named, "name", name)
    return Named


class _Call:
    """A callable that a pickle may use. No attribute can be set on it."""

    __slots__ = ("_function",)
    _function: Any

    def __init__(self, function: Any) -> None:
        object.__setattr__(self, "_function", function)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise _Refused(f"it sets '{name}' on a function")

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


def _dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    if not isinstance(code, str) or not PLAIN_DTYPE.match(code):
        raise _Refused(f"it asks for the array type {brief(code)}")
    return np.dtype(code)


class _Shell(np.ndarray):
    """An array that a pickle fills with its state. Arrays of objects hold plain values only: an
    array in an array in an array.. ends Python when it is thrown away."""

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if self.dtype == object and not all(isinstance(v, PLAIN) for v in self.ravel().tolist()):
            raise _Refused("it holds an array of things that are no numbers and no texts")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.view(np.ndarray).__reduce_ex__(protocol)


_Shell.__name__ = "array"  # it is shown as the array that it is


def _array_shell(subtype: Any, shape: Any, code: Any) -> Any:
    """The empty array that a pickle fills with its state; the shape comes with the state."""
    if shape != (0,):
        raise _Refused("it builds an array in an unusual way")
    return _Shell((0,), np.int8)


def _array_of_buffer(buffer: Any, dtype: Any, shape: Any, order: Any = "C") -> Any:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _scalar(dtype: Any, data: Any) -> Any:
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes in protocols 0 to 2 are written as Latin-1 text."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise _Refused(f"it encodes text as {brief(encoding)}")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """Empty bytes in protocols 0 to 2."""
    return b""


def _reconstruct_object(cls: Any, base: Any, state: Any) -> Any:
    """Objects in protocols 0 and 1."""
    if not (isinstance(cls, type) and issubclass(cls, Stub)):
        raise _Refused("it rebuilds an object of an unknown class")
    return cls()


def _allowed() -> dict[tuple[str, str], Any]:
    names: dict[tuple[str, str], Any] = {
        ("numpy", "dtype"): _Call(_dtype),
        ("numpy", "ndarray"): _Call(lambda *args: _array_shell(np.ndarray, (), "")),
        ("_codecs", "encode"): _Call(_encode),
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "defaultdict"): _Call(lambda factory=None: defaultdict()),
        ("copyreg", "_reconstructor"): _Call(_reconstruct_object),
        ("copy_reg", "_reconstructor"): _Call(_reconstruct_object),
    }
    for core in ("numpy.core", "numpy._core"):  # numpy 1 and numpy 2 write different paths
        names[f"{core}.multiarray", "_reconstruct"] = _Call(_array_shell)
        names[f"{core}.multiarray", "scalar"] = _Call(_scalar)
        names[f"{core}.numeric", "_frombuffer"] = _Call(_array_of_buffer)
    for module in ("builtins", "__builtin__"):
        names[module, "bytes"] = _Call(_no_bytes)
        for kind in (dict, list, tuple, set, frozenset, int, float, bool, str, complex, object):
            names[module, kind.__name__] = kind
    return names


ALLOWED = _allowed()


class _Reader(pickle.Unpickler):
    """The allow-list in force for one file."""

    def __init__(self, stream: io.BufferedIOBase | io.BytesIO, stubs: bool) -> None:
        super().__init__(stream)
        self._stubs: dict[str, type[Stub]] | None = {} if stubs else None

    def find_class(self, module: str, name: str) -> Any:
        if "." not in name and (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if self._stubs is not None and module.startswith(STUBBED):
            if name not in self._stubs:
                self._stubs[name] = _named_stub(name.rsplit(".", 1)[-1])
            return self._stubs[name]
        raise _Refused(f"it asks for {cut(module)}.{cut(name)}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Refused("it asks for an object outside the file")


def load_pickle(path: Path, what: str, stubs: bool = False) -> Any:
    """Reads one pickle with the allow-list.

    what: for the message, for example "log"; stubs: nuPlan objects become `Stub`s instead of being
    refused. Raises InputError for a missing, truncated, damaged or refused file; nothing that the
    file names outside the allow-list is imported or called.
    """
    refuse_special(path)
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
            refuse_unsound(data)
            value = _Reader(stream, stubs).load()
        refuse_boundless(value, f"{path}: this {what}")
        return value
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: this {what} does not exist. Is the download complete?") from None
    except _Refused as refusal:
        raise InputError(
            f"{path}: this {what} is refused: {refusal}, which plain data never needs. "
            "Nothing of it was run. Fetch the file again from its official source."
        ) from None
    except (EOFError, pickle.UnpicklingError, UnsoundPickle) as error:
        raise InputError(
            f"{path}: this {what} is truncated or no pickle ({cut(error)}); it has "
            f"{path.stat().st_size} bytes. Copy or download it again."
        ) from None
    except (
        ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, MemoryError,
        UnicodeDecodeError, RecursionError, OSError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path}: this {what} is damaged ({type(error).__name__}: {cut(error)}). "
            "Copy or download it again."
        ) from None
