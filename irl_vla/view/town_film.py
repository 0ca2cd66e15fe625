"""Recorded drives as pictures: frames of an animation, sheets of moments, many drives at once.

In: Episode   Out: RGB frames   May import: world, types, drawing, mosaic, town.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from irl_vla.scoring.scene import SIM_DT_S
from irl_vla.types import F64, U8
from irl_vla.view import drawing
from irl_vla.view.mosaic import contact_sheet
from irl_vla.view.town import TownOverlay, TownPainter
from irl_vla.world.episode import Episode
from irl_vla.world.routes import RoutePath

FPS = round(1.0 / SIM_DT_S)  # episodes are recorded at 10 Hz and played as fast as they were driven
AHEAD_M = 12.0  # at full speed the picture's middle lies so far ahead of the ego
FULL_SPEED = 12.0  # [m/s]
SMOOTHING_S = 1.2  # [s] standard deviation of what smooths the picture's way
SMALL = (320, 214, 3.2)  # [px], [px], [px/m] of a drive among many: 100 m x 67 m
COLUMNS = 4  # of drives beside each other
NEAR = (480, 320, 6.0)  # [px], [px], [px/m] of one of a few instants: 80 m x 53 m
INSTANTS_S = (2.0, 4.0, 6.0, 9.0)  # of a situation: it begins at 2 s
MANY_FPS, MANY_QUALITY = 5, 35  # of many drives at once
MANY_EVERY = FPS // MANY_FPS  # moments from picture to picture


def camera_path(ego: F64) -> F64:
    """(T, 11) ego states -> (T, 2) middles of the pictures: a little ahead of the car, gliding."""
    ahead = AHEAD_M * np.clip(ego[:, 3] / FULL_SPEED, 0.0, 1.0)
    lead = ahead[:, None] * np.stack([np.cos(ego[:, 2]), np.sin(ego[:, 2])], axis=1)
    smoothed = gaussian_filter1d(lead, SMOOTHING_S / SIM_DT_S, axis=0, mode="nearest")
    return np.asarray(ego[:, :2] + smoothed)


def route_of(episode: Episode) -> F64 | None:
    """(n, 2) line of the episode's route, or None where there is none."""
    if not episode.route:
        return None
    return np.asarray(RoutePath.of(episode.town, episode.route).poses[:, :2])


def note_at(episode: Episode, step: int) -> str:
    """What was scripted in the two seconds before a step, for the caption."""
    now = step * SIM_DT_S
    return ", ".join(note.what for note in episode.notes if 0.0 <= now - note.time_s < 2.0)


def drive_frames(episode: Episode, every: int = 1) -> Iterator[U8]:
    """Pictures (640, 960, 3) of the whole episode, one of `every` moments."""
    painter = TownPainter(episode.town, episode.actors, episode.vehicle)
    yield from _frames(painter, episode, range(0, len(episode), every))


def moments(episode: Episode, count: int = 6) -> U8:
    """One sheet with `count` instants of a drive, evenly spread over it."""
    steps = np.linspace(0, len(episode) - 1, count).round().astype(int)
    painter = TownPainter(episode.town, episode.actors, episode.vehicle)
    return contact_sheet(list(_frames(painter, episode, steps.tolist())), columns=2)


def instants(episode: Episode, seconds: Sequence[float] = INSTANTS_S) -> U8:
    """A small sheet of a drive at some times from its begin [s]; its end where it is shorter."""
    width, height, scale = NEAR
    painter = TownPainter(
        episode.town, episode.actors, episode.vehicle, width=width, height=height, scale=scale
    )
    steps = [min(round(time / SIM_DT_S), len(episode) - 1) for time in seconds]
    return contact_sheet(list(_frames(painter, episode, steps)), columns=2)


def _frames(painter: TownPainter, episode: Episode, steps: Sequence[int]) -> Iterator[U8]:
    route, middles = route_of(episode), camera_path(episode.ego)
    for step in steps:
        overlay = TownOverlay(route=route, note=note_at(episode, step))
        yield painter.paint(episode.moment(step), middles[step], overlay)


def many_drives(
    episodes: Sequence[Episode], titles: Sequence[str], steps: Sequence[int]
) -> Iterator[U8]:
    """A grid of small drives at the same moments; one that ends early keeps its last picture."""
    width, height, scale = SMALL
    painters = [
        TownPainter(e.town, e.actors, e.vehicle, width=width, height=height, scale=scale)
        for e in episodes
    ]
    middles = [camera_path(e.ego) for e in episodes]
    overlays = [TownOverlay(route=route_of(e), words=False) for e in episodes]
    for step in steps:
        cells = []
        for k, episode in enumerate(episodes):
            now = min(step, len(episode) - 1)
            cells.append(painters[k].paint(episode.moment(now), middles[k][now], overlays[k]))
            drawing.chip(cells[k], titles[k], 4, 4, 11)
        yield contact_sheet(cells, COLUMNS)
