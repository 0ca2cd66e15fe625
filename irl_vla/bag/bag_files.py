"""A path that a user typed -> the stored files of the bag, whatever its format and packing."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import zstandard

from irl_vla.bag.file_sections import FileSection, StoredFile
from irl_vla.bag.mcap_file import MAGIC as MCAP_MAGIC
from irl_vla.bag.mcap_file import scan_mcap
from irl_vla.bag.rosbag1_file import MAGIC as ROSBAG1_MAGIC
from irl_vla.bag.rosbag1_file import scan_rosbag1
from irl_vla.bag.sqlite_file import MAGIC as SQLITE_MAGIC
from irl_vla.bag.sqlite_file import scan_sqlite
from irl_vla.drafts import DraftFolder
from irl_vla.foreign import MAX_YAML_BYTES, cut, parse_yaml, read_whole, refuse_special
from irl_vla.messages.records import StoredTopic, TopicStats
from irl_vla.paths import inside
from irl_vla.types import InputError
from irl_vla.unpack import pieces

SUFFIXES = (
    ".mcap", ".db3", ".bag", ".bag.active", ".mcap.zstd", ".db3.zstd", ".mcap.zst", ".db3.zst",
)  # fmt: skip
METADATA = "metadata.yaml"
HOUR_NS = 3_600_000_000_000
APART_NS = HOUR_NS  # between files of one folder: longer than any pause of one recording
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
UNPACKED_ALWAYS = 2**30  # [B] a compressed file may unpack to so much however small it is,
UNPACKED_TIMES = 100  # beyond that to so many times its size; pictures: 1, odometry: 10
FORMATS = {
    MCAP_MAGIC: ("mcap", scan_mcap),
    SQLITE_MAGIC: ("sqlite3", scan_sqlite),
    ROSBAG1_MAGIC: ("rosbag1", scan_rosbag1),
}


C = TypeVar("C", bound="Closing")


class Closing:
    """What is closed at the end of a `with`."""

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free what is held."""


@dataclass
class StoredBag:
    """All files of one recording, joined. storage: "mcap", "sqlite3" or "rosbag1"."""

    path: Path
    storage: str = ""
    files: list[StoredFile] = field(default_factory=list)
    topics: dict[str, StoredTopic] = field(default_factory=dict)
    stats: dict[str, TopicStats] = field(default_factory=dict)
    sections: list[FileSection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unpacked: DraftFolder | None = None

    @property
    def warnings(self) -> list[str]:
        """What is damaged or left out, as far as it has been read."""
        return [*self.notes, *(text for file in self.files for text in file.warnings)]

    def close(self) -> None:
        """Drop what was unpacked."""
        if self.unpacked is not None:
            self.unpacked.close()
            self.unpacked = None


def open_files(path: Path) -> StoredBag:
    """Find and scan every file of the bag at `path` (a file, or a directory with or without
    metadata.yaml). Raises InputError where there is no readable bag."""
    bag = StoredBag(path)
    try:
        files = _files(path, bag)
        for file in files:
            try:
                _add(bag, file)
            except InputError as error:  # of a split bag, one bad file does not spoil the others
                bag.notes.append(str(error))
        if not bag.files:
            raise InputError("\n".join(bag.notes))
        if path.is_dir() and not (path / METADATA).exists():
            bag = _first_recording(bag)
    except OSError as error:
        bag.close()
        raise InputError(f"{path}: cannot be read: {error}") from None
    except InputError:
        bag.close()
        raise
    return bag


def _add(bag: StoredBag, path: Path) -> None:
    """Scan one file and join what it tells with what the files before told."""
    storage, stored = _scan(bag, path)
    stored.name = path.name
    _join(bag, storage, stored)


def _join(bag: StoredBag, storage: str, stored: StoredFile) -> None:
    bag.storage = bag.storage or storage
    bag.files.append(stored)
    for name, topic in stored.topics.items():
        if bag.topics.setdefault(name, topic).msgtype != topic.msgtype:
            stored.warn(f"{stored.name}: topic {name} has another type here, {topic.msgtype}")
            continue
        bag.stats.setdefault(name, TopicStats()).join(stored.stats[name])
    bag.sections.extend(stored.sections)


def _first_recording(bag: StoredBag) -> StoredBag:
    """Files that nobody says belong together, with hours between them, are recordings of their own:
    the first is read, the others are named."""
    timed = sorted((file for file in bag.files if file.sections), key=_start)
    kept: list[StoredFile] = []
    for file in timed:
        if kept and _start(file) - max(map(_end, kept)) > APART_NS:
            break
        kept.append(file)
    others = [file for file in timed if file not in kept]
    if not others:
        return bag
    first = StoredBag(bag.path, notes=bag.notes, unpacked=bag.unpacked)
    for file in [file for file in bag.files if file not in others]:
        _join(first, bag.storage, file)
    hours = (_start(others[0]) - max(map(_end, kept))) / HOUR_NS
    first.notes.append(
        f"{bag.path}: {len(bag.files)} files of different recordings ({hours:.1f} hours apart) and "
        f"no metadata.yaml that joins them: {', '.join(f.name for f in kept)} is read; give "
        f"{' or '.join(str(bag.path / f.name) for f in others)} to read another"
    )
    return first


def _start(file: StoredFile) -> int:
    return min(section.start_ns for section in file.sections)


def _end(file: StoredFile) -> int:
    return max(section.end_ns for section in file.sections)


def _scan(bag: StoredBag, path: Path) -> tuple[str, StoredFile]:
    refuse_special(path)
    with path.open("rb") as stream:
        start = stream.read(16)
    if not start:
        raise InputError(f"{path}: the file is empty (0 bytes); was the recording cut short?")
    if start.startswith(ZSTD_MAGIC):
        plain = _unpack(bag, path)
        try:
            storage, file = _scan(bag, plain)
        except InputError as error:  # of the file that was made of the user's
            raise InputError(str(error).replace(str(plain), f"{path} (unpacked)")) from None
        return storage, file
    for magic, (storage, scan) in FORMATS.items():
        if start.startswith(magic[: len(start)]) and len(start) >= len(magic):
            return storage, scan(path)
    raise InputError(
        f"{path}: not a bag: expected an mcap, a sqlite3 (.db3) or a ROS 1 bag, got a file that "
        f"starts with {start!r}"
    )


def _unpack(bag: StoredBag, path: Path) -> Path:
    """A file-compressed bag, unpacked on disk: seeking needs a plain file, memory is no place.
    Raises InputError where it unpacks to more than recordings do."""
    if bag.unpacked is None:
        bag.unpacked = DraftFolder(Path(tempfile.gettempdir()))
    target = bag.unpacked.path / path.stem
    limit = max(UNPACKED_ALWAYS, UNPACKED_TIMES * path.stat().st_size)
    try:
        with path.open("rb") as packed, target.open("wb") as plain:
            reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            for piece in pieces(reader, limit, f"{path}"):
                plain.write(piece)
    except zstandard.ZstdError as error:
        bag.notes.append(f"{path.name}: the compressed file is damaged ({error})")
    except InputError:
        target.unlink()
        raise
    got, whole = target.stat().st_size, _stated_size(path)
    if not got:
        raise InputError(
            f"{path}: the compressed file is cut short or damaged: unpacked it is empty "
            f"({path.stat().st_size} bytes of it are there). Copy it again, or record again"
        )
    if got < whole:
        bag.notes.append(
            f"{path.name}: the compressed file is cut short: {got} of {whole} bytes are there"
        )
    return target


def _stated_size(path: Path) -> int:
    """How long the unpacked file is by the first frame's header, 0 where that does not say."""
    with path.open("rb") as packed:
        head = packed.read(18)
    try:
        return max(0, zstandard.frame_content_size(head))
    except zstandard.ZstdError:
        return 0


def _files(path: Path, bag: StoredBag) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or directory")
    if not path.is_dir():
        return [path]
    metadata = path / METADATA
    found = sorted((p for p in path.iterdir() if p.name.endswith(SUFFIXES)), key=_natural)
    listed = _listed(metadata, bag) if metadata.exists() else []
    for missing in [p for p in listed if not p.exists()]:
        bag.notes.append(f"{missing.name}: metadata.yaml lists this file, but it is not there")
    files = [p for p in listed if p.exists()] or found
    if not files:
        inside = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
        raise InputError(
            f"{path}: no bag in this directory: expected *.mcap, *.db3 or *.bag, found {inside}"
        )
    return files


def _listed(metadata: Path, bag: StoredBag) -> list[Path]:
    """The files that metadata.yaml lists, [] where it cannot be used; the files speak for
    themselves. Old recorders put the folder's name before that of the file."""
    try:
        data: Any = parse_yaml(read_whole(metadata, MAX_YAML_BYTES), "it")
        names = data["rosbag2_bagfile_information"]["relative_file_paths"]
        paths = [inside(metadata.parent, name, "relative_file_paths") for name in names]
        return [metadata.parent / path.name for path in paths]
    except (KeyError, TypeError, ValueError) as error:
        reason = cut(error).split("\n")[0]
        bag.notes.append(f"metadata.yaml cannot be used ({reason}); the files are read without it")
        return []


def _natural(path: Path) -> list[tuple[int, str]]:
    """bag_2 before bag_10."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", path.name)]
