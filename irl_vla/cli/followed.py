"""The drive that `irl-vla replay --follow` repeats: by which schedule and networks, and whether the
same plans come again.

The same bits are asked for only where the same ONNX files run in the same back-end and version;
elsewhere a user says how much the plans may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from irl_vla.bag.bag import read_plans
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import Bundle
from irl_vla.evaluation.plan_comparison import PlanDifference, add_difference
from irl_vla.types import F64, GraphRecord, InputError, ModelRecord, Plan, Schedule

T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """One plan of the drive. poses: see `driven_poses`."""

    schedule: Schedule
    reason: str
    poses: F64


@dataclass(frozen=True)
class Followed:
    """A drive. plans: by anchor stamp; seed and model: of all of them."""

    path: Path
    plans: Mapping[int, Planned]
    seed: int
    model: ModelRecord
    bundle_id: str

    @property
    def schedules(self) -> dict[int, Schedule]:
        """What to repeat, by anchor stamp."""
        return {stamp: plan.schedule for stamp, plan in self.plans.items()}

    def variants(self, bundle: Bundle) -> dict[str, str]:
        """Which variant of each graph the drive ran. Raises InputError where the bundle does not
        hold it, under whatever name."""
        if not self.model.graphs:
            if self.model.weights_id != bundle.weights_id:
                raise self._other(bundle, f"parameters {self.model.weights_id[:12]}")
            return {}
        return {record.graph: self._variant(record, bundle) for record in self.model.graphs}

    def _variant(self, record: GraphRecord, bundle: Bundle) -> str:
        network = bundle.manifest.network
        graph = None if network is None else network.graphs.get(record.graph)
        for name in {} if graph is None else graph.variants:
            if bundle.onnx_sha256(record.graph, name) == record.onnx_sha256:
                return name
        raise self._other(
            bundle, f"graph '{record.graph}' {record.variant} of ONNX {record.onnx_sha256[:12]}"
        )

    def _other(self, bundle: Bundle, what: str) -> InputError:
        return InputError(
            f"{self.path}: was driven by bundle {self.bundle_id[:12]}, with {what}, which "
            f"{bundle.root} ({bundle.id[:12]}) does not hold: the same plans cannot come out. Give "
            "the bundle that drove"
        )

    def refuse_other_backend(self, here: ModelRecord) -> None:
        """InputError where a graph does not run in the back-end and version of the drive."""
        ours = {record.graph: record.backend for record in here.graphs}
        for record in self.model.graphs:
            backend = ours.get(record.graph, "nothing")
            if backend != record.backend:
                raise InputError(
                    f"{self.path}: graph '{record.graph}' was run by {record.backend}, here it is "
                    f"run by {backend}: the plans need not be the same bit for bit. Say how far "
                    "they may differ: --follow-tolerance METRES"
                )


def read_followed(path: Path) -> Followed:
    """The plans of a drive. Raises InputError for one of several seeds, bundles or back-ends."""
    plans: dict[int, Planned] = {}
    seeds, drivers = set[int](), set[tuple[str, ModelRecord]]()
    for plan in read_plans(path):
        planned = Planned(plan.schedule, plan.reason.value, driven_poses(plan))
        plans[plan.anchor_stamp_ns] = planned
        seeds.add(plan.schedule.seed)
        drivers.add((plan.bundle_id, plan.model))
    bundle_id, model = _the_only(drivers, path, "bundle and back-end")
    return Followed(path, plans, _the_only(seeds, path, "seed"), model, bundle_id)


def driven_poses(plan: Plan) -> F64:
    """(2 T, 3) what may be driven by a plan: its trajectory, then its fallback."""
    return np.concatenate([plan.trajectory.poses, plan.fallback.trajectory.poses])


def _the_only(found: set[T], path: Path, what: str) -> T:
    if len(found) != 1:
        raise InputError(f"{path}: expected plans of one {what}, got {len(found) or 'no plans'}")
    return found.pop()


@dataclass
class FollowCheck:
    """Compares every step with the drive. tolerance_m: None asks for the same bits."""

    followed: Followed
    tolerance_m: float | None = None
    drift: PlanDifference = field(default_factory=PlanDifference)
    met: set[int] = field(default_factory=set)
    same: int = 0  # plans, bit for bit
    forgotten: int = 0  # plans that lack what the drive remembered
    unmoved: int = 0  # plans that lack the measurement of the ego that the drive had

    def add(self, step: Step) -> None:
        """The next anchor; one that the drive did not plan says nothing."""
        outcome = step.outcome
        stamp = outcome.anchor_stamp_ns
        theirs = self.followed.plans.get(stamp)
        if theirs is None:
            return
        self.met.add(stamp)
        if outcome.reason.value != theirs.reason or not isinstance(outcome, Plan):
            what = f"reason was {theirs.reason}, is {outcome.reason.value}"
            self.drift.changed.append(f"anchor {stamp}: {what}")
            return
        had, has = theirs.schedule, outcome.schedule
        self.forgotten += had.memory_stamp_ns is not None and has.memory_stamp_ns is None
        self.unmoved += had.motion_stamp_ns != has.motion_stamp_ns
        ours = driven_poses(outcome)
        self.same += ours.tobytes() == theirs.poses.tobytes()
        add_difference(self.drift, stamp, ours, theirs.poses)

    def finish(self) -> None:
        """The recording is over: plans of the drive that did not come again are differences."""
        for stamp in self.followed.plans.keys() - self.met:
            self.drift.changed.append(f"anchor {stamp}: in the drive, not in this replay")

    @property
    def failed(self) -> bool:
        """Whether the plans differ by more than is tolerated."""
        if self.forgotten or self.unmoved:
            return True
        if self.tolerance_m is None:
            return bool(self.drift.changed) or self.same < len(self.met)
        return self.drift.exceeds(self.tolerance_m, self.tolerance_m / 10)

    def lacks(self) -> list[str]:
        """What the recording does not hold, so that the drive cannot be repeated."""
        found = []
        if self.forgotten:
            found.append(
                f"{self.forgotten} plans remember pictures that this replay has not seen: the "
                "recording begins in the middle of the drive. Record from the start of the nodes"
            )
        if self.unmoved:
            found.append(
                f"{self.unmoved} plans were made with a measurement of the ego that the recording "
                "does not hold. Record the odometry, too"
            )
        return found

    def sentence(self) -> str:
        """How it went."""
        drift = self.drift
        tolerated = "the same bits are expected"
        if self.tolerance_m is not None:
            tolerated = f"tolerated: {self.tolerance_m:g} m, {self.tolerance_m / 10:g} rad"
        return (
            f"{len(self.met)} plans of the drive, {self.same} the same bit for bit; largest "
            f"difference {drift.metres:.6f} m, {drift.radians:.6f} rad; {tolerated}"
        )
