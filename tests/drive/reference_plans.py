"""What `rule` and an untrained `tiny` plan, kept so that changes elsewhere cannot change it unseen.

    python tests/drive/reference_plans.py        writes reference_plans.npz beside this file

Two drives: a real one of six cameras (../shared/recordings/dgp_scene02_6cam), and 60 s of the
built-in world in which agents, map and ground are given as perception. Made again only where the
driving is meant to change; say in the commit what and why.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.bag.source import open_source
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore, Step
from irl_vla.engine.bundle import Bundle, load_bundle
from irl_vla.evaluation.replay_loop import ReplayLoop
from irl_vla.evaluation.truth_perception import TRUTH_ELEMENTS, TruthPerception
from irl_vla.resources import resource
from irl_vla.types import CameraImage, FrameSet, Plan
from irl_vla.world.build import EpisodeRequest, episode_of
from irl_vla.world.episode import Episode, WorldState
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulated_sensors import exposures, motion_of, navigation, stamp_of

FILE = Path(__file__).with_name("reference_plans.npz")
RECORDING = Path(__file__).parents[3] / "shared" / "recordings" / "dgp_scene02_6cam"
SEED, STEPS = 3, 601
NETWORK_EVERY = 3  # poses of the network's world drive that are kept; reasons of all are

Kept = dict[str, np.ndarray]


def on_recording(bundle: Bundle) -> list[Step]:
    """The recording through the desk."""
    with open_source(RECORDING) as source:
        core = DrivingCore(policy_stack_from_bundle(bundle, threads=1), source.rig(), CoreConfig())
        return [step for _, step in ReplayLoop(core).steps(source.events()) if step is not None]


def in_world(bundle: Bundle) -> list[Step]:
    """The expert's drive of the built-in world, planned at every tenth of a second."""
    episode = episode_of(SEED, EpisodeRequest(steps=STEPS))
    rig, stack = (
        load_rig(resource("calibration/rigs/tiny3.yaml")),
        policy_stack_from_bundle(bundle, 1),
    )
    networks = bundle.manifest.kind != "rule"
    elements = bundle.network.preset.map_queries if networks else TRUTH_ELEMENTS
    if not networks:
        rig = Rig("one", rig.cameras[:1])
    core = DrivingCore(
        replace(stack, perception=TruthPerception.of(episode, stack.perception, elements)),
        rig,
        CoreConfig(),
    )
    route = RoutePath.of(episode.town, episode.route)
    eye = Renderer(episode.town, episode.actors, rig, SEED).render if networks else None
    steps = []
    for number in range(len(episode)):
        moment = episode.moment(number)
        core.add_motion(motion_of(moment))
        core.add_intent(navigation(moment, route))
        images = exposures(moment, eye) if eye else _grey(episode, rig, moment)
        frames = FrameSet(stamp_of(moment), {image.camera: image for image in images})
        steps.append(core.step(frames, frames.anchor_stamp_ns))
    return steps


def _grey(episode: Episode, rig: Rig, moment: WorldState) -> list[CameraImage]:
    camera = rig.cameras[0]
    pixels = np.zeros((camera.height, camera.width, 3), np.uint8)
    return [CameraImage(camera.name, stamp_of(moment), pixels=pixels)]


def kept_of(steps: list[Step], every: int = 1) -> Kept:
    """What is compared. poses of plans and of the stops of refusals, NaN without either."""
    outcomes = [step.outcome for step in steps]
    fallbacks = [outcome.fallback for outcome in outcomes]
    poses = np.full((len(steps), 8, 3), np.nan)
    for row, outcome, fallback in zip(poses, outcomes, fallbacks, strict=True):
        if isinstance(outcome, Plan):
            row[:] = outcome.trajectory.poses
        elif fallback is not None:
            row[:] = fallback.trajectory.poses
    return {
        "stamps": np.array([outcome.anchor_stamp_ns for outcome in outcomes]),
        "reasons": np.array([outcome.reason.value for outcome in outcomes]),
        "poses": poses[::every],
        "brakings": np.array([np.nan if f is None else f.braking for f in fallbacks]),
        "stops": np.array(["" if f is None else f.reason.value for f in fallbacks]),
        "rejected": np.array([_rejected(outcome) for outcome in outcomes]),
        "boxes": np.array([_boxes(step) for step in steps]),
    }


def _rejected(outcome: Any) -> str:
    """Which candidates, and why, in a few letters."""
    if not isinstance(outcome, Plan):
        return ""
    return " ".join(f"{r.candidate}{r.reason[:2]}{r.reason[-1]}" for r in outcome.rejected)


def _boxes(step: Step) -> str:
    """The valid boxes to a centimetre, so that another machine's last bits do not count."""
    if step.tokens is None:
        return ""
    rows = np.asarray(step.tokens.boxes, np.float64)[step.tokens.agent_valid]
    whole = np.round(rows * 100.0).astype(np.int64)
    return f"{len(rows)} {hashlib.sha256(whole.tobytes()).hexdigest()[:12]}"


def tiny_bundle(folder: Path) -> Bundle:
    """Seed 0, untrained, exported."""
    from irl_vla.engine.export import Provenance, export_bundle
    from irl_vla.engine.networks import build_networks
    from irl_vla.perception.preset import load_preset

    networks = build_networks(load_preset("tiny"), 0)
    origin = Provenance(name="tiny-untrained", seed=0)
    return export_bundle(networks, folder, origin, lambda _: None)


def rule_bundle() -> Bundle:
    return load_bundle(resource("models/rule"))


def flat(case: str, kept: Kept) -> Kept:
    return {f"{case}/{name}": values for name, values in kept.items()}


def main() -> None:
    """Write the file anew."""
    with tempfile.TemporaryDirectory() as folder:
        tiny = tiny_bundle(Path(folder) / "tiny")
        kept = {
            **flat("rule_recording", kept_of(on_recording(rule_bundle()))),
            **flat("rule_world", kept_of(in_world(rule_bundle()))),
            **flat("tiny_recording", kept_of(on_recording(tiny))),
            **flat("tiny_world", kept_of(in_world(tiny), NETWORK_EVERY)),
        }
    np.savez_compressed(FILE, **kept)
    print(f"wrote {FILE}, {FILE.stat().st_size / 1e3:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
