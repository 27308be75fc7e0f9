"""The system's clock: the only place that reads one, and a sleep that a signal can cut short."""

import threading
from datetime import UTC, datetime


class SystemClock:
    """Real time. `wake` ends the sleep under way, so that a signal is acted on at once."""

    def __init__(self) -> None:
        self._awake = threading.Event()

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Waits, at most until `wake`."""
        self._awake.wait(max(0.0, seconds))
        self._awake.clear()

    def wake(self) -> None:
        """Ends the sleep under way, or the next one."""
        self._awake.set()
