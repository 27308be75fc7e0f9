"""A headless Chromium that shows pages and is asked questions, by the DevTools protocol over two pipes.

No port is opened and no driver is needed: messages are JSON, each ended by a NUL byte
(https://chromedevtools.github.io/devtools-protocol). It is found by `BURST_CHROMIUM`, else by PATH.
"""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ANSWER_SECONDS = 60.0
_TRAMPOLINE = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads its orders from descriptor 3 and answers on 4."""
_OPTIONS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"),
    *("--disable-dev-shm-usage", "--disable-breakpad", "--no-default-browser-check"),
)


def find_program() -> str | None:
    """The program; None where this machine has none."""
    named = os.environ.get("BURST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One Chromium with one page."""

    def __init__(self, process: subprocess.Popen[bytes], orders: int, answers: int) -> None:
        self._process = process
        self._orders = orders
        self._answers = answers
        self._received = b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.requests: list[str] = []
        """Every address that the page asked for, the page's own first."""

    def attach(self) -> None:
        """Take the first page."""
        pages = self._ask("Target.getTargets")["targetInfos"]
        (page,) = [target["targetId"] for target in pages if target["type"] == "page"][:1]
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self._ask(f"{domain}.enable")

    def show(self, file: Path, *, width: int, height: int = 900, dark: bool = False, medium: str = "screen") -> None:
        """Show a file so wide, light or dark, and wait until it is loaded."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", media=medium, features=[scheme])
        self.requests = []
        self._ask("Page.navigate", url=file.absolute().as_uri())
        self.evaluate(
            "new Promise(done => document.readyState == 'complete' ? done() : addEventListener('load', done))"
        )

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript, awaited where it is a promise."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def picture(self, *, height: int | None = None) -> bytes:
        """The page as PNG, its first so many pixels, or all of it."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height or size["height"])}
        answer = self._ask(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={**clip, "scale": 1}
        )
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        """End it, and wait for its end."""
        with contextlib.suppress(AssertionError, OSError):
            self._session = None
            self._ask("Browser.close")
        for descriptor in (self._orders, self._answers):
            os.close(descriptor)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._write(json.dumps(message).encode() + b"\0")
        give_up_at = time.monotonic() + ANSWER_SECONDS
        while True:
            answer = self._receive(give_up_at)
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._orders, content) :]

    def _receive(self, give_up_at: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, give_up_at - time.monotonic()))
            if not ready:
                raise AssertionError("Chromium did not answer")
            content = os.read(self._answers, 1 << 20)
            if not content:
                raise AssertionError("Chromium ended")
            self._received += content
        line, _, self._received = self._received.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def start(program: str, folder: Path) -> Iterator[Browser]:
    """A Chromium with a profile of its own in a folder, ended with the block."""
    theirs_in, orders = os.pipe()
    answers, theirs_out = os.pipe()
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    words = [program, *_OPTIONS, *sandbox, f"--user-data-dir={folder / 'chromium'}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", _TRAMPOLINE, str(theirs_in), str(theirs_out), *words],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    )
    os.close(theirs_in)
    os.close(theirs_out)
    browser = Browser(process, orders, answers)
    try:
        browser.attach()
        yield browser
    finally:
        browser.close()
