"""What a recording has to say beside its values: one notice per thing, and how many become one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from irl_vla.camera.camera import Camera


class NoticeKind(str, Enum):
    """Why a message did not become a value, or not the value that it says."""

    BAD_IMAGE = "bad_image"
    CALIBRATION_CHANGED = "calibration_changed"
    UNREADABLE = "unreadable"
    UNSTAMPED = "unstamped"
    NO_TRANSFORM = "no_transform"
    MOTION_UNPLACED = "motion_unplaced"
    CONVERTED = "converted"
    CONTRADICTION = "contradiction"


LOST = (NoticeKind.BAD_IMAGE, NoticeKind.UNREADABLE)  # something that was to be used was not


@dataclass(frozen=True)
class Notice:
    """Something that the one who replays should know. Every bad image has its own; of the other
    kinds each topic gives one, or as many as there are (`EventReader.every`).

    now: the camera's new calibration, for CALIBRATION_CHANGED
    """

    stamp_ns: int
    kind: NoticeKind
    topic: str
    text: str
    camera: str | None = None
    now: Camera | None = None


def folded(texts: Mapping[str, int]) -> list[str]:
    """text -> how often it was said, as lines: texts that differ only in numbers and quoted bytes
    become one, the first, with the count of all."""
    first: dict[str, str] = {}
    count: dict[str, int] = {}
    for text, times in texts.items():
        kind = re.sub(r"b'[^']*'|b\"[^\"]*\"|\d+(?:\.\d+)?", "#", text)
        first.setdefault(kind, text)
        count[kind] = count.get(kind, 0) + times
    return [
        f"{text} ({count[kind]} times)" if count[kind] > 1 else text for kind, text in first.items()
    ]
