"""A town from a seed: streets, junctions and all that stands beside them.

    town = build_town(7)
    town = build_town(7, TownRequest(columns=(3, 3), rows=(2, 2), roundabouts=1.0))
Same seed and request, same bytes. Driving on the right.
May import: types, scoring.scene, and the parts of a town in world.
"""

from __future__ import annotations

from irl_vla.scoring.scene import Polygons
from irl_vla.types import InputError
from irl_vla.world.junctions import Crossing, arms_of, draw_connectors, links_of, outline
from irl_vla.world.lane_draft import LaneDraft
from irl_vla.world.street import Street, lay_street
from irl_vla.world.town import Junction, Town
from irl_vla.world.town_plan import TownPlan, plan_town
from irl_vla.world.town_request import TownRequest

__all__ = ["TownRequest", "build_town"]

_OVERLAP_M = 0.5  # by which the asphalt of streets reaches under that of junctions


def build_town(seed: int, request: TownRequest = TownRequest()) -> Town:  # noqa: B008 (frozen)
    """The town of a seed >= 0. InputError where the request cannot be built."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"town: seed: expected a whole number >= 0, got {seed!r}")
    plan = plan_town(seed, request)
    lanes: list[LaneDraft] = []
    streets = [lay_street(index, street, lanes) for index, street in enumerate(plan.streets)]
    crossings = _junctions(plan, streets, lanes)
    rings = [street.outline(kerb=False, overlap=_OVERLAP_M) for street in streets]
    return Town(
        f"town {seed}", seed,
        tuple(draft.lane() for draft in lanes),
        Polygons.of([*rings, *(crossing.ring for crossing in crossings)]),
        tuple(Junction("crossing", c.ring, c.connectors) for c in crossings),
    )  # fmt: skip


def _junctions(plan: TownPlan, streets: list[Street], lanes: list[LaneDraft]) -> list[Crossing]:
    links, names, owners, parts = [], [], [], []
    first = len(lanes)
    for number, node in enumerate(plan.nodes.values()):
        arms = arms_of(node, streets)
        pockets = [streets[arm.plan.street].plan.ways[1 - arm.plan.end].pocket > 0 for arm in arms]
        own = links_of(node, arms, lanes, pockets)
        links += own
        names += [
            (f"j{number}.{k}", f"j{number}:{link.arms[0]}>{link.arms[1]}")
            for k, link in enumerate(own)
        ]
        owners += [number] * len(own)
        parts.append((node, arms, tuple(own)))
    draw_connectors(links, names, owners, lanes)
    crossings = []
    for node, arms, own_links in parts:
        connectors = tuple(range(first, first + len(own_links)))
        first += len(own_links)
        crossings.append(Crossing(node, arms, own_links, connectors, *outline(node, arms)))
    return crossings
