"""What the file of a seed says of every instant, and that it says the same twice."""

from __future__ import annotations

import gzip
import json

from irl_vla.language.labels import PathCommand, SpeedCommand
from irl_vla.world.benchmark.scene_files import file_of_seed
from irl_vla.world.benchmark.splits import CANDIDATES


def test_every_instant_of_a_seed_has_one_class_each_and_the_bytes_are_the_same_twice() -> None:
    first, second = (file_of_seed(11, groups=False) for _ in range(2))
    assert first == second
    frames = json.loads(gzip.decompress(first))["world"]["frames"]
    assert len(frames) == 10 and {frame["step"] for frame in frames} <= set(CANDIDATES)
    for frame in frames:
        assert set(frame["command"]) == {"speed", "path"}
        SpeedCommand(frame["command"]["speed"])  # raises for a name that is none
        PathCommand(frame["command"]["path"])
