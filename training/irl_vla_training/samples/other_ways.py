"""Where another intent would have led: the same pictures, another way through the next junction.

May import: irl_vla.
"""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.scene import AX
from irl_vla.types import InputError
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.driver.expert import Expert
from irl_vla.world.routes import random_route
from irl_vla.world.simulation import Simulation, episode_from
from irl_vla.world.town import NONE, Town

SOONEST_M, LATEST_M = 10.0, 60.0  # [m] to the junction where another way may be taken
ROUTE_M = 160.0  # [m] of route beyond it
HARDEST = -4.0  # [m/s²] a way that needs harder braking comes too late to be told
MOMENTS = 41


def other_way(
    at: Simulation, cutter: Cutter, step: int, rng: np.random.Generator
) -> Cutter | None:  # fmt: skip
    """The drive from an instant under another intent, its first moment that instant; None where
    there is no other way, or it comes too late. at: the world at that instant, the expert driving.
    """
    town, driver = cutter.episode.town, at.driver
    assert isinstance(driver, Expert)
    route = _other_route(town, cutter, step, rng)
    if route is None:
        return None
    twin = at.copy()
    try:
        twin.driver = Expert(town, route, cutter.episode.seed, style=driver.style)
    except InputError:  # the new route does not hold together
        return None
    moments = [twin.moment, *(twin.step() for _ in range(MOMENTS - 1))]
    if min(moment.ego[AX] for moment in moments[1:]) < HARDEST:
        return None
    return Cutter(episode_from(twin, moments, cutter.episode.seed))


def _other_route(
    town: Town, cutter: Cutter, step: int, rng: np.random.Generator
) -> tuple[int, ...] | None:
    """Lanes from the ego's own on, with another turn at the next junction."""
    path, place = cutter.path, float(cutter.places[step])
    begins = path.arcs[np.searchsorted(path.arcs, place) :]
    lanes = path.lanes[np.searchsorted(path.arcs, place) :]
    inside = np.array([town.lanes[lane].junction != NONE for lane in lanes], np.bool_)
    if not len(lanes) or inside[0] or not inside.any():
        return None
    first = int(np.argmax(inside))
    if not SOONEST_M < begins[first] - place < LATEST_M:
        return None
    taken, before = int(lanes[first]), int(lanes[first - 1])
    turn = town.lanes[taken].turn
    others = [way for way in town.lanes[before].successors if town.lanes[way].turn != turn]
    if not others:
        return None
    until = [lane for lane in cutter.episode.route if lane in set(lanes[:first].tolist())]
    on = random_route(town, rng, int(others[rng.integers(len(others))]), ROUTE_M)
    return (*until, *on)
