"""Bundles: a folder whose manifest hashes every file in it. Read only what was hashed; no pickle.

A bundle is written beside its place and moved there in one rename, so that nobody sees half of
one. Nothing outside the folder is ever read: plain relative names only, no symbolic or hard links.
Every graph is checked (`onnx_check.py`) before anything runs it.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from irl_vla.drafts import DraftFolder
from irl_vla.engine.manifest import (
    ENGINES,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    FileEntry,
    GraphSpec,
    Manifest,
    NetworkPart,
    Variant,
    from_bytes,
    to_bytes,
)
from irl_vla.engine.onnx_check import check_onnx
from irl_vla.perception.tokens import Tensors
from irl_vla.resources import is_shipped
from irl_vla.types import InputError
from irl_vla.unpack import read_npz


@dataclass(frozen=True)
class Golden:
    """Known inputs and the reference outputs of one graph."""

    inputs: Tensors
    outputs: Tensors


@dataclass(frozen=True)
class Bundle:
    """A verified bundle. id: SHA-256 of `manifest.json`, hexadecimal."""

    root: Path
    id: str
    manifest: Manifest

    @property
    def weights_id(self) -> str:
        """What was learnt, whatever the precision of the graphs: SHA-256 of the file with the
        weights, or with the parameters of a policy without networks."""
        network = self.manifest.network
        name = str(self.manifest.parameters) if network is None else network.weights
        return self.manifest.files[name].sha256

    @property
    def network(self) -> NetworkPart:
        """The manifest's network part. Raises InputError for a rule bundle."""
        if self.manifest.network is None:
            raise InputError(f"bundle {self.root}: kind '{self.manifest.kind}' has no networks")
        return self.manifest.network

    def read(self, name: str) -> bytes:
        """Content of a listed file, hashed again: what was verified is what is used."""
        content = _read(self.root, name, self.manifest.files[name].bytes)
        _compare(self.root, name, self.manifest.files[name], len(content), _sha256(content))
        return content

    def graph(self, graph: str) -> GraphSpec:
        """One graph of a network bundle. Raises InputError that lists what there is."""
        graphs = self.network.graphs
        if graph not in graphs:
            raise InputError(
                f"bundle {self.root}: has no graph '{graph}', only {', '.join(sorted(graphs))}"
            )
        return graphs[graph]

    def onnx_sha256(self, graph: str, variant: str) -> str:
        """Which ONNX file it is, whatever its name."""
        return self.manifest.files[self.variant(graph, variant).onnx].sha256

    def variant(self, graph: str, variant: str) -> Variant:
        """One graph at one precision. Raises InputError that lists what there is."""
        variants = self.graph(graph).variants
        if variant not in variants:
            raise InputError(
                f"bundle {self.root}: graph '{graph}' has no variant '{variant}', only "
                f"{', '.join(sorted(variants))}"
            )
        return variants[variant]

    def golden(self, graph: str, variant: str) -> Golden:
        """Known inputs and outputs of one variant; entries are named in.<name> and out.<name>."""
        name = self.variant(graph, variant).golden
        arrays = read_npz(io.BytesIO(self.read(name)), f"bundle {self.root}: '{name}'")
        parts = {
            side: {k.removeprefix(side): v for k, v in arrays.items() if k.startswith(side)}
            for side in ("in.", "out.")
        }
        return Golden(parts["in."], parts["out."])


def load_bundle(path: Path) -> Bundle:
    """Verify a bundle folder, every byte of it, and open it. Raises InputError in one sentence."""
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"bundle {root}: expected a folder with {MANIFEST}, found none")
    content = _read(root, MANIFEST, MAX_MANIFEST_BYTES)
    manifest = from_bytes(content, f"bundle {root}: {MANIFEST}")
    found = set(_files(root)) - {MANIFEST}
    for name in sorted(set(manifest.files) - found):
        raise InputError(f"bundle {root}: file '{name}' is missing. Copy or export it again")
    for name in sorted(found - set(manifest.files)):
        raise InputError(
            f"bundle {root}: file '{name}' is not listed in {MANIFEST}. Remove it; only "
            f"{ENGINES}/ may hold other files"
        )
    for name, entry in manifest.files.items():
        _compare(root, name, entry, *_measure(root, name))
    bundle = Bundle(root, _sha256(content), manifest)
    for name in manifest.onnx_files():
        check_onnx(bundle.read(name), f"bundle {root}: '{name}'")
    return bundle


def same_bundle(path: Path, bundle_id: str) -> Bundle:
    """A bundle that was opened before. Raises InputError where it has been replaced since."""
    bundle = load_bundle(path)
    if bundle.id != bundle_id:
        raise InputError(
            f"bundle {path}: was {bundle_id[:12]} when this run began and is {bundle.id[:12]} now. "
            "Leave a bundle alone while it is evaluated; run the command again"
        )
    return bundle


def file_entries(files: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """Contents by name -> what a manifest says of them."""
    return {
        name: FileEntry(bytes=len(content), sha256=_sha256(content))
        for name, content in files.items()
    }


def write_bundle(root: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle folder in one step; `manifest.files` are the `file_entries` of `files`.

    Raises InputError where `root` exists and holds anything but the very same bundle.
    """
    assert manifest.files == file_entries(files)
    content = to_bytes(manifest)
    assert to_bytes(from_bytes(content, "a new manifest")) == content
    if root.exists():
        return _same_bundle(root, content)
    try:
        _write(root, {**files, MANIFEST: content})
    except OSError as error:
        raise InputError(
            f"bundle {root}: cannot be written: {error.strerror}. Make room there, or choose "
            "another --out"
        ) from None
    return load_bundle(root)


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with DraftFolder(root.parent) as draft:
        beside = draft / root.name
        beside.mkdir()
        for name, data in files.items():
            target = beside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                file.write(data)
                os.fsync(file.fileno())
        load_bundle(beside)
        beside.rename(root)


def _same_bundle(root: Path, content: bytes) -> Bundle:
    there = root / MANIFEST
    if root.is_dir() and there.is_file() and there.read_bytes() == content:
        return load_bundle(root)
    raise InputError(
        f"bundle {root}: exists already and differs. Remove it or choose another --out"
    )


def _files(root: Path) -> Iterator[str]:
    """Names of all files of the bundle except under engines/; anything but a file is refused."""
    may_link = is_shipped(root)  # package installers link files to their cache
    for folder, folders, names in os.walk(root, followlinks=False):
        inside = Path(folder).relative_to(root)
        for name in [*folders, *names]:
            _refuse_link(root, (inside / name).as_posix(), may_link)
        if inside.parts[:1] != (ENGINES,):
            yield from ((inside / name).as_posix() for name in names)


def _refuse_link(root: Path, name: str, may_link: bool) -> None:
    """A link leads out of the folder, a second name into it: whoever holds it could change the file
    after the check. may_link: second names are allowed."""
    status = os.lstat(root / name)
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        raise InputError(
            f"bundle {root}: '{name}' is a symbolic link or special file. A bundle holds plain "
            "files only"
        )
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and not may_link:
        raise InputError(
            f"bundle {root}: '{name}' has a second name on this disk (a hard link). A bundle holds "
            "files of its own only: copy it with cp -r"
        )


def _measure(root: Path, name: str) -> tuple[int, str]:
    """Size [bytes] and SHA-256 of a file, read in pieces."""
    digest, size = hashlib.sha256(), 0
    try:
        with (root / name).open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        raise InputError(f"bundle {root}: cannot read '{name}': {error.strerror}") from None
    return size, digest.hexdigest()


def _read(root: Path, name: str, limit: int) -> bytes:
    """A file of at most `limit` bytes."""
    try:
        with os.fdopen(
            os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb"
        ) as f:
            content = f.read(limit + 1)
    except FileNotFoundError:
        raise InputError(
            f"bundle {root}: '{name}' is missing. Give the folder of a bundle, for example "
            "models/rule"
        ) from None
    except OSError as error:
        raise InputError(f"bundle {root}: cannot read '{name}': {error.strerror}") from None
    if len(content) > limit:
        raise InputError(f"bundle {root}: '{name}' is larger than the expected {limit} bytes")
    return content


def _compare(root: Path, name: str, entry: FileEntry, size: int, sha256: str) -> None:
    if (size, sha256) != (entry.bytes, entry.sha256):
        raise InputError(
            f"bundle {root}: file '{name}' is damaged or was changed: expected {entry.bytes} bytes "
            f"with SHA-256 {entry.sha256[:12]}.., got {size} bytes with {sha256[:12]}... Copy or "
            "export the bundle again"
        )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
