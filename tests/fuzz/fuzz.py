"""Spoilt files through every reader: an answer or a sentence, in bounded time and memory, and
nothing run, written elsewhere or connected.

    python tests/fuzz/fuzz.py --minutes 10 [--seed 3] [--only bag,pickle]

Each reader runs in a process of its own with a limit on memory and an audit hook that ends it where
anything is executed, connected or written outside its folder. A failure is printed with its reader
and seed, and the spoilt file is kept.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_readers import READERS, FuzzedReader

from irl_vla.types import InputError

MEMORY = 6 * 2**30  # [B] of address space, most of it libraries and threads
MOST = 1_000_000  # files of one reader in one run
SECONDS = 30  # of one file; the slowest takes two on a busy machine
CACHE = "__pycache__"  # of Python and numba, beside the source
LONGEST = 5000  # characters of a sentence
FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect",
             "socket.getaddrinfo")  # fmt: skip
BOMBS = (
    b"[" * 3000, b"{" * 3000, b'{"a":' * 500, b"9" * 6000, b"1e999", b"NaN", b"-1e300", b"null",
    b"\x00" * 64, b"\xff" * 64, b"../../../etc/passwd", b"\x1b[2J", b"&a [*a]",
    b"!!python/object:os",
    b")" + b"\x85" * 3000, b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00touchtR.", b"\xff\xff\xff\x7f",
)  # fmt: skip


def spoilt(data: bytes, rng: random.Random) -> bytes:
    """A few changes: bits, pieces, cuts, bombs, and pieces of itself."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        at = rng.randrange(len(out) + 1)
        size = min(len(out) - at, int(2 ** rng.uniform(0, 10)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == 2:
            del out[at : at + size]
        elif kind == 3:
            out[at:at] = rng.choice(BOMBS)
        elif kind == 4:
            out[at : at + size] = rng.choice(BOMBS)
        elif kind == 5:
            begin = rng.randrange(len(out) + 1)
            out[at:at] = out[begin : begin + size]
        elif rng.random() < 0.3:
            del out[at:]
    return bytes(out)


def try_once(reader: FuzzedReader, folder: Path, seed: str) -> str:
    """One spoilt file; returns "", or what law was broken."""
    rng = random.Random(seed)
    thing = reader.make(folder)
    victims = sorted(thing.glob(reader.victim)) if reader.victim else [thing]
    victim = rng.choice(victims)
    victim.write_bytes(spoilt(victim.read_bytes(), rng))
    reader.after(thing)
    signal.alarm(SECONDS)
    try:
        reader.read(thing)
    except InputError as error:
        return "" if 0 < len(str(error)) <= LONGEST else f"a sentence of {len(str(error))}"
    except TooSlow:
        return f"more than {SECONDS} s"
    except Exception as error:  # this is what is looked for
        return f"{type(error).__name__}: {error}"[:500]
    finally:
        signal.alarm(0)
    return ""


class TooSlow(BaseException):
    """Not an Exception: no reader may swallow it."""


def _late(_number: int, _frame: FrameType | None) -> NoReturn:
    raise TooSlow


def guard(sandbox: Path) -> None:
    """From now on this process may not run, connect, or write outside the sandbox."""
    inside = str(sandbox)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            os.write(2, f"EXECUTED {event} {args!r:.200}\n".encode())
            os._exit(99)
        if event == "open" and isinstance(args[0], (str, bytes)):
            name, mode = os.fsdecode(args[0]), args[1] or ""
            writes = isinstance(mode, str) and set(mode) & set("wax+")
            path = str(Path(name).absolute())
            if writes and not path.startswith((inside, "/dev/null")) and CACHE not in path:
                os.write(2, f"WROTE {path}\n".encode())
                os._exit(98)

    sys.addaudithook(hook)
    soft = MEMORY + int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _late)


def fuzz_reader(
    name: str, seeds: Sequence[str], seconds: float, keep: Path
) -> tuple[int, list[str]]:
    """In a child process: (how many files were tried, the laws that were broken). seconds: without
    what it takes to import and compile"""
    sandbox = Path(tempfile.mkdtemp(prefix="fuzz-"))
    progress = sandbox / "progress"
    progress.touch()
    child = os.fork()
    if child == 0:
        code = 97
        try:
            os.chdir(sandbox)
            tempfile.tempdir = str(sandbox)
            READERS[name].read(READERS[name].make(_fresh(sandbox)))  # imports, compiles, is sound
            guard(sandbox)
            code = _child(name, seeds, time.monotonic() + seconds, sandbox, progress)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    lines = progress.read_text(errors="replace").splitlines()
    broken = [line[7:] for line in lines if line.startswith("broken ")]
    tried = [line[6:] for line in lines if line.startswith("tried ")]
    if status != 0:
        broken.append(f"seed {tried[-1] if tried else '?'}: the process ended with {status}")
    if broken:
        shutil.copytree(sandbox, keep / name.replace(" ", "_"), dirs_exist_ok=True)
    shutil.rmtree(sandbox, ignore_errors=True)
    return len(tried), [f"{name}: {line}" for line in broken]


def _child(name: str, seeds: Sequence[str], until: float, sandbox: Path, progress: Path) -> int:
    with progress.open("a", buffering=1) as told:
        for seed in seeds:
            if time.monotonic() > until:
                break
            told.write(f"tried {seed}\n")
            folder = _fresh(sandbox)
            found = try_once(READERS[name], folder, seed)
            if found:
                told.write(f"broken seed {seed}: {found}".replace("\n", " ") + "\n")
            else:
                shutil.rmtree(folder, ignore_errors=True)
    return 0


def _fresh(sandbox: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=sandbox))


def fuzz(
    names: Sequence[str], seconds: float, first: int, keep: Path, most: int = MOST
) -> tuple[int, list[str]]:
    """All readers in turn, each for its share of the time. (files tried, laws broken)"""
    tried, broken = 0, list[str]()
    for name in names:
        seeds = [f"{name}/{first}/{i}" for i in range(most)]
        more, found = fuzz_reader(name, seeds, seconds / len(names), keep)
        print(f"{name:16s} {more:6d} files, {len(found)} broken laws", flush=True)
        found += [f"{name}: not one file was tried"] if more == 0 else []
        tried, broken = tried + more, broken + found
    return tried, broken


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="readers, with commas between")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="for failures")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name] or list(READERS)
    given.keep.mkdir(parents=True, exist_ok=True)
    tried, broken = fuzz(names, given.minutes * 60.0, given.seed, given.keep.resolve())
    for line in broken:
        print(line)
    print(f"{tried} files, {len(broken)} broken laws, seed {given.seed}; failures in {given.keep}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
