"""Timers: calls functions later, on one thread, in order of time."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Timers:
    """Calls functions after a delay. Each has to be short, since the next one waits for it. It may set timers."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="timers", daemon=True).start()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Calls `act` once, `seconds` from now or a little later."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), act))
            self._changed.notify()

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Calls `act` repeatedly, with `seconds` between the end of a call and the start of the next."""

        def call_and_repeat() -> None:
            try:
                act()
            finally:
                self.after(seconds, call_and_repeat)

        self.after(seconds, call_and_repeat)

    def _run(self) -> None:
        while True:
            act = self._wait_for_next()
            try:
                act()
            except Exception:
                _LOG.exception("a timer failed")

    def _wait_for_next(self) -> Callable[[], None]:
        with self._changed:
            while True:
                wait_seconds = self._due[0][0] - time.monotonic() if self._due else None
                if wait_seconds is not None and wait_seconds <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait_seconds)
