"""Checkpoints: tensors as safetensors, the rest as JSON, whole or not at all, never a pickle.

    step-00001000.safetensors     every tensor by name
    step-00001000.json            written last: the state, and the SHA-256 of the tensors
A checkpoint without its JSON does not exist: whoever is killed while writing loses nothing.
May import: torch, safetensors, irl_vla.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from irl_vla.config import from_json
from irl_vla.drafts import DraftFolder
from irl_vla.foreign import brief, cut, parse_json, read_whole
from irl_vla.types import InputError

MOST_BYTES = 2**35  # of tensors
FORMAT = "irl-vla-checkpoint/1"


@dataclass(frozen=True)
class Checkpoint:
    """step: how many steps were taken; tensors by name; state: whatever JSON can say."""

    step: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _About:
    """The shape of the JSON."""

    format: str
    step: int
    sha256: str
    state: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not 0 <= self.step < 2**53:
            raise ValueError(f"a step from 0 on, got {brief(self.step)}")


def save_checkpoint(folder: Path, checkpoint: Checkpoint, keep: int = 2) -> Path:
    """Writes it and then removes all but the `keep` newest; returns the path of its JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{checkpoint.step:08d}"
    data = save({key: value.detach().cpu().contiguous() for key, value in
                 checkpoint.tensors.items()})  # fmt: skip
    content = {
        "format": FORMAT, "step": checkpoint.step, "sha256": sha256(data).hexdigest(),
        "state": dict(checkpoint.state),
    }  # fmt: skip
    text = json.dumps(content, indent=1, allow_nan=False)
    write_whole(folder / f"{name}.safetensors", data)
    write_whole(folder / f"{name}.json", text.encode())
    for old in sorted(folder.glob("step-*.json"))[:-keep]:
        old.unlink()
        old.with_suffix(".safetensors").unlink(missing_ok=True)
    return folder / f"{name}.json"


def load_checkpoint(path: Path) -> Checkpoint:
    """By the path of its JSON. Raises InputError where it is damaged or of another format."""
    content = parse_json(read_whole(path), f"{path}")
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if found != FORMAT:
        raise InputError(f"{path}: expected format {FORMAT}, got {brief(found)}")
    about = from_json(_About, content, f"{path}")
    data = read_whole(path.with_suffix(".safetensors"), MOST_BYTES)
    if sha256(data).hexdigest() != about.sha256:
        raise InputError(f"{path}: its tensors are damaged (another SHA-256). Use an older one")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise InputError(f"{path}: its tensors cannot be read: {cut(error)}") from None
    return Checkpoint(about.step, tensors, about.state)


def newest_checkpoint(folder: Path) -> Path | None:
    """The last one that is whole, or None."""
    found = sorted(folder.glob("step-*.json"))
    return found[-1] if found else None


def write_whole(path: Path, data: bytes) -> None:
    """The file appears whole or not at all, also when power fails; what a killed writer left there
    is removed."""
    try:
        with DraftFolder(path.parent) as folder:
            draft = folder / path.name
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
