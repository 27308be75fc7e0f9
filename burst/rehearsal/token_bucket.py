"""Token buckets, with which AWS throttles the calls of its control planes."""

import threading
import time

from burst.rehearsal import settings


class TokenBucket:
    """A bucket of `limit.burst` tokens that refills at `limit.per_second`. Threads may share it."""

    def __init__(self, limit: settings.RateLimit) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._filled_at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, count: int = 1) -> bool:
        """Takes so many tokens. Returns False if the bucket has fewer, and the caller then refuses the call."""
        with self._lock:
            now = time.monotonic()
            filled = self._tokens + (now - self._filled_at) * self._limit.per_second
            self._tokens = min(float(self._limit.burst), filled)
            self._filled_at = now
            if self._tokens < count:
                return False
            self._tokens -= count
            return True
