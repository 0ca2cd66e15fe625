"""A whole split, in one process, in several, or over machines with Ray.

The unit of work is a handful of scenes of one log: a worker reads that log once and holds little
more. Results do not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from irl_vla.navsim.agents import NavsimAgent, agent_of
from irl_vla.navsim.dataset import SplitIndex
from irl_vla.navsim.evaluation import Evaluator, Scored, Skipped, score_tokens
from irl_vla.scoring.spread import spread

SCENES_PER_UNIT = 16  # of one log: long enough to pay for reading it, short enough to share out

Outcomes = list[Scored | Skipped]
BundleLoader = Callable[
    [Path, SplitIndex], NavsimAgent
]  # given by the commands, which know the engines


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What is scored. agent: a name (agents.py); reactive: IDM traffic instead of log replay;
    cache: folder of our prepared scenes, or None"""

    index: SplitIndex
    agent: str
    reactive: bool
    cache: Path | None = None
    load_bundle: BundleLoader | None = None

    def make_agent(self) -> NavsimAgent:
        """The agent of this plan; raises InputError for unknown names."""
        load = self.load_bundle
        return agent_of(self.agent, None if load is None else partial(_load, load, self.index))


def _load(load: BundleLoader, index: SplitIndex, folder: Path) -> NavsimAgent:
    return load(folder, index)


class ScoringWorker:
    """Scores scenes of a plan. A process that is handed one makes its evaluator and its agent once,
    for its first scenes."""

    def __init__(self, plan: ScoringJob) -> None:
        self.plan = plan

    @cached_property
    def evaluator(self) -> Evaluator:
        return Evaluator(self.plan.index, self.plan.cache)

    @cached_property
    def agent(self) -> NavsimAgent:
        return self.plan.make_agent()

    def __call__(self, tokens: Sequence[str]) -> Outcomes:
        return score_tokens(self.evaluator, self.agent, self.plan.reactive, tokens)


def scored_tokens(index: SplitIndex) -> list[str]:
    """First-stage scenes, and of the follow-ups those that the split scores."""
    follow_ups = index.stage_two
    return [*index.stage_one, *(index.follow_ups if follow_ups is None else follow_ups)]


def units(index: SplitIndex, tokens: Sequence[str]) -> list[list[str]]:
    """Tokens grouped by file of origin (follow-ups: by log), at most SCENES_PER_UNIT each."""
    grouped: dict[tuple[str, bool], list[str]] = {}
    for token in tokens:
        place = index.places[token]
        key = (place.log_name, True) if place.first is None else (str(place.path), False)
        grouped.setdefault(key, []).append(token)
    size = SCENES_PER_UNIT
    return [ts[i : i + size] for ts in grouped.values() for i in range(0, len(ts), size)]


def run(plan: ScoringJob, jobs: int = 1, ray_address: str | None = None) -> Iterator[Outcomes]:
    """Outcomes unit by unit, in any order. jobs: processes on this machine; ray_address: "auto" or
    the address of a Ray cluster, then `jobs` is the number of its workers."""
    plan.make_agent()  # a wrong name is said before any work
    work = units(plan.index, scored_tokens(plan.index))
    yield from spread(work, ScoringWorker(plan), jobs, ray_address)


def in_order(index: SplitIndex, outcomes: Iterator[Outcomes]) -> tuple[list[Scored], list[Skipped]]:
    """All outcomes, scored and skipped, in the order of the split."""
    found = {entry.token: entry for unit in outcomes for entry in unit}
    ordered = [found[token] for token in scored_tokens(index) if token in found]
    return (
        [entry for entry in ordered if isinstance(entry, Scored)],
        [entry for entry in ordered if isinstance(entry, Skipped)],
    )
