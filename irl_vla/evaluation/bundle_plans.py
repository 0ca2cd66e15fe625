"""A bundle's plans at instants of the built-in world, from pictures rendered there and then.

Any state can be looked at: first frames of the expert's drive, and follow-ups that begin where
other plans would have led, all through the same driving core as in the car.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from irl_vla.camera.rig import Rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.closed_loop import driven
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.stack import PolicyStack
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import same_bundle
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.scoring.scene import PLAN_POSES
from irl_vla.types import F64, FrameSet
from irl_vla.world.benchmark.scenes import BEFORE, Cutter
from irl_vla.world.episode import Episode
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.simulated_sensors import (
    CameraRenderer,
    exposures,
    motion_of,
    navigation,
    stamp_of,
)

PAST = 10  # steps of ego motion that the core hears of before the instant


@dataclass(frozen=True)
class BundlePlanMaker:
    """A plan maker (world/benchmark/plans.py): what the core plans at an instant, having seen the
    pictures of half a second before, too."""

    bundle: Path
    bundle_id: str
    rig: Rig

    def __call__(self, cutter: Cutter, step: int, prepared: PreparedScene) -> F64:
        """(8, 3) plan, or the stop of a refusal."""
        outcome = self.steps(cutter, step)[-1].outcome
        wanted = driven(outcome)
        return np.zeros((PLAN_POSES, 3)) if wanted is None else np.asarray(wanted.poses)

    def steps(self, cutter: Cutter, step: int, looks: Sequence[int] = (BEFORE, 0)) -> list[Step]:
        """What a new core makes of the instants `looks` steps before this one, see
        `steps_until`."""
        core = DrivingCore(_stack(self.bundle, self.bundle_id), self.rig, CoreConfig())
        return steps_until(cutter, step, core, looks)


def steps_until(
    cutter: Cutter, step: int, core: DrivingCore, looks: Sequence[int] = (BEFORE, 0)
) -> list[Step]:
    """What the core makes of the instants `looks` steps before `step`, by default the two of a
    scene: half a second before, and now."""
    render, steps = _renderer(cutter.episode, core.rig), []
    for k in range(step - max(PAST, *looks), step + 1):
        moment = cutter.episode.moment(k)
        core.add_motion(motion_of(moment))
        if step - k in looks:
            core.add_intent(navigation(moment, cutter.path))
            images = {image.camera: image for image in exposures(moment, render)}
            stamp = stamp_of(moment)
            steps.append(core.step(FrameSet(stamp, images), stamp))
    return steps


@lru_cache(maxsize=1)
def _stack(bundle: Path, bundle_id: str) -> PolicyStack:
    """Loaded once per process. Raises InputError where it is another one by now."""
    return policy_stack_from_bundle(same_bundle(bundle, bundle_id))


_LAST: list[
    tuple[Episode, Rig, CameraRenderer]
] = []  # a renderer knows one town and its road users


def _renderer(episode: Episode, rig: Rig) -> CameraRenderer:
    """The renderer of an episode, kept while the same episode is asked for."""
    if not (_LAST and _LAST[0][0] is episode and _LAST[0][1] is rig):
        _LAST[:] = [
            (episode, rig, Renderer(episode.town, episode.actors, rig, episode.seed).render)
        ]
    return _LAST[0][2]
