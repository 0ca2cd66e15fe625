"""One decorator for all compiled code of ours, and a line on stderr when it compiles.

`kernel` compiles with numba: no GIL, no fastmath (results are exact and repeatable), cached on disk
beside the source or, where that cannot be written, in the user's cache; without either the kernels
work uncached. numba compares the cache with the function's own file only, so a changed callee in
another file would go unnoticed: `KernelCache` also looks at all that the file imports. Nothing is
read, compiled or written before a kernel is first called.
May import: types.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numpy.typing import ArrayLike

from irl_vla.types import F64

F = TypeVar("F", bound=Callable[..., Any])

_LOG = logging.getLogger(__name__)
_PACKAGES = Path(__file__).parents[2]  # the folder that holds irl_vla
IMPORT = re.compile(r"^from (irl_vla[\w.]*) import ([^\n]*)", re.MULTILINE)
DAMAGE = (  # what a file that is cut or overwritten makes pickle raise
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    MemoryError,
    OverflowError,
)
HASH_BYTES = 32  # of SHA-256
_said: set[str] = set()  # folders whose damage this process has said
_OPTIONS = {"nogil": True, "error_model": "numpy"}
# _nrt: numba's runtime, which makes arrays and counts who uses them; said in full, because what is
# compiled on behalf of another kernel would do as that one does
_FULL, _LEAN = {**_OPTIONS, "_nrt": True}, {**_OPTIONS, "_nrt": False}


def kernel(function: F) -> F:
    """Compile `function` on its first call; see the module's text."""
    return _compiled(function, _FULL)


def lean_kernel(function: F) -> F:
    """A kernel that makes no array. numba then does not count who uses those that it is given:
    each call counts all arrays of all its tuples up and down, which is dearer than most work."""
    return _compiled(function, _LEAN)


def _compiled(function: F, options: Mapping[str, Any]) -> F:
    compiled: F = numba.njit(**options)(function)
    with suppress(RuntimeError):  # numba: "cannot cache function: no locator available"
        compiled._cache = KernelCache(function)  # type: ignore[attr-defined]
    return compiled


class _HashedFile(IndexDataCacheFile):  # type: ignore[misc]
    """numba's files of one function, with a hash before the machine code: a changed bit in it would
    end the program, or give other results."""

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(content).digest() + content)

    def _load_data(self, name: str) -> Any:
        with Path(self._data_path(name)).open("rb") as file:
            digest, content = file.read(HASH_BYTES), file.read()
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("another SHA-256")
        return pickle.loads(content)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, as `numba.njit(cache=True)` would set it, but what is in it
    counts only while nothing has changed that the function's file imports, and damage costs no more
    than compiling again."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file.__class__ = _HashedFile

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for a signature; None: there is none, or none that can be used."""
        module = self._py_func.__module__
        if module.startswith("irl_vla."):
            self._cache_file._source_stamp = _digest(module)
        try:
            return super().load_overload(sig, target_context)
        except DAMAGE as error:
            _say_damaged(self.cache_path, error)
            with suppress(OSError):
                self.flush()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code; where that is impossible it is compiled again by the next process."""
        try:
            super().save_overload(sig, data)
        except (OSError, *DAMAGE) as error:
            _LOG.warning("%s: cannot be written: %r", self.cache_path, error)


def _say_damaged(path: str, error: Exception) -> None:
    """On stderr once for a folder, however many kernels it concerns; each of them in the log."""
    _LOG.info("%s: damaged, compiled again: %r", path, error)
    if path not in _said:
        _said.add(path)
        print(f"irl-vla: compiled code in {path} is damaged; it is compiled again", file=sys.stderr,
              flush=True)  # fmt: skip


def plain(array: ArrayLike) -> F64:
    """The array as float64, contiguous and writable: the one kind the kernels are compiled for.
    (numba compiles anew for a read-only or strided array.) Copies only where needed."""
    array = np.ascontiguousarray(array, np.float64)
    return array if array.flags.writeable else array.copy()


@cache
def _digest(module: str) -> str:
    """Of a module of ours and of everything of ours that it imports, directly or not."""
    seen, open_ = {module}, [module]
    while open_:
        new = set(_imports(open_.pop())) - seen
        seen |= new
        open_ += new
    total = hashlib.sha256()
    for name in sorted(seen):
        total.update(_source(name).read_bytes())
    return total.hexdigest()


@cache
def _imports(module: str) -> tuple[str, ...]:
    """What of ours a module imports at its head; of a package also the modules taken by name."""
    found = []
    text = _source(module).read_text(encoding="utf-8")
    for package, names in IMPORT.findall(text):
        found.append(package)
        taken = [f"{package}.{name.split()[0]}" for name in names.split(",") if name.strip(" (")]
        found += [name for name in taken if _source(name).is_file()]
    return tuple(found)


def _source(module: str) -> Path:
    """File of a module or package."""
    path = _PACKAGES / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class _Notice(event.Listener):  # type: ignore[misc]
    """Says once that compilation goes on: the first call after installation takes a while."""

    said = False

    def on_start(self, event: Any) -> None:
        of = str(event.data["dispatcher"].py_func.__module__)
        if not _Notice.said and of.startswith("irl_vla."):
            _Notice.said = True
            text = "irl-vla: compiling for this machine, once; this takes up to a minute"
            print(text, file=sys.stderr, flush=True)
            _LOG.info(text)

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


event.register("numba:compile", _Notice())
