"""A lane while the town is being built. May import: types, world.town."""

from __future__ import annotations

from dataclasses import dataclass, field

from irl_vla.types import F64
from irl_vla.world.town import NONE, Lane, Turn


@dataclass
class LaneDraft:
    """As town.Lane, but its relations are still filled in."""

    id: str
    centre: F64
    polygon: F64
    width: float
    speed_limit: float
    block: str
    left: int = NONE
    right: int = NONE
    junction: int = NONE
    turn: Turn = Turn.STRAIGHT
    signal: int = NONE
    merging: bool = False
    successors: list[int] = field(default_factory=list)
    yields_to: list[int] = field(default_factory=list)
    crosses: list[int] = field(default_factory=list)

    def lane(self) -> Lane:
        """The finished lane."""
        return Lane(
            self.id, self.centre, self.polygon, self.width, self.speed_limit, self.block,
            tuple(self.successors), self.left, self.right, self.junction, self.turn, self.signal,
            tuple(self.yields_to), tuple(self.crosses), self.merging,
        )  # fmt: skip
