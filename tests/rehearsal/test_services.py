"""The services beside the simulated ECS: S3 and STS, logs, secrets, schedules and quotas, and the record of calls."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import exceptions

from burst.domain.basics import errors
from burst.rehearsal import aws_simulation
from tests import waiting
from tests.rehearsal import aws_clients

CLUSTER_ARN = f"arn:aws:ecs:eu-west-2:123456789012:cluster/{aws_clients.CLUSTER}"
STOP_TASK = "arn:aws:scheduler:::aws-sdk:ecs:stopTask"
ROLE = "arn:aws:iam::123456789012:role/scheduler"


@pytest.fixture(scope="module")
def s3(aws: aws_simulation.AwsSimulation) -> Any:
    """An S3 client, and a bucket."""
    client = aws_clients.make_client(aws, "s3")
    client.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    return client


@pytest.fixture(scope="module")
def logs(aws: aws_simulation.AwsSimulation) -> Any:
    """A logs client, and a group."""
    client = aws_clients.make_client(aws, "logs")
    client.create_log_group(logGroupName="/burst")
    return client


@pytest.fixture(scope="module")
def scheduler(aws: aws_simulation.AwsSimulation) -> Any:
    """A scheduler client."""
    return aws_clients.make_client(aws, "scheduler")


def test_an_object_is_created_once_and_read_back(s3: Any) -> None:
    s3.put_object(Bucket="evidence", Key="run/a b.json", Body=b"{}", IfNoneMatch="*")

    with pytest.raises(exceptions.ClientError) as raised:
        s3.put_object(Bucket="evidence", Key="run/a b.json", Body=b"[]", IfNoneMatch="*")

    assert aws_clients.error_code(raised.value) == "PreconditionFailed"
    assert s3.get_object(Bucket="evidence", Key="run/a b.json")["Body"].read() == b"{}"
    assert s3.head_object(Bucket="evidence", Key="run/a b.json")["ContentLength"] == 2


def test_a_task_reaches_aws_by_its_environment_alone(ecs: aws_clients.EcsCluster, s3: Any) -> None:
    program = (
        "import boto3; boto3.client('s3').put_object(Bucket='evidence', Key='from-task', Body=b'x');"
        "print(boto3.client('sts').get_caller_identity()['Account'])"
    )

    arn = ecs.start("uses-aws", aws_clients.python(program))
    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 0}
    assert ecs.output(arn).strip() == "123456789012"
    assert s3.get_object(Bucket="evidence", Key="from-task")["Body"].read() == b"x"
    puts = ecs.aws.calls("s3", "PutObject")
    assert [call.outcome for call in puts if call.caller == "tasks"] == ["ok"]


def test_every_call_is_recorded_with_its_outcome(aws: aws_simulation.AwsSimulation, s3: Any) -> None:
    aws_clients.make_client(aws, "sts").get_caller_identity()
    with pytest.raises(exceptions.ClientError):
        s3.get_object(Bucket="evidence", Key="absent")

    identity = [call for call in aws.calls("sts", "GetCallerIdentity") if call.caller == "operator"][-1]
    absent = aws.calls("s3", "GetObject")[-1]
    assert (identity.outcome, identity.status) == ("ok", 200)
    assert (absent.outcome, absent.status) == ("NoSuchKey", 404)
    assert aws.calls("ecs", "PutAccountSetting") == []


# Logs


def messages(logs: Any, stream: str) -> list[str]:
    """Every event of a stream, oldest first."""
    answer = logs.get_log_events(logGroupName="/burst", logStreamName=stream, startFromHead=True)
    return [event["message"] for event in answer["events"]]


def awslogs(**options: str) -> dict[str, Any]:
    """A log configuration."""
    defaults = {"awslogs-group": "/burst", "awslogs-region": "eu-west-2", "awslogs-stream-prefix": "app"}
    return {"logDriver": "awslogs", "options": {**defaults, **options}}


def test_output_reaches_the_stream_of_its_task_to_the_last_line(ecs: aws_clients.EcsCluster, logs: Any) -> None:
    program = "import sys; print('one'); print('two', file=sys.stderr); print(); sys.stdout.write('no newline')"
    arn = ecs.start("logs", aws_clients.python(program), definition={"logConfiguration": awslogs()})
    ecs.wait(arn, "STOPPED")

    stream = f"app/app/{arn.rpartition('/')[2]}"
    lines = waiting.until(lambda: m if len(m := messages(logs, stream)) >= 3 else None, what="three lines")

    assert sorted(lines) == ["no newline", "one", "two"]


@pytest.mark.parametrize(("mode", "pieces"), [("blocking", 1), ("non-blocking", 2)])
def test_long_lines_are_cut_unless_the_driver_blocks(
    ecs: aws_clients.EcsCluster, logs: Any, mode: str, pieces: int
) -> None:
    command = aws_clients.python("print('x' * 20000)")
    arn = ecs.start(mode, command, definition={"logConfiguration": awslogs(mode=mode)})
    ecs.wait(arn, "STOPPED")

    stream = f"app/app/{arn.rpartition('/')[2]}"
    events = waiting.until(
        lambda: m if sum(map(len, m := messages(logs, stream))) >= 20000 else None, what="the whole line"
    )

    assert (len(events), len("".join(events))) == (pieces, 20000)


def test_without_its_log_group_a_task_fails_to_start(ecs: aws_clients.EcsCluster, logs: Any) -> None:
    configuration = awslogs(**{"awslogs-group": "/absent"})

    arn = ecs.start("no-group", ("true",), definition={"logConfiguration": configuration})
    task = ecs.wait(arn, "STOPPED")

    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError: failed to validate logger args")
    assert aws_clients.exit_codes(task) == {"app": None}


# Secrets


def test_secrets_reach_the_environment_and_are_not_in_the_task(ecs: aws_clients.EcsCluster) -> None:
    aws_clients.make_client(ecs.aws, "ssm").put_parameter(Name="/burst/key", Value="s3cret-one", Type="SecureString")
    secret = aws_clients.make_client(ecs.aws, "secretsmanager").create_secret(
        Name="dsn", SecretString=json.dumps({"dsn": "s3cret-two"})
    )
    secrets = [
        {"name": "BY_NAME", "valueFrom": "/burst/key"},
        {"name": "BY_ARN", "valueFrom": "arn:aws:ssm:eu-west-2:123456789012:parameter/burst/key"},
        {"name": "BY_KEY", "valueFrom": f"{secret['ARN']}:dsn::"},
    ]
    program = "import os; print([os.environ[name] for name in ('BY_NAME', 'BY_ARN', 'BY_KEY')])"

    arn = ecs.start("secrets", aws_clients.python(program), definition={"secrets": secrets})
    task = ecs.wait(arn, "STOPPED")

    assert ecs.output(arn).strip() == "['s3cret-one', 's3cret-one', 's3cret-two']"
    assert "s3cret" not in repr(task)


def test_without_its_secret_a_task_fails_to_start(ecs: aws_clients.EcsCluster) -> None:
    secrets = [{"name": "KEY", "valueFrom": "/burst/absent"}]

    arn = ecs.start("no-secret", ("true",), definition={"secrets": secrets})
    task = ecs.wait(arn, "STOPPED")

    assert task["stopCode"] == "TaskFailedToStart"
    assert "unable to retrieve the secret /burst/absent" in task["stoppedReason"]


# Schedules


def schedule(scheduler: Any, name: str, expression: str, target: dict[str, Any], **parameters: Any) -> str:
    """Creates a schedule as a controller would, and returns its ARN."""
    answer = scheduler.create_schedule(
        **{
            "Name": name,
            "ScheduleExpression": expression,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {"RoleArn": ROLE, "Input": "{}", **target},
            **parameters,
        }
    )
    return str(answer["ScheduleArn"])


def at(seconds: float) -> str:
    """The expression of an instant that many seconds from now, in whole seconds as schedules have them."""
    return f"at({datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S})"


def due(expression: str) -> datetime:
    """The instant of an expression."""
    return datetime.fromisoformat(expression[3:-1] + "+00:00")


def schedule_soon(scheduler: Any, name: str, target: dict[str, Any], *, seconds: float = 1, **parameters: Any) -> str:
    """Creates a schedule that comes due soon, and returns its expression. Where the machine is so slow that the instant
    had passed before the call arrived, it is given a later one."""
    for soon in (seconds, 5 * seconds, 25 * seconds):
        expression = at(soon)
        try:
            schedule(scheduler, name, expression, target, **parameters)
        except exceptions.ClientError as exc:
            if "in the past" not in str(exc):
                raise
        else:
            return expression
    raise AssertionError(f"no call for a schedule arrived within {25 * seconds:g} s")


def exists(scheduler: Any, name: str) -> bool:
    """Whether there is a schedule of this name."""
    return name in [each["Name"] for each in scheduler.list_schedules()["Schedules"]]


def stop_target(arn: str, **parameters: Any) -> dict[str, Any]:
    """A target that stops one task."""
    order = {"Cluster": aws_clients.CLUSTER, "Task": arn, "Reason": "scheduled"}
    return {"Arn": STOP_TASK, "Input": json.dumps(order), **parameters}


def test_a_schedule_stops_its_task_on_time_and_deletes_itself(ecs: aws_clients.EcsCluster, scheduler: Any) -> None:
    arn = ecs.start("scheduled-stop", aws_clients.STAYS)

    expression = schedule_soon(scheduler, "stop-1", stop_target(arn), seconds=2)
    task = ecs.wait(arn, "STOPPED")
    waiting.until(lambda: not exists(scheduler, "stop-1"), what="the schedule to delete itself")

    assert 0 <= (task["stoppingAt"] - due(expression)).total_seconds() < 0.2 + waiting.scheduling_seconds()
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "scheduled")


def test_a_schedule_runs_a_task_with_overrides(ecs: aws_clients.EcsCluster, scheduler: Any) -> None:
    definition = ecs.register("reap", {"name": "app", "command": ["false"]})
    overrides = {"containerOverrides": [{"name": "app", "command": ["echo", "reaped"]}]}
    target = {
        "Arn": CLUSTER_ARN,
        "Input": json.dumps(overrides),
        "EcsParameters": {
            "TaskDefinitionArn": definition,
            "LaunchType": "FARGATE",
            "Tags": [{"key": "burst:role", "value": "reap"}],
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["subnet-a"], "AssignPublicIp": "DISABLED"}},
        },
    }

    schedule_soon(scheduler, "reap-1", target)
    (arn,) = waiting.until(started_by(ecs, "chronos-schedule/reap-1"), what="the scheduled task")
    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 0}
    assert ecs.output(arn).strip() == "reaped"
    assert ecs.describe(arn, include=["TAGS"])["tags"] == [{"key": "burst:role", "value": "reap"}]


def started_by(ecs: aws_clients.EcsCluster, name: str) -> Callable[[], list[str]]:
    """Lists the tasks, running or stopped, that were started under this name."""

    def list_tasks() -> list[str]:
        lists = [
            ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy=name, desiredStatus=status)["taskArns"]
            for status in ("RUNNING", "STOPPED")
        ]
        return sorted({arn for arns in lists for arn in arns})  # a task may stop between the two calls

    return list_tasks


def test_a_rate_fires_again_and_again_until_it_is_deleted(ecs: aws_clients.EcsCluster, scheduler: Any) -> None:
    definition = ecs.register("sweep", {"name": "app", "command": ["true"]})
    target = {"Arn": CLUSTER_ARN, "EcsParameters": {"TaskDefinitionArn": definition}}
    tasks = started_by(ecs, "chronos-schedule/sweep")

    before, began = len(firing_times(ecs)), datetime.now(UTC)
    schedule(scheduler, "sweep", "rate(1 minute)", target, ActionAfterCompletion="NONE")  # 0.6 s at the tests' scale
    waiting.until(lambda: len(tasks()) >= 3, what="three sweeps")
    scheduler.delete_schedule(Name="sweep")

    # A firing may be late and the next one in time, but the nth comes after n periods.
    after = [(at - began).total_seconds() for at in firing_times(ecs)[before:]]
    assert len(after) >= 3
    assert all(seconds >= 0.6 * number - 0.01 for number, seconds in enumerate(after))
    assert not exists(scheduler, "sweep")


def firing_times(ecs: aws_clients.EcsCluster) -> list[datetime]:
    """The times at which schedules ran tasks."""
    calls = ecs.aws.calls("ecs", "RunTask")
    return [datetime.fromisoformat(call.at) for call in calls if call.caller == "scheduler"]


def test_a_rate_with_a_start_date_does_not_fire_before_it(ecs: aws_clients.EcsCluster, scheduler: Any) -> None:
    definition = ecs.register("later", {"name": "app", "command": ["true"]})
    target = {"Arn": CLUSTER_ARN, "EcsParameters": {"TaskDefinitionArn": definition}}
    tasks = started_by(ecs, "chronos-schedule/later")
    before, began = len(firing_times(ecs)), datetime.now(UTC)
    starts = began + timedelta(minutes=3)  # 1.8 s at the tests' scale

    schedule(scheduler, "later", "rate(5 minutes)", target, ActionAfterCompletion="NONE", StartDate=starts)
    waiting.until(tasks, what="the first firing")
    scheduler.delete_schedule(Name="later")

    assert (firing_times(ecs)[before] - began).total_seconds() > 0.7  # dates are whole seconds


def test_a_schedule_tries_again_while_ecs_is_down(ecs: aws_clients.EcsCluster, scheduler: Any) -> None:
    arn = ecs.start("outlasts", aws_clients.STAYS)

    def outcomes() -> list[str]:
        return [call.outcome for call in ecs.aws.calls("ecs", "StopTask") if call.caller == "scheduler"]

    ecs.aws.faults.arm("ecs-down")
    try:
        schedule_soon(scheduler, "stop-2", stop_target(arn))
        waiting.until(lambda: "ecs-down" in outcomes(), what="a failed stop")
    finally:
        ecs.aws.faults.disarm("ecs-down")
    task = ecs.wait(arn, "STOPPED")

    assert task["stoppedReason"] == "scheduled"
    assert outcomes()[-1] == "ok"


def test_a_schedule_without_retries_is_lost_in_an_outage(ecs: aws_clients.EcsCluster, scheduler: Any) -> None:
    arn = ecs.start("lost", aws_clients.STAYS)
    ecs.aws.faults.arm("ecs-down")
    try:
        policy = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
        schedule_soon(scheduler, "stop-3", stop_target(arn, RetryPolicy=policy))
        waiting.until(lambda: not exists(scheduler, "stop-3"), what="the schedule to give up")
    finally:
        ecs.aws.faults.disarm("ecs-down")

    assert ecs.describe(arn)["desiredStatus"] == "RUNNING"
    ecs.stop(arn)


def test_a_create_call_repeated_with_its_token_is_answered_as_before(scheduler: Any) -> None:
    arn = "arn:aws:ecs:eu-west-2:123456789012:task/burst-dev/x"
    expression = at(3600)
    first = schedule(scheduler, "again", expression, stop_target(arn), ClientToken="t1")

    again = schedule(scheduler, "again", expression, stop_target(arn), ClientToken="t1")
    with pytest.raises(exceptions.ClientError) as raised:
        schedule(scheduler, "again", expression, stop_target(arn), ClientToken="t2")

    assert again == first
    assert aws_clients.error_code(raised.value) == "ConflictException"


REFUSED = {
    "in the past": {"ScheduleExpression": "at(2020-01-01T00:00:00)"},
    "no expression": {"ScheduleExpression": "banana"},
    "cron": {"ScheduleExpression": "cron(0 3 * * ? *)"},
    "no such zone": {"ScheduleExpressionTimezone": "Europe/Atlantis"},
    "a call that only reads": {"Target": {"RoleArn": ROLE, "Arn": STOP_TASK.replace("stopTask", "describeTasks")}},
}


@pytest.mark.parametrize("parameters", REFUSED.values(), ids=REFUSED.keys())
def test_a_schedule_that_could_not_fire_is_refused(scheduler: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(exceptions.ClientError) as raised:
        schedule(scheduler, f"refused-{time.monotonic_ns()}", at(3600), stop_target("x"), **parameters)

    assert aws_clients.error_code(raised.value) == "ValidationException"


def test_a_schedule_in_a_group_that_does_not_exist_is_refused(scheduler: Any) -> None:
    with pytest.raises(exceptions.ClientError) as raised:
        schedule(scheduler, "homeless", at(3600), stop_target("x"), GroupName="absent")

    assert aws_clients.error_code(raised.value) == "ResourceNotFoundException"


def test_an_existing_group_is_not_created_again_and_keeps_its_schedules(scheduler: Any) -> None:
    target = stop_target("arn:aws:ecs:eu-west-2:123456789012:task/burst/none")
    scheduler.create_schedule_group(Name="kept")
    schedule(scheduler, "stays", at(3600), target, GroupName="kept")

    with pytest.raises(scheduler.exceptions.ConflictException):
        scheduler.create_schedule_group(Name="kept")

    assert [each["Name"] for each in scheduler.list_schedules(GroupName="kept")["Schedules"]] == ["stays"]


def test_quotas_of_fargate_have_the_set_values_and_moto_answers_for_others(aws: aws_simulation.AwsSimulation) -> None:
    quotas = aws_clients.make_client(aws, "service-quotas")
    on_demand, spot = "L-3032A538", "L-36FBB829"

    def read_quota(code: str, service: str = "fargate") -> Any:
        return quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]

    before = read_quota(on_demand)["Value"]
    aws.allow_vcpu(on_demand, 6.0)

    assert (read_quota(on_demand)["Value"], read_quota(spot)["Value"]) == (6.0, before)
    assert read_quota(spot)["QuotaName"] == "Fargate Spot vCPU resource count"
    assert read_quota("L-7E9ECCDB", "vpc")["QuotaName"] == "Active VPC peering connections per VPC"
    with pytest.raises(exceptions.ClientError) as refused:
        read_quota("L-00000000")
    assert aws_clients.error_code(refused.value) == "NoSuchResourceException"
    with pytest.raises(errors.UsageError, match="no quota of Fargate's"):
        aws.allow_vcpu("L-00000000", 6.0)
