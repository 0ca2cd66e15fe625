"""How many small faults do the tests notice?

    python tests/mutation/mutants.py [--seed 1] [--count 150] [--only camera,drive] [--workers 2]

Draws mutants of irl_vla/ (mutation_operators.py) and runs for each the tests of its room that
reach the faulty line, until one fails. The tests of irl_vla/<room>/ are tests/<room>/, of a folder
within a room those of its name where there are any, of evaluation/ those of the commands too, and
of the files directly under irl_vla/ the files directly under tests/. The sample is uniform, but for
at least 40 mutants in what decides whether a plan may be driven; it rests on what a mutant says,
not on where it stands, so that a change elsewhere does not exchange it.

Killed: a test failed, or the tests took more than three times their time and 20 s.
Results go to out/mutants/, and are taken from there while the source and the tests that decided
are the same: an interrupted run goes on where it was, and a new test is tried on those that lived.
Mutants in equivalent.yaml are believed to change nothing; they count as survivors all the same. The
last line reads `N of M mutants killed`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from mutation_operators import Mutant, mutants_of
from mutation_reach import Reach, Sources
from mutation_trees import mutated, pytest_in, refresh
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "out" / "mutants"
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
COUNT = 150
VITAL = tuple(  # guard, checks and core
    f"irl_vla/drive/{name}.py"
    for name in ("guard", "safeguard", "checks", "check_kernels", "fallback", "stops",
                 "stop_kernels", "core")
)  # fmt: skip
VITAL_COUNT = 40
SPARE_S = 20.0  # CPU time beyond three times what the tests take without a fault
COMPILE_S = 90.0  # CPU time for compiling anew what depends on a fault
TESTS_S = 120.0  # CPU time of the tests tried on one mutant; those beyond are not tried
GROUND = "ground"  # the room of the files directly under irl_vla/
SLOW_ROOMS = ("cli", "evaluation", "ground")
BESIDE = {"evaluation": ("tests/cli/",)}  # its loops are mostly tested through their commands


DEAD = ("killed", "timeout")
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/[^\s:]+)", re.MULTILINE)  # in pytest's summary
IMPORT = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What became of a mutant: killed, timeout, survived, or unreached (no test runs the line).

    key: of the mutant and the source; files: test file -> its state, of those that decided: the one
    that failed, or all of the room
    """

    key: str
    room: str
    mutant: dict[str, Any]
    outcome: str
    files: dict[str, str]
    tests: int
    seconds: float


def room_of(file: str, files: Iterable[str]) -> str:
    """irl_vla/<room>/... -> room. A folder within a room that has tests of its own is a room."""
    folders = file.split("/")[1:-1]
    tested = {test.split("/")[1] for test in files if test.startswith("tests/")}
    return next((f for f in reversed(folders) if f in tested), folders[0] if folders else GROUND)


def room_tests(room: str, files: Iterable[str]) -> list[str]:
    """The test files of a room."""
    depth, folder = (2, "tests/") if room == GROUND else (3, f"tests/{room}/")
    folders = (folder, *BESIDE.get(room, ()))
    chosen = [f for f in files if f.startswith(folders) and f.split("/")[-1].startswith("test_")]
    if room == GROUND:
        chosen = [f for f in chosen if len(f.split("/")) == depth and f != "tests/test_house.py"]
    if not chosen:
        sys.exit(f"irl_vla/{room} has no tests: expected {folder}test_*.py")
    return sorted(chosen)


def drawn(mutants: list[Mutant], seed: int, count: int, vital: int) -> list[Mutant]:
    """A sample without preference, but for at least `vital` mutants of VITAL (or all it has)."""
    ranked = sorted(mutants, key=lambda m: _hash(f"{seed}:{m.identity}"))
    wanted = [m for m in ranked if m.file in VITAL][:vital]
    chosen = {m.identity for m in wanted}
    for mutant in ranked:
        if len(chosen) >= min(count, len(ranked)):
            break
        chosen.add(mutant.identity)
    return [m for m in ranked if m.identity in chosen]


def _hash(*parts: str | bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return whole.hexdigest()[:20]


class Campaign:
    """One sample's run. `record` first, then `result` of each mutant; both from several threads."""

    def __init__(self, scratch: Path, tree: Path, results: Path) -> None:
        self.scratch, self.tree, self.results = scratch, tree, results
        files = {str(p.relative_to(tree)): p for p in sorted(tree.rglob("*.py"))}
        self.texts = {f: p.read_bytes() for f, p in files.items()
                      if f.startswith(("irl_vla/", "tests/"))}  # fmt: skip
        self.sources = Sources(self.texts)
        self.reaches: dict[str, Reach] = {}
        self.lock = threading.Lock()
        self.source = _hash(*(part for f, text in self.texts.items() if f.startswith("irl_vla/")
                              for part in (f, text)))  # fmt: skip
        lines = results.read_text().splitlines() if results.exists() else []
        self.known = {r.key: r for r in (Result(**json.loads(line)) for line in lines)}

    def room(self, mutant: Mutant) -> str:
        """Whose tests have to notice it."""
        return room_of(mutant.file, self.texts)

    def states(self, room: str) -> dict[str, str]:
        """Test file of a room -> hash of the source, of it, and of what it imports from tests/."""
        modules = {f.split("/")[-1][:-3]: f for f in self.texts if f.startswith("tests/")}
        found = {}
        for file in room_tests(room, self.texts):
            folder = file.rpartition("/")[0]
            open_ = [file, "tests/conftest.py", f"{folder}/conftest.py"]
            seen: set[str] = set()
            while open_:
                here = open_.pop()
                if here in self.texts and here not in seen:
                    seen.add(here)
                    names = IMPORT.findall(self.texts[here].decode())
                    open_ += [modules[n] for n in names if n in modules]
            found[file] = _hash(self.source, *(p for f in sorted(seen) for p in (f, self.texts[f])))
        return found

    def record(self, room: str) -> None:
        """See which tests of the room run what, or take it from the last time, file by file."""
        folder = self.scratch / "reach"
        folder.mkdir(exist_ok=True)
        kept = {f: folder / f"{Path(f).stem}-{s}.json" for f, s in self.states(room).items()}
        if new := [file for file, path in kept.items() if not path.exists()]:
            log, record = folder / f"{room}.log", folder / f"{room}.new"
            pytest_in(self.tree, new, {"MUTATION_RECORD": str(record)}, log)
            if not record.exists():
                raise RuntimeError(f"the tests of {room} did not run, see {log}")
            for file, part in by_file(json.loads(record.read_text()), new).items():
                kept[file].write_text(json.dumps(part), encoding="utf-8")
            record.unlink()
        records = [json.loads(path.read_text(encoding="utf-8")) for path in kept.values()]
        self.reaches[room] = Reach.of(records, self.sources)

    def result(self, mutant: Mutant) -> Result:
        """What becomes of it; taken from the last time where nothing has changed."""
        states = self.states(self.room(mutant))
        key = _hash(mutant.identity, self.source)
        before, passed = self.known.get(key), dict[str, str]()
        if before is not None and before.outcome in DEAD:
            if before.files.items() <= states.items():
                return before
        elif before is not None:
            passed = before.files
            if states.items() <= passed.items():
                return before
        begin = time.monotonic()
        tests = [t for t in self._tests(mutant) if passed.get(_file(t)) != states[_file(t)]]
        outcome, by = before.outcome if before and passed else "unreached", None
        if tests:
            outcome, by = self._outcome(mutant, tests)
        files = {by: states[by]} if by in states else states
        spent = round(time.monotonic() - begin, 1)
        result = Result(key, self.room(mutant), asdict(mutant), outcome, files, len(tests), spent)
        with self.lock, self.results.open("a") as out:
            out.write(json.dumps(asdict(result)) + "\n")
        return result

    def _tests(self, mutant: Mutant) -> list[str]:
        reach = self.reaches[self.room(mutant)]
        left, tests = TESTS_S, []
        for test in reach.tests(mutant.file, mutant.line):
            left -= reach.seconds[test]
            if left > 0:
                tests.append(test)
        return tests

    def _outcome(self, mutant: Mutant, tests: list[str]) -> tuple[str, str | None]:
        """What becomes of it, and the file of the test that failed, where one did."""
        seconds = self.reaches[self.room(mutant)].seconds
        recompile = self.sources.is_compiled_in(mutant.file, mutant.line)
        limit = SPARE_S + 3 * sum(seconds[t] for t in tests) + COMPILE_S * recompile
        faulty = mutant.applied(self.texts[mutant.file])
        with mutated(self.tree, mutant.file, faulty) as work:
            chosen, log = work / "chosen.json", work / "pytest.log"
            chosen.write_text(json.dumps(tests))
            files = list(dict.fromkeys(map(_file, tests)))
            given = {"MUTATION_TESTS": str(chosen)}
            if not recompile:
                given["MUTATION_MACHINE_CODE"] = str(self.tree)
            code = pytest_in(work, files, given, log, limit)
            if code == 5:
                raise RuntimeError(
                    f"{mutant}: none of its tests were found, see\n{log.read_text()}"
                )
            failed = FAILED.search(log.read_text(errors="replace"))
        if code is None:
            return "timeout", None
        return ("killed", failed and failed[1]) if code else ("survived", None)


def _file(test: str) -> str:
    return test.split("::")[0]


def by_file(record: dict[str, Any], files: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A recording of several test files in parts, one for each."""
    parts: dict[str, dict[str, Any]] = {file: {"places": {}, "tests": {}} for file in files}
    for name, test in record["tests"].items():
        part = parts[_file(name)]
        places = part["places"]
        ran = [places.setdefault(record["places"][k], len(places)) for k in test["ran"]]
        part["tests"][name] = {**test, "ran": ran}
    return {f: {"places": list(p["places"]), "tests": p["tests"]} for f, p in parts.items()}


def all_mutants(texts: dict[str, bytes]) -> Iterator[Mutant]:
    """Of all files of the core."""
    for file, text in texts.items():
        if file.startswith("irl_vla/"):
            yield from mutants_of(file, text)


def run(campaign: Campaign, sample: list[Mutant], workers: int, console: Console) -> list[Result]:
    """Results of the sample, in its order. Room by room, those with the slowest tests last; while
    the mutants of one are tried, the tests of the next are recorded."""
    of_room: dict[str, list[Mutant]] = {}
    for mutant in sample:
        of_room.setdefault(campaign.room(mutant), []).append(mutant)
    rooms = sorted(of_room, key=lambda room: (room in SLOW_ROOMS, room))
    recorded: dict[str, Future[None]] = {}
    found: dict[str, Future[Result]] = {}

    def result(mutant: Mutant) -> Result:
        recorded[campaign.room(mutant)].result()
        return campaign.result(mutant)

    bar = Progress(TextColumn("mutants"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   console=console)  # fmt: skip
    with bar, ThreadPoolExecutor(workers) as pool:
        for room, before in zip([*rooms, None], [None, *rooms], strict=True):
            if room is not None:
                recorded[room] = pool.submit(campaign.record, room)
            for mutant in of_room.get(before or "", []):
                found[mutant.identity] = pool.submit(result, mutant)
        for _ in bar.track(as_completed(found.values()), len(found)):
            pass
    return [found[mutant.identity].result() for mutant in sample]


def report(results: list[Result], reasons: dict[str, str], console: Console) -> None:
    """A table of the rooms, every mutant that lives or ran out of time, and the sum."""
    table = Table("room", "mutants", "killed", "share")
    rooms = sorted({r.room for r in results})
    for name in [*rooms, "all"]:
        here = [r for r in results if name in ("all", r.room)]
        dead = sum(r.outcome in DEAD for r in here)
        table.add_row(name, str(len(here)), str(dead), f"{100 * dead / len(here):.0f} %")
    console.print(table)
    for result in sorted(results, key=lambda r: (r.mutant["file"], r.mutant["line"])):
        mutant = Mutant(**result.mutant)
        if result.outcome != "killed":
            reason = reasons.get(mutant.identity)
            said = f"  [believed equivalent: {reason}]" if reason else ""
            console.print(f"{result.outcome:9} {mutant}{said}", markup=False, soft_wrap=True)
    dead = sum(r.outcome in DEAD for r in results)
    console.print(f"{dead} of {len(results)} mutants killed", highlight=False)


def equivalent(path: Path, mutants: list[Mutant]) -> dict[str, str]:
    """Reasons by identity, of the mutants that the file names as they are printed, without line."""
    known: dict[tuple[str, str, str], list[str]] = {}
    for mutant in mutants:
        known.setdefault((mutant.file, mutant.before, mutant.after), []).append(mutant.identity)
    reasons = {}
    for entry in yaml.safe_load(path.read_text()) or []:
        names = known.get((entry["file"], entry["before"], entry["after"]))
        if names is None:
            sys.exit(f"{path.name}: no mutant of {entry['file']} reads {entry['before']} -> "
                     f"{entry['after']}. Remove the entry or write it as it is now.")  # fmt: skip
        reasons.update(dict.fromkeys(names, entry["reason"]))
    return reasons


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", help="draw from these rooms alone, as in camera,drive")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    console = Console()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    tree = refresh(ROOT, SCRATCH)
    campaign = Campaign(SCRATCH, tree, SCRATCH / f"seed_{given.seed}.jsonl")
    if gone := set(VITAL) - campaign.texts.keys():
        sys.exit(
            f"mutants.py: {', '.join(sorted(gone))} in VITAL is not there: what took its place?"
        )
    mutants = list(all_mutants(campaign.texts))
    reasons = equivalent(EQUIVALENT, mutants)
    if given.only:
        mutants = [m for m in mutants if campaign.room(m) in given.only.split(",")]
    sample = drawn(mutants, given.seed, given.count, VITAL_COUNT)
    report(run(campaign, sample, given.workers, console), reasons, console)


if __name__ == "__main__":
    main()
