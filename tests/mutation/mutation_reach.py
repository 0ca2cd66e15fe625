"""Which tests reach a line, from what a recording (mutation_plugin.py) saw and the sources say.

A plain function is reached by the tests that ran it. What no trace sees (compiled functions,
constants, fields of classes, what runs in a child process) is reached by the tests that reach
whatever mentions its name, and so on.
"""

from __future__ import annotations

import ast
import bisect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

COMPILED = re.compile(r"kernel|jit|vectorize")  # decorators of what numba compiles
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, eq=False)
class Definition:
    """A function, a method, or a statement of a module or class.

    names: by which others mention it    plain: a Python function
    """

    file: str
    first: int
    last: int
    names: frozenset[str]
    plain: bool
    words: frozenset[str]


def definitions_of(file: str, source: bytes) -> list[Definition]:
    """All definitions of a file, in the order of its lines."""
    return list(_definitions(file, ast.parse(source).body, frozenset()))


def _definitions(
    file: str, body: Iterable[ast.stmt], owner: frozenset[str]
) -> Iterator[Definition]:
    for node in body:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        if isinstance(node, ast.ClassDef):
            yield from _definitions(file, node.body, frozenset({node.name}))
            continue
        plain = isinstance(node, Function)
        names = {node.name} if isinstance(node, Function) else {*_assigned(node), *owner}
        plain &= not any(COMPILED.search(ast.unparse(d)) for d in decorators)
        yield Definition(file, first, node.end_lineno or first, frozenset(names), plain,
                         frozenset(_words(node)) - names)  # fmt: skip


def _assigned(node: ast.stmt) -> Iterator[str]:
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    for target in targets:
        for part in ast.walk(target) if target is not None else ():
            if isinstance(part, ast.Name):
                yield part.id


def _words(node: ast.stmt) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


class Sources:
    """All definitions of the project, by place and by the names that they mention."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self.files = {file: definitions_of(file, text) for file, text in sources.items()}
        self.mentions: dict[str, list[Definition]] = defaultdict(list)
        for definitions in self.files.values():
            for definition in definitions:
                for word in definition.words:
                    self.mentions[word].append(definition)

    def at(self, file: str, line: int) -> Definition | None:
        """What this line belongs to."""
        definitions = self.files.get(file, [])
        k = bisect.bisect_right([d.first for d in definitions], line) - 1
        return definitions[k] if k >= 0 and line <= definitions[k].last else None

    def mentioning(self, definition: Definition) -> list[Definition]:
        """Whatever mentions one of its names."""
        return [m for name in definition.names for m in self.mentions[name]]

    def is_compiled_in(self, file: str, line: int) -> bool:
        """Whether machine code may hold what this line says: it is of a kernel or of a constant,
        or of a function that one of these mentions."""
        here = self.at(file, line)
        return here is None or not here.plain or any(not m.plain for m in self.mentioning(here))


@dataclass(frozen=True)
class Reach:
    """Which tests of a room reach which definition, and how long each takes [CPU s]."""

    sources: Sources
    seconds: dict[str, float]
    ran: dict[Definition, set[str]]

    @staticmethod
    def of(records: Iterable[Mapping[str, Any]], sources: Sources) -> Reach:
        """From recordings. Tests that failed or were skipped then are left out."""
        ran: dict[Definition, set[str]] = defaultdict(set)
        seconds = {}
        for record in records:
            places = [place.rpartition(":") for place in record["places"]]
            definitions = [sources.at(file, int(line)) for file, _, line in places]
            for name, test in record["tests"].items():
                if test["passed"]:
                    seconds[name] = float(test["seconds"])
                    for k in test["ran"]:
                        if (definition := definitions[k]) is not None:
                            ran[definition].add(name)
        return Reach(sources, seconds, ran)

    def tests(self, file: str, line: int) -> list[str]:
        """All tests that reach this line: file by file (so that what a file's tests share is made
        once), the quick ones first."""
        here = self.sources.at(file, line)
        if here is None or not here.names:
            found = {t for d in self.sources.files[file] for t in self.ran.get(d, ())}
        else:
            found = self._reaching(here)
        spent: dict[str, float] = defaultdict(float)
        for name in found:
            spent[name.split("::")[0]] += self.seconds[name]
        return sorted(found, key=lambda n: (spent[n.split("::")[0]], n.split("::")[0],
                                            self.seconds[n], n))  # fmt: skip

    def _reaching(self, start: Definition) -> set[str]:
        found: set[str] = set()
        seen, open_ = {start}, [start]
        while open_:
            here = open_.pop()
            ran = self.ran.get(here, set())
            found |= ran
            if not (here.plain and ran):
                new = [m for m in self.sources.mentioning(here) if m not in seen]
                seen.update(new)
                open_ += new
        return found
