"""One decorator for all compiled code of this room, and a line on stderr when it compiles.

`kernel` compiles with numba: no GIL, no fastmath (results are exact and repeatable), cached on disk
beside the source or, where that cannot be written, in the user's cache; without either the kernels
work uncached. numba's cache looks only at the file of each function, so a changed callee in another
file would go unnoticed: `_forget_stale` drops this room's cache when any source of it is newer.
May import: nothing of ours.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])

_LOG = logging.getLogger(__name__)
_ROOM = Path(__file__).parent
_OPTIONS = {"nogil": True, "error_model": "numpy"}


def kernel(function: F) -> F:
    """Compile `function` on its first call; see the module's text."""
    try:
        compiled: F = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        compiled = numba.njit(**_OPTIONS)(function)
    return compiled


def _forget_stale() -> None:
    """Remove cached machine code of this room that is older than its newest source file."""
    newest = max(path.stat().st_mtime for path in _ROOM.glob("*.py"))
    for cached in (_ROOM / "__pycache__").glob("*.nb[ic]"):
        try:
            if cached.stat().st_mtime < newest:
                cached.unlink()
        except OSError:  # read-only, or another process was faster: the cache is theirs
            return


class _Notice(event.Listener):  # type: ignore[misc]
    """Says once that compilation goes on: the first call after installation takes a while."""

    said = False

    def on_start(self, event: Any) -> None:
        if not _Notice.said and str(event.data["dispatcher"].py_func.__module__).startswith(
            "irl_vla.scoring"
        ):
            _Notice.said = True
            text = "scoring: compiling for this machine, once; this takes up to a minute"
            print(text, file=sys.stderr, flush=True)
            _LOG.info(text)

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


_forget_stale()
event.register("numba:compile", _Notice())
