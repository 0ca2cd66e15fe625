"""Mutants: which faults are made of a source, and which are not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mutation_operators import mutants_of

CORE = Path(__file__).parents[2] / "irl_vla"


def faults(source: str) -> set[str]:
    """after of all mutants of a source."""
    return {mutant.after for mutant in mutants_of("a.py", source.encode())}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a is None", {"a is not None"}),
        ("c * (a - b)", {"c / (a - b)", "a + b"}),
        ("m @ n", {"n @ m"}),
        ("x += y", {"x -= y", "pass"}),
        ("a and b", {"a or b"}),
        ("x = -a", {"a"}),
        ("x = 2", {"3"}),
        ("x = 60", {"120"}),
        ("x = 0.25", {"0.5"}),
        ("x = 0.0", {"1.0"}),
        ("x = True", {"False"}),
        ("x = a if good(b) else c", {"not good(b)"}),
        ("x[a:b]", {"x[:b]", "x[a:]"}),
        ("x[..., ::s]", {"x[..., :]"}),
        ("x = f(a, b, c)", {"f(b, a, c)", "f(a, c, b)"}),
        ("x = np.minimum(a, b)", {"np.maximum(a, b)"}),
        ("x = abs(a)", {"a"}),
        ("x.append(a)", {"pass"}),
        ("self.x = a", {"pass"}),
        ("def f() -> bool:\n    return g()", {"not g()"}),
        ("def f() -> float:\n    return g()", {"-g()"}),
        ("def f() -> A | None:\n    return g()", {"None"}),
        ("while a:\n    break", {"continue"}),
        ("raise A(1 + 2)", {"pass"}),
    ],
)
def test_a_fault_is_made_of(source: str, expected: set[str]) -> None:
    assert faults(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Text, 1 < 2."""',
        "x: Literal[1] | None = y",
        "Pair = tuple[int, Literal[2]]",
        "Either = np.ndarray | None",
        "@wraps(f, 1)\ndef f(x: A | B) -> A | B: ...",
        "__all__ = [1]",
        "x = f'{a + 1}'",
        "x = 'a' + b",
        "x = zip(a, strict=True)",
        "assert a < b",
        "_LOG.info(1)",
        "print(a + b)",
        "x = typer.Option(1, a, b)",
        "if TYPE_CHECKING:\n    x = 1",
    ],
)
def test_nothing_is_made_of(source: str) -> None:
    assert faults(source) == set()


def test_every_mutant_is_another_program_and_has_a_name_of_its_own() -> None:
    for file in ("frames.py", "camera/camera.py", "scoring/collision.py", "drive/history.py"):
        source = (CORE / file).read_bytes()
        mutants = mutants_of(file, source)
        whole = ast.dump(ast.parse(source))
        assert len({m.identity for m in mutants}) == len(mutants) > 20
        for mutant in mutants[::5]:
            assert ast.dump(ast.parse(mutant.applied(source))) != whole, mutant


def test_what_is_replaced_keeps_its_brackets() -> None:
    source = b"x = a ** (b - c) ** d"
    results = {eval(m.applied(source)[4:], {"a": 2, "b": 5, "c": 2, "d": 2})
               for m in mutants_of("a.py", source)}  # fmt: skip
    assert results == {2 ** ((5 - 2) * 2), 2 ** (7**2), 2 * 3**2}


def test_a_mutant_keeps_its_name_when_other_lines_change() -> None:
    before = mutants_of("a.py", b"def f():\n    return a < b or a < b\n")
    moved = b"import a\n\ndef g():\n    return a < b\n\ndef f():\n    return a < b or a < b\n"
    after = [m for m in mutants_of("a.py", moved) if m.scope == "f"]
    assert [m.identity for m in before] == [m.identity for m in after]
    assert len({m.identity for m in before}) == 5


def test_characters_of_several_bytes_shift_nothing() -> None:
    source = "x = 'µ', a < b".encode()
    assert {m.applied(source).decode() for m in mutants_of("a.py", source)} == {
        "x = 'µ', (a <= b)", "x = 'µ', (a >= b)",
    }  # fmt: skip
