"""Requests of clients that Locust does not know, such as a database or a queue, and markers of a locustfile's own.

Both need what Locust gives a user, and nothing else of Locust.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class OwnRequest:
    """What a block of `measured` may say of its request."""

    response_length: int = 0
    failure: Exception | None = None
    """Why it failed: set by a block that raises, or by the block itself."""


@contextlib.contextmanager
def measured(user: Any, request_type: str, name: str) -> Iterator[OwnRequest]:
    """Counts the block as one request of a Locust user, with its time: failed where it raises, as with Locust's own
    clients. The exception goes no further, so what follows the block looks at `failure`."""
    request, started_at, started = OwnRequest(), time.time(), time.perf_counter()
    try:
        yield request
    except Exception as exc:  # a client may raise anything, and a failed request ends no user
        request.failure = exc
    user.environment.events.request.fire(
        request_type=request_type,
        name=name,
        response_time=(time.perf_counter() - started) * 1000,
        response_length=request.response_length,
        response=None,
        context=user.context(),
        exception=request.failure,
        start_time=started_at,
    )


def mark(user: Any, name: str) -> None:
    """Counts a marker in the load account, where burst started Locust; with plain Locust nobody counts it."""
    account = getattr(user.environment, "burst_account", None)
    if account is not None:
        account.mark(name)
