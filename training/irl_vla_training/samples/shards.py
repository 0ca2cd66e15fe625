"""Sets of samples on disk or at any URL: tars in WebDataset's form, each with a note beside it.

    samples.json                  how the set is made: written first
    world-1000000-1000010.tar     samples of these seeds
    world-1000000-1000010.json    written last: keys, size, SHA-256; a tar without it does not count
So a preparation that is killed anywhere goes on where it was, and the same seeds give the same
bytes. May import: fsspec, webdataset, irl_vla, samples.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import fsspec
import webdataset
from fsspec import AbstractFileSystem

from irl_vla.config import from_json
from irl_vla.foreign import brief, cut, parse_json
from irl_vla.types import InputError
from irl_vla_training.checkpoint import write_whole
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.settings import FORMAT, SampleSettings
from irl_vla_training.samples.stored import as_files

ABOUT = "samples.json"
LOCAL = ("file", "local")
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class ShardNote:
    """What stands beside a tar. name: of both, without ending; keys: of its samples, in order;
    made_by: code, versions, and the content it was made from"""

    name: str
    sha256: str
    size: int
    keys: tuple[str, ...]
    made_by: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMAT


@dataclass(frozen=True)
class SampleStore:
    """A folder of shards, here or elsewhere."""

    files: AbstractFileSystem
    root: str

    @staticmethod
    def at(url: str) -> SampleStore:
        """By a path or fsspec URL. Raises InputError where the URL's driver is missing."""
        try:
            files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise InputError(
                f"{url}: fsspec cannot open this kind of URL here: {error}. Install its driver"
            ) from None
        return SampleStore(files, root.rstrip("/"))

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        protocol = self.files.protocol
        names = (protocol,) if isinstance(protocol, str) else protocol
        return any(name in LOCAL for name in names)

    def read(self, name: str) -> bytes:
        """One file. Raises InputError that names it."""
        path = posixpath.join(self.root, name)
        try:
            return bytes(self.files.cat_file(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error}") from None

    def write(self, name: str, data: bytes) -> None:
        """One file, whole or not at all (a put of an object store is so by itself)."""
        path = posixpath.join(self.root, name)
        if self.is_local:
            write_whole(Path(path), data)
            return
        try:
            self.files.pipe_file(path, data)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error}") from None

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return bool(self.files.exists(posixpath.join(self.root, name)))

    def notes(self) -> tuple[ShardNote, ...]:
        """Of all whole shards, by name. Raises InputError for one of another format."""
        if not self.files.isdir(self.root):
            return ()
        listed = self.files.ls(self.root, detail=False, refresh=True)
        names = sorted(posixpath.basename(path) for path in listed)
        return tuple(self._note(name) for name in names if name.endswith(".json") and name != ABOUT)

    def _note(self, name: str) -> ShardNote:
        where = posixpath.join(self.root, name)
        content = parsed(self.read(name), where)
        refuse_format(content.get("format", FORMAT), where)
        note = from_json(ShardNote, content, where)
        if f"{note.name}.json" != name:
            raise InputError(f"{where}: name: expected that of the file, got {brief(note.name)}")
        if len(set(note.keys)) != len(note.keys):
            raise InputError(f"{where}: keys: two samples of one name")
        return note

    def begin(self, settings: SampleSettings) -> None:
        """Says how the set is made. Raises InputError where it was begun in another way."""
        if self.has(ABOUT):
            found = self.settings()
            if found != settings:
                names = [key for key, value in asdict(settings).items()
                         if value != asdict(found)[key]]  # fmt: skip
                raise InputError(
                    f"{self.root}: this set was begun with another {', '.join(names)}. Give"
                    " another folder, or the same settings"
                )
            return
        if self.is_local:
            try:
                Path(self.root).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{self.root}: cannot be made: {error.strerror}") from None
        self.write(ABOUT, json.dumps(asdict(settings), indent=1).encode())

    def settings(self) -> SampleSettings:
        """How the set is made. Raises InputError where there is none, or of another format."""
        where = posixpath.join(self.root, ABOUT)
        if not self.has(ABOUT):
            raise InputError(
                f"{where}: no such file: no set of samples. Make one with `irl-vla-train prepare`"
            )
        content = parsed(self.read(ABOUT), where)
        refuse_format(content.get("format"), where)
        return from_json(SampleSettings, content, where)

    def add(
        self, name: str, samples: Iterable[Sample], made_by: Mapping[str, str] = NOTHING
    ) -> ShardNote:
        """Writes one shard and its note."""
        buffer, keys = BytesIO(), []
        with webdataset.TarWriter(buffer, encoder=False, mtime=0) as tar:
            for sample in samples:
                tar.write({"__key__": sample.key, **as_files(sample)})
                keys.append(sample.key)
        data = buffer.getvalue()
        note = ShardNote(
            name=name, sha256=sha256(data).hexdigest(), size=len(data), keys=tuple(keys),
            made_by=dict(made_by),
        )  # fmt: skip
        self.write(f"{name}.tar", data)
        self.write(f"{name}.json", json.dumps(asdict(note)).encode())
        return note


def parsed(data: bytes, where: str) -> Mapping[str, Any]:
    """JSON that is an object. Raises InputError."""
    content = parse_json(data, where)
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected an object, got {type(content).__name__}")
    return content


def refuse_format(found: object, where: str) -> None:
    """Raises InputError for samples of another version."""
    if found != FORMAT:
        raise InputError(
            f"{where}: samples of format {cut(found)}, this version reads {FORMAT}. Prepare them"
            " anew"
        )
