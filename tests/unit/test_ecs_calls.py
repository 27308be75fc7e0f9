"""The calls of the ECS adapter, on a client in memory: how many, with which fields, and how many at a time."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from burst.adapters.aws import ecs_tasks
from burst.adapters.local import system_clock
from burst.domain.basics import errors, instants
from burst.domain.tasks import ecs_requests, ecs_truths, launch_rates, task_records, tasks
from burst.kit import aws
from tests import cases, waiting

FREE = launch_rates.Rate(burst=1e9, per_second=1e9)
UNLIMITED = launch_rates.AccountRates(run_and_stop=FREE, reading=FREE, fargate=FREE)


def arn(number: int) -> str:
    return f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{number:032d}"


def listed(count: int) -> list[tasks.Task]:
    return [tasks.Task(task_id=arn(number), shard_index=number) for number in range(count)]


class Ecs:
    """A client of an ECS in memory. `stop` is called for each StopTask, and may raise."""

    def __init__(self, count: int, stop: Callable[[str], None] = lambda arn: None) -> None:
        self.described = {arn(number): self._running(arn(number)) for number in range(count)}
        self.stop = stop
        self.stopped: list[str] = []
        self.looks: list[Mapping[str, Any]] = []

    def describe_tasks(self, **parameters: Any) -> dict[str, Any]:
        self.looks.append(parameters)
        return {"tasks": [dict(self.described[name]) for name in parameters["tasks"]], "failures": []}

    def list_tasks(self, **parameters: Any) -> dict[str, Any]:
        return {"taskArns": list(self.described) if parameters["desiredStatus"] == "RUNNING" else []}

    def stop_task(self, **parameters: Any) -> dict[str, Any]:
        self.stop(parameters["task"])
        self.stopped.append(parameters["task"])
        return {"task": {}}

    @staticmethod
    def _running(name: str) -> dict[str, Any]:
        return {"taskArn": name, "version": 1, "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
                "startedBy": "burst/run-1"}  # fmt: skip

    def change(self, number: int, **fields: Any) -> None:
        """Gives a task's description other fields, and the next version."""
        name = arn(number)
        self.described[name] = self.described[name] | fields | {"version": self.described[name]["version"] + 1}


def make_tasks(ecs: Ecs, records: ecs_tasks.Records = ecs_tasks.find_no_record) -> ecs_tasks.EcsTasks:
    clock = system_clock.SystemClock()
    return ecs_tasks.EcsTasks("burst", clock=clock, client=ecs, records=records, rates=UNLIMITED)


def test_a_look_takes_one_call_for_a_hundred_tasks_and_asks_for_no_tags() -> None:
    ecs = Ecs(250)

    make_tasks(ecs).inspect(listed(250))

    assert [len(look["tasks"]) for look in ecs.looks] == [100, 100, 50]
    assert not any("include" in look for look in ecs.looks)


def test_tags_are_asked_for_where_tasks_of_any_run_are_told_apart_by_them() -> None:
    ecs = Ecs(3)

    make_tasks(ecs).find_marked()

    assert {tuple(look["include"]) for look in ecs.looks} == {("TAGS",)}


def test_only_a_task_whose_description_changed_is_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ecs, judged = Ecs(50), list[str]()
    judge = ecs_truths.judge_task

    def counted(task: tasks.Task, *arguments: Any, **options: Any) -> tasks.TaskTruth:
        judged.append(task.task_id)
        return judge(task, *arguments, **options)

    monkeypatch.setattr(ecs_truths, "judge_task", counted)
    looking = make_tasks(ecs)
    looking.inspect(listed(50))
    judged.clear()
    ecs.change(7, lastStatus="DEACTIVATING", desiredStatus="STOPPED")

    truths = looking.inspect(listed(50))

    assert judged == [arn(7)]
    assert "DEACTIVATING" in truths[7].detail


def test_records_of_tasks_that_ended_are_read_side_by_side_and_once() -> None:
    under_way, most, counting, read = [0], [0], threading.Lock(), list[str]()

    def record(task_id: str) -> task_records.Record:
        with counting:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            read.append(task_id)
        waiting.until(lambda: most[0] == ecs_tasks.RECORDS_AT_ONCE, what="as many readings as may be under way")
        with counting:
            under_way[0] -= 1
        return task_records.Lacking.ABSENT

    ecs = Ecs(60)
    for number in range(40):
        ecs.change(number, lastStatus="STOPPED", desiredStatus="STOPPED")
    looking = make_tasks(ecs, record)

    truths = [looking.inspect(listed(60)) for _ in range(2)][-1]

    assert most[0] == ecs_tasks.RECORDS_AT_ONCE
    assert sorted(read) == [arn(number) for number in range(40)]
    assert [truth.status for truth in truths].count(tasks.TaskStatus.STOPPED) == 40


def stop_each(looking: ecs_tasks.EcsTasks, count: int) -> list[str]:
    """Stops the tasks one after the other; returns why they could not be stopped."""
    problems = []
    for task in listed(count):
        try:
            looking.stop(task, by=tasks.Layer.CONTROLLER)
        except errors.Unavailable as exc:
            problems.append(str(exc))
    return problems


def timing_out(*numbers: int) -> Callable[[str], None]:
    """A StopTask that is not answered in time for these tasks."""
    silent = {arn(number) for number in numbers}

    def stop(name: str) -> None:
        if name in silent:
            raise aws.TimedOut("ecs:StopTask: no answer")

    return stop


def test_stops_without_an_answer_here_and_there_keep_no_other_from_being_sent() -> None:
    ecs = Ecs(40, timing_out(3, 4, 5, 20))

    problems = stop_each(make_tasks(ecs), 40)

    assert problems == ["ecs:StopTask: no answer"] * 4
    assert len(ecs.stopped) == 36


def test_an_ecs_that_answers_no_stop_is_asked_no_more_for_a_while() -> None:
    attempts: list[str] = []

    def stop(name: str) -> None:
        attempts.append(name)
        raise aws.TimedOut("ecs:StopTask: no answer")

    problems = stop_each(make_tasks(Ecs(40, stop)), 40)

    assert len(attempts) == ecs_tasks.SILENT_CALLS
    assert sum("a moment ago" in problem for problem in problems) == 40 - ecs_tasks.SILENT_CALLS


@pytest.mark.parametrize("force", [False, True])
def test_a_task_that_ecs_is_seen_to_end_already_gets_no_call(force: bool) -> None:
    ecs = Ecs(2)
    ecs.change(0, lastStatus="DEACTIVATING", desiredStatus="STOPPED")
    looking = make_tasks(ecs)
    looking.inspect(listed(2))

    asked = [looking.stop(task, by=tasks.Layer.CONTROLLER, force=force) for task in listed(2)]

    assert asked == [False, True]
    assert ecs.stopped == [arn(1)]


class ImpatientClock(system_clock.SystemClock):
    """A clock whose sleeps are only noted."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)


def test_stops_keep_to_the_bucket_of_the_account() -> None:
    clock = ImpatientClock()
    rates = launch_rates.AccountRates(run_and_stop=launch_rates.Rate(burst=5, per_second=0.001))
    limited = ecs_tasks.EcsTasks("burst", clock=clock, client=Ecs(7), rates=rates)

    for task in listed(7):
        limited.stop(task, by=tasks.Layer.CONTROLLER)

    assert clock.sleeps[:5] == [0.0] * 5
    assert clock.sleeps[5:] == pytest.approx([1000.0, 2000.0], rel=0.01)


def descriptions(answers: Sequence[dict[str, Any]]) -> list[tasks.TaskStatus]:
    """The status of one task after each of these answers."""
    ecs = Ecs(1)
    looking, statuses = make_tasks(ecs), []
    for answer in answers:
        ecs.described[arn(0)] = Ecs._running(arn(0)) | answer
        statuses.append(looking.inspect(listed(1))[0].status)
    return statuses


def test_a_change_without_a_new_version_is_not_missed() -> None:
    assert descriptions([{"lastStatus": "PENDING"}, {"lastStatus": "RUNNING"}]) == ["PENDING", "RUNNING"]


# Launching


class LaunchingEcs(Ecs):
    """An ECS that starts tasks, of which no answer comes before so many calls are under way at once."""

    def __init__(self, at_once: int = 1) -> None:
        super().__init__(0)
        self.at_once = at_once
        self.under_way = self.most = 0
        self.batches: list[Mapping[str, Any]] = []
        self.refused_from: int | None = None
        self._counting = threading.Lock()

    def describe_task_definition(self, **parameters: Any) -> dict[str, Any]:
        container = {"name": "burst", "image": "burst", "entryPoint": ["burst", "guard", "--"], "essential": True}
        return {"taskDefinition": {"taskDefinitionArn": "burst:1", "containerDefinitions": [container]}}

    def run_task(self, **parameters: Any) -> dict[str, Any]:
        with self._counting:
            self.batches.append(parameters)
            number = len(self.batches)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        if number > 1:
            waiting.until(lambda: self.most >= self.at_once, what="as many launches as are waited for")
        with self._counting:
            self.under_way -= 1
        if self.refused_from is not None and number >= self.refused_from:
            reason = "You've reached the limit on the number of vCPUs"
            return {"tasks": [], "failures": [{"reason": reason}] * parameters["count"]}
        first = int(variables(parameters)["BURST_SHARD_HINT"])
        arns = [arn(shard) for shard in range(first, first + parameters["count"])]
        return {"tasks": [{"taskArn": name} for name in arns], "failures": []}


def variables(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The environment that a RunTask call gives to its tasks."""
    pairs = parameters["overrides"]["containerOverrides"][0]["environment"]
    return {pair["name"]: pair["value"] for pair in pairs}


def make_launcher(ecs: LaunchingEcs, *, rates: launch_rates.AccountRates = UNLIMITED) -> ecs_tasks.EcsLauncher:
    deadline = instants.later(system_clock.SystemClock().now(), 600)
    run = ecs_requests.RunContext(
        execution_id="run-1", phase="M10.F", deadline=deadline, control_uri="s3://b/r/control.json",
        record_uri="s3://b/r/tasks/",
    )  # fmt: skip
    target = cases.plan(target=cases.ECS).target
    return ecs_tasks.EcsLauncher(target, run=run, clock=system_clock.SystemClock(), client=ecs, rates=rates)


def launch_request(count: int) -> tasks.LaunchRequest:
    return tasks.LaunchRequest(
        execution_id="run-1", token="run-1|1", shards=tuple(range(count)), shard_count=count, command=(),
        environment=(), budget_seconds=500, grace_seconds=10, child_waits=False, lease_ttl_seconds=30,
    )  # fmt: skip


def test_batches_are_launched_side_by_side_each_with_a_token_of_its_own() -> None:
    ecs = LaunchingEcs(at_once=5)

    launched = make_launcher(ecs).launch(launch_request(100))

    assert [task.shard_index for task in launched] == list(range(100))
    assert len({batch["clientToken"] for batch in ecs.batches}) == len(ecs.batches) == 10
    assert ecs.most >= 5


def test_a_refusal_that_no_later_call_escapes_ends_the_launch_at_its_first_batch() -> None:
    ecs = LaunchingEcs()
    ecs.refused_from = 1
    launcher = make_launcher(ecs)

    assert list(launcher.launch(launch_request(100))) == []
    assert len(ecs.batches) == 1
    assert {failure.shortage for failure in launcher.last_failures} == {tasks.Shortage.QUOTA}


def test_a_launch_that_its_caller_ends_starts_no_further_batch_and_returns_what_it_started() -> None:
    ecs, parts = LaunchingEcs(), list[int]()

    def goes_on(started: Sequence[tasks.Task]) -> bool:
        parts.append(len(started))
        return False

    launched = make_launcher(ecs).launch(launch_request(1000), goes_on)

    assert len(ecs.batches) == 1
    assert len(launched) == 10
    assert parts[0] == 10


def test_no_more_tasks_are_launched_than_fargate_takes_a_second() -> None:
    ecs = LaunchingEcs()
    slow = launch_rates.Rate(burst=30, per_second=100)

    began = time.monotonic()
    make_launcher(ecs, rates=launch_rates.AccountRates(run_and_stop=FREE, reading=FREE, fargate=slow)).launch(
        launch_request(80)
    )

    assert time.monotonic() - began >= slow.seconds(80)
    assert len(ecs.batches) == 8
