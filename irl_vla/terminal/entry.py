"""From the terminal to a command and back: signals before it, a sentence and a code after it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from irl_vla.terminal.interruption import leave_tidily

EXIT_INPUT = 3


def run(app: Callable[[], object]) -> None:
    """Run a command; bad input ends with one sentence and exit code 3."""
    # Python leaves Ctrl-C ignored where a script put the command into the background; who sends it
    # there means this command.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    leave_tidily()
    try:
        app()
    except ValueError as error:
        _refuse(error)


def _refuse(error: ValueError) -> None:
    """Bad input is said; any other error is raised again."""
    from irl_vla.types import InputError  # with numpy, which help does without

    if not isinstance(error, InputError):
        raise error
    from irl_vla.terminal.console import Console

    Console(stderr=True).print(f"error: {error}", style="red", soft_wrap=True)
    sys.exit(EXIT_INPUT)
