"""What the launcher makes of RunTask's answers: too few, too many, doubled, refused after one that was lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore import exceptions

from burst.adapters.aws import ecs_tasks
from burst.domain.basics import errors, instants
from burst.domain.plan import target_sections
from burst.domain.tasks import ecs_requests, ecs_truths, task_records, tasks
from tests import fakes, fakes_ecs

RUN = "m10_a"
DENIED = exceptions.ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "RunTask")
LOST = exceptions.ReadTimeoutError(endpoint_url="http://ecs")
GUARD = ["burst", "guard", "--"]


def arn(number: int) -> str:
    return fakes_ecs.EcsTask(number=number, started_by="burst/x").arn


@dataclass(slots=True)
class Client:
    """ECS with a list of answers to RunTask: the numbers of the tasks it names, or an error."""

    answers: list[Sequence[int] | Exception]
    calls: list[Mapping[str, Any]] = field(default_factory=list)

    def describe_task_definition(self, **_: object) -> dict[str, Any]:
        container = {"name": "burst", "essential": True, "entryPoint": GUARD, "stopTimeout": 60}
        definition = {
            "taskDefinitionArn": "arn:aws:ecs:eu-west-2:1:task-definition/burst:1", "family": "burst", "revision": 1,
            "cpu": "256", "memory": "512", "containerDefinitions": [container], "status": "ACTIVE",
        }  # fmt: skip
        return {"taskDefinition": definition}

    def run_task(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(parameters)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"tasks": [{"taskArn": arn(number)} for number in answer], "failures": []}

    def describe_tasks(self, *, tasks: Sequence[str], **_: object) -> dict[str, Any]:
        return {"tasks": [], "failures": [{"arn": name, "reason": "MISSING"} for name in tasks]}


def launcher(
    client: Client, clock: fakes.TickingClock, records: ecs_tasks.Records = ecs_tasks.find_no_record
) -> ecs_tasks.EcsLauncher:
    target = target_sections.TargetSection(
        kind="ecs", tasks=3, cluster="burst", task_definition="burst:1", subnets=["a"], security_groups=["b"]
    )
    run = ecs_requests.RunContext(
        execution_id=RUN, phase="M10.F", deadline=instants.later(fakes.START, 3600), control_uri="s3://b/x/control.json",
        record_uri="s3://b/x/tasks/",
    )  # fmt: skip
    return ecs_tasks.EcsLauncher(target, run=run, clock=clock, records=records, client=client)


def launch(client: Client, shards: int = 3) -> tuple[list[str], ecs_tasks.EcsLauncher]:
    ecs_launcher = launcher(client, fakes.TickingClock())
    request = tasks.LaunchRequest(
        execution_id=RUN, token="a", shards=tuple(range(shards)), shard_count=shards, command=("load",), environment=(),
        budget_seconds=600.0, grace_seconds=1.0, child_waits=False, lease_ttl_seconds=30.0,
    )  # fmt: skip
    return [task.task_id for task in ecs_launcher.launch(request)], ecs_launcher


def test_a_task_that_is_named_twice_is_one_task() -> None:
    launched, _ = launch(Client([[1, 2, 2]]))

    assert launched == [arn(1), arn(2)]


def test_tasks_beyond_those_that_were_asked_for_are_known() -> None:
    launched, _ = launch(Client([[1, 2, 3, 4]]))

    assert launched == [arn(1), arn(2), arn(3), arn(4)]


def test_a_refusal_is_raised_where_nothing_was_started() -> None:
    with pytest.raises(errors.Refused, match="ecs:RunTask"):
        launch(Client([DENIED]))


def test_a_refusal_after_tasks_were_started_is_the_failure_of_those_that_were_not() -> None:
    launched, ecs_launcher = launch(Client([list(range(10)), DENIED]), shards=12)

    assert len(launched) == 10
    assert [failure.shortage for failure in ecs_launcher.last_failures] == [tasks.Shortage.OTHER]
    assert "AccessDenied" in ecs_launcher.last_failures[0].reason


def test_a_refusal_after_a_call_that_was_not_answered_is_no_answer_to_that_call() -> None:
    client = Client([LOST, *[DENIED] * 100])

    with pytest.raises(errors.Unavailable, match="an earlier call was not answered"):
        launch(client)


def test_the_record_of_a_task_that_is_not_described_yet_proves_its_end_and_is_read_now_and_then() -> None:
    clock, read = fakes.TickingClock(), list[str]()
    ended = task_records.GuardRecord(
        shard_index=0, guard_pid=1, guard_started=1.0, started_at=fakes.START,
        stopped_at=instants.later(fakes.START, 25), exit_code=124, stopped_by=tasks.Layer.LEASE,
    )  # fmt: skip

    def records(task_id: str) -> task_records.Record:
        read.append(task_id)
        return ended if clock.now() >= instants.later(fakes.START, 26) else task_records.Lacking.ABSENT

    ecs_launcher = launcher(Client([[1]]), clock, records)
    request = tasks.LaunchRequest(
        execution_id=RUN, token="a", shards=(0,), shard_count=1, command=("load",), environment=(),
        budget_seconds=600.0, grace_seconds=1.0, child_waits=False, lease_ttl_seconds=30.0,
    )  # fmt: skip
    launched = ecs_launcher.launch(request)
    details = set[str]()
    while (truth := ecs_launcher.inspect(launched)[0]).status is tasks.TaskStatus.UNKNOWN:
        details.add(truth.detail)
        clock.sleep(0.2)

    assert 26 < instants.seconds_between(fakes.START, clock.now()) < 38
    assert truth.stopped_at == ended.stopped_at
    assert len(read) <= 4
    assert len(details) == 1


def test_a_task_without_an_arn_is_asked_of_its_record_alone() -> None:
    class Silent(Client):
        def describe_tasks(self, **_: object) -> dict[str, Any]:
            raise AssertionError("ECS knows no such task")

    nameless = tasks.Task(task_id=f"{tasks.NAMELESS}0a1b", shard_index=0)
    ecs_launcher = launcher(Silent([]), fakes.TickingClock())

    (truth,) = ecs_launcher.inspect([nameless])
    ecs_launcher.stop(nameless, by=tasks.Layer.CONTROLLER)

    assert truth.status is tasks.TaskStatus.UNKNOWN


def test_the_time_in_which_a_task_may_be_missing_is_that_of_the_reference_of_run_task() -> None:
    assert ecs_truths.APPEARS_SECONDS == 5 * 60
