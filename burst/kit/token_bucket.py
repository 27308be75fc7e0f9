"""Token buckets: how AWS throttles calls, and how burst stays below that.

In the kit because the adapters wait for tokens, and the rehearsal refuses calls for which there are none.
"""

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """A bucket of `burst` tokens that refills at `per_second`. Threads may share it."""

    def __init__(self, *, burst: float, per_second: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._monotonic = monotonic
        self._tokens = self._burst
        self._filled_at = monotonic()
        self._lock = threading.Lock()

    def take(self, tokens: float = 1) -> bool:
        """Takes tokens. Returns False, and takes none, where there are fewer."""
        with self._lock:
            self._fill()
            if self._tokens < tokens:
                return False
            self._tokens -= tokens
            return True

    def reserve(self, tokens: float = 1) -> float:
        """Takes tokens that may still have to be filled in, and returns the seconds after which they are.

        Whoever reserves waits so long before the act; the order of reservations is the order of turns.
        """
        with self._lock:
            self._fill()
            self._tokens -= tokens
            return max(0.0, -self._tokens / self._per_second)

    def _fill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
