"""Token buckets, as AWS throttles its control planes with."""

import threading
import time

from burst.rehearsal import settings


class TokenBucket:
    """So many calls at once, refilled at a steady rate; safe to share between threads."""

    def __init__(self, size: settings.RateLimit) -> None:
        self._size = size
        self._tokens = float(size.burst)
        self._filled_at = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Takes a token; False where there is none, and the call has to be refused."""
        with self._lock:
            now = time.monotonic()
            filled = self._tokens + (now - self._filled_at) * self._size.per_second
            self._tokens = min(float(self._size.burst), filled)
            self._filled_at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
