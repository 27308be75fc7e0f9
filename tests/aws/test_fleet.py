"""A hundred tasks under the real controller: a StopTask for each that does not obey the lease, and for no other."""

import pytest

from tests.bench import fleet_bench


@pytest.mark.timeout(180)
def test_a_hundred_tasks_take_ten_launches_and_a_stop_for_each_that_disobeys() -> None:
    fleet = fleet_bench.Fleet(tasks=100, window_seconds=3.0, grace_seconds=8.0, stop_timeout_seconds=2.0)

    measured = fleet_bench.measure(fleet)

    assert measured["run_task_calls"] == 10
    assert measured["stop_task_calls"] == fleet.disobedient == 4
    assert measured["throttled"] == {}
    assert measured["stop_reason"] == "window-complete"
