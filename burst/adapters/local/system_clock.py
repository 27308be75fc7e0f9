"""The system's clock for the controller, with a sleep that a signal can cut short.

A signal handler may run anywhere in the main thread, also while that thread holds the lock of a `threading.Event`:
setting the event there would deadlock. `queue.SimpleQueue.put` is reentrant.
"""

import contextlib
import queue
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock` of this machine. `wake` ends the sleep under way, so that the controller acts on a signal at
    once."""

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
