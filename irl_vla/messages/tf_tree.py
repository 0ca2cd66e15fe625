"""tf without ROS: which frame hangs from which, and how one is reached from another."""

from __future__ import annotations

import numpy as np

from irl_vla.frames import inverse
from irl_vla.types import F64


def frame_name(name: str) -> str:
    """Frame names of ROS 1 may start with a slash."""
    return name.lstrip("/")


class TransformTree:
    """The latest transform of every edge; the caller decides when it is still true."""

    def __init__(self) -> None:
        self._above: dict[str, tuple[str, F64]] = {}  # child -> parent, parent_from_child

    @property
    def frames(self) -> tuple[str, ...]:
        """Every frame that occurs, in order of first appearance."""
        names: dict[str, None] = {}
        for child, (parent, _) in self._above.items():
            names[parent] = names[child] = None
        return tuple(names)

    def copy(self) -> TransformTree:
        """The same edges, to go on from."""
        other = TransformTree()
        other._above = dict(self._above)
        return other

    def put(self, parent: str, child: str, parent_from_child: F64) -> None:
        """A new or newer edge; a child has one parent, the latest."""
        self._above[child] = (parent, parent_from_child)

    def chain(self, frame: str) -> tuple[str, ...]:
        """`frame` and everything above it up to the root; a loop is cut where it closes."""
        names = [frame]
        while names[-1] in self._above:
            parent = self._above[names[-1]][0]
            if parent in names:
                break
            names.append(parent)
        return tuple(names)

    def find(self, target: str, source: str) -> F64 | None:
        """target_from_source, or None where no path connects them."""
        above_target, above_source = self.chain(target), self.chain(source)
        meeting = next((name for name in above_source if name in above_target), None)
        if meeting is None:
            return None
        return inverse(self._up(above_target, meeting)) @ self._up(above_source, meeting)

    def _up(self, chain: tuple[str, ...], top: str) -> F64:
        """top_from_(first of the chain)."""
        result = np.eye(4)
        for name in chain[: chain.index(top)]:
            result = self._above[name][1] @ result
        return result
