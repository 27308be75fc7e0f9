"""RunTask requests: the network of a task, as the plan has it."""

from datetime import timedelta

import pytest

from burst.domain.tasks import ecs_definitions, ecs_requests, tasks
from tests import fakes

RUN = ecs_requests.RunContext(
    execution_id="m10_one",
    phase="M10.F",
    deadline=fakes.START + timedelta(minutes=20),
    control_uri="s3://bucket/rc/m10_one/control.json",
    record_uri="s3://bucket/rc/m10_one/tasks/",
)
DEFINITION = ecs_definitions.Definition(
    arn="arn:task:1", container="burst", guarded=True, sidecar=True, stop_timeouts=(), secrets=frozenset()
)
LIMITS = ecs_requests.Limits(deadline=RUN.deadline, budget_seconds=30.0, grace_seconds=5.0)


@pytest.mark.parametrize(("public", "word"), [(True, "ENABLED"), (False, "DISABLED")])
def test_tasks_and_one_shots_get_a_public_address_where_the_plan_says_so(public: bool, word: str) -> None:
    network = ecs_requests.TaskNetwork(
        cluster="burst", subnets=["subnet-a"], security_groups=["sg-a"], public_addresses=public
    )
    launch = tasks.LaunchRequest(
        execution_id="m10_one", token="1", shards=(0,), shard_count=1, command=("load",), environment=(),
        budget_seconds=60.0, grace_seconds=5.0, child_waits=True, lease_ttl_seconds=30.0,
    )  # fmt: skip
    shot = tasks.OneShot(name="report", command=("report",), timeout_seconds=30.0)

    requests = (
        ecs_requests.batch_request(launch, (0,), definition=DEFINITION, run=RUN, network=network),
        ecs_requests.one_shot_request(shot, 1, definition=DEFINITION, limits=LIMITS, run=RUN, network=network),
    )

    for request in requests:
        assert request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == word
