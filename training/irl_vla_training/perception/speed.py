"""How to compute on this machine: measured at the start of a run, not assumed.

bfloat16 is faster only where the processor has instructions for it, channels_last only for some
networks. A run keeps its choice, so that it goes on with the same numbers after an interruption.
May import: torch, eyes, dropout, irl_vla_training's recipe and samples.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from time import perf_counter

import torch
from torch import nn

REPEATS = 2  # of which the faster counts, after one to warm up


@dataclass(frozen=True)
class Precision:
    """bf16: autocast to bfloat16; channels_last: layout of pictures and filters."""

    bf16: bool
    channels_last: bool

    @staticmethod
    def of(name: str) -> Precision:
        """By its name in recipes."""
        parts = name.split("+")
        return Precision("bf16" in parts, "channels_last" in parts)

    @property
    def name(self) -> str:
        """As in recipes."""
        parts = [name for name, on in asdict(self).items() if on]
        return "+".join(parts) or "fp32"

    def context(self, device: str) -> AbstractContextManager[object]:
        """In which networks are called."""
        return torch.autocast(device, torch.bfloat16) if self.bf16 else nullcontext()

    def lay_out(self, net: nn.Module) -> None:
        """Filters of the network in this layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        net.to(memory_format=layout)  # type: ignore[call-overload]  # torch types one overload less


def fastest(
    net: nn.Module, device: str, step: Callable[[Precision], None]
) -> tuple[Precision, dict[str, float]]:
    """Of the four combinations; and what each took [s]. step: forward and backward, no update; it
    must leave the weights as they are."""
    took = {}
    for precision in (Precision(b, c) for b in (False, True) for c in (False, True)):
        precision.lay_out(net)
        step(precision)
        times = []
        for _ in range(REPEATS):
            begin = perf_counter()
            step(precision)
            times.append(perf_counter() - begin)
        took[precision] = min(times)
    best = min(took, key=took.__getitem__)
    best.lay_out(net)
    return best, {precision.name: round(seconds, 4) for precision, seconds in took.items()}
