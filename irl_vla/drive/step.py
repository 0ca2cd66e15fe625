"""One tick of the core: what it led to, and how long each part took. May import: types, camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from irl_vla.camera.preprocess import CalibratedImages
from irl_vla.types import EgoStatus, FrameSet, Intent, Plan, Refusal, SceneTokens

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """What one frame set led to.

    frames: with unusable pictures moved to `missing`; tokens: None where nothing was perceived
    """

    outcome: Plan | Refusal
    frames: FrameSet
    ego: EgoStatus
    intent: Intent
    tokens: SceneTokens | None
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class Perceived:
    """What was seen, and the frames it was seen in: unusable pictures are moved to `missing`.

    images: the pictures as the networks read them; None where there were none
    """

    tokens: SceneTokens | Refusal
    frames: FrameSet
    images: CalibratedImages | None = None


class Clock:
    """Milliseconds per stage."""

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings

    def timed(self, stage: str, work: Callable[[], T]) -> T:
        """Do the work and note how long it took."""
        start = perf_counter()
        result = work()
        self._timings[stage] = (perf_counter() - start) * 1e3
        return result
