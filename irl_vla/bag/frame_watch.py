"""tf of a recording's head -> the tree of frames, and what in it is said twice."""

from __future__ import annotations

from typing import Any

from irl_vla.bag.comparisons import Comparison, is_redefined, transform_comparison
from irl_vla.messages.calibration import transform_of
from irl_vla.messages.tf_tree import TransformTree, frame_name
from irl_vla.types import F64, InputError

MOST_SAID = 8  # sentences about frames that are given twice


class FrameWatch:
    """Takes transforms into a tree and remembers the first definition of each static frame."""

    def __init__(self) -> None:
        self.tree = TransformTree()
        self._static: dict[str, tuple[str, F64]] = {}
        self._parents: dict[str, str] = {}
        self._redefined: dict[str, str] = {}
        self._reparented: dict[str, str] = {}

    def put(self, message: Any, *, static: bool) -> None:
        """One TFMessage."""
        for stamped in message.transforms:
            parent = frame_name(stamped.header.frame_id)
            child = frame_name(stamped.child_frame_id)
            try:
                found = transform_of(stamped.transform)
            except InputError:
                continue
            self._watch(parent, child, found, static)
            self.tree.put(parent, child, found)

    def _watch(self, parent: str, child: str, found: F64, static: bool) -> None:
        before = self._parents.setdefault(child, parent)
        if before != parent:
            self._reparented.setdefault(
                child,
                f"frame '{child}' hangs from '{before}' and from '{parent}'; the latest counts",
            )
        if not static:
            return
        first = self._static.setdefault(child, (parent, found))
        if first[0] == parent and is_redefined(first[1], found):
            at, now = (", ".join(f"{v:.2f}" for v in m[:3, 3]) for m in (first[1], found))
            self._redefined[child] = (
                f"static frame '{child}' is defined twice in '{parent}': at ({at}) m and at "
                f"({now}) m; the last counts"
            )

    def comparison(self) -> Comparison | None:
        """tf against tf; None where there is none."""
        said = list(self._redefined.values())[:MOST_SAID]
        return transform_comparison(
            said, list(self._reparented.values())[:MOST_SAID], len(self._parents)
        )


def other_robots(frames: dict[str, frozenset[str]], weight: dict[str, int]) -> dict[str, str]:
    """Namespaces of tf whose frames have the names of another's: other cars, each with the reason
    why it is left out. frames: namespace -> child frames; weight: namespace -> pictures; the one
    with most pictures stays."""
    named = sorted((name for name in frames if name), key=lambda n: (-weight.get(n, 0), n))
    if len(named) < 2:
        return {}
    stays = named[0]
    apart = {}
    for name in named[1:]:
        common = sorted(frames[stays] & frames[name])
        if common:
            apart[name] = (
                f"of another car, '{name}': its tf has the same frame names "
                f"({', '.join(common[:4])}) as that of '{stays}', which is read; name its "
                "topics and its tf in --topics to read it instead"
            )
    return apart


def namespace_of(tf_topic: str) -> str:
    """/car1/tf_static -> car1; "" for the root's."""
    return tf_topic.strip("/").rpartition("/")[0]
