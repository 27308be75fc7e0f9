"""Stopping many tasks while ECS does not answer: the wait is one patience, and not one for each task."""

import time

import pytest

from burst.adapters.aws import ecs_tasks
from burst.adapters.local import system_clock
from burst.control import reaping
from burst.domain.basics import errors
from burst.domain.tasks import tasks
from burst.kit import side_by_side
from burst.rehearsal import armed_faults
from tests import fixtures_aws

TASKS = 50


@pytest.mark.parametrize("manner", [armed_faults.RESET, armed_faults.REFUSE])
def test_stopping_fifty_tasks_on_an_ecs_that_is_down_waits_once(cloud: fixtures_aws.Cloud, manner: str) -> None:
    seen = ecs_tasks.EcsTasks(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=cloud.ecs)
    known = [
        tasks.Task(task_id=f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{shard:032x}", shard_index=shard)
        for shard in range(TASKS)
    ]
    cloud.world.faults.arm("ecs-down", options=armed_faults.FaultOptions(manner=manner))
    began = time.monotonic()

    stopped = side_by_side.call_all(
        lambda task: seen.stop(task, by=tasks.Layer.CONTROLLER), known, threads=reaping.STOPS_AT_ONCE
    )

    assert all(isinstance(outcome.failure, errors.Unavailable) for outcome in stopped)
    assert len(stopped) == TASKS
    assert time.monotonic() - began < TASKS / 10 * ecs_tasks.CALL_PATIENCE_SECONDS  # each call takes a moment too
