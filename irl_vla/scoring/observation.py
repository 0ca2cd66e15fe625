"""What was seen twice a second -> what scoring needs ten times a second.

    tracks = tracks_from_sights(sights)       9 frames 0.5 s apart -> Tracks over 41 steps
    red = held_lights(frames)                 9 sets of red lights -> 41
Frames count as exactly 0.5 s apart. Source: docs/epdms.md, "What goes in".
May import: frames, scoring.scene, types.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.frames import wrap_angle
from irl_vla.scoring.scene import I8, STEPS, Tracks
from irl_vla.types import F64, InputError

STEPS_PER_FRAME = 5  # 2 Hz -> 10 Hz
FRAMES = (STEPS - 1) // STEPS_PER_FRAME + 1  # 0 .. 4 s


@dataclass(frozen=True)
class Observation:
    """The boxes of one frame. types: (n,) index into AGENT_TYPES; sizes: (n, 2) length, width [m];
    states: (n, 5) x, y, heading, vx, vy of the box centre, global [m, rad, m/s]."""

    ids: tuple[str, ...]
    types: I8
    sizes: F64
    states: F64


def between(knots: F64, observed: F64, steps: F64) -> F64:
    """(s, 5) states at `steps` within the knots, linear between `observed` (n, 5) at `knots` (n,)
    [steps]; headings turn the short way and come back wrapped."""
    values = observed.copy()
    values[:, 2] = np.unwrap(values[:, 2])
    found = np.column_stack([np.interp(steps, knots, column) for column in values.T])
    found[:, 2] = wrap_angle(found[:, 2])
    return found


def tracks_from_sights(sights: Sequence[Observation]) -> Tracks:
    """FRAMES sights -> tracks, in the order in which they were first seen.

    A track is present from its first to its last sight; gaps are bridged. Type and size are those
    of the first sight. Quirk: a track seen only ONCE stands at that pose in all steps.
    Raises InputError for another number of frames.
    """
    _check_frames(len(sights), "sights")
    seen: dict[str, list[tuple[int, int]]] = {}
    for frame, sight in enumerate(sights):
        for row, name in enumerate(sight.ids):
            seen.setdefault(name, []).append((frame, row))
    states = np.full((len(seen), STEPS, 5), np.nan)
    for track, places in zip(states, seen.values(), strict=True):
        observed = np.array([sights[frame].states[row] for frame, row in places], np.float64)
        knots = np.array([frame for frame, _ in places], np.float64) * STEPS_PER_FRAME
        first, last = int(knots[0]), int(knots[-1])
        if first == last:
            track[:] = observed[0]
        else:
            track[first : last + 1] = between(knots, observed, np.arange(first, last + 1.0))
    places_first = [places[0] for places in seen.values()]
    types = np.array([sights[frame].types[row] for frame, row in places_first], np.int8)
    sizes = np.array([sights[frame].sizes[row] for frame, row in places_first], np.float64)
    present = np.asarray(~np.isnan(states[..., 0]))
    return Tracks(tuple(seen), types, sizes.reshape(-1, 2), states, present)


def held_lights(frames: Sequence[Collection[str]]) -> tuple[frozenset[str], ...]:
    """Names that are red in each of FRAMES frames -> in each of STEPS steps: a status holds until
    the next frame. Raises InputError for another number of frames."""
    _check_frames(len(frames), "traffic light frames")
    return tuple(frozenset(frames[step // STEPS_PER_FRAME]) for step in range(STEPS))


def _check_frames(got: int, what: str) -> None:
    if got != FRAMES:
        raise InputError(f"{what}: expected {FRAMES}, 0.5 s apart from 0 to 4 s, got {got}")
