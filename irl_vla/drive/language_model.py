"""LanguageModel: what turns the pictures that perception sees into a command.

May import: types, camera, perception_model.
"""

from __future__ import annotations

from typing import Protocol

from irl_vla.camera.preprocess import CalibratedImages
from irl_vla.drive.perception_model import PerceptionContext
from irl_vla.types import Command


class LanguageModel(Protocol):
    """Pictures in, a command out; pure, and slower than the planner.

    period_s: [s] of the recording or drive between two commands
    latency_s: [s] after its anchor at which a command may be used where time is not real
    """

    @property
    def period_s(self) -> float:
        """See the class."""
        ...

    @property
    def latency_s(self) -> float:
        """See the class."""
        ...

    def think(self, images: CalibratedImages, context: PerceptionContext) -> Command:
        """The command of one anchor: its stamp is the anchor's."""
        ...
