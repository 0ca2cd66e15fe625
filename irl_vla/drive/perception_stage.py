"""From frames to scene tokens, with the memory of what was seen half a second before.

May import: types, camera, perception, drive's perception_model, history, memory, stack and step.
"""

from __future__ import annotations

from dataclasses import replace

from irl_vla.camera.preprocess import BadImage, CalibratedImages, ImageSpec, preprocess
from irl_vla.camera.rig import Rig
from irl_vla.drive.history import EgoHistory
from irl_vla.drive.memory import BevBuffer
from irl_vla.drive.perception_model import PerceptionContext, broken_tensor
from irl_vla.drive.stack import ActiveStack
from irl_vla.drive.step import Perceived
from irl_vla.types import EgoStatus, FrameSet, Intent, Refusal, RefusalReason, SceneTokens
from irl_vla.vehicle import PACIFICA, Vehicle

BAD_IMAGE = "bad_image"  # name of the reason in FrameSet.missing


class PerceptionStage:
    """The pictures of one rig. history: of the core that it belongs to; pictures: False for a
    policy without perception, where nobody takes any: then tokens hold nothing, and none is missing
    """

    def __init__(self, rig: Rig | None, history: EgoHistory, pictures: bool = True) -> None:
        self._rig, self._history, self._pictures = rig, history, pictures
        self._bank = BevBuffer()

    @property
    def rig(self) -> Rig:
        """Whose pictures are perceived."""
        if self._rig is None:
            raise ValueError("this core has no rig")
        return self._rig

    @property
    def vehicle(self) -> Vehicle:
        """Of the rig; the scorer's without one."""
        return PACIFICA if self._rig is None else self._rig.vehicle

    def recalibrate(self, rig: Rig) -> None:
        """From now on the pictures come from this rig, of the same cameras."""
        if self._rig is not None and rig.names != self._rig.names:
            raise ValueError(f"recalibration: expected cameras {self._rig.names}, got {rig.names}")
        self._rig = rig
        self.forget()

    def forget(self) -> None:
        """What was seen lies nowhere: another time, place or calibration."""
        self._bank.clear()

    def memory_for(self, stamp_ns: int, epoch: int) -> int | None:
        """Anchor of what was seen half a second before, or None."""
        return self._bank.stamp_for(stamp_ns, epoch)

    def perceive(
        self, active: ActiveStack, frames: FrameSet, ego: EgoStatus, intent: Intent,
        memory_stamp_ns: int | None,
    ) -> Perceived:  # fmt: skip
        """A picture that cannot be used makes its camera missing, with the reason; without any
        picture there is nothing to see."""
        if not self._pictures:
            return Perceived(SceneTokens.blind(frames.anchor_stamp_ns, active.epoch), frames)
        frames, images = usable_pictures(frames, self.rig, active.stack.perception.image)
        if not images.present.any():
            return Perceived(nothing_to_see(frames), frames)
        tokens = self.perceive_calibrated(active, images, ego, intent, memory_stamp_ns)
        return Perceived(tokens, frames, images)

    def perceive_calibrated(
        self, active: ActiveStack, images: CalibratedImages, ego: EgoStatus, intent: Intent,
        memory_stamp_ns: int | None,
    ) -> SceneTokens | Refusal:  # fmt: skip
        """Pictures -> tokens; remembers what was seen."""
        context = self.context(active, ego, intent, memory_stamp_ns)
        tokens = active.stack.perception.perceive(images, context)
        broken = broken_tensor(tokens, active.stack.classes)
        if broken is not None:
            detail = f"perception: {broken}"
            return Refusal(context.stamp_ns, RefusalReason.NETWORK_NAN, detail)
        self._bank.put(tokens)
        return tokens

    def context(
        self, active: ActiveStack, ego: EgoStatus, intent: Intent, memory_stamp_ns: int | None
    ) -> PerceptionContext:
        """What may be known beside pictures; with the memory, where it is still there."""
        stamp, memory = ego.stamp_ns, None
        if memory_stamp_ns is not None:
            memory = self._bank.get(memory_stamp_ns, stamp, ego.measured_ns, self._history)
        then_ns = None if memory is None else memory_stamp_ns
        return PerceptionContext(stamp, active.epoch, ego, intent, memory, then_ns)


def nothing_to_see(frames: FrameSet) -> Refusal:
    """Why: pictures that are broken, or none at all."""
    reasons = "; ".join(f"{name}: {why}" for name, why in sorted(frames.missing.items()))
    bad = any(why.startswith(BAD_IMAGE) for why in frames.missing.values())
    reason = RefusalReason.BAD_IMAGE if bad else RefusalReason.NO_IMAGES
    detail = reasons or "no camera of the rig gave a picture"
    return Refusal(frames.anchor_stamp_ns, reason, detail)


def usable_pictures(
    frames: FrameSet, rig: Rig, spec: ImageSpec
) -> tuple[FrameSet, CalibratedImages]:
    """A picture that cannot be used is moved to `missing`, with the reason."""
    while True:
        try:
            return frames, preprocess(frames, rig, spec)
        except BadImage as error:
            why = str(error).removeprefix(f"camera '{error.camera}': ")
            images = {name: image for name, image in frames.images.items() if name != error.camera}
            missing = {**frames.missing, error.camera: f"{BAD_IMAGE}: {why}"}
            frames = replace(frames, images=images, missing=missing)
