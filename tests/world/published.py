"""What the worlds of some seeds are, in a few numbers each: what `world-splits/1` and
`situations/1` promise to whoever compares scores. When a seed is meant to become another world,
raise that version and write the numbers anew:

    python tests/world/published.py

Each number is the sum of all values of a part (a town's lanes, a drive's states), each with a
weight of its own, so that no value can change unnoticed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
from render_cases import LENSES, front_rig, moment, street, users

from irl_vla.camera.camera import resized
from irl_vla.camera.rig import Rig
from irl_vla.types import F64
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.benchmark.splits import VERSION as SPLITS
from irl_vla.world.build import EpisodeRequest, episode_of
from irl_vla.world.episode import MODELS, WorldState
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.roads.build import build_town
from irl_vla.world.situations.expert_drive import expert_drive
from irl_vla.world.situations.situation import NAMES, situation
from irl_vla.world.situations.situation import VERSION as SITUATIONS
from irl_vla.world.town import PROP_KINDS, Prop

FILE = Path(__file__).with_name("published.json")
TOWNS, DRIVES = range(6), (1, 2, 4, 11)
SIZE = (192, 128)  # [px] of the pictures
Numbers = list[float]


def values(thing: object) -> Iterator[F64]:
    """All values of a thing, in order; texts as numbers."""
    if is_dataclass(thing):
        for entry in fields(thing):
            yield from values(getattr(thing, entry.name))
    elif isinstance(thing, (tuple, list)):
        yield np.array([len(thing)], np.float64)
        for item in thing:
            yield from values(item)
    elif isinstance(thing, str) or thing is None:
        yield np.array([zlib.crc32(str(thing).encode()) % 1000], np.float64)
    else:
        array = np.nan_to_num(np.asarray(thing, np.float64).ravel(), nan=-1.0, posinf=1000.0)
        yield np.where(np.abs(array) > 1e6, array % 1000.0, array)  # seeds of looks are large


def number(thing: object) -> Numbers:
    """[weighted sum, sum of what was added] of all values: the second is the scale on which
    rounding may change the first."""
    flat = np.concatenate(list(values(thing)))
    weights = 0.5 + np.arange(1, len(flat) + 1) * 0.6180339887498949 % 1.0
    return [float(flat @ weights), float(np.abs(flat) @ weights)]


def town_numbers(seed: int) -> dict[str, Numbers]:
    """Of the parts of a town."""
    town = build_town(seed)
    return {f"part {k}": number(getattr(town, f.name)) for k, f in enumerate(fields(town))}


def drive_numbers(seed: int) -> dict[str, Numbers]:
    """Of the expert's drive, whom it meets, and one scene of it."""
    drive = episode_of(seed)
    parts = (drive.ego, drive.ego_lamps, drive.states, drive.lamps, drive.lights,
             drive.actors, drive.route, drive.notes, Cutter(drive).scene(80))  # fmt: skip
    return {f"part {k}": number(part) for k, part in enumerate(parts)}


def situation_numbers(name: str) -> dict[str, Numbers]:
    """Of the expert's drive through a situation."""
    drive = expert_drive(situation(name, 0))
    return {"drive": number(drive.moments), "way": number(drive.found.route_m),
            "actors": number(drive.found.simulation.others.actors)}  # fmt: skip


def seen(renderer: Renderer, now: WorldState) -> dict[str, Numbers]:
    """Of one camera's picture, and of what is known of its pixels."""
    (name,) = renderer.rig.names
    truth = renderer.measure(now)[name]
    parts = (np.minimum(truth.depth, 100.0), truth.instance, truth.semantic)
    return {"picture": number(renderer.render(now)[name]), "truth": number(parts)}


def picture_numbers(seed: int) -> dict[str, Numbers]:
    """Of what cameras with different lenses see on a drive."""
    drive = episode_of(seed, EpisodeRequest(steps=60))
    found = {}
    for lens, quality in (("barrel", "plain"), ("fisheye", "full")):
        (camera,) = LENSES[lens].cameras
        rig = Rig(lens, (resized(camera, *SIZE),))
        renderer = Renderer(drive.town, drive.actors, rig, seed, quality)
        for step in (0, 50):
            parts = seen(renderer, drive.moment(step))
            found |= {f"{lens} {step} {part}": n for part, n in parts.items()}
    return found


def model_numbers(model: str) -> dict[str, Numbers]:
    """Of three road users of a model from three sides, the lamps dark and lit."""
    poses = ((11.0, 4.0, 0.5), (9.0, -2.0, 2.2), (14.0, -7.0, 4.4))
    actors, states = users(*((model, pose) for pose in poses))
    renderer = Renderer(street(), actors, front_rig(focal=200.0, size=SIZE), 5)
    dark, lit = (seen(renderer, moment(states, lamps=lamps)) for lamps in (0, 7))
    return {**dark, "lit": lit["picture"]}


def prop_numbers(kind: str) -> dict[str, Numbers]:
    """Of three of the things that stand beside a street."""
    sizes = {"building": (12.0, 9.0, 9.0), "tree": (4.0, 4.0, 6.0), "bush": (1.5, 1.5, 1.0)}
    size = np.array(sizes.get(kind, (0.7, 0.7, 2.6)))
    signs = (((16.0, 9.0, 0.3), "50"), ((20.0, -8.0, 2.0), "stop"), ((32.0, 14.0, 4.0), "yield"))
    props = [
        Prop(kind, np.array([*pose]), size, 7 + k, text if "sign" in kind else "")
        for k, (pose, text) in enumerate(signs)
    ]
    actors, states = users()
    town = street(*props, heads=[(24.0, -5.0, 4.0, np.pi)])
    renderer = Renderer(town, actors, front_rig(focal=200.0, size=SIZE), 6, "full")
    return seen(renderer, moment(states, light=3))


def all_numbers() -> dict[str, dict[str, Numbers]]:
    """Everything that is published."""
    found = {f"town {seed}": town_numbers(seed) for seed in TOWNS}
    found |= {f"drive {seed}": drive_numbers(seed) for seed in DRIVES}
    found |= {f"pictures {seed}": picture_numbers(seed) for seed in DRIVES}
    found |= {f"model {model}": model_numbers(model) for model in MODELS}
    found |= {f"prop {kind}": prop_numbers(kind) for kind in PROP_KINDS}
    return found | {f"situation {name}": situation_numbers(name) for name in NAMES}


def main() -> None:
    rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in all_numbers().items())
    versions = json.dumps([SPLITS, SITUATIONS])
    FILE.write_text(f'{{"versions": {versions},\n{rows}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
