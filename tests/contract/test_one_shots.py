"""The contract of `ports.OneShots`, on the fake, on processes of this machine and on a simulated ECS."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.aws import ecs_tasks
from burst.adapters.local import processes, system_clock
from burst.domain.basics import instants
from burst.domain.tasks import tasks
from tests import fakes, fixtures_aws, waiting

PORT = ports.OneShots

PROGRAMS = {
    "runs": (fakes.Script(), ("sh", "-c", "exec sleep 100")),
    "ignores stop": (fakes.Script(ignores_stop=True), ("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")),
    "ends with 3": (fakes.Script(runs_seconds=0.1, exit_code=3), ("sh", "-c", "exit 3")),
    "tells": (
        fakes.Script(runs_seconds=0.1),
        ("sh", "-c", 'test "$BURST_EXECUTION_ID $ASKED" = "$WANTED yes"'),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One-shots of a run, the same run's seen by another process, and how time passes for both."""

    shots: ports.OneShots
    another: ports.OneShots
    scripts: dict[str, fakes.Script]
    pass_time: Callable[[float], None]
    execution_id: str
    definition: str | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    start_seconds: float = 0.0
    """What a task needs before its program runs, all of it inside its timeout."""

    def shot(self, program: str, name: str = "refresh", timeout_seconds: float = 30.0) -> tasks.OneShot:
        script, command = PROGRAMS[program]
        self.scripts[name] = script
        return tasks.OneShot(
            name=name,
            command=command,
            timeout_seconds=timeout_seconds + self.start_seconds,
            environment=(("ASKED", "yes"), ("WANTED", self.execution_id)),
            task_definition=self.definition,
        )

    def start(self, program: str, name: str = "refresh", timeout_seconds: float = 30.0) -> tasks.Task:
        return self.ask(self.shot(program, name, timeout_seconds))

    def ask(self, shot: tasks.OneShot, *, another: bool = False) -> tasks.Task:
        asked = self.another if another else self.shots
        return asked.start(shot, instants.later(self.now(), shot.timeout_seconds))

    def id(self, name: str = "refresh") -> str:
        return tasks.one_shot_id(self.execution_id, name)

    def until(self, task: tasks.Task, status: tasks.TaskStatus, seconds: float = 40.0) -> tasks.TaskTruth:
        def seen() -> tasks.TaskTruth | None:
            self.pass_time(0.05)
            (truth,) = self.shots.inspect([task])
            return truth if truth.status is status else None

        return waiting.until(seen, seconds=seconds, what=f"{task.task_id} to be {status}")


def fake_stage() -> Stage:
    clock, scripts = fakes.TickingClock(), dict[str, fakes.Script]()
    shots = fakes.FakeOneShots(clock, "run-1", scripts)
    return Stage(
        shots=shots, another=shots, scripts=scripts, pass_time=clock.sleep, execution_id="run-1", now=clock.now
    )


def local_stage(folder: Path) -> Stage:
    execution_id = f"run-{uuid.uuid4().hex}"

    def made() -> processes.LocalOneShots:
        return processes.LocalOneShots(folder, execution_id=execution_id, grace_seconds=20.0)

    return Stage(shots=made(), another=made(), scripts={}, pass_time=lambda _: None, execution_id=execution_id)


def ecs_shots(cloud: fixtures_aws.Cloud) -> ecs_tasks.EcsOneShots:
    return ecs_tasks.EcsOneShots(
        fixtures_aws.target(),
        run=fixtures_aws.run(cloud),
        grace_seconds=20.0,
        clock=system_clock.SystemClock(),
        client=cloud.ecs,
    )


def ecs_stage(cloud: fixtures_aws.Cloud) -> Stage:
    return Stage(
        shots=ecs_shots(cloud),
        another=ecs_shots(cloud),
        scripts={},
        pass_time=lambda _: None,
        execution_id=cloud.name,
        definition=cloud.register(fixtures_aws.container(entry_point=fixtures_aws.GUARD)),
        start_seconds=3.0,
    )


@pytest.fixture(params=["fake", "local", "ecs"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    made: dict[str, Callable[[], Stage]] = {
        "fake": fake_stage,
        "local": lambda: local_stage(tmp_path),
        "ecs": lambda: ecs_stage(request.getfixturevalue("cloud")),
    }
    set_up = made[request.param]()
    yield set_up
    for task in set_up.shots.find(set_up.id()):
        set_up.shots.stop(task, by=tasks.Layer.CONTROLLER, force=True)
        set_up.until(task, tasks.TaskStatus.STOPPED)


def test_a_one_shot_runs_its_command_with_what_it_was_given_and_keeps_its_exit_code(stage: Stage) -> None:
    told, failed = stage.start("tells", "told"), stage.start("ends with 3", "failed")

    truths = [stage.until(task, tasks.TaskStatus.STOPPED) for task in (told, failed)]

    assert [truth.exit_code for truth in truths] == [0, 3]
    assert {truth.stopped_by for truth in truths} == {None}
    assert all(truth.started_at and truth.stopped_at for truth in truths)


def test_the_same_name_twice_runs_once_whoever_asks(stage: Stage) -> None:
    task = stage.start("runs")
    stage.until(task, tasks.TaskStatus.RUNNING)

    again = stage.ask(stage.shot("runs", timeout_seconds=29.0))
    elsewhere = stage.ask(stage.shot("runs", timeout_seconds=28.0), another=True)

    assert (again, elsewhere) == (task, task)
    assert list(stage.another.find(stage.id())) == [task]
    assert list(stage.another.find(stage.id("another"))) == []
    assert list(stage.another.find(stage.execution_id)) == []


def test_one_that_has_ended_is_not_run_again(stage: Stage) -> None:
    task = stage.start("ends with 3")
    truth = stage.until(task, tasks.TaskStatus.STOPPED)

    again = stage.ask(stage.shot("ends with 3"), another=True)

    assert again == task
    assert stage.another.inspect([again]) == [truth]


def test_stop_ends_it_and_the_truth_says_who_asked(stage: Stage) -> None:
    task = stage.start("runs")
    stage.until(task, tasks.TaskStatus.RUNNING)

    stage.another.stop(task, by=tasks.Layer.CONTROLLER)

    truth = stage.until(task, tasks.TaskStatus.STOPPED)
    assert (truth.stopped_by, truth.stop_code) == (tasks.Layer.CONTROLLER, tasks.StopCode.USER_INITIATED)


def test_its_timeout_ends_it_where_nobody_waits_for_it(stage: Stage) -> None:
    task = stage.start("runs", timeout_seconds=0.8)

    truth = stage.until(task, tasks.TaskStatus.STOPPED)

    assert (truth.exit_code, truth.stopped_by) == (124, tasks.Layer.GUARD)


def test_two_names_are_two_tasks(stage: Stage) -> None:
    first, second = stage.start("ends with 3", "first"), stage.start("ends with 3", "second")

    truths = stage.shots.inspect([second, first])

    assert first != second
    assert [truth.task for truth in truths] == [second, first]
    for task in (first, second):
        stage.until(task, tasks.TaskStatus.STOPPED)
