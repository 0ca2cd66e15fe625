"""Copies of the project for mutants to live in, and pytest in them.

    out/mutants/tree      the project as it is, with numba's machine code
    out/mutants/work-*    a mutant: hard links to the files of tree, but for the faulty one
    out/mutants/shared    a link to the recordings beside the checkout

The checkout itself is never touched. A mutant's machine code is made in its own copy, so none is
stale and none is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = "tests/mutation"


def listed(root: Path) -> list[str]:
    """All files of the project, relative to its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    text = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in text.splitlines() if _is_here(root / name)]


def _is_here(path: Path) -> bool:
    return path.is_file() or path.is_symlink()


def _is_same(a: Path, b: Path) -> bool:
    if a.is_symlink() or b.is_symlink():
        return a.is_symlink() and b.is_symlink() and a.readlink() == b.readlink()
    return b.exists() and a.read_bytes() == b.read_bytes()


def refresh(root: Path, scratch: Path) -> Path:
    """The copy of the project, brought up to date. Files that have not changed keep their time, so
    that numba takes their machine code from the last run, at first from the checkout."""
    tree = scratch / "tree"
    new = not tree.exists()
    for left_over in scratch.glob("work-*"):  # by a run that was killed
        shutil.rmtree(left_over)
    names = listed(root)
    for old in set(_files(tree)) - set(names):
        (tree / old).unlink()
    for name in names:
        source, copy = root / name, tree / name
        if not _is_same(source, copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    if new:
        for machine_code in (root / "irl_vla").rglob("__pycache__/*.nb[ic]"):
            copy = tree / machine_code.relative_to(root)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy2(machine_code, copy)
    shared = scratch / "shared"
    if not shared.is_symlink():
        shared.symlink_to((root / ".." / "shared").resolve())
    return tree


def _files(tree: Path) -> Iterator[str]:
    for path in tree.rglob("*"):
        name = path.relative_to(tree)
        if _is_here(path) and "__pycache__" not in name.parts and name.parts[0][0] != ".":
            yield str(name)


@contextmanager
def mutated(tree: Path, file: str, source: bytes, *, recompile: bool) -> Iterator[Path]:
    """A copy of `tree` with another text of `file`. Without `recompile` the file looks as old as
    it was: machine code made from it and of what imports it is still taken for good."""
    work = Path(tempfile.mkdtemp(prefix="work-", dir=tree.parent))
    try:
        shutil.copytree(tree, work, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
        path = work / file
        before = path.stat()
        path.unlink()
        path.write_bytes(source)
        for byte_code in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            byte_code.unlink()
        if not recompile:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def pytest_in(tree: Path, files: list[str], given: dict[str, str], log: Path,
              seconds: float | None = None) -> int | None:  # fmt: skip
    """The exit code of pytest's run of these files, or None where it took more than `seconds` of
    CPU time in one process or, should it sleep or the machine be busy, five times that in all."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
               "-p", "mutation_plugin", *files]  # fmt: skip
    if "MUTATION_TESTS" in given:
        command.append("-x")
    path = os.pathsep.join([str(tree), str(tree / HERE)])
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": path, **given}
    if seconds is not None:
        environment["MUTATION_CPU_S"] = str(int(seconds) + 1)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=out, stderr=out, start_new_session=True
        )
        try:
            code = process.wait(None if seconds is None else 5 * seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)
    return None if code in (-signal.SIGXCPU, -signal.SIGKILL) else code


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
