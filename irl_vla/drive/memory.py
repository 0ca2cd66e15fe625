"""The last second of BEVs: perception is handed the one nearest to half a second old.

Its age is an input of the network, so 2 Hz recordings and a 10 Hz car agree (docs/policy.md,
"Perception"). It is emptied on time jumps, on another rig and on another epoch. May import: types,
perception, history.
"""

from __future__ import annotations

from irl_vla.drive.history import EgoHistory
from irl_vla.perception.tokens import BevMemory
from irl_vla.types import SECOND_NS, SceneTokens

WANTED_NS = SECOND_NS // 2
YOUNGEST_NS, OLDEST_NS = SECOND_NS // 5, 4 * SECOND_NS // 5  # outside it is no memory
KEEP_NS = SECOND_NS


class BevBuffer:
    """BEVs by anchor stamp."""

    def __init__(self) -> None:
        self._kept: list[SceneTokens] = []

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def put(self, tokens: SceneTokens) -> None:
        """Remember what was seen; stamps that run back start anew."""
        if self._kept and tokens.anchor_stamp_ns <= self._kept[-1].anchor_stamp_ns:
            self.clear()
        self._kept.append(tokens)
        oldest = tokens.anchor_stamp_ns - KEEP_NS
        self._kept = [kept for kept in self._kept if kept.anchor_stamp_ns >= oldest]

    def stamp_for(self, stamp_ns: int, epoch: int) -> int | None:
        """Anchor stamp of the memory for an anchor; None where none has a fitting age."""
        fitting = [
            kept.anchor_stamp_ns for kept in self._kept
            if YOUNGEST_NS <= stamp_ns - kept.anchor_stamp_ns <= OLDEST_NS and kept.epoch == epoch
        ]  # fmt: skip
        return min(fitting, key=lambda then: abs(stamp_ns - then - WANTED_NS), default=None)

    def get(
        self, then_ns: int, stamp_ns: int, until_ns: int, history: EgoHistory
    ) -> BevMemory | None:
        """What was seen at `then_ns`, for the anchor `stamp_ns`; None where it is not kept, or the
        way since then is not known."""
        kept = next((kept for kept in self._kept if kept.anchor_stamp_ns == then_ns), None)
        now_from_then = history.now_from_then(stamp_ns, then_ns, until_ns)
        if kept is None or now_from_then is None:
            return None
        return BevMemory(kept.bev, now_from_then, (stamp_ns - then_ns) / SECOND_NS)
