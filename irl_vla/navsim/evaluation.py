"""Scenes of a split -> plans -> sub-scores, one scene at a time.

A worker holds one `Evaluator`: maps, the last logs and the cache. A scene that cannot be prepared
or planned becomes a `Skipped` with its reason; it never becomes a zero in a mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from irl_vla.navsim.agents import NavsimAgent
from irl_vla.navsim.city_map import CityMap
from irl_vla.navsim.dataset import SplitIndex
from irl_vla.navsim.log_table import source_of
from irl_vla.navsim.map_file import map_file
from irl_vla.navsim.preparation import prepare
from irl_vla.navsim.records import SceneWindow
from irl_vla.navsim.scene_cache import SceneCache
from irl_vla.navsim.scoring_scene import scoring_scene
from irl_vla.navsim.worlds import reactive_world, reference_plan
from irl_vla.scoring.epdms import SubScores, score
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.scoring.prepare import prepare as prepare_scoring
from irl_vla.scoring.scene import Scene
from irl_vla.types import F64, InputError

SUB_SCORE_NAMES = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")


@dataclass(frozen=True)
class Scored:
    """One plan of one scene. plan: (8, 3) ego frame; initial: (11,) ego state; raw, filtered: the
    eight sub-scores before and after the human filter"""

    token: str
    log_name: str
    t0_us: int
    is_follow_up: bool
    initial: F64
    plan: F64
    raw: Mapping[str, float]
    filtered: Mapping[str, float]


@dataclass(frozen=True)
class Skipped:
    """A scene without a score, and why."""

    token: str
    log_name: str
    reason: str


@dataclass
class Evaluator:
    """Scenes of one split on demand. cache: folder of our files, or None."""

    index: SplitIndex
    cache: Path | None = None
    cities: dict[str, CityMap] = field(default_factory=dict)

    def city(self, name: str) -> CityMap:
        """The map of a city, opened once."""
        if name not in self.cities:
            self.cities[name] = CityMap.open(self.index.dataset.maps, name, self.cache)
        return self.cities[name]

    def prepare_scene(self, token: str) -> Scene:
        """A scoring scene with its reference plan, from the files of the benchmark."""
        window = self.index.window(token)
        prepared = prepare(window, self.city(window.metadata.map_name))
        return scoring_scene(prepared, reference_plan(prepared))

    def scenes(self, tokens: Sequence[str]) -> Iterator[tuple[str, Scene | Skipped]]:
        """Scoring scenes of tokens of ONE log, from the cache or prepared and kept there."""
        kept = self._load(tokens)
        if kept is not None:
            yield from kept.items()
            return
        made: dict[str, Scene] = {}
        for token in tokens:
            try:
                made[token] = self.prepare_scene(token)
                yield token, made[token]
            except InputError as reason:
                yield token, Skipped(token, self.index.places[token].log_name, str(reason))
        if self.cache is not None and len(made) == len(tokens):
            name, source = self._key(tokens)
            SceneCache(self.cache).store(self.index.split.name, name, source, made)

    def _load(self, tokens: Sequence[str]) -> dict[str, Scene] | None:
        if self.cache is None:
            return None
        try:
            name, source = self._key(tokens)
        except InputError:
            return None  # a map is missing; preparing says so, scene by scene
        return SceneCache(self.cache).load(self.index.split.name, name, source, tokens)

    def _key(self, tokens: Sequence[str]) -> tuple[str, str]:
        """Name of the cache file of these tokens, and what they are made from."""
        places = [self.index.places[token] for token in tokens]
        maps = {map_file(self.index.dataset.maps, place.city) for place in places}
        paths = dict.fromkeys([*(place.path for place in places), *sorted(maps)])
        return f"{places[0].log_name}-{tokens[0]}", source_of(*paths, more=self._window)

    @cached_property
    def _window(self) -> str:
        """What of the split decides how much of a log belongs to a scene."""
        chosen = self.index.split.scene_filter
        return f"{chosen.num_history_frames} + {chosen.num_future_frames} frames"


def score_tokens(
    evaluator: Evaluator, agent: NavsimAgent, reactive: bool, tokens: Sequence[str]
) -> list[Scored | Skipped]:
    """Plans and scores scenes of one log."""
    outcomes: list[Scored | Skipped] = []
    for token, scene in evaluator.scenes(tokens):
        if isinstance(scene, Skipped):
            outcomes.append(scene)
            continue
        place = evaluator.index.places[token]
        try:
            window = evaluator.index.window(token) if agent.needs_window or reactive else None
            plan = agent.plan(scene, window)
            answering = window if reactive else None
            raw, filtered = sub_scores_of_plan(prepare_scoring(scene), plan, answering)
        except InputError as reason:
            outcomes.append(Skipped(token, place.log_name, str(reason)))
            continue
        follow, start = place.first is None, scene.ego.initial
        outcomes.append(
            Scored(token, place.log_name, scene.t0_us, follow, start, plan, raw, filtered)
        )
    return outcomes


def sub_scores_of_plan(
    prepared: PreparedScene, plan: F64, answering: SceneWindow | None
) -> tuple[dict[str, float], dict[str, float]]:
    """The eight sub-scores of one plan (8, 3), before and after the human filter.

    answering: the window whose vehicles answer to the plan (IDM); None = they repeat the log
    """
    world = prepared if answering is None else reactive_world(prepared, plan, answering)
    result = score(world, plan[None])
    return named(result.raw), named(result.filtered)


def named(sub_scores: SubScores) -> dict[str, float]:
    """The sub-scores of the only plan, by name."""
    return {name: float(getattr(sub_scores, name)[0]) for name in SUB_SCORE_NAMES}
