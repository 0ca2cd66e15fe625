"""A run is a folder: what was trained, on what, by which code, how it went, and what came out.

    recipe.yaml      as resolved          log.jsonl       one line of JSON per entry
    origin.json      hashes of data and code, versions    events/  for TensorBoard
    curves.png       redrawn while it runs                checkpoints/  see checkpoint.py
May import: irl_vla, recipe, checkpoint.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

import irl_vla
from irl_vla.types import InputError
from irl_vla_training.checkpoint import newest_checkpoint, write_whole
from irl_vla_training.recipe import Recipe, load_recipe

LOG = "log.jsonl"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @staticmethod
    def begin(path: Path, recipe: Recipe, data_hash: str, more_data: bool = False) -> RunFolder:
        """A new run, or the one that is there if it is the same. Raises InputError where another
        recipe or other samples were used. more_data: other samples are meant; origin.json says
        so."""
        folder = RunFolder(path)
        if (path / "recipe.yaml").exists():
            folder._refuse_another(recipe, data_hash, more_data)
            return folder
        path.mkdir(parents=True, exist_ok=True)
        origin = {"data": data_hash, "code": code_hash(), "python": platform.python_version(),
                  "torch": version("torch"), "irl_vla": irl_vla.__version__}  # fmt: skip
        write_whole(path / "origin.json", json.dumps(origin, indent=1).encode())
        text = yaml.safe_dump(_plain(asdict(recipe)), sort_keys=False)
        write_whole(path / "recipe.yaml", text.encode())
        return folder

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.path / "checkpoints"

    @property
    def newest(self) -> Path | None:
        """The last checkpoint, or None."""
        return newest_checkpoint(self.checkpoints)

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""
        return load_recipe(str(self.path / "recipe.yaml"))

    def log(self, entry: Mapping[str, Any]) -> None:
        """Adds one line; it is on disk when this returns."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(entry)) + "\n")

    def entries(self) -> Iterator[dict[str, Any]]:
        """What was logged. A last line that was cut off by a kill is left out."""
        path = self.path / LOG
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines):
            try:
                yield json.loads(line)
            except ValueError:
                if number < len(lines) - 1:
                    raise InputError(f"{path}: line {number + 1} is no JSON") from None

    def forget_after(self, step: int) -> None:
        """Takes back what was logged after a step: the run goes on from a checkpoint there."""
        kept = [entry for entry in self.entries() if entry.get("step", 0) <= step]
        text = "".join(json.dumps(entry) + "\n" for entry in kept)
        write_whole(self.path / LOG, text.encode())

    def _refuse_another(self, recipe: Recipe, data_hash: str, more_data: bool) -> None:
        if self.recipe != recipe:
            raise InputError(
                f"{self.path}: this run has another recipe. Give the one in its recipe.yaml, or"
                " another folder"
            )
        origin = json.loads((self.path / "origin.json").read_text(encoding="utf-8"))
        before = origin["data"]
        if before != data_hash and more_data:
            earlier = [*origin.get("earlier_data", []), before]
            origin |= {"data": data_hash, "earlier_data": earlier}
            write_whole(self.path / "origin.json", json.dumps(origin, indent=1).encode())
        elif before != data_hash:
            raise InputError(
                f"{self.path}: this run was begun on other samples ({before[:12]}, now"
                f" {data_hash[:12]}). Give those, or another folder, or --more-data where the set"
                " has grown"
            )


def code_hash() -> str:
    """SHA-256 over every Python file of the core and of the lab."""
    digest = sha256()
    for root in (Path(irl_vla.__file__).parent, Path(__file__).parent):
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Tuples as lists, so that YAML stays plain."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def command_line() -> str:
    """What was typed, for logs."""
    return " ".join(sys.argv)
