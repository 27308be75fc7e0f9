"""Locust keeps the schedule of a plan of six steps, also while its host answers nothing for a while."""

import itertools
from collections.abc import Iterable
from multiprocessing import resource_tracker

import pytest

from tests.bench import http_host, rates_bench

resource_tracker.ensure_running()  # it lives as long as the tests do
RATES = (10, 30, 50, 100, 70, 20)
"""So few a second that a machine which is busy with other work sends them all when they are due."""
STALL_SECONDS = 4.0


def _add_up(events: Iterable[int]) -> list[int]:
    """The events by the end of each step."""
    return list(itertools.accumulate(events))


@pytest.mark.parametrize("stall_seconds", [0.0, STALL_SECONDS], ids=["a healthy host", "a host that stalls"])
def test_two_tasks_make_due_exactly_what_the_plan_says_and_send_it_when_it_is_due(stall_seconds: float) -> None:
    host = http_host.Manner(stall_after_seconds=3.0, stall_seconds=stall_seconds)

    offered = rates_bench.measure(rates_bench.Case(host=host, rates=RATES, step_seconds=2, tasks=2, senders=1000))

    assert offered.due == offered.planned == tuple(2 * rate for rate in RATES)
    for number, (sent, due) in enumerate(zip(_add_up(offered.sent), _add_up(offered.fell_due), strict=True)):
        missed = due - sent  # what was due just before the edge, and sent in the second after it
        assert 0 <= missed <= RATES[number] * offered.latest_seconds + 1, f"step {number + 1} of {offered}"
    assert offered.latest_seconds < STALL_SECONDS - 1.0  # a schedule that waits for its host is as late as the host
    if stall_seconds:
        assert offered.backlog > 60  # of 230 that became due in the stall; how many, a look each second may not see
