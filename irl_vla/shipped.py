"""Files that come with the software: of the source checkout, else those that pip installed."""

from __future__ import annotations

import sys
from pathlib import Path

from irl_vla.types import InputError


def shipped(name: str) -> Path:
    """Path of a shipped file or folder, for example "models/rule". Raises InputError."""
    places = [Path(__file__).parents[1] / name, Path(sys.prefix) / "share/irl_vla" / name]
    for place in places:
        if place.exists():
            return place
    raise InputError(f"'{name}' did not come with this installation: looked at {places[0]} and "
                     f"{places[1]}. Install irl-vla again")  # fmt: skip
