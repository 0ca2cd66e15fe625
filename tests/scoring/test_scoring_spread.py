"""Work that is spread over processes: the same results, and no lost ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irl_vla.scoring.spread import spread
from irl_vla.types import InputError


class Tenfold:
    """Work that makes something once: here, how often it was asked in this process."""

    asked = 0

    def __call__(self, unit: int) -> tuple[int, int, int]:
        self.asked += 1
        return 10 * unit, os.getpid(), self.asked


def killed_by_three(unit: int) -> int:
    if unit == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_unit_is_done_once_wherever_it_is_done(jobs: int) -> None:
    results = list(spread(range(20), Tenfold(), jobs))
    assert sorted(result for result, _, _ in results) == list(range(0, 200, 10))
    assert len({process for _, process, _ in results}) <= jobs


def test_work_stays_in_its_process_from_unit_to_unit() -> None:
    work = Tenfold()
    results = list(spread(range(20), work, 2))
    asked = {process: 0 for _, process, _ in results}
    for _, process, count in results:
        asked[process] = max(asked[process], count)
    assert sum(asked.values()) == 20 and work.asked == 0


def test_a_killed_process_is_said_and_not_waited_for() -> None:
    with pytest.raises(InputError, match=r"one of 2 processes was killed.*fewer --jobs"):
        list(spread(range(8), killed_by_three, 2))


def test_whoever_stops_early_does_not_wait_for_the_rest() -> None:
    results = spread(range(8), Tenfold(), 2)
    assert next(results)[0] % 10 == 0
    results.close()


PARENT = """
import os, signal, time
from irl_vla.scoring.spread import spread

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this

def work(unit):
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(100)

for _ in spread(range(4), work, 2):
    pass
"""


def parent_with_two_workers() -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    return process, [int(process.stdout.readline()) for _ in range(2)]


def gone(pid: int) -> bool:
    """Dead, or dead and not buried yet."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] in "ZX"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_workers_die_with_their_parent(how: signal.Signals) -> None:
    process, workers = parent_with_two_workers()
    begin = time.monotonic()
    process.send_signal(how)
    process.wait(timeout=20)
    while not all(map(gone, workers)) and time.monotonic() - begin < 20:
        time.sleep(0.05)
    assert all(map(gone, workers))
    assert time.monotonic() - begin < 2.0 or os.getloadavg()[0] > (os.cpu_count() or 1)
