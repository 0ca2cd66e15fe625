"""One owner per output: two monitors in one ROS domain would steer one car by turns.

Who publishes an output holds an fcntl lock for as long as it lives, on a file named after ROS
domain and resolved topic: the kernel gives it back the moment the holder dies, so a node that is
started again finds it free. Locks reach as far as the host's /dev/shm. Publishers of other hosts
and containers are seen in the ROS graph only, where a dead one stays until its lease ends: `Rivals`
tells those apart by patience. No ROS here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from irl_vla.types import InputError

LOCKS = Path("/dev/shm")
HOLDER = re.compile(r"\d{1,10} [\w/]{1,200}")  # what a holder writes of itself: process and node
FOUND_S = 3.0  # publishers that are seen so soon after our own were there before it
LEASE_S = 25.0  # DDS forgets a dead publisher by then (Cyclone DDS after 10 s, Fast DDS 20 s)
held: set[Path] = set()  # by this process: fcntl lets one process lock a file twice


@dataclass
class OutputLock:
    """The lock on one output. Raises InputError where somebody else holds it."""

    domain: int
    topic: str  # resolved: /car/irl_vla/trajectory
    holder: str  # fully qualified name of the node
    _file: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        self._path = LOCKS / f"irl_vla.domain{self.domain}{self.topic.replace('/', '.')}.lock"
        while self._file < 0:
            self._file = self._locked()
        held.add(self._path)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()} {self.holder}".encode(), 0)

    def _locked(self) -> int:
        """The locked file, or -1 where its last holder has just removed it."""
        if self._path in held:
            raise self._taken(f"process {os.getpid()}, this one,")
        file = _opened(self._path)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            said = os.pread(file, 256, 0).decode("ascii", "replace")
            os.close(file)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise InputError(f"{self._path}: cannot be locked: {error.strerror}") from None
            pid, _, node = said.partition(" ")
            known = HOLDER.fullmatch(said) is not None
            raise self._taken(f"process {pid} ({node})" if known else "a process") from None
        if _is_named(file, self._path):
            return file
        os.close(file)
        return -1

    def _taken(self, who: str) -> InputError:
        return InputError(
            f"topic {self.topic}: {who} publishes it already in ROS domain {self.domain}. Stop "
            "that one, or give this car another namespace or ROS_DOMAIN_ID"
        )

    def release(self) -> None:
        """Somebody else may publish it. May be called twice."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1
            held.discard(self._path)


def _opened(path: Path) -> int:
    """A file that every user can lock: one car has one driver, whoever has started it."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            return os.open(path, flags)  # with O_CREAT Linux refuses files of others in /dev/shm
        except FileNotFoundError:
            file = os.open(path, flags | os.O_CREAT, 0o666)
        if os.fstat(file).st_uid == os.geteuid():
            os.fchmod(file, 0o666)  # whatever the umask says
        return file
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened: {error.strerror}. It says who publishes a topic; remove it"
        ) from None


def _is_named(file: int, path: Path) -> bool:
    try:
        named, opened = path.lstat(), os.fstat(file)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


@dataclass
class Rivals:
    """Publishers of our outputs that hold no lock here. Times in seconds of an even clock.

    since_s: when we began to publish
    """

    since_s: float
    _first_s: dict[str, float] = field(default_factory=dict)  # topic -> the rival was first seen

    def look(self, others: dict[str, int], now_s: float) -> tuple[str, ...]:
        """others: how many other publishers each topic has; sentences about them."""
        there = {topic: count for topic, count in others.items() if count > 0}
        self._first_s = {topic: self._first_s.get(topic, now_s) for topic in there}
        return tuple(
            f"topic {topic} has {count} other publisher{'s' if count > 1 else ''}, for "
            f"{now_s - self._first_s[topic]:.0f} s: another car in this ROS domain, on another "
            "host or in a container, or one that has just died"
            for topic, count in there.items()
        )

    def to_obey(self, now_s: float) -> str:
        """A topic whose other publisher was there before us and is no ghost: we have to go; or
        "". Who came first stays, whoever comes later."""
        for topic, first_s in self._first_s.items():
            if first_s - self.since_s <= FOUND_S and now_s - first_s > LEASE_S:
                return topic
        return ""
