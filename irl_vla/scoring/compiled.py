"""One decorator for all compiled code of ours, and a line on stderr when it compiles.

`kernel` compiles with numba: no GIL, no fastmath (results are exact and repeatable), cached on disk
beside the source or, where that cannot be written, in the user's cache; without either the kernels
work uncached. numba compares the cache with the function's own file only, so a changed callee in
another file would go unnoticed: `_forget_stale` also looks at all that the file imports.
May import: types.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import event
from numpy.typing import ArrayLike

from irl_vla.types import F64

F = TypeVar("F", bound=Callable[..., Any])

_LOG = logging.getLogger(__name__)
_PACKAGES = Path(__file__).parents[2]  # the folder that holds irl_vla
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
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        uncached: F = numba.njit(**options)(function)
        return uncached
    _forget_stale(Path(compiled.stats.cache_path), function)
    cached: F = compiled
    return cached


def plain(array: ArrayLike) -> F64:
    """The array as float64, contiguous and writable: the one kind the kernels are compiled for.
    (numba compiles anew for a read-only or strided array.) Copies only where needed."""
    array = np.ascontiguousarray(array, np.float64)
    return array if array.flags.writeable else array.copy()


@cache
def _newest(module: str) -> float:
    """Time of the last change of a module of ours or of anything of ours that it imports."""
    seen, open_ = {module}, [module]
    while open_:
        text = _source(open_.pop()).read_text(encoding="utf-8")
        for name in re.findall(r"^from (irl_vla[\w.]*) import", text, re.MULTILINE):
            if name not in seen:
                seen.add(name)
                open_.append(name)
    return max(_source(name).stat().st_mtime for name in seen)


def _source(module: str) -> Path:
    """File of a module or package."""
    path = _PACKAGES / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _forget_stale(folder: Path, function: Callable[..., Any]) -> None:
    """Remove this function's machine code where it is older than what it was made from."""
    module = function.__module__
    if not module.startswith("irl_vla."):
        return
    name = module.rpartition(".")[2]
    for path in folder.glob(f"{name}.{function.__name__}-*.nb[ic]"):
        try:
            if path.stat().st_mtime < _newest(module):
                path.unlink()
        except OSError:  # read-only, or another process was faster
            return


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
