"""What lies between asphalt and houses: kerbs, footpaths, crosswalks, parking bays.
May import: types, world.roads, world.town.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.types import F64
from irl_vla.world.roads.curves import beside, ribbon
from irl_vla.world.roads.junctions import BuiltJunction
from irl_vla.world.roads.roundabout import Roundabout
from irl_vla.world.roads.street import Carriageway, Street
from irl_vla.world.roads.street_plan import BAY_M, CROSSWALK_M, STOP_GAP_M
from irl_vla.world.town import NONE, Crosswalk, ParkingSpace

FOOTPATH_M = 1.9  # its middle, from the kerb
_SPOT_M, _SPOT_STEP_M, _SPOT_WIDTH_M = 5.2, 6.0, 2.0
_GAP = 0.12  # share of parking places that are driveways
_KEEP_CLEAR_M = 7.0  # around a crosswalk
_CALM_BEND = 1.0 / 60.0  # [1/m] streets bend less where people cross between junctions

Site = BuiltJunction | Roundabout


@dataclass(frozen=True)
class MidBlockCrosswalk:
    """A crosswalk between junctions: street, place [m] along its first direction."""

    street: int
    place: float


def kerbs(streets: list[Street], sites: list[Site]) -> list[F64]:
    """Kerb lines of streets, of junction corners, of roundabouts' islands."""
    lines = [beside(c.poses, c.kerb) for street in streets for c in street.carriageways]
    for site in sites:
        lines += site.corners
        if isinstance(site, Roundabout):
            lines.append(site.island)
    return lines


def footpaths(streets: list[Street], sites: list[Site]) -> list[F64]:
    """One line along either side of every street, joined around the corners."""
    lines = [
        beside(c.poses, c.kerb - FOOTPATH_M) for street in streets for c in street.carriageways
    ]
    return lines + [aside(corner, FOOTPATH_M) for site in sites for corner in site.corners]


def aside(line: F64, right: float) -> F64:
    """(n, 2) line, moved to its right by so many metres."""
    way = np.gradient(line, axis=0)
    way /= np.hypot(way[:, 0], way[:, 1])[:, None]
    return line + right * np.stack([way[:, 1], -way[:, 0]], axis=1)


def across(gate: F64, begin: float, end: float, left: float, right: float) -> F64:
    """(4, 2) rectangle in front of a pose: `begin` to `end` metres ahead, `left` to `right`."""
    cos, sin = np.cos(gate[2]), np.sin(gate[2])
    ahead, side = np.array([begin, end, end, begin]), np.array([right, right, left, left])
    return np.stack(
        [gate[0] + ahead * cos - side * sin, gate[1] + ahead * sin + side * cos], axis=1
    )


def crosswalks_at(site: Site, walks: tuple[int, ...]) -> list[Crosswalk]:
    """Crosswalks on the arms of a junction. walks: per arm, the signal that is red meanwhile."""
    found = []
    for i, arm in enumerate(site.arms):
        if not arm.plan.crosswalk:
            continue
        if isinstance(site, BuiltJunction):
            pairs = zip(site.links, site.connectors, strict=True)
            lanes = tuple(lane for link, lane in pairs if i in link.arms)
        else:
            lanes = site.lanes[4 * i : 4 * i + 2]
        ring = across(
            arm.gate, -STOP_GAP_M - CROSSWALK_M, -STOP_GAP_M, arm.plan.coming, -arm.plan.leaving
        )
        ends = np.stack([ring[:2].mean(axis=0), ring[2:].mean(axis=0)])
        found.append(Crosswalk(ring, ends, lanes, walks[i]))
    return found


def mid_block_crosswalks(
    rng: np.random.Generator, streets: list[Street], share: float
) -> list[MidBlockCrosswalk]:
    """Crosswalks between junctions, on long streets of one lane per direction."""
    found = []
    for number, street in enumerate(streets):
        draw, where = rng.random(), rng.uniform(0.35, 0.65)
        carriageway = street.carriageways[0]
        if draw < share and not street.plan.main and carriageway.length > 70.0:
            index = int(np.searchsorted(carriageway.along, where * carriageway.length))
            bend = np.abs(np.gradient(carriageway.poses[:, 2], carriageway.along))
            if bend[index - 3 : index + 4].max() < _CALM_BEND:
                found.append(MidBlockCrosswalk(number, float(carriageway.along[index])))
    return found


def crosswalk_of(planned: MidBlockCrosswalk, streets: list[Street]) -> Crosswalk:
    """The crosswalk; vehicles give way."""
    ahead, back = streets[planned.street].carriageways
    index = int(np.searchsorted(ahead.along, planned.place - 1e-6))
    right, left = ahead.kerb[index], -back.kerb[::-1][index]
    ring = across(ahead.poses[index], -CROSSWALK_M / 2, CROSSWALK_M / 2, float(left), float(right))
    ends = np.stack([ring[:2].mean(axis=0), ring[2:].mean(axis=0)])
    lanes = (*ahead.sections[0], *back.sections[0])
    return Crosswalk(ring, ends, lanes, NONE)


def bays(streets: list[Street]) -> list[F64]:
    """Rings of the parking bays."""
    rings = []
    for carriageway in (c for street in streets for c in street.carriageways):
        if carriageway.bays:
            part = slice(
                *np.searchsorted(
                    carriageway.along, (carriageway.bays[0], carriageway.bays[1] + 1e-6)
                )
            )
            edge = carriageway.edge[part]
            rings.append(ribbon(carriageway.poses[part], edge + 0.02, edge - BAY_M))
    return rings


def spots(
    rng: np.random.Generator, streets: list[Street], crossed: list[MidBlockCrosswalk]
) -> list[ParkingSpace]:
    """Parking places in the bays; some are kept free for driveways and crosswalks."""
    found: list[ParkingSpace] = []
    for number, street in enumerate(streets):
        for which, carriageway in enumerate(street.carriageways):
            if not carriageway.bays:
                continue
            begin, end = carriageway.bays
            places = np.arange(begin + _SPOT_M / 2, end - _SPOT_M / 2, _SPOT_STEP_M)
            free = rng.random(len(places)) > _GAP
            for planned in crossed:
                if planned.street == number:
                    at = planned.place if which == 0 else carriageway.length - planned.place
                    free &= np.abs(places - at) > _KEEP_CLEAR_M
            found += _spots_along(carriageway, places[free])
    return found


def _spots_along(carriageway: Carriageway, places: F64) -> list[ParkingSpace]:
    edge = np.interp(places, carriageway.along, carriageway.edge) - BAY_M / 2
    poses = at(carriageway, places)
    poses[:, :2] = beside(poses, edge)
    return [ParkingSpace(pose, _SPOT_M, _SPOT_WIDTH_M) for pose in poses]


def at(carriageway: Carriageway, places: F64) -> F64:
    """(k, 3) poses of a street's middle at so many metres along."""
    columns = [np.interp(places, carriageway.along, column) for column in carriageway.poses.T]
    return np.stack(columns, axis=1)
