"""Can a recording's calibration be trusted? One judge for `show` and `replay`: the same stream
gives the same verdict.

In: BagInfo, Rig, and events in stream order   Out: Verdict   May import: everything but cli.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from irl_vla.bag.bag_info import BagInfo, TopicInfo
from irl_vla.bag.comparisons import Comparison
from irl_vla.camera.preprocess import BadImage, image_size
from irl_vla.camera.rig import Rig
from irl_vla.types import Boxes3D, CameraImage, EgoMotion
from irl_vla.view.calibration_checks import judge
from irl_vla.view.motion_evidence import MotionProbe
from irl_vla.view.picture_checks import PictureChecks
from irl_vla.view.report import Check, Verdict, answer_of

MOST_BOXES = 12  # sets of boxes that are judged


class RecordingJudge:
    """Takes a stream once through. rig: None where there is no calibration."""

    def __init__(self, info: BagInfo, rig: Rig | None) -> None:
        self._info, self._rig = info, rig
        self._probe = MotionProbe(rig) if rig else None
        self._pictures = PictureChecks()
        self._sizes: dict[str, tuple[int, int]] = {}
        self._boxes: list[Boxes3D] = []

    def add_image(self, image: CameraImage) -> int:
        """Take one exposure; how often it has come in a row if its camera is frozen, else 0."""
        if image.camera not in self._sizes:
            with suppress(BadImage):  # whoever decodes it will say why
                self._sizes[image.camera] = image_size(image)
        if self._probe:
            self._probe.add_image(image)
        return self._pictures.add_image(image)

    def add_motion(self, motion: EgoMotion) -> None:
        """Take one measurement of the ego."""
        self._pictures.add_motion(motion)
        if self._probe:
            self._probe.add_motion(motion)

    def add_boxes(self, boxes: Boxes3D | None) -> None:
        """Known things of one moment; the first few are judged."""
        if boxes is not None and len(self._boxes) < MOST_BOXES:
            self._boxes.append(boxes)

    def verdict(self) -> Verdict:
        """Of what was taken in."""
        if not self._info.cameras:
            text = "This source has no camera, so there is no calibration to judge."
            none = Check("unknown", "Cameras", "none in this source")
            return Verdict("unknown", text, (none, *map(_check, self._info.comparisons)))
        others = [*map(_check, self._info.comparisons), *self._pictures.checks()]
        evidence = self._probe.evidence() if self._probe else {}
        return judge(self._rig, self._sizes, self._boxes, evidence, others)


def _check(found: Comparison) -> Check:
    level = {"yes": "ok", "no": "warn"}.get(found.verdict, "unknown")
    return Check(level, found.name, found.why, found.value, found.bound, found.pairs)


def checks_content(
    verdict: Verdict, warnings: Sequence[str], topics: Sequence[TopicInfo]
) -> dict[str, Any]:
    """The content of checks.json (docs/recordings.md)."""
    return {
        "verdict": verdict.answer,
        "sentence": verdict.sentence,
        "checks": [
            {
                "name": check.name, "verdict": answer_of(check.level), "value": check.value,
                "bound": check.bound, "pairs": check.pairs, "why": check.detail,
            }
            for check in verdict.checks
        ],
        "warnings": list(warnings),
        "topics": [
            {"name": topic.name, "role": topic.role.value, "why": topic.why} for topic in topics
        ],
    }  # fmt: skip
