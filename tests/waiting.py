"""Waiting: tests wait for a condition with a deadline, and never for luck.

A deadline is there to end a test that waits for nothing. It is generous: where the condition comes, it costs nothing.
The seconds that a wait names, and those that pytest gives a test, are those of a machine with nothing else to do; every
deadline is `SLOWEST` times as far away.
"""

import os
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02
SLOWEST = 4.0
"""So many times slower than a free one may be the machine that the tests run on."""
PROCESS_SECONDS = 240.0
"""How long a test waits for the end of a process that ends by itself: no test shows how fast one starts or ends."""
_WORK_NUMBERS, _WORK_SECONDS = 200_000, 0.012
_SAMPLES = 3
_LONGEST_SCHEDULING_SECONDS = 3.0

T = TypeVar("T")


def until(
    condition: Callable[[], T | None], *, seconds: float = 30.0, what: str, poll_seconds: float = POLL_SECONDS
) -> T:
    """Ask `condition` every `poll_seconds`, about, and return its first truthy answer.

    It is asked at least once, and once more after the deadline, so a slow machine is not a failed wait.

    Raises:
        AssertionError: nothing truthy within `SLOWEST` times `seconds`; the message names `what` was waited for and the
            last answer.
    """
    patience_seconds = SLOWEST * seconds
    deadline = time.monotonic() + patience_seconds
    while True:
        expired = time.monotonic() >= deadline
        answer = condition()
        if answer:
            return answer
        if expired:
            raise AssertionError(f"waited {patience_seconds:g} s for {what}; the last answer was {answer!r}")
        time.sleep(poll_seconds)


def never(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Ask `condition` about every 20 ms for so many seconds, of this machine as it is, and once more at their end.

    Raises:
        AssertionError: it gave something truthy; the message names `what` may not be.
    """
    deadline = time.monotonic() + seconds
    expired = False
    while not expired:
        expired = time.monotonic() >= deadline
        answer = condition()
        assert not answer, f"{what} within {seconds:g} s, which may not be; the answer was {answer!r}"
        time.sleep(POLL_SECONDS)


def scheduling_seconds() -> float:
    """What the machine may add to a bound of the product: 0.7 s, and as many times that as it is slower now than it
    should be; but never as much as lies between two layers of the hard stop."""
    return min(_LONGEST_SCHEDULING_SECONDS, 0.7 * slowness())


def slowness() -> float:
    """How many times slower than a free one this machine is now, at least 1: by the processes that queue for its cores,
    or by what a little work takes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1.0, os.getloadavg()[0] / cores, min(_time_work() for _ in range(_SAMPLES)))


def _time_work() -> float:
    """How many times longer than on a free core of a usual machine a little work takes now."""
    began = time.monotonic()
    sum(number * number for number in range(_WORK_NUMBERS))
    return (time.monotonic() - began) / _WORK_SECONDS
