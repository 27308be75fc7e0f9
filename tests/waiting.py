"""Waiting: tests wait for a condition with a deadline, never for luck, and this is the one place that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02

T = TypeVar("T")


def until(condition: Callable[[], T | None], *, seconds: float = 10.0, what: str) -> T:
    """Ask `condition` about every 20 ms, and return its first truthy answer.

    It is asked at least once, and once more after the deadline, so a slow machine is not a failed wait.

    Raises:
        AssertionError: nothing truthy within `seconds`; the message names `what` was waited for and the last answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        expired = time.monotonic() >= deadline
        answer = condition()
        if answer:
            return answer
        if expired:
            raise AssertionError(f"waited {seconds:g} s for {what}; the last answer was {answer!r}")
        time.sleep(POLL_SECONDS)
