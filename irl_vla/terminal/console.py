"""Words on the terminal. What files say is shown as it is and never obeyed.

A bundle, a topic or a scene may be called "[/red]", or hold escape sequences that clear the screen,
rename the window or hide what follows. Every command prints through this Console: no markup is
read, and control characters are shown as \\x1b.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import rich.console
from rich.text import Text

# C0 but tab and newline, DEL and C1; lone surrogates; marks that turn the direction of a text
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def shown(text: str) -> str:
    """A foreign text with what a terminal would obey made visible."""
    return OBEYED.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Console(rich.console.Console):
    """Rich's console that takes strings as data. Use `Text` where a style is meant."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def on_broken_pipe(self) -> None:
        """Whoever reads us has had enough (`| head`): the work goes on, unheard."""
        self.quiet = True
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string that is printed, in tables and titles, too, comes through here."""
        return super().render_str(shown(text), **options)
