"""The contract of `ports.Launcher`, on the fake, on processes of this machine and on a simulated ECS."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.aws import ecs_tasks, s3_leases
from burst.adapters.local import file_leases, processes, system_clock
from burst.domain.basics import instants
from burst.domain.tasks import leases, tasks
from tests import fakes, fixtures_aws, waiting

PORT = ports.Launcher

SCRIPTS = {
    "runs": fakes.Script(),
    "ignores stop": fakes.Script(ignores_stop=True),
    "ends with 3": fakes.Script(runs_seconds=0.1, exit_code=3),
}


def command(program: str, started: Path) -> tuple[str, ...]:
    """The same programs as processes; each makes the file `started` when it is as it should be."""
    programs = {
        "runs": 'touch "$1"; exec sleep 100',
        "ignores stop": "trap '' TERM; touch \"$1\"; while :; do sleep 0.1; done",
        "ends with 3": 'touch "$1"; exit 3',
    }
    return ("sh", "-c", programs[program], "sh", str(started))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A launcher, a second one that knows nothing of the first, and how time passes for both."""

    launcher: ports.Launcher
    another: ports.Launcher
    scripts: dict[int, fakes.Script]
    pass_time: Callable[[float], None]
    started: Path
    execution_id: str
    stranger: str = "local:999999999:1.000000"
    """The id of a task nobody launched."""
    start_seconds: float = 0.0
    """What a task needs before its program runs, all of it inside its budget."""

    def launch(self, program: str, *shards: int) -> list[tasks.Task]:
        self.scripts.update(dict.fromkeys(shards, SCRIPTS[program]))
        launched = self.launcher.launch(self.request(program, *shards))
        if not isinstance(self.launcher, fakes.FakeLauncher):
            waiting.until(self.started.exists, what="the program to run")
            waiting.until(lambda: self._begun(list(launched)), what="every task to have begun")
        return list(launched)

    def launch_outlasting(self, program: str) -> tasks.Task:
        """A task that was at work when its budget ended: where the machine was too slow for that, another shard with
        more of it."""
        for shard, seconds in enumerate((0.8, 4.0, 20.0)):
            self.scripts[shard] = SCRIPTS[program]
            (task,) = self.launcher.launch(self.request(program, shard, budget_seconds=seconds))
            if isinstance(self.launcher, fakes.FakeLauncher):
                return task
            waiting.until(lambda task=task: self._tried(task), seconds=50, what="the program to run")  # type: ignore[misc]
            if self.started.exists():
                return task
        raise AssertionError(f"{task.task_id} was not at work within its budget")

    def _tried(self, task: tasks.Task) -> bool:
        return self.started.exists() or self.statuses([task]) == [tasks.TaskStatus.STOPPED]

    def _begun(self, launched: list[tasks.Task]) -> bool:
        return not {tasks.TaskStatus.UNKNOWN, tasks.TaskStatus.PENDING} & set(self.statuses(launched))

    def alive(self) -> list[tasks.Task]:
        """Tasks of the run that are found and have not ended."""
        found = self.launcher.find(self.execution_id)
        ended = tasks.TaskStatus.STOPPED
        return [truth.task for truth in self.launcher.inspect(found) if truth.status is not ended]

    def request(self, program: str, *shards: int, budget_seconds: float = 120.0) -> tasks.LaunchRequest:
        return tasks.LaunchRequest(
            execution_id=self.execution_id,
            token="one",
            shards=shards,
            shard_count=3,
            command=command(program, self.started),
            environment=(("BURST_SCOPE", "platform_x"),),
            budget_seconds=budget_seconds + self.start_seconds,
            grace_seconds=20.0,
            child_waits=False,
            lease_ttl_seconds=120.0,
        )

    def statuses(self, known: list[tasks.Task]) -> list[tasks.TaskStatus]:
        return [truth.status for truth in self.launcher.inspect(known)]

    def stopped(self, task: tasks.Task) -> tasks.TaskTruth:
        def seen() -> tasks.TaskTruth | None:
            self.pass_time(0.05)
            truth = self.launcher.inspect([task])[0]
            return truth if truth.status is tasks.TaskStatus.STOPPED else None

        return waiting.until(seen, what=f"{task.task_id} to be stopped")


def fake_stage(folder: Path) -> Stage:
    clock, scripts = fakes.TickingClock(), dict[int, fakes.Script]()
    launcher = fakes.FakeLauncher(clock, scripts)
    return Stage(
        launcher=launcher,
        another=launcher,
        scripts=scripts,
        pass_time=clock.sleep,
        started=folder / "started",
        execution_id="run-1",
    )


def local_stage(folder: Path) -> Stage:
    execution_id, now = f"run-{uuid.uuid4().hex}", datetime.now(UTC)
    lease = file_leases.FileLeaseStore(folder / "control.json")
    lease.create(
        leases.Lease(
            execution_id=execution_id,
            state=leases.LeaseState.GO,
            deadline=instants.later(now, 150),
            beat=1,
            heartbeat_at=now,
            go_at=now,
        )
    )
    return Stage(
        launcher=processes.LocalLauncher(folder, execution_id=execution_id, control_uri=lease.uri),
        another=processes.LocalLauncher(folder, execution_id=execution_id, control_uri=lease.uri),
        scripts={},
        pass_time=lambda _: None,
        started=folder / "started",
        execution_id=execution_id,
    )


def ecs_stage(folder: Path, cloud: fixtures_aws.Cloud) -> Stage:
    now, clock = datetime.now(UTC), system_clock.SystemClock()
    lease = s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=cloud.s3)
    deadline = instants.later(now, 150)
    lease.create(
        leases.Lease(
            execution_id=cloud.name,
            state=leases.LeaseState.GO,
            deadline=deadline,
            beat=1,
            heartbeat_at=now,
            go_at=now,
        )
    )
    target = fixtures_aws.target(cloud.register(fixtures_aws.container(entry_point=fixtures_aws.GUARD)))
    run = fixtures_aws.run(cloud, deadline=deadline, control_uri=lease.uri, record_uri=lease.records_uri)
    records = s3_leases.S3GuardRecords(lease.records_uri, client=cloud.s3).read
    return Stage(
        launcher=ecs_tasks.EcsLauncher(target, run=run, clock=clock, records=records, client=cloud.ecs),
        another=ecs_tasks.EcsLauncher(target, run=run, clock=clock, records=records, client=cloud.ecs),
        scripts={},
        pass_time=lambda _: None,
        started=folder / "started",
        execution_id=cloud.name,
        stranger=f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{'0' * 32}",
        start_seconds=6.0,
    )


@pytest.fixture(params=["fake", "local", "ecs"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    made: dict[str, Callable[[], Stage]] = {
        "fake": lambda: fake_stage(tmp_path),
        "local": lambda: local_stage(tmp_path),
        "ecs": lambda: ecs_stage(tmp_path, request.getfixturevalue("cloud")),
    }
    set_up = made[request.param]()
    yield set_up
    for task in set_up.launcher.find(set_up.execution_id):
        set_up.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=True)
    waiting.until(lambda: not set_up.alive(), what="every task to be gone")


def test_launched_tasks_run_and_are_found_by_anyone(stage: Stage) -> None:
    launched = stage.launch("runs", 0, 1)

    assert [task.shard_index for task in launched] == [0, 1]
    assert stage.statuses(launched) == [tasks.TaskStatus.RUNNING, tasks.TaskStatus.RUNNING]
    assert list(stage.another.find(stage.execution_id)) == launched
    assert list(stage.another.find("another-run")) == []


def test_the_same_launch_twice_starts_nothing_twice(stage: Stage) -> None:
    launched = stage.launch("runs", 0)

    again = stage.launcher.launch(stage.request("runs", 0, 1))
    elsewhere = stage.another.launch(stage.request("runs", 0, 1))

    assert list(again) == list(elsewhere)
    assert again[0] == launched[0]
    assert list(stage.launcher.find(stage.execution_id)) == list(again)


def test_a_task_that_ended_is_not_started_again(stage: Stage) -> None:
    (task,) = stage.launch("ends with 3", 0)
    stage.stopped(task)

    again = stage.launcher.launch(stage.request("ends with 3", 0))

    assert list(again) == [task]
    assert stage.statuses([task]) == [tasks.TaskStatus.STOPPED]


def test_a_task_that_ended_is_replaced_by_another_one_of_its_shard_and_only_once(stage: Stage) -> None:
    (task,) = stage.launch("ends with 3", 0)
    ended = stage.stopped(task)
    if isinstance(stage.launcher, fakes.FakeLauncher):
        stage.launcher.replacement_scripts[0] = SCRIPTS["runs"]
    request = replace(
        stage.request("runs", 0), token="two", replaces=(task.task_id,), claimed=frozenset({task.shard_index})
    )

    (another,) = stage.launcher.launch(request)
    again = stage.launcher.launch(request)

    assert (another.task_id != task.task_id, another.shard_index) == (True, 0)
    assert list(again) == [another]
    waiting.until(lambda: stage.statuses([another]) == [tasks.TaskStatus.RUNNING], what="the other task to run")
    assert stage.launcher.inspect([task]) == [ended]


def test_a_program_that_ends_by_itself_keeps_its_exit_code(stage: Stage) -> None:
    (task,) = stage.launch("ends with 3", 0)

    truth = stage.stopped(task)

    assert (truth.exit_code, truth.stopped_by) == (3, None)
    assert truth.stop_code == tasks.StopCode.ESSENTIAL_EXITED
    assert truth.started_at is not None
    assert truth.stopped_at is not None
    assert truth.started_at <= truth.stopped_at
    if isinstance(stage.launcher, processes.LocalLauncher):
        assert truth.detail.endswith("log: tasks/0000.log in the run's folder")


def test_stop_ends_a_task_and_the_truth_says_who_asked(stage: Stage) -> None:
    first, second = stage.launch("runs", 0, 1)

    stage.launcher.stop(first, by=tasks.Layer.SWEEPER)

    truth = stage.stopped(first)
    assert (truth.stopped_by, truth.stop_code) == (tasks.Layer.SWEEPER, tasks.StopCode.USER_INITIATED)
    assert stage.statuses([second]) == [tasks.TaskStatus.RUNNING]


def test_a_task_that_ignores_stop_runs_on_until_it_is_forced(stage: Stage) -> None:
    (task,) = stage.launch("ignores stop", 0)

    stage.launcher.stop(task, by=tasks.Layer.CONTROLLER)
    stage.launcher.stop(task, by=tasks.Layer.CONTROLLER)
    asked = stage.statuses([task])
    stage.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=True)

    assert asked == [tasks.TaskStatus.RUNNING]
    truth = stage.stopped(task)
    assert truth.stopped_by is tasks.Layer.CONTROLLER
    assert truth.stopped_at is not None
    assert stage.alive() == []


def test_the_budget_ends_a_task_that_nobody_stops(stage: Stage) -> None:
    task = stage.launch_outlasting("runs")

    truth = stage.stopped(task)

    assert (truth.exit_code, truth.stopped_by) == (124, tasks.Layer.GUARD)


@pytest.mark.parametrize("force", [False, True])
def test_stopping_a_task_that_is_gone_is_no_error_and_changes_no_truth(stage: Stage, force: bool) -> None:
    (task,) = stage.launch("ends with 3", 0)
    truth = stage.stopped(task)

    stage.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=force)

    assert stage.launcher.inspect([task]) == [truth]
    assert stage.another.inspect([task]) == [truth]


def test_truths_come_in_the_order_asked(stage: Stage) -> None:
    launched = stage.launch("runs", 0, 1)

    truths = stage.launcher.inspect(launched[::-1])

    assert [truth.task for truth in truths] == launched[::-1]


def test_a_task_never_launched_is_unknown_and_not_stopped(stage: Stage) -> None:
    stranger = tasks.Task(task_id=stage.stranger, shard_index=0)

    assert stage.statuses([stranger]) == [tasks.TaskStatus.UNKNOWN]
