"""Looks: fast around GO, the window's end and a stop, slow in between, and never more calls than one run may take."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.basics import instants
from burst.domain.run import looks, runs
from burst.domain.tasks import launch_rates, tasks
from tests import fakes

WINDOW_SECONDS = 600.0


def run(count: int, **changes: Any) -> runs.Run:
    """A run of so many tasks that all live."""
    living = [tasks.Task(task_id=f"t{shard}", shard_index=shard) for shard in range(count)]
    truths = {task.task_id: tasks.TaskTruth(task=task, status=tasks.TaskStatus.RUNNING) for task in living}
    return replace(runs.Run(truths=truths), **changes)


def seconds_to_next(of: runs.Run, seconds_after_go: float) -> float:
    """The seconds from a look so long after GO to the next one."""
    looked_at = instants.later(fakes.START, seconds_after_go)
    return instants.seconds_between(looked_at, looks.next_due(of, looked_at, window_seconds=WINDOW_SECONDS))


@pytest.mark.parametrize(
    ("count", "fast", "slow"),
    [(1, 0.2, 1.0), (100, 0.2, 1.0), (101, 0.2, 2.0), (300, 0.3, 3.0), (500, 0.5, 5.0), (1000, 1.0, 10.0)],
    ids=str,
)
def test_the_time_between_looks_follows_the_number_of_tasks(count: int, fast: float, slow: float) -> None:
    bursting = run(count, go_at=fakes.START)
    stopping = replace(bursting, stopping=runs.Stopping(at=fakes.START, reason="window-complete"))

    assert seconds_to_next(run(count), 0) == pytest.approx(fast)
    assert seconds_to_next(bursting, 1) == pytest.approx(fast)
    assert seconds_to_next(bursting, 300) == pytest.approx(slow)
    assert seconds_to_next(bursting, WINDOW_SECONDS - 2) == pytest.approx(fast)
    assert seconds_to_next(stopping, 300) == pytest.approx(fast)


def test_a_slow_look_is_never_so_late_that_it_misses_the_end_of_the_window() -> None:
    bursting = run(1000, go_at=fakes.START)

    assert seconds_to_next(bursting, WINDOW_SECONDS - 6) == pytest.approx(3.0)


@given(count=st.integers(1, 1000), fast=st.booleans())
def test_looks_never_take_more_calls_than_one_run_may(count: int, fast: bool) -> None:
    calls_per_second = launch_rates.reading_calls(count) / looks.seconds_between(count, fast=fast)

    assert calls_per_second <= launch_rates.READING_CALLS.per_second / 2
    assert fast or calls_per_second <= 1
