"""How much memory a piece of code takes at most, in a Python of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SLACK = 300 * 2**20  # [B] of Python, numpy and whatever else is imported
# not getrusage: its maximum begins with that of the process that started this one
PEAK = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def peak_bytes(code: str, *words: str | Path) -> int:
    """Largest resident memory of a fresh Python that runs `code`, which must not fail."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{PEAK}", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024
