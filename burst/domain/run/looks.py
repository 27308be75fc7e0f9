"""Looks: how often a controller looks at its tasks, by their number and by how soon something is about to happen.

A look costs a DescribeTasks call for each 100 tasks, of a bucket that the whole account shares. So looks are fast while
tasks start, around GO, around the window's end and in a stop, and slow in between. Where a look is no call to AWS the
controller looks as often as its loop turns.
"""

from datetime import datetime

from burst.domain.basics import instants
from burst.domain.run import runs
from burst.domain.tasks import launch_rates

NEAR_SECONDS = 3.0
"""How long before and after GO and the window's end looks are fast."""
FAST_SECONDS = 0.2
SLOW_SECONDS = 1.0
SLOW_CALLS_PER_SECOND = 1.0
"""The calls of slow looks: what a controller spends of itself on a burst, which goes on whether it looks or not."""


def seconds_between(tasks: int, *, fast: bool) -> float:
    """The seconds from one look at so many tasks to the next."""
    calls = launch_rates.reading_calls(tasks)
    if fast:
        return max(FAST_SECONDS, calls / launch_rates.READING_CALLS_OF_A_RUN.per_second)
    return max(SLOW_SECONDS, calls / SLOW_CALLS_PER_SECOND)


def next_due(run: runs.Run, looked_at: datetime, *, window_seconds: float) -> datetime:
    """The instant at which a run's tasks are to be looked at again, after a look at `looked_at`."""
    tasks = len(run.alive)
    fast_due = instants.later(looked_at, seconds_between(tasks, fast=True))
    if run.go_at is None or run.stopping is not None or looked_at < instants.later(run.go_at, NEAR_SECONDS):
        return fast_due
    near_end = instants.later(run.go_at, window_seconds - NEAR_SECONDS)
    slow_due = instants.later(looked_at, seconds_between(tasks, fast=False))
    return max(fast_due, min(slow_due, near_end))
