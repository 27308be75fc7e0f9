"""The ECS launcher on a simulated ECS whose containers are real processes."""

import collections
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions

from burst.adapters.aws import ecs_tasks
from burst.adapters.local import system_clock
from burst.domain.basics import errors, instants
from burst.domain.tasks import ecs_requests, ecs_truths, task_records, tasks
from burst.kit import aws
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud

SLEEPS = fixtures_aws.ENDS_ON_TERM


def lifespan(seconds: str = '"$BURST_BUDGET_SECONDS"') -> dict[str, Any]:
    script = f"trap 'exit 0' TERM; sleep {seconds} & wait $!; exit 64"
    return fixtures_aws.container("lifespan", entry_point=("sh", "-c"), command=[script])


def launcher(
    cloud: Cloud,
    definition: str,
    *,
    execution_id: str | None = None,
    container: str | None = None,
    secrets: frozenset[str] = frozenset(),
    deadline: datetime | None = None,
    records: ecs_tasks.Records = ecs_tasks.find_no_record,
    client: Any | None = None,
) -> ecs_tasks.EcsLauncher:
    return ecs_tasks.EcsLauncher(
        fixtures_aws.target(definition, tasks=500, container=container),
        run=fixtures_aws.run(
            cloud,
            execution_id=execution_id or cloud.name,
            deadline=deadline or instants.later(datetime.now(UTC), 120),
            secrets=secrets,
        ),
        clock=system_clock.SystemClock(),
        records=records,
        client=client or cloud.ecs,
    )


def request(
    cloud: Cloud, *shards: int, command: Sequence[str] = SLEEPS, budget_seconds: float = 60.0, **fields: Any
) -> tasks.LaunchRequest:
    return replace(
        tasks.LaunchRequest(
            execution_id=cloud.name,
            token=f"{cloud.name}|1",
            shards=shards,
            shard_count=len(shards),
            command=tuple(command),
            environment=(("BURST_SCOPE", "platform_x"),),
            budget_seconds=budget_seconds,
            grace_seconds=1.0,
            child_waits=False,
            lease_ttl_seconds=30.0,
        ),
        **fields,
    )


def wait_for_status(
    ecs_launcher: ecs_tasks.EcsTasks,
    launched: Sequence[tasks.Task],
    status: tasks.TaskStatus,
    *,
    seconds: float = 40.0,
) -> list[tasks.TaskTruth]:
    def inspect_all() -> list[tasks.TaskTruth] | None:
        truths = list(ecs_launcher.inspect(launched))
        return truths if all(truth.status is status for truth in truths) else None

    return waiting.until(inspect_all, seconds=seconds, what=f"{len(launched)} tasks to be {status}")


@pytest.fixture
def unguarded(cloud: Cloud) -> str:
    """A definition without burst's guard."""
    return cloud.register(fixtures_aws.container())


@pytest.fixture
def guarded(cloud: Cloud, tmp_path: Path) -> str:
    """A definition whose tasks are launched in batches."""
    return cloud.register(fixtures_aws.container(entry_point=fixtures_aws.quick_guard(tmp_path)))


def find_tasks(ecs_launcher: ecs_tasks.EcsTasks, cloud: Cloud, count: int) -> list[tasks.Task]:
    """The run's tasks as ECS lists them, a little after their launch."""

    def list_tasks() -> list[tasks.Task] | None:
        tasks_seen = list(ecs_launcher.find(cloud.name))
        return tasks_seen if len(tasks_seen) >= count else None

    return waiting.until(list_tasks, what=f"{count} tasks to be found")


def test_launched_tasks_carry_their_run_shard_limits_and_lease(cloud: Cloud, unguarded: str) -> None:
    ecs_launcher = launcher(cloud, unguarded)

    launched = ecs_launcher.launch(request(cloud, 0, 1))

    wait_for_status(ecs_launcher, launched, tasks.TaskStatus.RUNNING)
    (first, _) = cloud.ecs.describe_tasks(
        cluster=fixtures_aws.CLUSTER, tasks=[task.task_id for task in launched], include=["TAGS"]
    )["tasks"]
    (override,) = first["overrides"]["containerOverrides"]
    variables = {pair["name"]: pair["value"] for pair in override["environment"]}
    assert variables["BURST_SHARD_INDEX"] in {"0", "1"}
    assert "BURST_SHARD_HINT" not in variables
    assert (variables["BURST_EXECUTION_ID"], variables["BURST_SHARD_COUNT"], variables["BURST_SCOPE"]) == (
        cloud.name,
        "2",
        "platform_x",
    )
    assert (variables["BURST_BUDGET_SECONDS"], variables["BURST_GRACE_SECONDS"]) == ("60.000", "1")
    assert variables["BURST_CONTROL_URI"] == f"{cloud.place}/control.json"
    assert override["command"] == list(SLEEPS)
    assert first["startedBy"] == f"burst/{cloud.name}"
    tags = {tag["key"]: tag["value"] for tag in first["tags"]}
    assert (tags["burst:run"], tags["burst:phase"], tags["burst:deadline"]) == (
        cloud.name, "M10.F", variables["BURST_DEADLINE_UTC"],
    )  # fmt: skip


def test_batches_are_of_ten_neighbours_at_most(cloud: Cloud, guarded: str) -> None:
    ecs_launcher = launcher(cloud, guarded)

    launched = ecs_launcher.launch(request(cloud, *range(12), 20, 21))

    assert [task.shard_index for task in launched] == [*range(12), 20, 21]
    assert len({task.task_id for task in launched}) == 14
    assert find_tasks(ecs_launcher, cloud, 14) == list(launched)
    assert batch_sizes(cloud, launched) == {0: 10, 10: 2, 20: 2}


def batch_sizes(cloud: Cloud, launched: Sequence[tasks.Task]) -> dict[int, int]:
    """How many tasks share each first shard."""
    ids = [task.task_id for task in launched]
    described = cloud.ecs.describe_tasks(cluster=fixtures_aws.CLUSTER, tasks=ids)["tasks"]
    pairs = [pair for entry in described for pair in entry["overrides"]["containerOverrides"][0]["environment"]]
    return dict(collections.Counter(int(pair["value"]) for pair in pairs if pair["name"] == "BURST_SHARD_HINT"))


def test_a_launch_whose_answer_is_lost_is_adopted_and_not_doubled(cloud: Cloud, guarded: str) -> None:
    ecs_launcher = launcher(cloud, guarded)
    ecs_launcher.definition  # noqa: B018 (asked before the fault)
    before = cloud.calls("RunTask")
    cloud.world.faults.arm("response-lost:RunTask")

    launched = ecs_launcher.launch(request(cloud, *range(4)))

    assert cloud.calls("RunTask") - before == 2
    assert len(launched) == 4
    assert find_tasks(ecs_launcher, cloud, 4) == list(launched)


def test_the_same_token_with_another_budget_adopts_what_it_started(cloud: Cloud, guarded: str) -> None:
    first = launcher(cloud, guarded).launch(request(cloud, *range(3)))

    again = launcher(cloud, guarded).launch(request(cloud, *range(3), budget_seconds=50.0))

    assert list(again) == list(first)


def test_a_conflict_that_names_no_tasks_leaves_the_launch_unknown(cloud: Cloud, guarded: str) -> None:
    class Unnaming:
        """ECS that knows the token and does not name its tasks."""

        def __getattr__(self, name: str) -> Any:
            return getattr(cloud.ecs, name)

        def run_task(self, **_: Any) -> Any:
            raise exceptions.ClientError({"Error": {"Code": "ConflictException"}}, "RunTask")

    with pytest.raises(errors.Unavailable, match="is not told"):
        launcher(cloud, guarded, client=Unnaming()).launch(request(cloud, 0))


def test_a_partial_launch_is_told_and_a_new_token_starts_the_rest_only(cloud: Cloud, guarded: str) -> None:
    ecs_launcher = launcher(cloud, guarded)
    cloud.world.faults.arm("partial-launch", duration_seconds=30)
    launched = list(ecs_launcher.launch(request(cloud, *range(6))))
    failures = ecs_launcher.last_failures
    cloud.world.faults.disarm("partial-launch")
    missing = [shard for shard in range(6) if shard not in {task.shard_index for task in launched}]

    second_launch = ecs_launcher.launch(request(cloud, *missing, token=f"{cloud.name}|2"))

    assert 0 < len(launched) < 6
    assert len(failures) == len(missing) == len(second_launch)
    assert {failure.shortage for failure in failures} == {tasks.Shortage.CAPACITY}
    assert ecs_launcher.last_failures == ()
    assert sorted(task.shard_index for task in [*launched, *second_launch]) == list(range(6))
    assert {task.task_id for task in find_tasks(ecs_launcher, cloud, 6)} == {
        task.task_id for task in [*launched, *second_launch]
    }


def test_without_capacity_later_batches_are_not_asked_for(cloud: Cloud, guarded: str) -> None:
    ecs_launcher = launcher(cloud, guarded)
    cloud.world.faults.arm("capacity", duration_seconds=30)
    before = cloud.calls("RunTask")

    launched = ecs_launcher.launch(request(cloud, *range(30), capacity="FARGATE_SPOT"))

    assert list(launched) == []
    assert {failure.shortage for failure in ecs_launcher.last_failures} == {tasks.Shortage.CAPACITY}
    assert cloud.calls("RunTask") - before == 1


def test_a_capacity_provider_is_used_where_the_request_names_one(cloud: Cloud, unguarded: str) -> None:
    (task,) = launcher(cloud, unguarded).launch(request(cloud, 0, capacity="FARGATE_SPOT"))

    described = waiting.until(
        lambda: cloud.ecs.describe_tasks(cluster=fixtures_aws.CLUSTER, tasks=[task.task_id])["tasks"], what="the task"
    )
    assert described[0]["capacityProviderName"] == "FARGATE_SPOT"


def test_a_task_just_launched_may_be_missing_and_is_unknown_not_stopped(cloud: Cloud, unguarded: str) -> None:
    looked: list[str] = []

    def records(task_id: str) -> task_records.Record:
        looked.append(task_id)
        return task_records.Lacking.ABSENT

    class Behind:
        """ECS that does not describe a new task in its first answer, however late that comes."""

        asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(cloud.ecs, name)

        def describe_tasks(self, **wanted: Any) -> Any:
            self.asked += 1
            missing = [{"arn": arn, "reason": "MISSING"} for arn in wanted["tasks"]]
            return {"tasks": [], "failures": missing} if self.asked == 1 else cloud.ecs.describe_tasks(**wanted)

    ecs_launcher = launcher(cloud, unguarded, records=records, client=Behind())

    launched = ecs_launcher.launch(request(cloud, 0))
    (truth,) = ecs_launcher.inspect(launched)

    assert truth.status is tasks.TaskStatus.UNKNOWN
    assert "ECS does not describe it yet, launched at" in truth.detail
    assert looked == []
    wait_for_status(ecs_launcher, launched, tasks.TaskStatus.RUNNING)


def test_a_task_nobody_launched_is_unknown(cloud: Cloud, unguarded: str) -> None:
    stranger = tasks.Task(task_id=f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{'0' * 32}", shard_index=0)

    (truth,) = launcher(cloud, unguarded).inspect([stranger])

    assert truth.status is tasks.TaskStatus.UNKNOWN


def test_a_task_ecs_forgot_is_told_by_its_guards_record(cloud: Cloud, unguarded: str) -> None:
    now = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
    record = task_records.GuardRecord(
        shard_index=0, guard_pid=1, guard_started=1.0, started_at=now, stopped_at=instants.later(now, 9),
        exit_code=124, stopped_by=tasks.Layer.GUARD, detail="the budget was used up",
    )  # fmt: skip
    stranger = tasks.Task(task_id=f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{'1' * 32}", shard_index=0)
    task_ids: list[str] = []

    def records(task_id: str) -> task_records.GuardRecord:
        task_ids.append(task_id)
        return record

    ecs_launcher = launcher(cloud, unguarded, records=records)
    (truth,) = ecs_launcher.inspect([stranger])
    (again,) = ecs_launcher.inspect([stranger])

    assert (truth.status, truth.stop_code, truth.exit_code) == (tasks.TaskStatus.STOPPED, tasks.StopCode.GONE, 124)
    assert (truth.stopped_by, truth.stopped_at) == (tasks.Layer.GUARD, record.stopped_at)
    assert again == truth
    assert task_ids == [stranger.task_id]


def test_the_end_of_a_task_is_the_one_its_guard_recorded_where_ecs_agrees_with_it(cloud: Cloud, guarded: str) -> None:
    def records(task_id: str) -> task_records.GuardRecord:
        (description,) = cloud.ecs.describe_tasks(cluster=fixtures_aws.CLUSTER, tasks=[task_id])["tasks"]
        return task_records.GuardRecord(
            shard_index=0, guard_pid=1, guard_started=1.0, started_at=description["createdAt"],
            stopped_at=instants.later(description["executionStoppedAt"], -0.001), exit_code=124,
            stopped_by=tasks.Layer.LEASE,
        )  # fmt: skip

    ecs_launcher = launcher(cloud, guarded, records=records)
    launched = ecs_launcher.launch(request(cloud, 0, command=("sh", "-c", "sleep 0.2; exit 124")))

    (truth,) = wait_for_status(ecs_launcher, launched, tasks.TaskStatus.STOPPED)

    assert (truth.exit_code, truth.stopped_by) == (124, tasks.Layer.LEASE)
    assert truth.stopped_at == records(launched[0].task_id).stopped_at


def test_an_older_description_never_replaces_a_newer_one(cloud: Cloud) -> None:
    arn = "arn:aws:ecs:eu-west-2:123456789012:task/burst/x"
    answers = [
        {"taskArn": arn, "version": 5, "lastStatus": "STOPPING"},
        {"taskArn": arn, "version": 3, "lastStatus": "RUNNING", "desiredStatus": "RUNNING"},
        {"taskArn": arn, "version": 6, "lastStatus": "STOPPED"},
    ]

    class Describes:
        def describe_tasks(self, **_: object) -> dict[str, Any]:
            return {"tasks": [answers.pop(0)], "failures": []}

    cluster_tasks = ecs_tasks.EcsTasks("burst", clock=system_clock.SystemClock(), client=Describes())
    task = tasks.Task(task_id=arn, shard_index=0)

    statuses = [cluster_tasks.inspect([task])[0] for _ in range(3)]

    assert [truth.status for truth in statuses] == [
        tasks.TaskStatus.RUNNING,
        tasks.TaskStatus.RUNNING,
        tasks.TaskStatus.STOPPED,
    ]
    assert statuses[0] == statuses[1]
    assert cluster_tasks.inspect([task])[0] == statuses[2]


@pytest.mark.parametrize("by", [tasks.Layer.CONTROLLER, tasks.Layer.SCHEDULE, tasks.Layer.SWEEPER])
def test_a_stopped_task_tells_which_layer_asked(cloud: Cloud, unguarded: str, by: tasks.Layer, tmp_path: Path) -> None:
    ecs_launcher, heeds = launcher(cloud, unguarded), tmp_path / "heeds"
    launched = ecs_launcher.launch(
        request(cloud, 0, command=("sh", "-c", f"trap 'exit 143' TERM; touch {heeds}; sleep 100 & wait $!"))
    )
    waiting.until(heeds.exists, seconds=20, what="the program to heed TERM")
    wait_for_status(ecs_launcher, launched, tasks.TaskStatus.RUNNING)

    ecs_launcher.stop(launched[0], by=by)

    (truth,) = wait_for_status(launcher(cloud, unguarded), launched, tasks.TaskStatus.STOPPED)
    assert (truth.stopped_by, truth.stop_code, truth.exit_code) == (by, tasks.StopCode.USER_INITIATED, 143)
    assert truth.started_at is not None
    assert truth.stopped_at is not None
    assert truth.started_at < truth.stopped_at


def test_stopping_a_task_ecs_does_not_know_is_no_error(cloud: Cloud, unguarded: str) -> None:
    stranger = tasks.Task(task_id=f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{'0' * 32}", shard_index=0)

    launcher(cloud, unguarded).stop(stranger, by=tasks.Layer.CONTROLLER)


def test_a_stop_whose_answer_is_lost_is_sent_again(cloud: Cloud, unguarded: str) -> None:
    ecs_launcher = launcher(cloud, unguarded)
    launched = ecs_launcher.launch(request(cloud, 0))
    cloud.world.faults.arm("response-lost:StopTask")

    ecs_launcher.stop(launched[0], by=tasks.Layer.CONTROLLER)

    wait_for_status(ecs_launcher, launched, tasks.TaskStatus.STOPPED)


def test_a_blind_inspect_is_unavailable_and_sight_comes_back(cloud: Cloud, unguarded: str) -> None:
    ecs_launcher = launcher(cloud, unguarded, client=aws.client("ecs", read_seconds=0.3))
    launched = launcher(cloud, unguarded).launch(request(cloud, 0))
    cloud.world.faults.arm("ecs-down", duration_seconds=30)

    with pytest.raises(errors.Unavailable, match="ecs:DescribeTasks"):
        ecs_launcher.inspect(launched)
    with pytest.raises(errors.Unavailable, match="ecs:ListTasks"):
        ecs_launcher.find(cloud.name)

    cloud.world.faults.disarm("ecs-down")

    def seen() -> bool:
        with contextlib.suppress(errors.Unavailable):  # with so little patience, once in a while
            return ecs_launcher.inspect(launched)[0].status is tasks.TaskStatus.RUNNING
        return False

    waiting.until(seen, what="the task to be seen running")


def test_find_returns_tasks_that_ended_too(cloud: Cloud, unguarded: str) -> None:
    ecs_launcher = launcher(cloud, unguarded)
    launched = list(ecs_launcher.launch(request(cloud, 0, 1, command=("true",))))
    wait_for_status(ecs_launcher, launched, tasks.TaskStatus.STOPPED)

    listed = launcher(cloud, unguarded).find(cloud.name)

    assert list(listed) == launched
    assert list(launcher(cloud, unguarded).find(f"{cloud.name}-other")) == []


def test_the_sidecar_ends_a_task_after_budget_and_grace_and_says_so(cloud: Cloud) -> None:
    definition = cloud.register(fixtures_aws.container(), lifespan())
    ecs_launcher = launcher(cloud, definition)

    launched = ecs_launcher.launch(request(cloud, 0, budget_seconds=0.2, grace_seconds=0.5))

    (truth,) = wait_for_status(ecs_launcher, launched, tasks.TaskStatus.STOPPED)
    assert (truth.stopped_by, truth.exit_code) == (tasks.Layer.SIDECAR, ecs_truths.EXIT_SIDECAR)
    assert truth.stop_code == tasks.StopCode.ESSENTIAL_EXITED


def test_a_program_that_ends_keeps_its_exit_code_and_one_that_is_killed_for_memory_says_so(
    cloud: Cloud, unguarded: str
) -> None:
    ecs_launcher = launcher(cloud, unguarded)
    launched = ecs_launcher.launch(request(cloud, 0, command=("sh", "-c", "exit 3")))

    (truth,) = wait_for_status(ecs_launcher, launched, tasks.TaskStatus.STOPPED)

    assert (truth.exit_code, truth.stopped_by, truth.stop_code) == (3, None, tasks.StopCode.ESSENTIAL_EXITED)


def test_a_task_that_never_started_says_why(cloud: Cloud) -> None:
    ecs_launcher = launcher(cloud, cloud.register(fixtures_aws.container(entry_point=("/no/such/program",))))

    launched = ecs_launcher.launch(request(cloud, 0))

    (truth,) = wait_for_status(ecs_launcher, launched, tasks.TaskStatus.STOPPED)
    assert (truth.exit_code, truth.stopped_by) == (None, None)
    assert truth.stop_code == tasks.StopCode.FAILED_TO_START
    assert truth.detail


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"environment": (("LONG", "x" * 8000),)}, r"LONG has 8000; allowed: 8192"),
        ({"command": ("sh", "-c", "x" * 8000)}, r"command has 80\d\d; allowed: 8192"),
        ({"execution_id": "another"}, "is for run"),
        ({"budget_seconds": -1.5}, r"1\.5 s past the deadline"),
        ({"environment": (("IG_API_KEY", "value"),)}, "IG_API_KEY would stand in the overrides"),
    ],
    ids=["environment", "command", "another run", "late", "secret"],
)
def test_a_launch_that_cannot_succeed_is_refused_before_any_call(
    cloud: Cloud, change: dict[str, Any], message: str
) -> None:
    definition = cloud.register(fixtures_aws.container(secrets=[{"name": "IG_API_KEY", "valueFrom": "/key"}]))
    ecs_launcher = launcher(cloud, definition, secrets=frozenset({"IG_API_KEY"}))
    before = cloud.calls("RunTask")

    with pytest.raises((errors.Refused, errors.UsageError), match=message):
        ecs_launcher.launch(request(cloud, 0, **change))

    assert cloud.calls("RunTask") == before


def test_a_secret_the_definition_does_not_give_is_refused(cloud: Cloud, unguarded: str) -> None:
    ecs_launcher = launcher(cloud, unguarded, secrets=frozenset({"IG_API_KEY"}))

    with pytest.raises(errors.Refused, match="has no secret IG_API_KEY"):
        ecs_launcher.launch(request(cloud, 0))


def test_an_execution_id_that_cannot_mark_a_task_is_refused(cloud: Cloud, unguarded: str) -> None:
    with pytest.raises(errors.UsageError, match="cannot mark a task"):
        launcher(cloud, unguarded).find("a run of mine")


def test_marked_tasks_of_every_run_are_found_with_their_deadline_even_without_tags(
    cloud: Cloud, unguarded: str
) -> None:
    deadline = instants.later(datetime.now(UTC).replace(microsecond=0), 77)
    ecs_launcher = launcher(cloud, unguarded, deadline=deadline)
    launched = list(ecs_launcher.launch(request(cloud, 0)))
    wait_for_status(ecs_launcher, launched, tasks.TaskStatus.RUNNING)
    overrides = {"containerOverrides": [{"name": "burst", "command": list(SLEEPS)}]}
    cloud.start_task(unguarded, cluster=fixtures_aws.CLUSTER, startedBy="somebody-else", overrides=overrides)

    def list_marked() -> list[tasks.MarkedTask]:
        cluster_tasks = ecs_tasks.EcsTasks(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=cloud.ecs)
        return [
            marked_task for marked_task in cluster_tasks.find_marked() if marked_task.execution_id in (cloud.name, "")
        ]

    (marked,) = list_marked()
    assert (marked.task, marked.deadline) == (launched[0], deadline)
    assert marked.control_uri == f"{cloud.place}/control.json"


ENTRY_POINTS: dict[str, tuple[tuple[str, ...], bool]] = {
    "burst": (("burst", "guard", "--"), True),
    "a path": (("/opt/venv/bin/burst", "guard"), True),
    "python": (("/usr/bin/python3.12", "-m", "burst.task.guard", "--"), True),
    "other command": (("burst", "count"), False),
    "other module": (("python", "-m", "burst.task.watchdog"), False),
    "shell": (("sh", "-c", "burst guard -- x"), False),
    "none": ((), False),
}


@pytest.mark.parametrize(("entry_point", "guarded"), ENTRY_POINTS.values(), ids=ENTRY_POINTS.keys())
def test_only_an_entry_point_that_is_the_guard_counts_as_one(
    cloud: Cloud, entry_point: tuple[str, ...], guarded: bool
) -> None:
    definition = cloud.register(fixtures_aws.container(entry_point=entry_point))

    assert launcher(cloud, definition).definition.guarded is guarded


def test_a_definition_tells_what_burst_needs_to_know(cloud: Cloud) -> None:
    log = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/burst", "awslogs-stream-prefix": "load", "awslogs-region": "eu-west-2"},
    }
    name = cloud.register(
        fixtures_aws.container(logConfiguration=log, secrets=[{"name": "A", "valueFrom": "/a"}], stop_timeout=9),
        lifespan(),
    )

    definition = launcher(cloud, name).definition

    assert (definition.container, definition.sidecar, definition.guarded) == ("burst", True, False)
    assert definition.arn.endswith(name)
    assert dict(definition.stop_timeouts) == {"burst": 9, "lifespan": 2}
    assert definition.secrets == {"A"}
    assert definition.log_group == "/burst"
    assert definition.log_stream("arn:aws:ecs:x:1:task/burst/abc") == "load/burst/abc"


def test_among_several_containers_the_plan_has_to_say_which(cloud: Cloud) -> None:
    name = cloud.register(fixtures_aws.container("one"), fixtures_aws.container("two"))

    with pytest.raises(errors.UsageError, match=r"saw none; .* has one, two"):
        launcher(cloud, name).definition  # noqa: B018 (it asks)
    assert launcher(cloud, name, container="two").definition.container == "two"


def test_a_definition_that_is_not_there_is_wrong_usage(cloud: Cloud) -> None:
    with pytest.raises(errors.UsageError, match="ecs:DescribeTaskDefinition"):
        launcher(cloud, "no-such-thing:7").definition  # noqa: B018 (it asks)


def test_the_overrides_are_measured_as_they_are_sent() -> None:
    limit: Callable[[int], None] = lambda size: ecs_requests.require_fitting({"a": "x" * size}, {}, ())  # noqa: E731
    bare = len(json.dumps({"a": ""}))

    limit(ecs_requests.LONGEST_OVERRIDES - bare)
    with pytest.raises(errors.UsageError):
        limit(ecs_requests.LONGEST_OVERRIDES - bare + 1)
