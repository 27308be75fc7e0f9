"""The system's clock: the only place that reads one, and a sleep that a signal can cut short.

A signal handler may run anywhere in the main thread, also inside a lock of `threading.Event`, which it would then wait
for and never get. `queue.SimpleQueue.put` is made to be called there.
"""

import contextlib
import queue
from datetime import UTC, datetime


class SystemClock:
    """Real time. `wake` ends the sleep under way, so that a signal is acted on at once."""

    def __init__(self) -> None:
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Waits, at most until `wake`."""
        with contextlib.suppress(queue.Empty):
            self._wakes.get(timeout=max(0.0, seconds))

    def wake(self) -> None:
        """Ends the sleep under way, or the next one. May be called from a signal handler."""
        self._wakes.put(None)
