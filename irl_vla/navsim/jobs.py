"""A whole split, in one process, in several, or over machines with Ray.

The unit of work is a handful of scenes of one log: a worker reads that log once and holds little
more. Results do not depend on the number of workers.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from irl_vla.navsim.agents import NavsimAgent, agent_of
from irl_vla.navsim.dataset import SplitIndex
from irl_vla.navsim.evaluation import Evaluator, Scored, Skipped, score_tokens
from irl_vla.types import InputError

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
    """One process's share: an evaluator and an agent, made once."""

    def __init__(self, plan: ScoringJob) -> None:
        self.evaluator = Evaluator(plan.index, plan.cache)
        self.agent = plan.make_agent()
        self.reactive = plan.reactive

    def score(self, tokens: Sequence[str]) -> Outcomes:
        return score_tokens(self.evaluator, self.agent, self.reactive, tokens)


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
    if ray_address is not None:
        yield from _over_ray(plan, work, jobs, ray_address)
    elif jobs <= 1 or len(work) <= 1:
        worker = ScoringWorker(plan)
        yield from map(worker.score, work)
    else:
        yield from in_processes(plan, work, min(jobs, len(work)))


def in_order(index: SplitIndex, outcomes: Iterator[Outcomes]) -> tuple[list[Scored], list[Skipped]]:
    """All outcomes, scored and skipped, in the order of the split."""
    found = {entry.token: entry for unit in outcomes for entry in unit}
    ordered = [found[token] for token in scored_tokens(index) if token in found]
    return (
        [entry for entry in ordered if isinstance(entry, Scored)],
        [entry for entry in ordered if isinstance(entry, Skipped)],
    )


_worker: ScoringWorker | None = None  # of this process, set once by `_start`


def _start(plan: ScoringJob) -> None:
    global _worker
    _worker = ScoringWorker(plan)


def _score(tokens: Sequence[str]) -> Outcomes:
    assert _worker is not None
    return _worker.score(tokens)


def in_processes(plan: ScoringJob, work: list[list[str]], jobs: int) -> Iterator[Outcomes]:
    """Units of work, shared among processes of this machine."""
    # Forked children share what the parent has read: code, maps, the index of the split.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, context, _start, (plan,)) as pool:
        for done in as_completed([pool.submit(_score, tokens) for tokens in work]):
            yield done.result()


def _over_ray(
    plan: ScoringJob, work: list[list[str]], jobs: int, address: str
) -> Iterator[Outcomes]:
    try:
        import ray
        from ray.util import ActorPool
    except ImportError:
        raise InputError("--ray needs Ray: pip install ray, on every machine") from None
    try:
        ray.init(address=address, ignore_reinit_error=True)
    except ConnectionError as error:
        raise InputError(f"--ray {address}: no Ray cluster answers there ({error})") from None
    remote: Any = ray.remote(ScoringWorker)
    pool = ActorPool([remote.remote(ray.put(plan)) for _ in range(max(jobs, 1))])
    yield from pool.map_unordered(lambda actor, tokens: actor.score.remote(tokens), work)
