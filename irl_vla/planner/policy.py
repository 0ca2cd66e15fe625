"""What every planner is: a pure function from what is known to candidate trajectories.

May import: types.
"""

from __future__ import annotations

from typing import Protocol

from irl_vla.types import Candidates, Command, EgoStatus, Intent, SceneTokens


class Policy(Protocol):
    """Proposes; checking and choosing is the guard's work."""

    def propose(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, seed: int
    ) -> Candidates:
        """Candidates, best first; poses (K, 8, 3) in the ego frame at `tokens.anchor_stamp_ns`.

        Pure: equal arguments give equal candidates, bit for bit. The intent's route is already in
        the ego frame at the anchor. Raises InputError when `ego` is not valid.
        """
        ...
