"""Waiting: tests wait for a condition with a deadline, and never for luck.

A deadline is there to end a test that waits for nothing. It is generous: where the condition comes, it costs nothing.
"""

import os
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02
_WORK_NUMBERS, _WORK_SECONDS = 200_000, 0.012
_SAMPLES = 3
_LONGEST_SCHEDULING_SECONDS = 3.0

T = TypeVar("T")


def until(condition: Callable[[], T | None], *, seconds: float = 30.0, what: str) -> T:
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


def scheduling_seconds() -> float:
    """What the machine may add to a bound of the product: 0.7 s, and as many times that as processes queue for its
    cores, or as it is slower now than it should be; but never as much as lies between two layers of the hard stop."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    slowness = min(_slowness() for _ in range(_SAMPLES))
    return min(_LONGEST_SCHEDULING_SECONDS, 0.7 * max(1.0, os.getloadavg()[0] / cores, slowness))


def _slowness() -> float:
    """How many times longer than on a free core of a usual machine a little work takes now."""
    began = time.monotonic()
    sum(number * number for number in range(_WORK_NUMBERS))
    return (time.monotonic() - began) / _WORK_SECONDS
