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

from irl_vla.types import InputError

FORMAT = "irl-vla-checkpoint/1"


@dataclass(frozen=True)
class Checkpoint:
    """step: how many steps were taken; tensors by name; state: whatever JSON can say."""

    step: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        data = path.with_suffix(".safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no checkpoint: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path}: expected format {FORMAT}, got {found}")
    if sha256(data).hexdigest() != content.get("sha256"):
        raise InputError(f"{path}: its tensors are damaged (another SHA-256). Use an older one")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise InputError(f"{path}: its tensors cannot be read: {error}") from None
    return Checkpoint(int(content["step"]), tensors, content["state"])


def newest_checkpoint(folder: Path) -> Path | None:
    """The last one that is whole, or None."""
    found = sorted(folder.glob("step-*.json"))
    return found[-1] if found else None


def write_whole(path: Path, data: bytes) -> None:
    """The file appears whole or not at all, also when power fails."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
