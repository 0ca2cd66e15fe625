"""Two-hertz sights of other road users -> tracks at 10 Hz over the 4 s that are scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from irl_vla.frames import wrap_angle
from irl_vla.navsim.detections import detections_of
from irl_vla.navsim.records import OBJECT_TYPES, SceneWindow, TrackedObjects
from irl_vla.scoring.scene import STEPS, Tracks
from irl_vla.types import F64, InputError

T = TypeVar("T")

FUTURE_FRAMES = 8  # 4 s
STEPS_PER_FRAME = 5  # 0.5 s at 10 Hz


def observations_of(window: SceneWindow) -> list[TrackedObjects]:
    """Boxes now and at the 8 following frames. Raises InputError where the future is missing."""
    now = detections_of(window.now)
    if window.future is not None:
        return [now, *window.future.detections[:FUTURE_FRAMES]]
    start = window.metadata.num_history_frames
    future = window.frames[start : start + FUTURE_FRAMES]
    if len(future) < FUTURE_FRAMES:
        raise InputError(
            f"scene {window.token}: scoring needs {FUTURE_FRAMES} future frames, the split gives "
            f"{len(future)} (num_future_frames). Choose a split with at least {FUTURE_FRAMES}."
        )
    return [now, *(detections_of(frame) for frame in future)]


def lights_of(window: SceneWindow) -> list[tuple[tuple[int, bool], ...]]:
    """Traffic lights now and at the 8 following frames."""
    now = window.now.traffic_lights
    if window.future is not None:
        return [now, *window.future.traffic_lights[:FUTURE_FRAMES]]
    start = window.metadata.num_history_frames
    return [now, *(f.traffic_lights for f in window.frames[start : start + FUTURE_FRAMES])]


def held(frames: Sequence[T]) -> list[T]:
    """Of frames -> of STEPS steps: what was seen last holds until the next frame."""
    return [frames[step // STEPS_PER_FRAME] for step in range(STEPS)]


def tracks_of(sights: Sequence[TrackedObjects]) -> Tracks:
    """10 Hz tracks, in the order of the original (`step_order`).

    Frames count as exactly 0.5 s apart, whatever their timestamps say. Between the first and the
    last sight everything is linear (headings unwrapped), gaps are bridged. A track that was seen
    only ONCE stands at that pose in all steps. Type and size are those of the first sight.
    """
    seen: dict[str, list[tuple[int, int]]] = {}
    for frame, found in enumerate(sights):
        for row, token in enumerate(found.tokens):
            seen.setdefault(token, []).append((frame, row))
    states = np.full((len(seen), STEPS, 5), np.nan)
    present = np.zeros((len(seen), STEPS), np.bool_)
    types, sizes = np.zeros(len(seen), np.int8), np.zeros((len(seen), 2))
    for index, places in enumerate(seen.values()):
        frame, row = places[0]
        types[index] = OBJECT_TYPES.index(sights[frame].types[row])
        sizes[index] = sights[frame].sizes[row, :2]
        observed = np.array([sights[frame].states[row] for frame, row in places])
        first, last = (int(f) * STEPS_PER_FRAME for f in (places[0][0], places[-1][0]))
        if len(places) == 1:
            states[index], present[index] = observed[0], True
            continue
        knots = np.array([frame for frame, _ in places], np.float64) * STEPS_PER_FRAME
        states[index, first : last + 1] = between(knots, observed, np.arange(first, last + 1))
        present[index, first : last + 1] = True
    tokens, order = tuple(seen), step_order(types, present)
    return Tracks(
        tuple(tokens[index] for index in order),
        types[order], sizes[order], states[order], present[order],
    )  # fmt: skip


def step_order(types: NDArray[np.int8], present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices by the first STEP in which a track is present, there by type, there by first sight:
    nuPlan sorts the objects of each step by type, and a track seen once is present from step 0."""
    first = np.argmax(present, axis=1)
    return np.lexsort((np.arange(len(types)), types, first))


def between(knots: F64, observed: F64, steps: NDArray[np.int64]) -> F64:
    """(s, 5) states at `steps`, linear between `observed` (n, 5) at `knots` (n,); headings turn
    the short way and come back wrapped."""
    values = observed.copy()
    values[:, 2] = np.unwrap(values[:, 2])
    result = np.column_stack([np.interp(steps, knots, column) for column in values.T])
    result[:, 2] = wrap_angle(result[:, 2])
    return result
