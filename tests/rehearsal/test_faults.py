"""Each fault, as a real client or a real process meets it."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore import exceptions

from burst.domain.basics import errors
from burst.rehearsal import armed_faults, aws_simulation, faults
from tests import waiting
from tests.rehearsal import aws_clients
from tests.rehearsal.test_services import at, awslogs, due, messages, schedule, schedule_soon, stop_target

GUARD = ("burst", "guard", "--budget", "300", "--grace", "0.3", "--")
REFUSES = armed_faults.FaultOptions(manner=armed_faults.REFUSE)
RESETS = armed_faults.FaultOptions(manner=armed_faults.RESET)
NO_ANSWER = (exceptions.ConnectionClosedError, exceptions.EndpointConnectionError, exceptions.HTTPClientError)


@pytest.fixture(autouse=True)
def _disarm_faults(aws: aws_simulation.AwsSimulation) -> Iterator[None]:
    """Disarms the faults of each test after it."""
    yield
    for label in aws.faults.active():
        aws.faults.disarm(label)


@pytest.fixture(scope="module")
def s3(aws: aws_simulation.AwsSimulation) -> Any:
    """An S3 client, and a bucket."""
    client = aws_clients.make_client(aws, "s3")
    client.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    return client


def call_sts(aws: aws_simulation.AwsSimulation) -> None:
    """Makes a call to STS."""
    aws_clients.make_client(aws, "sts").get_caller_identity()


def call_ecs(aws: aws_simulation.AwsSimulation) -> None:
    """Makes a call to ECS."""
    aws_clients.make_client(aws, "ecs").list_tasks(cluster=aws_clients.CLUSTER)


def call_s3(aws: aws_simulation.AwsSimulation) -> None:
    """Makes a call to S3."""
    aws_clients.make_client(aws, "s3").list_buckets()


DOWN = {"ecs-down": (call_ecs, call_sts), "sts-down": (call_sts, call_ecs), "s3-down": (call_s3, call_ecs)}


@pytest.mark.parametrize(("label", "calls"), DOWN.items(), ids=DOWN.keys())
def test_a_service_that_is_down_resets_connections_and_others_answer(
    ecs: aws_clients.EcsCluster, label: str, calls: tuple[Any, Any]
) -> None:
    call_to_service, call_to_other = calls
    ecs.aws.faults.arm(label, options=RESETS)

    with pytest.raises(NO_ANSWER):
        call_to_service(ecs.aws)
    call_to_other(ecs.aws)
    ecs.aws.faults.disarm(label)

    call_to_service(ecs.aws)
    assert [call.outcome for call in ecs.aws.calls()][-3:] == [label, "ok", "ok"]


def test_a_service_that_is_down_can_refuse_with_503(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("ecs-down", options=REFUSES)
    ecs.aws.faults.arm("s3-down", options=REFUSES)

    for call in (call_ecs, call_s3):
        with pytest.raises(exceptions.ClientError) as raised:
            call(ecs.aws)
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert aws_clients.error_code(raised.value) == "ServiceUnavailable"


def test_a_service_that_is_down_hangs_first_but_not_for_ever(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("ecs-down", options=armed_faults.FaultOptions(hang_seconds=0.5))

    began = time.monotonic()
    with pytest.raises(NO_ANSWER):
        call_ecs(ecs.aws)

    assert 0.5 <= time.monotonic() - began < 10.0  # a client waits 20 s


def test_with_all_of_aws_down_nothing_answers_and_no_schedule_fires(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("all-down", aws_clients.STAYS)
    scheduler = aws_clients.make_client(ecs.aws, "scheduler")
    expression = schedule_soon(scheduler, "all-down", stop_target(arn), seconds=5)
    ecs.aws.faults.arm("all-aws-down", options=RESETS)

    for call in (call_ecs, call_s3, call_sts):
        with pytest.raises(NO_ANSWER):
            call(ecs.aws)
    wait_past(expression)
    over_at = datetime.now(UTC)
    ecs.aws.faults.disarm("all-aws-down")
    task = ecs.wait(arn, "STOPPED")

    assert task["stoppingAt"] >= over_at


def wait_past(expression: str) -> None:
    """Waits until a schedule is overdue by more time than it takes to fire."""
    overdue_at = due(expression) + timedelta(seconds=0.5)
    waiting.until(lambda: datetime.now(UTC) > overdue_at, what="the schedule to be overdue")


def test_an_outage_can_be_the_operators_alone(ecs: aws_clients.EcsCluster, s3: Any) -> None:
    program = "import boto3; boto3.client('s3').list_buckets(); print('reached')"
    definition = ecs.register("reaches", {"name": "app", "command": aws_clients.python(program)})
    (arn,) = ecs.run(definition)
    ecs.aws.faults.arm(
        "all-aws-down", options=armed_faults.FaultOptions(manner=armed_faults.RESET, callers=armed_faults.OPERATOR)
    )

    with pytest.raises(NO_ANSWER):
        s3.list_buckets()
    waiting.until(lambda: "reached" in ecs.output(arn), what="the task to reach S3")

    assert ecs.aws.faults.active() == ["all-aws-down"]


def test_the_throttling_fault_uses_both_throttling_errors(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("ecs-throttle")

    codes = []
    for _ in range(4):
        with pytest.raises(exceptions.ClientError, match="Rate exceeded") as raised:
            call_ecs(ecs.aws)
        codes.append(aws_clients.error_code(raised.value))

    assert sorted(codes) == ["InvalidParameterException"] * 2 + ["ThrottlingException"] * 2


def test_a_call_whose_answer_is_lost_is_carried_out(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.register("lost", {"name": "app", "command": [*aws_clients.STAYS]})
    ecs.aws.faults.arm("response-lost:RunTask")

    with pytest.raises(NO_ANSWER):
        ecs.run(definition, clientToken="lost-1", startedBy="burst/lost")
    (arn,) = ecs.run(definition, clientToken="lost-1", startedBy="burst/lost")
    ecs.wait(arn, "RUNNING")

    assert ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy="burst/lost")["taskArns"] == [arn]
    assert [call.outcome for call in ecs.aws.calls("ecs", "RunTask")][-2:] == ["response-lost", "ok"]
    ecs.stop(arn)


def test_answers_of_other_services_can_be_lost_too(aws: aws_simulation.AwsSimulation, s3: Any) -> None:
    scheduler = aws_clients.make_client(aws, "scheduler")
    aws.faults.arm("response-lost:PutObject")
    aws.faults.arm("response-lost:CreateSchedule")

    with pytest.raises(NO_ANSWER):
        s3.put_object(Bucket="evidence", Key="lost", Body=b"x", IfNoneMatch="*")
    with pytest.raises(NO_ANSWER):
        schedule(scheduler, "lost", at(3600), stop_target("x"))

    assert s3.head_object(Bucket="evidence", Key="lost")["ContentLength"] == 1
    assert scheduler.get_schedule(Name="lost")["Name"] == "lost"


def test_the_registered_controller_is_killed_once(aws: aws_simulation.AwsSimulation) -> None:
    with subprocess.Popen(["sleep", "300"]) as controller:
        aws.faults.arm("controller-kill")
        aws.register_controller(controller.pid)

        code = controller.wait(10)

    with subprocess.Popen(["sleep", "300"]) as second:
        aws.register_controller(second.pid)
        struck_again = aws.faults.active()
        second.terminate()

    assert code == -9
    assert struck_again == []


def test_containers_ignore_term_while_the_fault_lasts(ecs: aws_clients.EcsCluster) -> None:
    before = ecs.start("deaf-before", aws_clients.STAYS, definition={"stopTimeout": 3})
    ecs.aws.faults.arm("task-ignores-term")
    during = ecs.start("deaf-during", aws_clients.STAYS, definition={"stopTimeout": 3})

    codes = [aws_clients.exit_codes(ecs.stop(arn)) for arn in (before, during)]

    assert codes == [{"app": 137}, {"app": 137}]


def test_a_guard_kills_a_program_that_ignores_term(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("task-ignores-term")

    arn = ecs.start("deaf-guarded", (*GUARD, "sh", "-c", aws_clients.HEEDS))
    waiting.until(lambda: "heeds" in ecs.output(arn), what="the program to run")
    psutil.Process(ecs.process(arn).pid).terminate()
    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 137}
    assert task["stopCode"] == "EssentialContainerExited"


@pytest.mark.parametrize("armed_first", [True, False], ids=["before the start", "while it runs"])
def test_an_escaped_process_outlives_the_guard_and_ends_with_the_container(
    ecs: aws_clients.EcsCluster, tmp_path: Path, armed_first: bool
) -> None:
    over = tmp_path / "over"
    lifespan = f"until [ -e {over} ]; do sleep 0.05; done; exit 64"
    definition = ecs.register(
        "escapes",
        {"name": "app", "command": [*GUARD, "sh", "-c", aws_clients.HEEDS], "stopTimeout": 2},
        {"name": "lifespan", "command": ["sh", "-c", lifespan], "stopTimeout": 2},
    )
    if armed_first:
        ecs.aws.faults.arm("task-escapes-guard")
    (arn,) = ecs.run(definition)
    ecs.wait(arn, "RUNNING")
    if not armed_first:
        ecs.aws.faults.arm("task-escapes-guard")
    escaped = waiting.until(lambda: find_sleepers(ecs, arn), what="the escaped process")
    guard = psutil.Process(ecs.process(arn).pid)
    waiting.until(lambda: "heeds" in ecs.output(arn), what="the program to run")

    guard.terminate()
    waiting.until(lambda: not aws_clients.find_living([guard]), what="the guard's own end")
    outlived = aws_clients.find_living(escaped)
    over.touch()
    task = ecs.wait(arn, "STOPPED")

    assert outlived == escaped
    assert all(process.environ() == {} for process in outlived if process.is_running())
    assert aws_clients.exit_codes(task) == {"app": 137, "lifespan": 64}
    assert aws_clients.find_living(escaped) == []


def find_sleepers(ecs: aws_clients.EcsCluster, arn: str) -> list[psutil.Process]:
    """The `sleep` processes that run in the container beside its first process."""
    pid = ecs.process(arn).pid
    shim = psutil.Process(pid).parent() if pid else None
    return [child for child in shim.children() if read_name(child) == "sleep"] if shim else []


def read_name(process: psutil.Process) -> str | None:
    """The name of a process, or None if it has ended. A process that forks to escape its guard ends at once."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.name()
    return None


def test_a_task_out_of_memory_ends_with_137_and_says_so(ecs: aws_clients.EcsCluster) -> None:
    first = ecs.start("oom", aws_clients.STAYS)
    second = ecs.start("oom", aws_clients.STAYS)

    ecs.aws.faults.arm("task-oom")
    task = ecs.wait(first, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 137}
    assert task["containers"][0]["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert task["stopCode"] == "EssentialContainerExited"
    assert ecs.describe(second)["lastStatus"] == "RUNNING"
    ecs.stop(second)


def test_a_task_that_a_schedule_runs_is_no_target(ecs: aws_clients.EcsCluster) -> None:
    scheduled = ecs.start("reaper", aws_clients.STAYS, startedBy="chronos-schedule/burst-m10_f-reaper")
    ecs.aws.faults.arm("task-oom")
    burst_task = ecs.start("burst", aws_clients.STAYS)

    ecs.wait(burst_task, "STOPPED")

    assert ecs.describe(scheduled)["lastStatus"] == "RUNNING"
    ecs.stop(scheduled)


def test_an_interrupted_spot_task_gets_its_notice_and_is_killed(ecs: aws_clients.EcsCluster) -> None:
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    spared = ecs.start("on-demand", aws_clients.STAYS)
    arn = ecs.start("spot", aws_clients.IGNORES_TERM, capacityProviderStrategy=strategy)

    ecs.aws.faults.arm("spot-interruption")
    task = ecs.wait(arn, "STOPPED")

    assert (task["stopCode"], aws_clients.exit_codes(task)) == ("SpotInterruption", {"app": 137})
    # KILL came after the notice of 0.4 s, not after the stop timeout of 6 s.
    assert 0.4 <= (task["executionStoppedAt"] - task["stoppingAt"]).total_seconds() < 5.0
    assert ecs.describe(spared)["desiredStatus"] == "RUNNING"
    ecs.stop(spared)


def test_a_task_stuck_in_pending_is_given_up_without_containers(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.register("stuck", {"name": "app", "command": [*aws_clients.STAYS]})
    ecs.aws.faults.arm("stuck-pending")

    (arn,) = ecs.run(definition)
    pending = ecs.wait(arn, "PENDING")
    task = ecs.wait(arn, "STOPPED")

    assert pending["desiredStatus"] == "RUNNING"
    assert (task["stopCode"], task["containers"]) == ("TaskFailedToStart", [])
    assert "startedAt" not in task


def test_a_task_stuck_for_a_while_starts_after_all(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.register("late", {"name": "app", "command": [*aws_clients.STAYS]})
    ecs.aws.faults.arm("stuck-pending")

    (arn,) = ecs.run(definition)
    ecs.wait(arn, "PENDING")
    over_at = datetime.now(UTC)
    ecs.aws.faults.disarm("stuck-pending")
    task = ecs.wait(arn, "RUNNING")

    assert task["startedAt"] >= over_at
    ecs.stop(arn)


def test_a_task_that_fails_to_start_has_no_containers_and_the_next_one_starts(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("fails-to-start")

    failed = ecs.wait(ecs.start("never-starts", aws_clients.STAYS), "STOPPED")
    arn = ecs.start("never-starts", aws_clients.STAYS)

    assert (failed["stopCode"], failed["containers"]) == ("TaskFailedToStart", [])
    assert failed["stoppedReason"] == "Timeout waiting for network interface provisioning to complete."
    assert "startedAt" not in failed
    assert ecs.describe(arn)["lastStatus"] == "RUNNING"
    ecs.stop(arn)


@pytest.mark.parametrize(
    ("label", "code"),
    [("infrastructure-health", "InfrastructureHealth"), ("infrastructure-health:HostRetired", "HostRetired")],
)
def test_a_task_whose_host_is_retired_gets_term_and_ends_with_the_code(
    ecs: aws_clients.EcsCluster, label: str, code: str
) -> None:
    arn = ecs.start("retired", ("sh", "-c", aws_clients.HEEDS))
    waiting.until(lambda: "heeds" in ecs.output(arn), what="the program to heed TERM")

    ecs.aws.faults.arm(label)
    task = ecs.wait(arn, "STOPPED")

    assert (task["stopCode"], aws_clients.exit_codes(task)) == (code, {"app": 0})


def test_a_stop_that_is_ignored_is_answered_and_sends_no_signal(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("unstopped", ("sh", "-c", aws_clients.HEEDS), startedBy="burst/unstopped")
    waiting.until(lambda: "heeds" in ecs.output(arn), what="the program to heed TERM")
    ecs.aws.faults.arm("stop-ignored")

    answered = ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn, reason="first")["task"]
    ecs.stop(ecs.start("starts-meanwhile", ("true",)))  # a whole task comes and goes meanwhile
    afterwards = ecs.describe(arn)
    listed = ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy="burst/unstopped")["taskArns"]
    ecs.aws.faults.disarm("stop-ignored")
    stopped = ecs.stop(arn)

    assert (answered["lastStatus"], answered["desiredStatus"]) == ("RUNNING", "STOPPED")
    assert (afterwards["lastStatus"], afterwards["desiredStatus"]) == ("RUNNING", "STOPPED")
    assert listed == []
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "first")


def test_a_task_whose_stop_was_ignored_still_ends_with_its_essential_container(
    ecs: aws_clients.EcsCluster, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    definition = ecs.register(
        "ends-anyway",
        {"name": "app", "command": ["sh", "-c", f"until [ -e {over} ]; do sleep 0.05; done; exit 124"]},
        {"name": "lifespan", "command": ["sh", "-c", aws_clients.HEEDS], "stopTimeout": 2},
    )
    (arn,) = ecs.run(definition)
    ecs.wait(arn, "RUNNING")
    waiting.until(lambda: "heeds" in ecs.output(arn, "lifespan"), what="the second program to heed TERM")
    ecs.aws.faults.arm("stop-ignored")

    ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn, reason="burst: controller")
    over.touch()
    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 124, "lifespan": 0}
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "burst: controller")


def test_a_missing_task_is_neither_described_nor_listed_until_its_seconds_are_over(
    ecs: aws_clients.EcsCluster,
) -> None:
    ecs.aws.faults.arm("tasks-missing:5")
    definition = ecs.register("missing", {"name": "app", "command": ["true"]})
    launched = time.monotonic()

    (arn,) = ecs.run(definition, startedBy="burst/missing")
    answer = ecs.client.describe_tasks(cluster=aws_clients.CLUSTER, tasks=[arn])
    listed = [
        ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy="burst/missing", desiredStatus=status)["taskArns"]
        for status in ("RUNNING", "STOPPED")
    ]
    ecs.wait(arn, "STOPPED")

    assert (answer["tasks"], [failure["reason"] for failure in answer["failures"]]) == ([], ["MISSING"])
    assert listed == [[], []]
    assert time.monotonic() - launched >= 5.0


def test_a_denied_action_is_refused_to_whoever_asks_and_no_other_action_is(
    ecs: aws_clients.EcsCluster, s3: Any
) -> None:
    arn = ecs.start("denied", aws_clients.STAYS)
    s3.put_object(Bucket="evidence", Key="denied", Body=b"x")
    ecs.aws.faults.arm("denied:ecs:StopTask")
    ecs.aws.faults.arm("denied:s3:GetObject")

    with pytest.raises(exceptions.ClientError, match="not authorized to perform: ecs:StopTask on resource: ") as raised:
        ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn)
    with pytest.raises(exceptions.ClientError, match="s3:GetObject") as of_s3:
        s3.get_object(Bucket="evidence", Key="denied")
    with pytest.raises(exceptions.ClientError, match="403"):
        s3.head_object(Bucket="evidence", Key="denied")  # the same action, whatever the call is named
    listed = ecs.client.list_tasks(cluster=aws_clients.CLUSTER)["taskArns"]
    ecs.aws.faults.disarm("denied:ecs:StopTask")
    ecs.stop(arn)

    assert aws_clients.error_code(raised.value) == "AccessDeniedException"
    assert aws_clients.error_code(of_s3.value) == "AccessDenied"
    assert arn in listed


DENIED: dict[str, tuple[str, Callable[[Any], object], str]] = {
    "ec2:DescribeSubnets": ("ec2", lambda client: client.describe_subnets(), "UnauthorizedOperation"),
    "iam:GetRole": ("iam", lambda client: client.get_role(RoleName="any"), "AccessDenied"),
    "scheduler:GetSchedule": ("scheduler", lambda client: client.get_schedule(Name="any"), "AccessDeniedException"),
    "sts:GetCallerIdentity": ("sts", lambda client: client.get_caller_identity(), "AccessDenied"),
}


@pytest.mark.parametrize("action", DENIED)
def test_a_denial_has_the_code_of_its_service(aws: aws_simulation.AwsSimulation, action: str) -> None:
    service, call, code = DENIED[action]
    client = aws_clients.make_client(aws, service)
    aws.faults.arm(f"denied:{action}")

    with pytest.raises(exceptions.ClientError, match=f"not authorized to perform: {action}") as raised:
        call(client)

    assert aws_clients.error_code(raised.value) == code


def test_a_schedule_whose_action_is_denied_starts_nothing(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("denied-schedule", aws_clients.STAYS)
    ecs.aws.faults.arm("denied:ecs:StopTask")
    schedule_soon(aws_clients.make_client(ecs.aws, "scheduler"), "denied", stop_target(arn))

    waiting.until(
        lambda: any(
            (call.caller, call.outcome) == ("scheduler", "AccessDeniedException") for call in ecs.aws.calls("ecs")
        ),
        what="the schedule's refused call",
    )
    described = ecs.describe(arn)
    ecs.aws.faults.disarm("denied:ecs:StopTask")
    ecs.stop(arn)

    assert described["desiredStatus"] == "RUNNING"


def test_a_slow_metadata_service_answers_late_and_at_once_when_the_fault_is_over(ecs: aws_clients.EcsCluster) -> None:
    program = (
        "import os, time, urllib.request as u\n"
        "began = time.monotonic()\n"
        "u.urlopen(os.environ['ECS_CONTAINER_METADATA_URI_V4'] + '/task').read()\n"
        "print(time.monotonic() - began)\n"
    )
    ecs.aws.faults.arm("metadata-slow:1")
    late = ecs.start("late-metadata", aws_clients.python(program))
    ecs.wait(late, "STOPPED")
    ecs.aws.faults.disarm("metadata-slow:1")
    ecs.aws.faults.arm("metadata-slow:600")
    silent = ecs.start("silent-metadata", aws_clients.python(program))
    ecs.until(lambda task: task["lastStatus"] == "RUNNING", silent, what="the task to run")
    ecs.aws.faults.disarm("metadata-slow:600")
    ecs.wait(silent, "STOPPED")

    assert float(ecs.output(late)) >= 1.0
    assert float(ecs.output(silent)) < 60.0


def test_late_logs_arrive_when_the_fault_is_over(ecs: aws_clients.EcsCluster) -> None:
    logs = aws_clients.make_client(ecs.aws, "logs")
    logs.create_log_group(logGroupName="/burst")
    ecs.aws.faults.arm("logs-late")

    arn = ecs.start("late-logs", ("echo", "here"), definition={"logConfiguration": awslogs()})
    ecs.wait(arn, "STOPPED")
    stream = f"app/app/{arn.rpartition('/')[2]}"
    held = messages(logs, stream)
    ecs.aws.faults.disarm("logs-late")

    assert held == []
    assert waiting.until(lambda: messages(logs, stream), what="the late line") == ["here"]


def test_a_late_schedule_fires_when_the_fault_is_over(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("late-schedule", aws_clients.STAYS)
    ecs.aws.faults.arm("schedule-late")
    expression = schedule_soon(aws_clients.make_client(ecs.aws, "scheduler"), "late", stop_target(arn))

    wait_past(expression)
    over_at = datetime.now(UTC)
    ecs.aws.faults.disarm("schedule-late")
    task = ecs.wait(arn, "STOPPED")

    assert task["stoppingAt"] >= over_at


def test_with_a_skewed_clock_dates_and_times_of_aws_are_off(ecs: aws_clients.EcsCluster, s3: Any) -> None:
    ecs.aws.faults.arm("clock-skew:300")

    arn = ecs.start("skewed", ("true",))
    task = ecs.wait(arn, "STOPPED")
    date = s3.list_buckets()["ResponseMetadata"]["HTTPHeaders"]["date"]

    ahead = (task["createdAt"] - datetime.now(UTC)).total_seconds()
    header_time = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert 280 < ahead <= 300
    assert 290 < (header_time - datetime.now(UTC)).total_seconds() <= 300


def test_a_fault_begins_after_its_seconds_and_ends_after_its_duration(aws: aws_simulation.AwsSimulation) -> None:
    ordering = time.monotonic()
    aws.faults.order(faults.parse_faults(["ecs-throttle@0.5+1.5"]))
    ordered = time.monotonic()

    waiting.until(aws.faults.active, what="the fault")
    begun = time.monotonic()
    waiting.until(lambda: not aws.faults.active(), what="its end")
    ended = time.monotonic()

    assert begun - ordering >= 0.5
    assert begun - ordered < 0.5 + waiting.scheduling_seconds()
    assert ended - ordering >= 2.0
    assert ended - ordered < 2.0 + waiting.scheduling_seconds()


@pytest.mark.parametrize("label", ["no-such-fault", "response-lost", "ecs-down:why"])
def test_an_unknown_fault_cannot_be_armed(aws: aws_simulation.AwsSimulation, label: str) -> None:
    with pytest.raises(errors.UsageError):
        aws.faults.arm(label)

    assert aws.faults.active() == []


def test_another_process_can_arm_a_fault(aws: aws_simulation.AwsSimulation, tmp_path: Path) -> None:
    program = (
        f"from burst.rehearsal import aws_simulation; aws_simulation.FaultClient({aws.address!r}).arm('ecs-throttle')"
    )

    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=waiting.PROCESS_SECONDS)

    assert aws.faults.active() == ["ecs-throttle"]
