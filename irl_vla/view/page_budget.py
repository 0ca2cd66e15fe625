"""How many pictures a page carries, and how fine they are: every frame, as long as the file stays
one that a browser opens at once.

May import: types.
"""

from __future__ import annotations

from typing import NamedTuple

STEPS = (  # up to so many frames: width of all cameras together [px], quality of WebP 0..100
    (12, 1920, 84),
    (60, 1440, 75),
    (150, 1200, 62),
    (300, 960, 52),
    (600, 800, 42),
)
MOST_FRAMES = STEPS[-1][0]  # about 25 MB with six cameras and the bird's eye; then every second ...


class PictureBudget(NamedTuple):
    """stride: every so many-th frame is shown; width [px] and quality of each."""

    stride: int
    width: int
    quality: int


def picture_budget(expected: int, most: int = MOST_FRAMES) -> PictureBudget:
    """expected: frames of the recording, 0 where nobody knows; most: that a page may carry."""
    stride = max(1, -(-expected // most))
    frames = -(-expected // stride) if expected else min(most, STEPS[1][0])
    _, width, quality = next((step for step in STEPS if frames <= step[0]), STEPS[-1])
    return PictureBudget(stride, width, quality)


def budget_note(shown: int, total: int, budget: PictureBudget) -> str:
    """How many frames carry pictures, and what that costs, said on the page."""
    if total == 1:
        return "One frame."
    how = f" at {budget.width} px and quality {budget.quality}, so that the page stays small"
    if shown == total:
        return f"All {total} frames{how if shown > STEPS[1][0] else ''}."
    return f"{shown} of {total} frames are shown, evenly sampled{how}; the plots use all of them."
