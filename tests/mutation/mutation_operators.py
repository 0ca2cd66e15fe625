"""What a mutant is, and all mutants of a source file.

A mutant is a file with one small fault, of the kind that people make: `<` for `<=`, `+` for `-`,
`and` for `or`, another number, a condition or a sign the other way round, a bound of a slice or a
statement lost, two arguments exchanged, `sin` for `cos`.

Not mutated, because no test of behaviour should fix them: docstrings, strings and f-strings,
annotations and type aliases, decorators, `__all__`, `zip(strict=)`, imports, assertions, what an
error says (that it is raised is), what is printed or logged, declarations of command-line options.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BOUNDARY: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
OPPOSITE: dict[type, type] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
PAIRS = [("min", "max"), ("minimum", "maximum"), ("any", "all"), ("sin", "cos"), ("floor", "ceil"),
         ("argmin", "argmax"), ("zeros", "ones"), ("radians", "degrees"), ("exp", "log"),
         ("deg2rad", "rad2deg"), ("logical_and", "logical_or")]  # fmt: skip
OTHER = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
TRANSPARENT = {"abs", "fabs", "sqrt", "clip", "round", "hypot"}  # f(x, ..) -> x
SYMMETRIC = {  # exchanged arguments change nothing, or are no value's arguments
    "min", "max", "minimum", "maximum", "fmin", "fmax", "isclose", "allclose", "array_equal",
    "hypot", "logical_and", "logical_or", "gcd", "isinstance", "issubclass", "cast", "getattr",
    "hasattr", "setattr", "partial", "TypeVar", "NewType",
}  # fmt: skip
SILENT = re.compile(
    r"^(print|warnings\.warn|typer\.(Option|Argument|echo)|_?(LOG|log|logger)\.\w+)$"
)
ALIAS = re.compile(  # Either = A | None, Pair = tuple[int, int]
    r".*\| (None|[\w.]*[a-z])|([\w.]*\.)?([A-Z]\w*[a-z]\w*|dict|list|tuple|set)\["
)
LARGE = 10  # integers below count or number something: one more; others measure: twice as much
NUMBERS = {"float", "int", "F64", "F32"}  # annotations of what can be returned with another sign


@dataclass(frozen=True)
class Mutant:
    """One fault. `start`, `end`: bytes of the source that `text` replaces; `scope`: dotted name of
    the class and function around it; `number`: which of those that read alike in this scope."""

    file: str
    line: int
    scope: str
    operator: str
    before: str
    after: str
    number: int
    start: int
    end: int
    text: str

    @property
    def identity(self) -> str:
        """The same for the same fault when other lines of the file have changed."""
        parts = (self.file, self.scope, self.operator, self.before, self.after, str(self.number))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def applied(self, source: bytes) -> bytes:
        """The faulty source."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before}  ->  {self.after}"


Fault = tuple[str, ast.AST, ast.AST]  # operator, what is replaced, by what


def mutants_of(file: str, source: bytes) -> list[Mutant]:
    """All mutants of a file, in the order of its lines."""
    starts = [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    seen: Counter[tuple[str, ...]] = Counter()
    mutants = []
    for scope, returns, node in _places(ast.parse(source), "", None):
        for operator, old, new in _faults(node, returns):
            where: Any = old
            before, after = ast.unparse(old), ast.unparse(new)
            text = f"({after})" if isinstance(new, ast.expr) and not _atom(new) else after
            alike = (scope, operator, before, after)
            start = starts[where.lineno - 1] + where.col_offset
            end = starts[where.end_lineno - 1] + where.end_col_offset
            mutants.append(Mutant(file, where.lineno, scope, operator, before, after, seen[alike],
                                  start, end, text))  # fmt: skip
            seen[alike] += 1
    return sorted(mutants, key=lambda m: (m.start, m.end, m.operator))


def _atom(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, (int, float)) or node.value >= 0
    return isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.List))


def _places(
    node: ast.AST, scope: str, returns: ast.expr | None
) -> Iterator[tuple[str, ast.expr | None, ast.AST]]:
    """(scope, what the function around it returns, node) of all that may be mutated."""
    if _is_left_alone(node, scope):
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        scope = f"{scope}.{node.name}".lstrip(".")
        returns = None if isinstance(node, ast.ClassDef) else node.returns
    else:
        yield scope, returns, node
    if isinstance(node, ast.Raise):
        return
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns", "decorator_list", "bases"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _places(child, scope, returns)


def _is_left_alone(node: ast.AST, scope: str) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assert, ast.JoinedStr)):
        return True
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, (bool, int, float))
    if isinstance(node, ast.Call):
        return bool(SILENT.match(ast.unparse(node.func)))
    if isinstance(node, ast.Expr):  # a docstring, or a call that is left alone
        return isinstance(node.value, ast.Constant) or _is_left_alone(node.value, scope)
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    if isinstance(node, ast.If):
        return ast.unparse(node.test).startswith(("TYPE_CHECKING", "__name__"))
    if isinstance(node, ast.Assign) and not scope:
        return ast.unparse(node.targets[0]) == "__all__" or bool(
            ALIAS.match(ast.unparse(node.value))
        )
    return False


def _faults(node: ast.AST, returns: ast.expr | None) -> Iterator[Fault]:
    if isinstance(node, ast.Compare):
        yield from _compare(node)
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        yield from _arithmetic(node)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boolean", node, ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp):
        yield "sign" if isinstance(node.op, ast.USub) else "boolean", node, node.operand
    elif isinstance(node, ast.Constant):
        yield "number", node, ast.Constant(_another(node.value))
    elif isinstance(node, (ast.If, ast.IfExp)) and not _has_an_opposite(node.test):
        yield "branch", node.test, ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield from _slice(node, node.slice)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        yield from _slices(node, node.slice)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.Return):
        yield from _return(node, returns)
    yield from _statement(node)


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int) and value < LARGE:
        return value + 1
    return 2 * value if value else 1.0


def _compare(node: ast.Compare) -> Iterator[Fault]:
    for k, operator in enumerate(node.ops):
        for name, table in (("boundary", BOUNDARY), ("comparison", OPPOSITE)):
            if type(operator) in table:
                ops = [*node.ops[:k], table[type(operator)](), *node.ops[k + 1 :]]
                yield name, node, ast.Compare(node.left, ops, node.comparators)


def _arithmetic(node: ast.BinOp | ast.AugAssign) -> Iterator[Fault]:
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    if any(isinstance(s, (ast.JoinedStr, ast.List, ast.Tuple)) or _is_text(s) for s in sides):
        return
    if isinstance(node.op, ast.MatMult) and isinstance(node, ast.BinOp):
        yield "arithmetic", node, ast.BinOp(node.right, node.op, node.left)
    elif type(node.op) in ARITHMETIC:
        other = ARITHMETIC[type(node.op)]()
        if isinstance(node, ast.BinOp):
            yield "arithmetic", node, ast.BinOp(node.left, other, node.right)
        else:
            yield "arithmetic", node, ast.AugAssign(node.target, other, node.value)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def _has_an_opposite(test: ast.expr) -> bool:
    """Whether another operator turns this condition round."""
    return isinstance(test, ast.UnaryOp) or (isinstance(test, ast.Compare) and len(test.ops) == 1)


def _slice(node: ast.Subscript, cut: ast.Slice) -> Iterator[Fault]:
    for name in ("lower", "upper", "step"):
        if getattr(cut, name) is not None:
            parts = {"lower": cut.lower, "upper": cut.upper, "step": cut.step, name: None}
            yield "slice", node, ast.Subscript(node.value, ast.Slice(**parts), node.ctx)


def _slices(node: ast.Subscript, cuts: ast.Tuple) -> Iterator[Fault]:
    for k, cut in enumerate(cuts.elts):
        if isinstance(cut, ast.Slice):
            for _, _, new in _slice(node, cut):
                assert isinstance(new, ast.Subscript)
                elements = [*cuts.elts[:k], new.slice, *cuts.elts[k + 1 :]]
                whole = ast.Tuple(elements, ast.Load())
                yield "slice", node, ast.Subscript(node.value, whole, node.ctx)


def _call(node: ast.Call) -> Iterator[Fault]:
    name = ast.unparse(node.func).split(".")[-1]
    if name in OTHER:
        renamed = (
            ast.Name(OTHER[name], ast.Load())
            if isinstance(node.func, ast.Name)
            else ast.Attribute(_value_of(node.func), OTHER[name], ast.Load())
        )
        yield "function", node, ast.Call(renamed, node.args, node.keywords)
    if name in TRANSPARENT and node.args:
        yield "function", node, node.args[0]
    if name in SYMMETRIC or any(isinstance(a, ast.Starred) for a in node.args):
        return
    for k, (a, b) in enumerate(zip(node.args, node.args[1:], strict=False)):
        if ast.unparse(a) != ast.unparse(b):
            args = [*node.args[:k], b, a, *node.args[k + 2 :]]
            yield "arguments", node, ast.Call(node.func, args, node.keywords)


def _value_of(node: ast.expr) -> ast.expr:
    assert isinstance(node, ast.Attribute)
    return node.value


def _return(node: ast.Return, returns: ast.expr | None) -> Iterator[Fault]:
    if node.value is None or returns is None or isinstance(node.value, ast.Constant):
        return
    kind = ast.unparse(returns)
    if kind == "bool" and not _has_an_opposite(node.value):
        yield "return", node.value, ast.UnaryOp(ast.Not(), node.value)
    elif kind in NUMBERS and not isinstance(node.value, ast.UnaryOp):
        yield "return", node.value, ast.UnaryOp(ast.USub(), node.value)
    elif kind.endswith("| None"):
        yield "return", node.value, ast.Constant(None)


def _statement(node: ast.AST) -> Iterator[Fault]:
    """Lost statements: calls for their effect, changes of a value in place, errors, ways out."""
    lost = isinstance(node, (ast.Raise, ast.AugAssign))
    lost |= isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    lost |= isinstance(node, ast.Return) and node.value is None
    if isinstance(node, ast.Assign):
        lost |= isinstance(node.targets[0], (ast.Attribute, ast.Subscript))
    if lost:
        yield "statement", node, ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "statement", node, ast.Break()
    elif isinstance(node, ast.Break):
        yield "statement", node, ast.Continue()
