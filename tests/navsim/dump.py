"""dump.py DATA OUT: our values of a NAVSIM data set, in the structure of DATA/expected.

Everything is computed from the logs, follow-ups, maps and split files of DATA. From DATA/expected
only the *questions* are read: the tokens and map points asked for, the poses of the plans to score,
and the order of the rows of a script (the devkit walks a set of strings, whose order changes from
run to run).
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import dump_map
import dump_scenes
import dump_scores
import numpy as np

from irl_vla.navsim.dataset import Dataset

PARTS = {
    "loader": dump_scenes.loader,
    "scenes": dump_scenes.scenes,
    "map": dump_map.city_values,
    "metric_cache": dump_scores.metric_cache,
    "scores": dump_scores.scores,
    "script_csv": dump_scores.script_csv,
}


def plain(value: Any) -> Any:
    """Numpy and tuples -> what JSON knows."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def questions(data: Path, part: str) -> Any:
    with gzip.open(data / "expected" / f"{part}.json.gz", "rt") as file:
        return json.load(file)


def main(data: Path, out: Path, only: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    dataset = Dataset(data)
    for part, compute in PARTS.items():
        if not only or part in only:
            values = plain(compute(dataset, questions(data, part)))
            (out / f"{part}.json").write_text(json.dumps(values), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
