"""Silence: whether a service has stopped answering, so that hundreds of calls do not each wait for it in vain.

One call that is not answered says nothing of the next one. Several in a row, with no answer in between, do.
"""

import threading
import time
from collections.abc import Callable


class Silence:
    """Lasts `seconds` after each call that was not answered, once `calls` in a row were not. Threads may share it."""

    def __init__(self, *, calls: int, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._seconds = seconds
        self._monotonic = monotonic
        self._unanswered = 0
        self._until = 0.0
        self._changing = threading.Lock()

    @property
    def lasts(self) -> bool:
        """Whether a call now would most likely not be answered either."""
        with self._changing:
            return self._unanswered >= self._calls and self._monotonic() < self._until

    def note_answer(self) -> None:
        """Notes a call that was answered, however: the silence is over."""
        with self._changing:
            self._unanswered = 0

    def note_no_answer(self) -> None:
        """Notes a call that was not answered in time."""
        with self._changing:
            self._unanswered += 1
            self._until = self._monotonic() + self._seconds
