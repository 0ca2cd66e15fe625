"""A node that dies is started again, until it has died a few times of the same reason: then it is
said, and left. Imports `launch` alone (see graph.py)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from launch.actions import OpaqueFunction, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.logging import get_logger
from launch_ros.actions import Node

from launch import LaunchContext

RESPAWN_S = 0.2  # before a dead node is started again
SAME_DEATHS = 3  # of one reason, in a row: the next would be the same
LONG_S = 60.0  # a node that has lived so long starts with a clean slate
STAMP = re.compile(r"\[\d+\.\d+\] ?")


class Restart:
    """One node and its successors. make: a new launch action of it; lost: what to do when it is
    given up, for a sentence."""

    def __init__(
        self, name: str, make: Callable[[], Node], lost: Callable[[str], list[Any]]
    ) -> None:
        self._name, self._make, self._lost = name, make, lost
        self._last_line, self._was_active, self._begin_s = "", False, 0.0
        self._deaths: list[tuple[int, str]] = []  # the last ones, all the same

    def actions(self) -> list[Any]:
        """The node, watched."""
        node = self._make()
        self._last_line, self._was_active, self._begin_s = "", False, time.monotonic()
        return [
            RegisterEventHandler(OnProcessIO(target_action=node, on_stderr=self._heard)),
            RegisterEventHandler(OnProcessExit(target_action=node, on_exit=self._ended)),
            node,
        ]

    def _heard(self, event: ProcessIO) -> None:
        lines = event.text.decode("utf-8", "replace").strip().splitlines()
        self._last_line = STAMP.sub("", lines[-1]) if lines else self._last_line
        self._was_active = self._was_active or any(line.endswith("is active") for line in lines)

    def _ended(self, event: ProcessExited, context: LaunchContext) -> list[Any] | None:
        if context.is_shutdown:
            return None
        reason = self._noted(event.returncode)
        if len(self._deaths) < SAME_DEATHS:
            return [TimerAction(period=RESPAWN_S, actions=self.actions())]
        text = f"{self._name} died {SAME_DEATHS} times of the same reason and is given up: {reason}"
        get_logger("launch").error(text)
        return self._lost(text)

    def _noted(self, code: int) -> str:
        """Count a death; its reason. Who was active and is killed from outside has none of its
        own."""
        killed = code < 0 and self._was_active
        if killed or time.monotonic() - self._begin_s > LONG_S:
            self._deaths.clear()
            return ""
        death = (code, self._last_line if code > 0 else "")
        self._deaths = [*(old for old in self._deaths if old == death), death]
        return f"exit code {code}: {self._last_line}"


def failed(reason: str) -> OpaqueFunction:
    """An action that ends the launch with exit code 1 and the reason."""

    def work(_: LaunchContext) -> None:
        raise RuntimeError(reason)

    return OpaqueFunction(function=work)


def after(process: Any, name: str, then: list[Any]) -> RegisterEventHandler:
    """What to do when a process has done its work; where it fails the launch fails."""

    def ended(event: ProcessExited, context: LaunchContext) -> list[Any] | None:
        if context.is_shutdown:
            return None
        if event.returncode == 0:
            return then
        return [failed(f"{name} ended with exit code {event.returncode}; its last lines say why")]

    return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=ended))
