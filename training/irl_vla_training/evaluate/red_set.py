"""The red set: lights that count for the ego, 400 red and 400 green, that nobody trains on.

`red_set.json` beside this file lists (seed, step, label). It was made once, by this file:
    python -m irl_vla_training.evaluate.red_set training/irl_vla_training/evaluate/red_set.json
from seeds on which no stage trains and no policy looks; no policy chose anything in it.
May import: irl_vla, irl_vla_training.samples.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from irl_vla.vehicle import PACIFICA
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.benchmark.splits import CANDIDATES
from irl_vla.world.build import episode_of
from irl_vla.world.episode import Episode
from irl_vla_training.samples.answers import light_ahead
from irl_vla_training.samples.sample import LAMPS

FIRST_SEED = 1_910_000
EACH = 400  # of either label
PER_SEED = 2  # of a label, so that at least 200 seeds take part
WITHIN_M = 40.0
APART_STEPS = 20
FILE = Path(__file__).with_name("red_set.json")


@dataclass(frozen=True)
class LightScene:
    """label: "red" or "green"."""

    seed: int
    step: int
    label: str


def red_set() -> tuple[LightScene, ...]:
    """The committed list."""
    return tuple(LightScene(*row) for row in json.loads(FILE.read_text(encoding="utf-8")))


def found_lights(episode: Episode, seed: int) -> Iterator[LightScene]:
    """At most PER_SEED of either label, apart in time, first ones first."""
    cutter = Cutter(episode)
    last = {"red": -APART_STEPS, "green": -APART_STEPS}
    count = dict.fromkeys(last, 0)
    for step in CANDIDATES:
        place = float(cutter.places[step])
        lamp, gap = light_ahead(cutter.path, place, PACIFICA.front_length, episode.lights[step])
        label = LAMPS[lamp]
        if label not in count or not 0.0 <= gap <= WITHIN_M or count[label] == PER_SEED:
            continue
        if step - last[label] >= APART_STEPS:
            last[label], count[label] = step, count[label] + 1
            yield LightScene(seed, step, label)


def built(first: int = FIRST_SEED, each: int = EACH) -> list[LightScene]:
    """Seeds in turn until both labels are full."""
    found: dict[str, list[LightScene]] = {"red": [], "green": []}
    seed = first
    while any(len(some) < each for some in found.values()):
        for scene in found_lights(episode_of(seed), seed):
            if len(found[scene.label]) < each:
                found[scene.label].append(scene)
        seed += 1
        print(f"\r{seed - first} seeds", *map(len, found.values()), end="", file=sys.stderr)
    return sorted(found["red"] + found["green"], key=lambda scene: (scene.seed, scene.step))


if __name__ == "__main__":
    rows = [[scene.seed, scene.step, scene.label] for scene in built()]
    Path(sys.argv[1]).write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
