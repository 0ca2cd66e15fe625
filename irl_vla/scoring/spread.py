"""One piece of work for many units: in this process, in several, or over machines with Ray.

    for result in spread(units, work, jobs=2): ...

`work` reaches each process once and stays there: what it makes at its first call serves all later
units of that process. Results come as they are finished and do not depend on where they were made.
Processes die with their parent, also by `kill -9`; whoever stops early waits for none of them.
May import: types.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from irl_vla.types import InputError

T = TypeVar("T")
R = TypeVar("R")


def spread(
    units: Sequence[T], work: Callable[[T], R], jobs: int = 1, ray: str | None = None
) -> Iterator[R]:
    """`work` of every unit, in any order. jobs: processes here; ray: "local" or the address of a
    cluster ("auto": the one of this machine), then `jobs` is the number of its workers.

    Raises InputError where a process was killed, Ray is not installed or its cluster not there.
    """
    if ray is not None:
        yield from _over_ray(units, work, max(jobs, 1), ray)
    elif jobs <= 1 or len(units) <= 1:
        yield from map(work, units)
    else:
        yield from _in_processes(units, work, min(jobs, len(units)))


_work: Callable[[Any], Any] | None = None  # of this process, set once by `_start`


PR_SET_PDEATHSIG = 1  # of prctl(2)


def _start(work: Callable[[Any], Any], parent: int) -> None:
    """In a new process: it dies with its parent, whatever ends that, and leaves Ctrl-C to it."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be said
        os._exit(1)


def _do(unit: Any) -> Any:
    assert _work is not None
    return _work(unit)


def _in_processes(units: Sequence[T], work: Callable[[T], R], jobs: int) -> Iterator[R]:
    # Forked children share what the parent has read: compiled code, maps, `work` itself.
    context = multiprocessing.get_context("fork")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, context, _start, (work, os.getpid()))
    finished = False
    try:
        for done in as_completed([pool.submit(_do, unit) for unit in units]):
            yield done.result()
        finished = True
    except BrokenProcessPool:
        raise _killed(jobs) from None
    finally:  # whoever stops early waits for nothing: units are whole or not done
        if not finished:
            for worker in set(multiprocessing.active_children()) - before:
                worker.kill()
        pool.shutdown(wait=finished, cancel_futures=True)


def _killed(jobs: int) -> InputError:
    return InputError(
        f"one of {jobs} processes was killed, probably for want of memory. What was kept "
        "of finished work is used again: run the same command with fewer --jobs"
    )


class _Worker:
    """What lives in a process of Ray."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def do(self, unit: Any) -> Any:
        return self._work(unit)


def _over_ray(units: Sequence[T], work: Callable[[T], R], jobs: int, address: str) -> Iterator[R]:
    try:
        import ray
        from ray.util import ActorPool
    except ImportError:
        raise InputError("--ray needs Ray: pip install 'irl-vla[ray]' on every machine") from None
    try:
        if address == "local":
            ray.init(num_cpus=jobs, ignore_reinit_error=True, log_to_driver=False)
        else:
            ray.init(address=address, ignore_reinit_error=True)
    except ConnectionError as error:
        raise InputError(f"--ray {address}: no Ray cluster answers there ({error})") from None
    try:
        remote, shared = ray.remote(_Worker), ray.put(work)
        pool = ActorPool([remote.remote(shared) for _ in range(jobs)])
        yield from pool.map_unordered(lambda actor, unit: actor.do.remote(unit), units)
    except ray.exceptions.RayActorError:
        raise _killed(jobs) from None
    finally:
        ray.shutdown()
