"""Launch rates: the seconds that tasks need by AWS's buckets, and the timeout of a plan that does not say its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.tasks import launch_rates
from tests import cases


@pytest.mark.parametrize(("tasks", "seconds"), [(1, 0.0), (100, 0.0), (101, 0.05), (500, 20.0), (1000, 45.0)], ids=str)
def test_fargate_takes_a_hundred_tasks_at_once_and_then_twenty_a_second(tasks: int, seconds: float) -> None:
    assert launch_rates.launch_seconds(tasks) == pytest.approx(seconds)


def test_tasks_launched_one_a_call_wait_for_whichever_bucket_is_slower() -> None:
    unlimited = launch_rates.Rate(burst=1e9, per_second=1e9)

    assert launch_rates.launch_seconds(1000, batch=1) == pytest.approx(45.0)
    assert launch_rates.launch_seconds(1000, batch=1, fargate=unlimited) == pytest.approx(22.5)
    assert launch_rates.launch_seconds(1000, fargate=unlimited) == 0.0


@given(tasks=st.integers(1, 1000))
def test_the_default_timeout_leaves_every_task_a_minute_after_the_least(tasks: int) -> None:
    least = launch_rates.least_start_seconds(tasks)
    usual = launch_rates.usual_start_seconds(tasks)

    assert least > launch_rates.launch_seconds(tasks)
    assert usual - least >= launch_rates.TASK_START_SECONDS - 1.001


@pytest.mark.parametrize(("tasks", "seconds"), [(2, 60.0), (100, 60.0), (500, 80.0), (1000, 105.0)], ids=str)
def test_a_plan_for_ecs_that_names_no_start_timeout_gets_one_for_its_tasks(tasks: int, seconds: float) -> None:
    budget = {"max": "60m", "min_window": "10m"}
    silent = cases.plan(target=cases.ECS | {"tasks": tasks}, budget=budget)
    explicit = cases.plan(target=cases.ECS | {"tasks": tasks}, budget=budget | {"start_timeout": "15s"})

    assert silent.budget.start_timeout == pytest.approx(seconds)
    assert silent.document()["budget"]["start_timeout"]
    assert explicit.budget.start_timeout == 15.0


def test_a_local_plan_gets_a_minute_for_any_number_of_tasks() -> None:
    plan = cases.plan(target={"kind": "local", "tasks": 900}, budget={"max": "60m", "min_window": "10m"})

    assert plan.budget.start_timeout == 60.0
