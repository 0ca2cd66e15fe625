"""A page in a real browser without a window: Chromium's DevTools protocol over its pipe, so that no
port and no package is needed (https://chromedevtools.github.io/devtools-protocol)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-first-run",
    "--remote-debugging-pipe",
)  # fmt: skip
KEYS = {" ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}
SHIFT = 8


def browser() -> str | None:
    """The browser's command, None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Page:
    """One page. events: what the browser reported, such as requests and console errors."""

    def __init__(self, file: Path, width: int = 1280, height: int = 900, at: str = "") -> None:
        command = browser()
        assert command is not None
        self._profile = mkdtemp(prefix="irl-vla-browser-")
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()

        def pipes() -> None:  # the browser reads from 3 and writes to 4
            a, b = os.dup(theirs), os.dup(ours)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self._process = subprocess.Popen(
            [command, *FLAGS, f"--user-data-dir={self._profile}"], preexec_fn=pipes,
            close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs)
        os.close(ours)
        self.events: list[dict[str, Any]] = []
        self._rest, self._count, self._session = b"", 0, None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        self.resize(width, height)
        self._call("Page.navigate", url=f"file://{file}{at}")
        self._wait("Page.loadEventFired")

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._profile, ignore_errors=True)

    def resize(self, width: int, height: int) -> None:
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)  # fmt: skip

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        done = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def press(self, key: str, shift: bool = False) -> None:
        code = {"key": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": SHIFT * shift}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, **code)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self) -> list[str]:
        """Errors of scripts and of the console, and requests that leave the file."""
        found = []
        for event in self.events:
            method, what = event["method"], event["params"]
            if method == "Network.requestWillBeSent":
                url = what["request"]["url"]
                if not url.startswith(("file:", "data:", "about:")):
                    found.append(f"request {url}")
            elif method == "Runtime.exceptionThrown" or (
                method == "Log.entryAdded" and what["entry"]["level"] == "error"
            ):
                found.append(json.dumps(what)[:300])
        return found

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _wait(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._from, 1 << 16)
            assert more, "the browser has gone"
            self._rest += more
        line, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(line))
