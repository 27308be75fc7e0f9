"""Locust keeps the schedule of a plan of six steps, also while its host answers nothing for a while."""

from multiprocessing import resource_tracker

import pytest

from tests.bench import http_host, rates_bench

resource_tracker.ensure_running()  # it lives as long as the tests do
RATES = (40, 120, 200, 400, 280, 80)


@pytest.mark.parametrize("stall_seconds", [0.0, 2.0], ids=["a healthy host", "a host that stalls"])
def test_two_tasks_make_due_exactly_what_the_plan_says_and_send_it_when_it_is_due(stall_seconds: float) -> None:
    host = http_host.Manner(stall_after_seconds=3.0, stall_seconds=stall_seconds)

    offered = rates_bench.measure(rates_bench.Case(host=host, rates=RATES, step_seconds=2, tasks=2, senders=1000))

    assert offered.due == offered.planned == tuple(2 * rate for rate in RATES)
    assert offered.furthest_from_due <= 0.05  # a busy machine sends some events of an edge in the second after it
    if stall_seconds:
        assert offered.backlog > 300  # of 400 that became due in the stall
