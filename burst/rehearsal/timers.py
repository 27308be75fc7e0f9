"""Timers: what the simulation does later, on one thread, in order of time."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Timers:
    """Calls things after so many seconds. What is called has to be short; it may set further timers."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="timers", daemon=True).start()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Calls `act` once, about so many seconds from now."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), act))
            self._changed.notify()

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Calls `act` again and again, so many seconds between the end of one and the start of the next."""

        def again() -> None:
            try:
                act()
            finally:
                self.after(seconds, again)

        self.after(seconds, again)

    def _run(self) -> None:
        while True:
            act = self._next()
            try:
                act()
            except Exception:
                _LOG.exception("a timer failed")

    def _next(self) -> Callable[[], None]:
        with self._changed:
            while True:
                wait_seconds = self._due[0][0] - time.monotonic() if self._due else None
                if wait_seconds is not None and wait_seconds <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait_seconds)
