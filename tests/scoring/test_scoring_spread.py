"""Work that is spread over processes: the same results, and no lost ones."""

from __future__ import annotations

import os
import signal

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
