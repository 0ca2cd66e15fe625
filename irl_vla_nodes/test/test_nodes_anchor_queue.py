"""Anchors wait for what they need and are worked on in order; no ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from irl_vla_nodes.alarm import Alarm
from irl_vla_nodes.anchor_queue import LOOK_S, AnchorQueue


class Desk:
    """A queue of numbers; those above `ready` are early."""

    def __init__(self, latest_only: bool = False) -> None:
        self.ready = 0
        self.done: list[int] = []
        self.rings: list[float] = []
        self.arrived: list[int] = []  # taken in by the next draining
        self.queue = AnchorQueue(
            self.drain, lambda n: n > self.ready, self.done.append, self.alarm, latest_only
        )

    def drain(self) -> None:
        arrived, self.arrived = self.arrived, []
        for number in arrived:
            self.queue.add(number)

    def alarm(self, work: Callable[[], None]) -> Alarm:
        self.work = work
        return cast(Alarm, self)

    def ring_in(self, seconds: float) -> None:
        self.rings.append(seconds)


def test_an_early_anchor_waits_and_is_looked_at_again() -> None:
    desk = Desk()
    desk.queue.add(1)
    assert desk.done == [] and desk.rings == [LOOK_S]
    desk.ready = 1
    desk.work()
    assert desk.done == [1] and desk.rings == [LOOK_S], "nobody waits any more"


def test_none_overtakes_one_that_waits() -> None:
    desk = Desk()
    desk.ready = 1
    for number in (2, 1):
        desk.queue.add(number)
    assert desk.done == []
    desk.ready = 2
    desk.queue.go()
    assert desk.done == [2, 1]


def test_what_is_drained_joins_the_queue_and_is_worked_on_once() -> None:
    desk = Desk()
    desk.ready, desk.arrived = 9, [2, 3]
    desk.queue.add(1)
    assert desk.done == [1, 2, 3]


def test_an_older_one_is_left_out_only_for_one_that_can_be_worked_on() -> None:
    for latest_only, expected in ((False, [1, 2]), (True, [2])):
        desk = Desk(latest_only)
        desk.ready, desk.arrived = 2, [2, 3]
        desk.queue.add(1)
        assert desk.done == expected and desk.rings == [LOOK_S]


def test_after_a_failure_and_after_forgetting_it_works_again() -> None:
    desk = Desk()
    desk.queue.add(5)
    desk.queue.clear()
    desk.ready = 9
    desk.queue.go()
    assert desk.done == []

    def fail(number: int) -> None:
        raise OSError(number)

    broken = AnchorQueue(lambda: None, lambda n: n < 0, fail, desk.alarm)
    for _ in range(2):
        try:
            broken.add(1)
        except OSError:
            continue
        raise AssertionError("the failure was swallowed")
