"""What road users do on cue in a situation. May import: world.traffic, world.situations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.world.situations.scripted_traffic import slow_to
from irl_vla.world.traffic.car_following import EGO_HALF, EGO_V
from irl_vla.world.traffic.fleet import (
    BASE,
    COMMIT,
    CON_IN,
    CON_OUT,
    COUNT,
    DS,
    NOSE,
    ORDER_A,
    ORDER_UNTIL,
    S,
    V,
)
from irl_vla.world.traffic.lanes import begin_change, forced_end
from irl_vla.world.traffic.pedestrians import CROSSING
from irl_vla.world.traffic.scripts import ScriptContext

REACTION_S, FIRM, MARGIN_M = 1.0, 3.5, 3.0  # [s], [m/s²], [m] somebody who sees it needs to stop
CUT_IN_GAP_M = (3.0, 18.0)  # [m] to whoever cuts in


def stopping_m(speed: float) -> float:
    """[m] that an attentive driver needs to stop, with a little room left."""
    return REACTION_S * speed + speed * speed / (2.0 * FIRM) + MARGIN_M


@dataclass(frozen=True)
class HardBrake:
    """A vehicle brakes to a stop, stands, and goes on. from_s: when [s]; braking [m/s²]; stands_s:
    how long it stands."""

    actor: int
    from_s: float
    braking: float
    stands_s: float
    what: str = "hard brake"

    def begins(self, context: ScriptContext) -> tuple[int, ...] | None:
        """At its time."""
        if context.time < self.from_s:
            return None
        f = context.fleet.f
        lasts = f[self.actor, V] / self.braking + self.stands_s
        f[self.actor, ORDER_A], f[self.actor, ORDER_UNTIL] = -self.braking, context.time + lasts
        return (self.actor,)


@dataclass(frozen=True)
class GoesFirst:
    """Somebody who goes first does not wait for who turns in front of them. lane: of the junction,
    that they will take; away_s: decided so long before they are there."""

    actor: int
    lane: int
    away_s: float
    what: str = "goes first"

    def begins(self, context: ScriptContext) -> tuple[int, ...] | None:
        """When they are close enough."""
        f, fleet, i = context.fleet.f, context.fleet, self.actor
        at = np.flatnonzero(fleet.con[i] == self.lane)
        if not len(at):
            return None
        begin, end = fleet.con_s[i, at[0], [CON_IN, CON_OUT]]
        if begin - f[i, S] - f[i, NOSE] > self.away_s * f[i, V]:
            return None
        f[i, COMMIT] = end
        return (i,)


@dataclass(frozen=True)
class StepOut:
    """Somebody walks onto the road when the ego could just stop in comfort. walker: their place
    among the walkers; from_s: not before [s]."""

    walker: int
    from_s: float
    what: str = "jaywalk"

    def begins(self, context: ScriptContext) -> tuple[int, ...] | None:
        """When the ego's bumper is so far away as a stop takes."""
        actor, ego = context.walkers.first + self.walker, context.ego
        ahead = float(context.ego_frame()[actor, 0]) - ego[EGO_HALF]
        if context.time < self.from_s or ahead > stopping_m(float(ego[EGO_V])):
            return None
        context.walkers.mode[self.walker] = CROSSING
        return (actor,)


@dataclass(frozen=True)
class CutIn:
    """A vehicle changes into the lane beside it, to its left or right, and slows down there.
    from_s: when [s]; lasts_s: how long the change takes; speed: that it then drives [m/s]."""

    actor: int
    left: bool
    from_s: float
    lasts_s: float
    speed: float
    what: str = "cut-in"

    def begins(self, context: ScriptContext) -> tuple[int, ...] | None:
        """At its time, as soon as the gap to the ego is small and there is one."""
        net, fleet, i = context.net, context.fleet, self.actor
        gap = float(context.ego_frame()[i, 0]) - context.ego[EGO_HALF] - fleet.half[i, 0]
        low, high = CUT_IN_GAP_M
        if context.time < self.from_s or not low < gap < high:
            return None
        front = fleet.f[i, S] + fleet.f[i, BASE]
        k = min(int(front / DS), fleet.g[i, COUNT] - 1)
        lane, arc = int(fleet.lane[i, k]), float(fleet.sl[i, k])
        target = int(net.left[lane] if self.left else net.right[lane])
        ends = forced_end(net, fleet, i)
        if target < 0 or not begin_change(
            net, fleet, i, target, lane, arc, self.lasts_s, ends - front
        ):
            return None
        slow_to(net, fleet, i, self.speed)
        return (i,)
