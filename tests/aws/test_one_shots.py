"""One-shot tasks on a simulated ECS: the parts of their hard stop, and starts whose answer is lost."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.aws import ecs_tasks
from burst.adapters.local import system_clock
from burst.control import reaping
from burst.domain.basics import errors, instants
from burst.domain.tasks import ecs_marks, tasks
from burst.wiring.targets import targets
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud


@pytest.fixture
def shots(cloud: Cloud) -> ecs_tasks.EcsOneShots:
    return make_shots(cloud)


def make_shots(cloud: Cloud, arm: ecs_tasks.Arm | None = None) -> ecs_tasks.EcsOneShots:
    return ecs_tasks.EcsOneShots(
        fixtures_aws.target(),
        run=fixtures_aws.run(cloud, seconds=600),
        grace_seconds=1.0,
        clock=system_clock.SystemClock(),
        arm=arm,
        client=cloud.ecs,
    )


@pytest.fixture
def shot(cloud: Cloud) -> tasks.OneShot:
    definition = cloud.register(fixtures_aws.container())
    command = fixtures_aws.ENDS_ON_TERM
    return tasks.OneShot(name="refresh", command=command, timeout_seconds=20, task_definition=definition)


def start(shots: ecs_tasks.EcsOneShots, shot: tasks.OneShot) -> tasks.Task:
    """Starts the one-shot now, with its whole timeout."""
    return shots.start(shot, instants.later(datetime.now(UTC), shot.timeout_seconds))


def describe(cloud: Cloud, task: tasks.Task) -> Any:
    def list_described() -> Any:
        return cloud.ecs.describe_tasks(cluster=fixtures_aws.CLUSTER, tasks=[task.task_id], include=["TAGS"])["tasks"]

    return waiting.until(list_described, what="the one-shot to be described")[0]


def wait_until_stopped(shots: ecs_tasks.EcsOneShots, task: tasks.Task) -> tasks.TaskTruth:
    def inspect_stopped() -> tasks.TaskTruth | None:
        (truth,) = shots.inspect([task])
        return truth if truth.status is tasks.TaskStatus.STOPPED else None

    return waiting.until(inspect_stopped, seconds=50, what="the guard to end it")


def wait_until_running(shots: ecs_tasks.EcsOneShots, task: tasks.Task) -> None:
    waiting.until(
        lambda: shots.inspect([task])[0].status is tasks.TaskStatus.RUNNING, seconds=20, what="the one-shot to run"
    )


def test_it_carries_its_own_deadline_and_its_own_name_beside_its_run(
    cloud: Cloud, shots: ecs_tasks.EcsOneShots, shot: tasks.OneShot
) -> None:
    before = datetime.now(UTC)
    task = start(shots, shot)
    after = datetime.now(UTC)
    wait_until_running(shots, task)

    description = describe(cloud, task)
    tags = {tag["key"]: tag["value"] for tag in description["tags"]}
    (override,) = description["overrides"]["containerOverrides"]
    variables = {pair["name"]: pair["value"] for pair in override["environment"]}
    deadline = instants.parse(tags[ecs_marks.DEADLINE_TAG])
    assert description["startedBy"] == f"burst/{cloud.name}/refresh"
    assert tags[ecs_marks.RUN_TAG] == cloud.name == variables["BURST_EXECUTION_ID"]
    assert before <= instants.later(deadline, -shot.timeout_seconds) <= after
    assert variables["BURST_DEADLINE_UTC"] == tags[ecs_marks.DEADLINE_TAG]
    assert "BURST_CONTROL_URI" not in variables
    shots.stop(task, by=tasks.Layer.CONTROLLER)


def test_its_guard_and_its_sidecar_are_told_its_timeout(cloud: Cloud, shots: ecs_tasks.EcsOneShots) -> None:
    lifespan = fixtures_aws.container("lifespan", command=["sleep", "100"])
    definition = cloud.register(fixtures_aws.container(entry_point=fixtures_aws.GUARD), lifespan)
    shot = tasks.OneShot(name="refresh", command=("true",), timeout_seconds=20, task_definition=definition)

    before = datetime.now(UTC)
    task = start(shots, replace(shot, container="burst"))
    start_seconds = instants.seconds_between(before, datetime.now(UTC))

    overrides = describe(cloud, task)["overrides"]["containerOverrides"]
    variables = [{pair["name"]: pair["value"] for pair in override["environment"]} for override in overrides]
    assert 20 - start_seconds <= float(variables[0]["BURST_BUDGET_SECONDS"]) <= 20
    assert variables[0]["BURST_GRACE_SECONDS"] == "1"
    assert variables[1] == {"BURST_BUDGET_SECONDS": "21"}
    shots.stop(task, by=tasks.Layer.CONTROLLER)


def test_a_command_that_is_the_guard_is_held_to_its_timeout_where_the_definition_has_none(
    cloud: Cloud, shots: ecs_tasks.EcsOneShots, shot: tasks.OneShot, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    deaf = ("sh", "-c", f"trap '' TERM; touch {started}; while :; do sleep 0.1; done")
    for seconds in (1.5, 6.0, 24.0):  # longer where the machine is too slow to start it in time
        name = f"refresh-{round(seconds * 10)}"
        task = start(shots, replace(shot, name=name, command=(*fixtures_aws.GUARD, *deaf), timeout_seconds=seconds))
        truth = wait_until_stopped(shots, task)
        if started.exists():
            break

    (override,) = describe(cloud, task)["overrides"]["containerOverrides"]
    variables = {pair["name"]: pair["value"] for pair in override["environment"]}
    assert 0 < float(variables["BURST_BUDGET_SECONDS"]) <= seconds
    assert variables["BURST_GRACE_SECONDS"] == "1"
    assert (truth.exit_code, truth.stop_code) == (137, tasks.StopCode.ESSENTIAL_EXITED)


def test_a_start_whose_answer_is_lost_is_adopted_and_not_doubled(
    cloud: Cloud, shots: ecs_tasks.EcsOneShots, shot: tasks.OneShot
) -> None:
    cloud.world.faults.arm("response-lost:RunTask")

    task = start(shots, shot)
    wait_until_running(shots, task)

    assert list(shots.find(tasks.one_shot_id(cloud.name, "refresh"))) == [task]
    assert list(shots.find(cloud.name)) == []
    shots.stop(task, by=tasks.Layer.CONTROLLER)


def test_a_one_shot_without_capacity_is_tried_again_and_then_refused(
    cloud: Cloud, shots: ecs_tasks.EcsOneShots, shot: tasks.OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ecs_tasks, "ONE_SHOT_PAUSE_SECONDS", 0.05)
    cloud.world.faults.arm("capacity")
    before = cloud.calls("RunTask")

    with pytest.raises(errors.Refused, match=r"refresh was not started: .*[Cc]apacity"):
        start(shots, shot)

    assert cloud.calls("RunTask") - before == ecs_tasks.ONE_SHOT_ATTEMPTS


def test_a_secret_in_its_environment_is_refused(cloud: Cloud, shots: ecs_tasks.EcsOneShots) -> None:
    secret = {"name": "REPORTER_KEY", "valueFrom": "/burst/key"}
    definition = cloud.register(fixtures_aws.container(secrets=[secret]))
    shot = tasks.OneShot(
        name="refresh", command=("true",), timeout_seconds=20, task_definition=definition,
        environment=(("REPORTER_KEY", "hunter2"),),
    )  # fmt: skip

    with pytest.raises(errors.Refused, match="REPORTER_KEY would stand in the overrides") as refused:
        start(shots, shot)

    assert "hunter2" not in str(refused.value)


def test_reap_ends_a_one_shot_past_its_deadline_and_sees_it_stopped(
    cloud: Cloud, shots: ecs_tasks.EcsOneShots, shot: tasks.OneShot
) -> None:
    task = start(shots, replace(shot, timeout_seconds=2))
    clock = system_clock.SystemClock()
    own_id = tasks.one_shot_id(cloud.name, "refresh")

    def find_overdue() -> list[reaping.LivingTask]:
        living = targets.find_living_tasks(clock, fixtures_aws.CLUSTER, cloud.name)
        return [living_task for living_task in living if living_task.overdue(clock.now())]

    (overdue,) = waiting.until(find_overdue, seconds=20, what="the one-shot to be overdue")
    outcomes = reaping.reap([overdue], clock, lambda words: None)

    assert (overdue.execution_id, overdue.task) == (own_id, task)
    assert [outcome.gone for outcome in outcomes] == [True]
    assert shots.inspect([task])[0].stopped_by is tasks.Layer.SCHEDULE


def test_its_log_stream_follows_from_its_definition_and_task(cloud: Cloud, shots: ecs_tasks.EcsOneShots) -> None:
    options = {"awslogs-group": "/burst/x", "awslogs-region": "eu-west-2", "awslogs-stream-prefix": "counter"}
    definition = cloud.register(
        fixtures_aws.container("counter", logConfiguration={"logDriver": "awslogs", "options": options})
    )
    shot = tasks.OneShot(name="count", command=("true",), timeout_seconds=20, task_definition=definition)

    described = shots.definition(shot)

    assert described.log_group == "/burst/x"
    assert described.log_stream("arn:aws:ecs:eu-west-2:1:task/burst/0a1b") == "counter/counter/0a1b"


# Its end when no controller waits for it


def test_its_schedule_is_armed_for_its_deadline_before_it_is_started(cloud: Cloud, shot: tasks.OneShot) -> None:
    deadline, armed = instants.later(datetime.now(UTC), 20), list[tuple[str, datetime, int]]()
    before = cloud.calls("RunTask")

    task = make_shots(cloud, lambda name, until: armed.append((name, until, cloud.calls("RunTask")))).start(
        shot, deadline
    )

    assert armed == [("refresh", deadline, before)]
    make_shots(cloud).stop(task, by=tasks.Layer.CONTROLLER)


def no_schedule(name: str, until: datetime) -> None:
    raise errors.Refused(f"no schedule for {name}")


def test_a_one_shot_without_guard_sidecar_and_schedule_is_not_started(cloud: Cloud, shot: tasks.OneShot) -> None:
    before = cloud.calls("RunTask")

    with pytest.raises(errors.Refused, match="neither guard nor sidecar, and no schedule"):
        start(make_shots(cloud, no_schedule), shot)

    assert cloud.calls("RunTask") == before


def test_a_one_shot_under_a_guard_is_started_without_a_schedule_too(cloud: Cloud, shot: tasks.OneShot) -> None:
    shots = make_shots(cloud, no_schedule)

    task = start(shots, replace(shot, command=(*fixtures_aws.GUARD, *shot.command)))

    wait_until_running(shots, task)
    shots.stop(task, by=tasks.Layer.CONTROLLER)


def test_it_is_not_started_any_more_once_its_deadline_has_passed(
    cloud: Cloud, shots: ecs_tasks.EcsOneShots, shot: tasks.OneShot
) -> None:
    before = cloud.calls("RunTask")

    with pytest.raises(errors.Unavailable, match="past its deadline"):
        shots.start(shot, instants.later(datetime.now(UTC), -1))

    assert cloud.calls("RunTask") == before
