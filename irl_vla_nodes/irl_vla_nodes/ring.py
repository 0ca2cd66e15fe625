"""The ring: pictures and tokens cross processes through a file in memory; topics carry handles.

    file  = page | slot 0 | slot 1 | ...        slot = generation u64 | length u64 | payload
One process writes, any number reads. A slot's generation is odd while it is being written and even
when it is whole; a reader copies and looks again: the copy counts only if the generation is still
that of the handle. So neither side ever waits for the other, and a process that is killed in the
middle leaves nothing but a slot that no handle names.

The writer holds an fcntl lock on its file for life; the kernel gives it back when the process dies.
Every writer makes a file of its own name (`frames.<pid>-<ns>`), so a handle of a dead writer can
never name a slot of its successor; the next writer removes what dead ones have left behind.
Only one user can write into the folder: whoever can write there drives the car.
Not multiprocessing.shared_memory: its tracker unlinks other processes' segments (Python < 3.13).
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import re
import shutil
import stat
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from irl_vla.types import InputError

FOLDER = Path("/dev/shm/irl_vla")
PAGE = mmap.PAGESIZE
MAGIC = b"IRLRING1"
HEAD = struct.Struct("<8sIQ")  # magic, slots, bytes from slot to slot
SLOT = struct.Struct("<QQ")  # generation, length
PAYLOAD_AT = 64  # [B] into a slot: payloads begin on a cache line
NAME = re.compile(r"[a-z_]{1,40}")
FILE_NAME = re.compile(r"[a-z_]{1,40}\.\d{1,10}-\d{1,20}")
READ_S = 0.1  # [s] a copy that takes longer is not worth having: the machine is stalled
MIB = 2**20


@dataclass(frozen=True)
class Handle:
    """Where a payload lies. generation: of the slot when it was whole."""

    ring: str
    slot: int
    generation: int


class PayloadExpired(Exception):
    """The payload of a handle cannot be had any more; the text says why."""


class RingWriter:
    """Makes a ring and writes it; one writer per folder and name. Raises InputError where another
    process writes it already, where the memory does not suffice, or where others than this user
    could write into the folder."""

    def __init__(self, folder: Path, name: str, slots: int, payload_bytes: int) -> None:
        if not NAME.fullmatch(name):
            raise InputError(f"ring '{name}': expected a name of letters a-z and _")
        stride = -(-(PAYLOAD_AT + payload_bytes) // PAGE) * PAGE
        self.slots, self.payload_bytes, self._stride = slots, stride - PAYLOAD_AT, stride
        self.name = f"{name}.{os.getpid()}-{time.monotonic_ns()}"
        self._path = folder / self.name
        self._file = _made_in(folder, name, self._path, PAGE + slots * stride)
        self._map = mmap.mmap(self._file, PAGE + slots * stride)
        self._map[: HEAD.size] = HEAD.pack(MAGIC, slots, stride)
        self._next = 0

    def write(self, parts: Sequence[memoryview | bytes]) -> Handle:
        """One payload, in pieces that follow each other; the oldest slot gives way. Raises
        ValueError where it is larger than a slot."""
        length = sum(len(part) for part in parts)
        if length > self.payload_bytes:
            raise ValueError(f"ring {self.name}: {length} B, a slot has {self.payload_bytes} B")
        slot, self._next = self._next, (self._next + 1) % self.slots
        at = PAGE + slot * self._stride
        generation = SLOT.unpack_from(self._map, at)[0]
        fcntl.lockf(self._file, fcntl.LOCK_EX, self._stride, at)
        try:
            SLOT.pack_into(self._map, at, generation + 1, length)
            end = at + PAYLOAD_AT
            for part in parts:
                self._map[end : end + len(part)] = part
                end += len(part)
            SLOT.pack_into(self._map, at, generation + 2, length)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, self._stride, at)
        return Handle(self.name, slot, generation + 2)

    def close(self) -> None:
        """Remove the ring, and our folders that are empty then; who reads it right now keeps what
        is mapped. May be called twice."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            self._map.close()
            os.close(self._file)
            self._file = -1
            _remove_empty(self._path.parent)


class RingReader:
    """Reads the rings of one folder. Only the rings of the last few writers stay mapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, mmap.mmap] = {}

    def read(self, handle: Handle, within_s: float = READ_S) -> memoryview:
        """A copy of the payload. Raises Gone where the slot holds something else by now, where its
        writer is gone with its file, or where copying took too long."""
        begin = time.monotonic()
        ring = self._ring(handle.ring)
        magic, slots, stride = HEAD.unpack_from(ring, 0)
        whole = PAGE + slots * stride
        if magic != MAGIC or whole != len(ring) or not 0 <= handle.slot < slots:
            raise PayloadExpired(f"ring {handle.ring}: no slot {handle.slot}, or not a ring")
        at = PAGE + handle.slot * stride
        generation, length = SLOT.unpack_from(ring, at)
        if generation != handle.generation or length > stride - PAYLOAD_AT:
            raise PayloadExpired(_overwritten(handle, generation))
        copy = memoryview(ring[at + PAYLOAD_AT : at + PAYLOAD_AT + length])
        generation, _ = SLOT.unpack_from(ring, at)
        if generation != handle.generation:
            raise PayloadExpired(_overwritten(handle, generation))
        spent = time.monotonic() - begin
        if spent > within_s:
            raise PayloadExpired(
                f"ring {handle.ring}: copying took {spent:.2f} s, at most {within_s} s"
            )
        return copy

    def close(self) -> None:
        """Unmap everything."""
        for ring in self._open.values():
            ring.close()
        self._open.clear()

    def _ring(self, name: str) -> mmap.mmap:
        if name in self._open:
            return self._open[name]
        if not FILE_NAME.fullmatch(name):  # a name comes from a topic: never leave the folder
            raise PayloadExpired(f"ring '{name}': not the name of a ring")
        if why := _not_ours(self._folder):
            raise PayloadExpired(why)
        try:
            file = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise PayloadExpired(f"ring {name}: its writer is gone ({error.strerror})") from None
        try:
            ring = mmap.mmap(file, 0, prot=mmap.PROT_READ)
        except (ValueError, OSError) as error:
            raise PayloadExpired(f"ring {name}: {error}") from None
        finally:
            os.close(file)
        kind = name.split(".")[0]
        for old in [other for other in self._open if other.split(".")[0] == kind]:
            self._open.pop(old).close()  # its writer has a successor
        self._open[name] = ring
        return ring


def _overwritten(handle: Handle, generation: int) -> str:
    return (
        f"ring {handle.ring}: slot {handle.slot} was overwritten (generation {generation}, "
        f"expected {handle.generation}); the reader is too slow, or give the ring more slots"
    )


def _made_in(folder: Path, name: str, path: Path, size: int) -> int:
    """The file of a ring in its folder, which another node may remove while it is empty."""
    while True:
        _make_folder(folder)
        _remove_leftovers(folder, name)
        try:
            return _made(path, size)
        except FileNotFoundError:
            continue


def _remove_empty(folder: Path) -> None:
    """Remove the folder, and those above it that are ours, as far as they are empty."""
    ours = [path for path in (folder, *folder.parents) if path.is_relative_to(FOLDER)]
    for path in ours:
        try:
            path.rmdir()
        except OSError:
            return  # not empty, or somebody else was faster


def _make_folder(folder: Path) -> None:
    """The folder, for us alone. Raises InputError where it cannot be made, or is not ours alone."""
    try:
        for path in [*reversed(folder.parents), folder]:  # parents=True would not give them a mode
            path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"ring folder {folder}: cannot be made: {error.strerror}. Give another 'ring_folder'"
        ) from None
    if why := _not_ours(folder):
        raise InputError(why)


def _not_ours(folder: Path) -> str:
    """Why somebody else could put files of his into the folder, or "": then only we can. Folders
    above it may be everybody's where nobody can rename what belongs to others (/dev/shm)."""
    me, above = os.geteuid(), folder.absolute().parent.resolve()
    administrators = {me, 0, os.lstat("/").st_uid}  # in a container root may have another number
    for path in (folder, above, *above.parents):
        try:
            found = os.lstat(path)
        except OSError:
            continue  # not there: nothing can be read there either
        shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if path == folder and stat.S_ISLNK(found.st_mode):
            why = "is a link"
        elif found.st_uid not in ({me} if path == folder else administrators):
            why = f"belongs to user {found.st_uid}, expected {me}"
        elif shared and (path == folder or not found.st_mode & stat.S_ISVTX):
            why = "may be written by others"
        else:
            continue
        return (
            f"ring folder {folder}: {path} {why}, so pictures and tokens could be forged. Remove "
            "it, or give this car another 'ring_folder'"
        )
    return ""


def _made(path: Path, size: int) -> int:
    """A locked file of that size whose memory is really there; it appears under its name whole."""
    draft = path.with_name(f".{path.name}")
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
        draft.rename(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        os.close(file)
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.ENOMEM):
            raise InputError(f"ring {path}: cannot be made: {error.strerror}") from None
        free = shutil.disk_usage(path.parent).free
        raise InputError(
            f"ring {path}: needs {size / MIB:.0f} MiB, {path.parent} has {free / MIB:.0f} MiB. "
            "Set fewer 'ring_slots'; in a container give more, for example docker run "
            f"--shm-size={-(-4 * size // MIB)}m"
        ) from None
    return file


def _remove_leftovers(folder: Path, name: str) -> None:
    """Files of dead writers. Raises InputError where a living one holds its lock."""
    for path in sorted(folder.glob(f"{name}.*")) + sorted(folder.glob(f".{name}.*")):
        if not FILE_NAME.fullmatch(path.name.lstrip(".")):
            continue
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # gone in the meantime, or not ours
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
            path.unlink(missing_ok=True)
        except OSError:
            raise InputError(
                f"ring {path}: process {path.name.split('.')[-1].split('-')[0]} is writing it. "
                "Stop that one, or give this car another 'ring_folder'"
            ) from None
        finally:
            os.close(file)
