"""The classes that perception tells apart: names in the order of their indices.

A bundle states its own lists, and everybody finds a class in them by its name: index 2 of one
bundle may be index 3 of another. May import: types, preset.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from irl_vla.perception.preset import AGENT_CLASSES, MAP_CLASSES, SEG_CLASSES
from irl_vla.types import InputError


@dataclass(frozen=True, kw_only=True)
class SceneClasses:
    """agents: of boxes; map: of polylines; seg: of the cells of the ground."""

    agents: tuple[str, ...]
    map: tuple[str, ...]
    seg: tuple[str, ...]

    def __post_init__(self) -> None:
        for entry in fields(self):
            names = getattr(self, entry.name)
            if not all(names) or len(set(names)) != len(names):
                raise ValueError(
                    f"vocabulary: expected different names under '{entry.name}', got "
                    f"{', '.join(map(repr, names))}"
                )

    def index(self, kind: Literal["agents", "map", "seg"], name: str, reader: str) -> int:
        """Where a class stands in its list. Raises InputError that says who needs it."""
        names: tuple[str, ...] = getattr(self, kind)
        if name not in names:
            raise InputError(
                f"vocabulary: no class '{name}' under '{kind}', which {reader} needs; it has "
                f"{', '.join(names)}. Use a policy that was trained with it"
            )
        return names.index(name)


CLASSES = SceneClasses(agents=AGENT_CLASSES, map=MAP_CLASSES, seg=SEG_CLASSES)
