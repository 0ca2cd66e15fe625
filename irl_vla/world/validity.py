"""Is a recorded episode valid? Counts what must not happen in a world that one may learn from.

    found = check(episode);  total = sum_of([found, ...]);  total.faults == 0
Counted are road users, or pairs of them, not moments. Who is named in a note of the episode as a
scripted violator is left out of the count that the script breaks.
May import: frames, scoring.footprint, scoring.scene, types, world.episode, world.town.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import shapely

from irl_vla.frames import box_corners
from irl_vla.scoring.footprint import footprint, middle
from irl_vla.scoring.scene import BICYCLE, PEDESTRIAN, SIM_DT_S, VEHICLE
from irl_vla.world.episode import Episode
from irl_vla.world.town import Light

SPEEDING_UP, BRAKING, SIDEWAYS = 3.6, 8.5, 4.5  # [m/s²] bounds along and across the heading
TELEPORT = 0.35  # [m] off the place that the velocities lead to, within one step
WHEELS_LONG, WHEELS_WIDE = 0.3, 0.1  # wheels: share of the length, [m] inside the width
ON_SURFACE = 0.1  # [m] outside the asphalt that still counts as on it
AT_CROSSWALK = 2.0  # [m] beside the paint that still counts as a crosswalk
ON_ROAD = 0.6  # [m] inside the asphalt: a person is on the road
STOP_LINE_HALF = 1.6  # [m] from the middle of the lane: enters this lane
RED_RUN, JAYWALK = "red light run", "jaywalk"  # notes that excuse


@dataclass(frozen=True)
class ValidityReport:
    """Counts over `minutes` of simulated time; `moments` of road users that were looked at.

    overlaps: pairs of road users whose boxes overlapped; ego_overlaps: road users that overlapped
    the ego (the ego's driver may be to blame, no fault of the world); off_surface: vehicles whose
    wheels left the asphalt, people on the road away from crosswalks; hard: beyond the acceleration
    bounds; teleports: moved otherwise than their velocity says; red_lights: entered a junction
    on red; scripted: notes
    """

    minutes: float
    moments: int
    overlaps: int
    ego_overlaps: int
    off_surface: int
    hard: int
    teleports: int
    red_lights: int
    scripted: int
    where: tuple[str, ...] = ()

    @property
    def faults(self) -> int:
        """All that must not happen."""
        return self.overlaps + self.off_surface + self.hard + self.teleports + self.red_lights


def sum_of(parts: Iterable[ValidityReport]) -> ValidityReport:
    """Counts of several episodes together."""
    parts = list(parts)
    names = [field.name for field in fields(ValidityReport) if field.name != "where"]
    places = tuple(place for part in parts for place in part.where)
    total = {name: sum(getattr(part, name) for part in parts) for name in names}
    return ValidityReport(**total, where=places)


def check(episode: Episode) -> ValidityReport:
    """Looks at every moment of every road user; `where` names each fault."""
    where: list[str] = []
    overlaps = _overlaps(episode, where)
    return ValidityReport(
        minutes=(len(episode) - 1) * SIM_DT_S / 60.0, moments=int(episode.present.sum()),
        overlaps=overlaps, ego_overlaps=_ego_overlaps(episode), off_surface=_off(episode, where),
        hard=_hard(episode, where), teleports=_teleports(episode, where),
        red_lights=_red(episode, where), scripted=len(episode.notes), where=tuple(where),
    )  # fmt: skip


def _named(episode: Episode, what: str) -> set[int]:
    """Actors that a note excuses."""
    return {actor for note in episode.notes if note.what == what for actor in note.actors}


def _say(where: list[str], what: str, episode: Episode, actors: list[int], step: int) -> None:
    names = " and ".join(episode.actors.ids[k] for k in actors)
    where.append(f"seed {episode.seed}, {step * SIM_DT_S:.1f} s: {what}: {names}")


def _overlaps(episode: Episode, where: list[str]) -> int:
    """Pairs of boxes that overlap; what never moves is not compared with its like."""
    found: set[tuple[int, int]] = set()
    sizes = episode.actors.sizes[:, :2]
    speeds = np.hypot(episode.states[..., 3], episode.states[..., 4])
    moves = np.nan_to_num(np.where(episode.present, speeds, 0.0)).max(axis=0) > 0.0
    reach = np.hypot(sizes[:, 0], sizes[:, 1]) / 2.0
    for step in range(len(episode)):
        here = np.flatnonzero(episode.present[step])
        xy = episode.states[step, here, :2]
        gaps = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
        close = gaps < reach[here][:, None] + reach[here][None]
        close &= moves[here][:, None] | moves[here][None]
        pairs = [(here[a], here[b]) for a, b in np.argwhere(np.triu(close, 1))]
        pairs = [pair for pair in pairs if pair not in found]
        if not pairs:
            continue
        boxes = shapely.polygons(box_corners(np.nan_to_num(episode.states[step, :, :3]), sizes))
        first, second = np.array(pairs).T
        area = shapely.area(shapely.intersection(boxes[first], boxes[second]))
        for k in np.flatnonzero(area > 1e-6):
            found.add(pairs[k])
            _say(where, "overlap", episode, [int(pairs[k][0]), int(pairs[k][1])], step)
    return len(found)


def _ego_overlaps(episode: Episode) -> int:
    """Road users that overlapped the ego."""
    vehicle, ego, found = episode.vehicle, episode.ego, set()
    for step in range(len(episode)):
        here = np.flatnonzero(episode.present[step])
        states = episode.states[step, here]
        here = here[np.hypot(*(states[:, :2] - middle(ego[step], vehicle)).T) < 12.0]
        if len(here) == 0:
            continue
        own = shapely.Polygon(footprint(ego[step], vehicle))
        sizes = episode.actors.sizes[here, :2]
        boxes = shapely.polygons(box_corners(episode.states[step, here, :3], sizes))
        found |= set(here[shapely.area(shapely.intersection(boxes, own)) > 1e-6].tolist())
    return len(found)


def _off(episode: Episode, where: list[str]) -> int:
    """Vehicles and cyclists with a wheel off the asphalt, people on it where they must not be."""
    town, found = episode.town, 0
    rings = [p.ring(k) for p in (town.drivable, town.carparks) for k in range(len(p))]
    asphalt = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])
    wide, narrow = asphalt.buffer(ON_SURFACE), asphalt.buffer(-ON_ROAD)
    walks = shapely.union_all([
        shapely.Polygon(walk.polygon).buffer(AT_CROSSWALK) for walk in town.crosswalks
    ])  # fmt: skip
    forbidden = narrow.difference(walks)
    shapely.prepare(wide)
    shapely.prepare(forbidden)
    jaywalkers = _named(episode, JAYWALK)
    for k, kind in enumerate(episode.actors.types):
        steps = np.flatnonzero(episode.present[:, k])
        states = episode.states[steps, k]
        if kind in (VEHICLE, BICYCLE):
            length, width = episode.actors.sizes[k, :2]
            wheels = np.array([[2.0 * WHEELS_LONG * length, width - 2.0 * WHEELS_WIDE]])
            points = box_corners(states[:, :3], np.repeat(wheels, len(states), axis=0))
            bad = ~shapely.contains_xy(wide, points[..., 0], points[..., 1]).all(axis=1)
        elif kind == PEDESTRIAN and k not in jaywalkers:
            bad = shapely.contains_xy(forbidden, states[:, 0], states[:, 1])
        else:
            continue
        if bad.any():
            found += 1
            _say(where, "off its surface", episode, [k], int(steps[np.argmax(bad)]))
    return found


def _hard(episode: Episode, where: list[str]) -> int:
    """Vehicles and cyclists beyond the acceleration bounds."""
    found, states = 0, episode.states
    rate = np.diff(states[..., 3:], axis=0) / SIM_DT_S
    heading = states[:-1, :, 2]
    along = rate[..., 0] * np.cos(heading) + rate[..., 1] * np.sin(heading)
    across = rate[..., 1] * np.cos(heading) - rate[..., 0] * np.sin(heading)
    bad = (along > SPEEDING_UP) | (along < -BRAKING) | (np.abs(across) > SIDEWAYS)
    bad &= episode.present[1:] & episode.present[:-1]
    for k in np.flatnonzero(bad.any(axis=0)):
        if episode.actors.types[k] in (VEHICLE, BICYCLE):
            found += 1
            _say(where, "hard acceleration", episode, [int(k)], int(np.argmax(bad[:, k])))
    return found


def _teleports(episode: Episode, where: list[str]) -> int:
    """Road users that moved otherwise than their velocity says."""
    states, found = episode.states, 0
    moved = np.diff(states[..., :2], axis=0)
    expected = 0.5 * SIM_DT_S * (states[1:, :, 3:] + states[:-1, :, 3:])
    off = np.hypot(*(moved - expected).transpose(2, 0, 1))
    bad = (off > TELEPORT) & episode.present[1:] & episode.present[:-1]
    for k in np.flatnonzero(bad.any(axis=0)):
        found += 1
        _say(where, "teleport", episode, [int(k)], int(np.argmax(bad[:, k])))
    return found


def _red(episode: Episode, where: list[str]) -> int:
    """Vehicles and cyclists whose nose entered a junction lane while its light was red."""
    lanes = [lane for lane in episode.town.lanes if lane.signal >= 0]
    if not lanes:
        return 0
    starts = np.array([lane.centre[0] for lane in lanes])
    excused, found = _named(episode, RED_RUN), 0
    red = episode.lights == int(Light.RED)
    for k, kind in enumerate(episode.actors.types):
        steps = np.flatnonzero(episode.present[:, k])
        if kind not in (VEHICLE, BICYCLE) or k in excused or len(steps) < 2:
            continue
        states, half = episode.states[steps, k], episode.actors.sizes[k, 0] / 2.0
        nose = states[:, :2] + half * np.stack([np.cos(states[:, 2]), np.sin(states[:, 2])], -1)
        gap = nose[:, None] - starts[None, :, :2]
        c, s = np.cos(starts[:, 2]), np.sin(starts[:, 2])
        along, aside = gap[..., 0] * c + gap[..., 1] * s, gap[..., 1] * c - gap[..., 0] * s
        turned = np.cos(states[:, None, 2] - starts[None, :, 2]) > 0.7
        over = (along[:-1] < 0.0) & (along[1:] >= 0.0) & (along[1:] < 4.0)
        over &= (np.abs(aside[1:]) < STOP_LINE_HALF) & turned[1:]
        for step in np.flatnonzero(over.any(axis=1)):
            entered = [lanes[m].signal for m in np.flatnonzero(over[step])]
            if red[steps[step]][entered].all():
                found += 1
                _say(where, "red light", episode, [k], int(steps[step]))
    return found
