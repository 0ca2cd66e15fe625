"""pytest's side of mutation testing, loaded with `-p mutation_plugin`; environment variables:

MUTATION_RECORD=FILE   writes which functions each test runs: in its own calls, in the fixtures it
                       uses, and behind the caches (`functools.cache`) that it finds filled.
MUTATION_TESTS=FILE    runs only the tests that this JSON list names, in its order.
MUTATION_CPU_S=N       ends after N seconds of CPU time.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from hypothesis import settings
from numba.core import event

ROOT = Path.cwd()
MEMORY_BYTES = 12 << 30  # of address space; a mutant that eats more dies
Ran = dict[int, CodeType]  # by id: hashing code objects is slow

settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
settings.load_profile("mutation")
resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
if "MUTATION_CPU_S" in os.environ:
    CPU_S = int(os.environ["MUTATION_CPU_S"])
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))


class _Untraced(event.Listener):  # type: ignore[misc]
    """Takes the trace away while numba compiles, which would take several times as long."""

    def __init__(self, trace: Callable[..., None]) -> None:
        self.trace, self.depth = trace, 0

    def on_start(self, event: Any) -> None:
        self.depth += 1
        sys.settrace(None)

    def on_end(self, event: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            sys.settrace(self.trace)


class Recorder:
    """Collects the functions that run, under the name of whoever makes them run."""

    def __init__(self) -> None:
        self.imported: Ran = {}  # while tests were collected: every test may rest on it
        self.current = self.imported
        self.fixtures: dict[str, Ran] = {}
        self.own: dict[str, Ran] = {}
        self.tests: dict[str, dict[str, Any]] = {}
        sys.settrace(self._trace)
        threading.settrace(self._trace)
        event.register("numba:compile", _Untraced(self._trace))

    def _trace(self, frame: FrameType, what: str, arg: object) -> None:
        code = frame.f_code
        if id(code) not in self.current:
            self.current[id(code)] = code

    @contextmanager
    def into(self, ran: Ran) -> Generator[None, None, None]:
        before, self.current = self.current, ran
        try:
            yield
        finally:
            self.current = before

    def caching(self, lru_cache: Callable[..., Any]) -> Callable[..., Any]:
        """`functools.lru_cache` under which a hit counts as running what filled the cache."""

        def decorator(maxsize: Any = 128, typed: bool = False) -> Any:
            if callable(maxsize):
                return self._cached(maxsize, lru_cache(128, typed))
            return lambda function: self._cached(function, lru_cache(maxsize, typed))

        return decorator

    def _cached(self, function: Callable[..., Any], cache: Callable[..., Any]) -> Any:
        code = getattr(function, "__code__", None)
        if code is None or not code.co_filename.startswith(f"{ROOT}/"):
            return cache(function)
        behind: Ran = {}

        def fill(*args: Any, **options: Any) -> Any:
            with self.into(behind):
                return function(*args, **options)

        filled = cache(fill)

        @functools.wraps(function)
        def ask(*args: Any, **options: Any) -> Any:
            answer = filled(*args, **options)
            if self.current is not behind:
                self.current.update(behind)
            return answer

        ask.cache_clear, ask.cache_info = filled.cache_clear, filled.cache_info  # type: ignore
        return ask

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        with self.into(self.own.setdefault(item.nodeid, {})):
            begin = sum(os.times()[:4])
            answer = yield
            self.tests[item.nodeid]["seconds"] = sum(os.times()[:4]) - begin
            return answer

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        with self.into(self.fixtures.setdefault(fixturedef.argname, {})):
            return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            names = list(getattr(item, "fixturenames", []))
            self.tests[item.nodeid] = {"fixtures": names, "seconds": 0.0, "passed": True}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tests[report.nodeid]["passed"] &= report.passed

    def pytest_sessionfinish(self) -> None:
        sys.settrace(None)
        places: dict[str, int] = {}
        for name, test in self.tests.items():
            ran = self.own.get(name, {}) | self.imported
            for fixture in test.pop("fixtures"):
                ran |= self.fixtures.get(fixture, {})
            ours = {place for code in ran.values() if (place := _place(code))}
            test["ran"] = sorted(places.setdefault(place, len(places)) for place in ours)
        record = {"places": list(places), "tests": self.tests}
        Path(os.environ["MUTATION_RECORD"]).write_text(json.dumps(record), encoding="utf-8")


def _place(code: CodeType) -> str:
    """file:line of a function of ours, relative to the root; empty for others, and for the bodies
    of modules and classes, which run once however many tests rest on them."""
    path, root = code.co_filename, f"{ROOT}/"
    if not path.startswith(root) or not code.co_flags & inspect.CO_NEWLOCALS:
        return ""
    return f"{path.removeprefix(root)}:{code.co_firstlineno}"


class Chosen:
    """Runs the chosen tests alone, in the given order."""

    def __init__(self, names: list[str]) -> None:
        self.rank = {name: k for k, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.rank),
            key=lambda item: self.rank[item.nodeid],
        )


def pytest_configure(config: pytest.Config) -> None:
    if "MUTATION_TESTS" in os.environ:
        names = json.loads(Path(os.environ["MUTATION_TESTS"]).read_text(encoding="utf-8"))
        config.pluginmanager.register(Chosen(names))
    elif RECORDER is not None:
        config.pluginmanager.register(RECORDER)


RECORDER = Recorder() if "MUTATION_RECORD" in os.environ else None
if RECORDER is not None:  # before anything of ours is imported
    functools.lru_cache = RECORDER.caching(functools.lru_cache)  # type: ignore[assignment]
