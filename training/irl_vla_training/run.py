"""A run is a folder: what was trained, on what, by which code, how it went, and what came out.

    recipe.yaml      as resolved          log.jsonl       one line of JSON per entry
    origin.json      data, code, versions, and earlier ones    events/  for TensorBoard
    curves.png       redrawn while it runs                checkpoints/  see checkpoint.py
May import: irl_vla, recipe, checkpoint.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from irl_vla.config import from_json
from irl_vla.foreign import parse_json, read_whole
from irl_vla.perception.preset import Preset, load_preset
from irl_vla.types import InputError
from irl_vla_training.checkpoint import newest_checkpoint, write_whole
from irl_vla_training.origin import lab_software, preset_hash, refuse_mixture
from irl_vla_training.recipe import Recipe, load_recipe

LOG, ORIGIN, PRESET = "log.jsonl", "origin.json", "the preset's content"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What besides the recipe can change a run. data: hash of the samples; settings: contents,
    code, versions, processes; earlier: what was, before somebody meant to change it"""

    data: str
    settings: Mapping[str, str]
    earlier: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Consent:
    """What the user says may differ from before. samples: a set that has grown; settings: code,
    versions, preset, processes"""

    samples: bool = False
    settings: bool = False


NO_CONSENT = Consent()


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @staticmethod
    def begin(
        path: Path, recipe: Recipe, data_hash: str, consent: Consent = NO_CONSENT,
        processes: int = 1,
    ) -> RunFolder:  # fmt: skip
        """A new run, or the one that is there if nothing differs that can change it; with consent
        origin.json keeps what was before. Raises InputError that names what differs."""
        folder, preset = RunFolder(path), load_preset(recipe.preset)
        settings = {PRESET: preset_hash(preset), "processes": str(processes),
                    "torch": version("torch"), **lab_software()}  # fmt: skip
        now = Origin(data=data_hash, settings=settings)
        if (path / "recipe.yaml").exists():
            folder._refuse_another(recipe, now, consent)
            return folder
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be made: {error.strerror}. Choose another --out"
            ) from None
        folder._keep(now)
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
        lines = read_whole(path).decode("utf-8", "replace").splitlines() if path.exists() else []
        for number, line in enumerate(lines):
            where = f"{path}: line {number + 1}"
            try:
                entry = parse_json(line, where)
            except InputError:
                if number == len(lines) - 1:
                    return
                raise
            if not isinstance(entry, dict) or not isinstance(entry.get("step", 0), int):
                raise InputError(f"{where}: expected an object with the number of a step")
            yield entry

    def forget_after(self, step: int) -> None:
        """Takes back what was logged after a step: the run goes on from a checkpoint there."""
        kept = [entry for entry in self.entries() if entry.get("step", 0) <= step]
        text = "".join(json.dumps(entry) + "\n" for entry in kept)
        write_whole(self.path / LOG, text.encode())

    @property
    def preset(self) -> Preset:
        """The networks' sizes. Raises InputError where the preset is no longer what it was."""
        preset = load_preset(self.recipe.preset)
        before = self._origin().settings.get(PRESET)
        if before is not None and before != preset_hash(preset):
            raise InputError(
                f"{self.path}: preset '{preset.name}' has changed since this run was begun. Give "
                "back the file that it had"
            )
        return preset

    def _origin(self) -> Origin:
        path = self.path / ORIGIN
        found = parse_json(read_whole(path), f"{path}")
        if not isinstance(found, dict) or "settings" not in found:  # as earlier versions wrote it
            data = found.get("data", "") if isinstance(found, dict) else ""
            return Origin(data=str(data), settings={})
        return from_json(Origin, found, f"{path}")

    def _keep(self, origin: Origin) -> None:
        write_whole(self.path / ORIGIN, json.dumps(asdict(origin), indent=1).encode())

    def _refuse_another(self, recipe: Recipe, now: Origin, consent: Consent) -> None:
        if self.recipe != recipe:
            raise InputError(
                f"{self.path}: this run has another recipe. Give the one in its recipe.yaml, or"
                " another folder"
            )
        before = self._origin()
        if before.data != now.data and not consent.samples:
            raise InputError(
                f"{self.path}: this run was begun on other samples ({before.data[:12]}, now"
                f" {now.data[:12]}). Give those, or another folder, or --more-data where the set"
                " has grown"
            )
        if not consent.settings:
            advice = "Give another folder, or --accept-changes where they are meant"
            refuse_mixture(f"{self.path}", before.settings, now.settings, advice)
        if before != replace(now, earlier=before.earlier):
            was = {"data": before.data, "settings": dict(before.settings)}
            self._keep(replace(now, earlier=(*before.earlier, was)))


def _plain(value: Any) -> Any:
    """Tuples as lists, so that YAML stays plain."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def command_line() -> str:
    """What was typed, for logs."""
    return " ".join(sys.argv)
