"""A pickle's instructions, looked through before they are followed.

Python's reader trusts lengths and depths: 300 kB of nested tuples end it in a segmentation fault,
ten bytes make it clear gigabytes for its memo. This scan follows the instructions with nothing but
the depth of each value, so it holds no value at all. What the instructions may *call* is decided
elsewhere (`unpickle.py`). May import: nothing of ours.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from mmap import mmap

MAX_DEPTH = 64  # of values in one another; logs and scenarios need about 12
SPARE_MEMO = 256  # places of the memo that may be left out
STATED = {-2: 1, -3: 4, -4: 4, -5: 8}  # pickletools' TAKEN_FROM..: bytes that state a length
TO_MARK = -1
PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
GETS = {"GET", "BINGET", "LONG_BINGET"}
GROWS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
BARRED = {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "PERSID", "BINPERSID"}

Depth = list[int]  # [depth] of one value, shared by everything that names it


class UnsoundPickle(Exception):
    """Instructions that no writer of plain data gives."""


@dataclass(frozen=True)
class _Step:
    """One instruction. fixed: bytes of its argument; stated: bytes that state how many more follow;
    lines: of text; takes: values from the stack, or TO_MARK; gives: whether it leaves one;
    is_leaf: it leaves a number or a text"""

    name: str
    fixed: int
    stated: int
    lines: int
    takes: int
    gives: bool
    is_leaf: bool
    has_argument: bool
    barred: bool


def _step(op: pickletools.OpcodeInfo) -> _Step:
    before = [item.name for item in op.stack_before]
    length = 0 if op.arg is None else op.arg.n
    lines = 0 if length != pickletools.UP_TO_NEWLINE else 2 if op.name in ("GLOBAL", "INST") else 1
    takes = TO_MARK if "mark" in before else len(before)
    after = [item.name for item in op.stack_after]
    leaf = takes == 0 and bool(after) and after[0] not in ("any", "mark", "list", "dict", "set")
    return _Step(
        op.name, max(length, 0), STATED.get(length, 0), lines, takes, bool(after), leaf,
        op.arg is not None, op.name in BARRED,
    )  # fmt: skip


STEPS = {ord(op.code): _step(op) for op in pickletools.opcodes}


def refuse_unsound(data: mmap | bytes) -> None:
    """Raises UnsoundPickle for a pickle that is cut, nested deeper than MAX_DEPTH, states lengths
    beyond its end, or skips places of its memo."""
    _PickleScan(data).run()


@dataclass
class _PickleScan:
    data: mmap | bytes
    at: int = 0
    stack: list[Depth] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)  # heights of the stack
    memo: dict[int, Depth] = field(default_factory=dict)
    leaf: Depth = field(default_factory=lambda: [0])  # of all numbers and texts

    def run(self) -> None:
        data, size, stack, leaf = self.data, len(self.data), self.stack, self.leaf
        while self.at < size:
            step = STEPS.get(data[self.at])
            if step is None or step.barred:
                raise UnsoundPickle(f"an instruction that plain data never needs, at {self.at}")
            begin = self.at = self.at + 1
            if step.has_argument:
                self._skip(step)
            if step.is_leaf:
                stack.append(leaf)
                continue
            if step.name == "STOP":
                return
            try:
                self._follow(step, begin)
            except (IndexError, KeyError, ValueError):
                raise UnsoundPickle(f"an instruction without what it needs, at {begin}") from None
        raise UnsoundPickle("it is cut short")

    def _skip(self, step: _Step) -> None:
        """Past the argument, which must be there."""
        begin = self.at
        self.at += step.fixed
        if step.stated:
            stated = self.data[begin : begin + step.stated]
            self.at = begin + step.stated + int.from_bytes(stated, "little")
        for _ in range(step.lines):
            end = self.data.find(b"\n", self.at)
            self.at = len(self.data) + 1 if end < 0 else end + 1
        if step.name == "FRAME":  # states how much is read ahead; what it holds is read as usual
            ahead = self.at + int.from_bytes(self.data[begin : self.at], "little")
            if ahead > len(self.data):
                raise UnsoundPickle("it is cut short")
        if self.at > len(self.data):
            raise UnsoundPickle("it is cut short")

    def _follow(self, step: _Step, begin: int) -> None:
        name, stack = step.name, self.stack
        if name == "MARK":
            self.marks.append(len(stack))
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in PUTS or name == "MEMOIZE":
            self._put(len(self.memo) if name == "MEMOIZE" else self._argument(step, begin))
        elif name in GETS:
            stack.append(self.memo[self._argument(step, begin)])
        else:
            self._combine(step)

    def _argument(self, step: _Step, begin: int) -> int:
        text = self.data[begin : self.at]
        return int(text) if step.lines else int.from_bytes(text, "little")

    def _put(self, place: int) -> None:
        if not 0 <= place <= len(self.memo) + SPARE_MEMO:
            raise UnsoundPickle(f"it names place {place} of its memo and fills {len(self.memo)}")
        self.memo[place] = self.stack[-1]

    def _combine(self, step: _Step) -> None:
        """Values from the stack, and one that holds them all onto it."""
        stack = self.stack
        if step.takes == 0:
            if step.gives:
                stack.append([0])
            return
        height = self.marks.pop() if step.takes == TO_MARK else len(stack) - step.takes
        if step.takes == TO_MARK and step.name in GROWS:
            height -= 1  # the value below the mark
        if not 0 <= height <= len(stack):
            raise UnsoundPickle("an instruction without what it needs")
        taken = stack[height:]
        del stack[height:]
        if not step.gives:
            return
        held = taken[1:] if step.name in GROWS else taken
        depth = 1 + max((value[0] for value in held), default=0)
        if depth > MAX_DEPTH:
            raise UnsoundPickle(f"values are nested deeper than {MAX_DEPTH}")
        if step.name in GROWS:
            taken[0][0] = max(taken[0][0], depth)
            stack.append(taken[0])
        else:
            stack.append([depth])
