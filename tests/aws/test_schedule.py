"""The schedule layer on a simulated EventBridge Scheduler, whose entries fire."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst import aws
from burst.adapters import schedule, system_clock
from burst.domain import errors, instants
from tests import fakes, fixtures_aws, waiting
from tests.fixtures_aws import Cloud

ARN = "arn:aws:ecs:eu-west-2:123456789012"
REAPER = schedule.ReaperTask(
    cluster_arn=f"{ARN}:cluster/{fixtures_aws.CLUSTER}",
    task_definition_arn=f"{ARN}:task-definition/reaper:1",
    container="reaper",
    role_arn="arn:aws:iam::123456789012:role/burst-scheduler",
    subnets=("subnet-a",),
    security_groups=("sg-a",),
)


@pytest.fixture(scope="module")
def client(simulated_aws: fixtures_aws.Shared) -> Any:
    with fixtures_aws.operating(simulated_aws.world):
        return aws.client("scheduler")


@pytest.fixture
def group(cloud: Cloud, client: Any) -> str:
    client.create_schedule_group(Name=f"burst-{cloud.name}")
    return f"burst-{cloud.name}"


@pytest.fixture
def scheduler(group: str, client: Any) -> schedule.Scheduler:
    return schedule.Scheduler(group, clock=system_clock.SystemClock(), client=client)


def due(seconds: float = 300) -> datetime:
    return instants.later(datetime.now(UTC).replace(microsecond=0), seconds)


def entry(client: Any, group: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get_schedule(GroupName=group, Name=name)
    return found


def test_an_armed_entry_fires_once_at_its_instant_and_deletes_itself(
    cloud: Cloud, client: Any, group: str, scheduler: schedule.Scheduler
) -> None:
    due_at = due()

    armed = scheduler.arm(cloud.name, due_at=due_at, reaper=REAPER)

    made = entry(client, group, armed.name)
    assert armed == schedule.Entry(name=f"burst-{cloud.name}", at=due_at)
    assert scheduler.find(cloud.name) == armed
    assert made["ScheduleExpression"] == f"at({due_at:%Y-%m-%dT%H:%M:%S})"
    assert (made["ScheduleExpressionTimezone"], made["FlexibleTimeWindow"]) == ("UTC", {"Mode": "OFF"})
    assert made["ActionAfterCompletion"] == "DELETE"
    assert made["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
    assert json.loads(made["Target"]["Input"]) == {
        "containerOverrides": [{"name": "reaper", "command": ["burst", "reap", "--run", cloud.name]}]
    }


def test_when_it_fires_the_reaper_runs_with_the_runs_id(cloud: Cloud, client: Any, group: str, tmp_path: Path) -> None:
    script = tmp_path / "entry"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\n')
    script.chmod(0o755)
    revision = cloud.register(fixtures_aws.container("reaper", entry_point=(str(script),)))
    reaper = schedule.ReaperTask(
        cluster_arn=REAPER.cluster_arn, task_definition_arn=f"{ARN}:task-definition/{revision}", container="reaper",
        role_arn=REAPER.role_arn, subnets=REAPER.subnets, security_groups=REAPER.security_groups,
    )  # fmt: skip
    quick = schedule.Scheduler(group, clock=system_clock.SystemClock(), client=client, soonest_seconds=1)

    quick.arm(cloud.name, due_at=due(0), reaper=reaper)

    told = waiting.until(
        lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text(), seconds=20, what="the reaper to run"
    )
    assert told == f"burst reap --run {cloud.name}\n"
    waiting.until(lambda: quick.find(cloud.name) is None, what="the entry to delete itself")


def test_arming_twice_is_arming_once(cloud: Cloud, client: Any, group: str, scheduler: schedule.Scheduler) -> None:
    due_at = due()
    first = scheduler.arm(cloud.name, due_at=due_at, reaper=REAPER)

    again = scheduler.arm(cloud.name, due_at=due_at, reaper=REAPER)
    later = scheduler.arm(cloud.name, due_at=instants.later(due_at, 60), reaper=REAPER)

    assert first == again == later
    assert len(client.list_schedules(GroupName=group)["Schedules"]) == 1


def test_an_entry_that_stands_and_fires_too_late_is_a_conflict(cloud: Cloud, scheduler: schedule.Scheduler) -> None:
    scheduler.arm(cloud.name, due_at=due(900), reaper=REAPER)

    with pytest.raises(errors.Conflict, match="was there already and it fires at"):
        scheduler.arm(cloud.name, due_at=due(300), reaper=REAPER)


def test_an_entry_whose_answer_is_lost_is_made_once(
    cloud: Cloud, client: Any, group: str, scheduler: schedule.Scheduler
) -> None:
    cloud.world.faults.arm("response-lost:CreateSchedule")

    armed = scheduler.arm(cloud.name, due_at=due(), reaper=REAPER)

    assert scheduler.find(cloud.name) == armed
    assert len(client.list_schedules(GroupName=group)["Schedules"]) == 1


def test_what_is_due_too_soon_is_made_for_a_minute_from_now(group: str, client: Any, cloud: Cloud) -> None:
    clock = fakes.TickingClock(instants.later(datetime.now(UTC).replace(microsecond=1), 0))
    scheduler = schedule.Scheduler(group, clock=clock, client=client)

    armed = scheduler.arm(cloud.name, due_at=instants.later(clock.now(), 5), reaper=REAPER)

    assert armed.at == instants.later(clock.now().replace(microsecond=0), 61)


def test_disarming_deletes_the_entry_and_none_standing_is_no_error(cloud: Cloud, scheduler: schedule.Scheduler) -> None:
    scheduler.arm(cloud.name, due_at=due(), reaper=REAPER)

    scheduler.disarm(cloud.name)
    scheduler.disarm(cloud.name)

    assert scheduler.find(cloud.name) is None


def test_a_one_shot_has_an_entry_of_its_own_that_reaps_its_run(
    cloud: Cloud, client: Any, group: str, scheduler: schedule.Scheduler
) -> None:
    scheduler.arm(cloud.name, due_at=due(), reaper=REAPER)
    armed = scheduler.arm(cloud.name, due_at=due(900), reaper=REAPER, one_shot="refresh")

    made = entry(client, group, f"burst-{cloud.name}.refresh")
    (override,) = json.loads(made["Target"]["Input"])["containerOverrides"]
    assert made["ScheduleExpression"] == f"at({armed.at:%Y-%m-%dT%H:%M:%S})"
    assert override["command"] == ["burst", "reap", "--run", cloud.name]
    scheduler.disarm(cloud.name, one_shot="refresh")
    assert [one["Name"] for one in client.list_schedules(GroupName=group)["Schedules"]] == [f"burst-{cloud.name}"]


def test_without_the_group_nothing_is_armed_and_the_message_says_what_to_make(cloud: Cloud, client: Any) -> None:
    scheduler = schedule.Scheduler("no-such-group", clock=system_clock.SystemClock(), client=client)

    with pytest.raises(aws.Absent, match="make the schedule group no-such-group"):
        scheduler.arm(cloud.name, due_at=due(), reaper=REAPER)


@pytest.mark.parametrize("length", [3, 58, 59, 100])
def test_names_are_short_enough_for_aws_and_differ_where_ids_do(length: int) -> None:
    first, second = "r" * length, "r" * (length - 1) + "s"

    names = [schedule.entry_name(execution_id) for execution_id in (first, second)]

    assert all(len(name) <= schedule.LONGEST_NAME for name in names)
    assert names[0] != names[1]
    assert names[0] == schedule.entry_name(first)


# The sweeper

SWEEPS = {"command": ["burst", "reap", "--all", "--cluster", "burst"]}


def sweeper(client: Any, group: str, cloud: Cloud, expression: str, override: dict[str, Any], **more: Any) -> str:
    """Makes a recurring schedule as infrastructure does, and returns its name."""
    name = f"sweeper-{cloud.name}"
    client.create_schedule(
        Name=name, GroupName=group, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, **more,
        Target={
            "Arn": REAPER.cluster_arn,
            "RoleArn": REAPER.role_arn,
            "Input": json.dumps({"containerOverrides": [{"name": "reaper", **override}]}),
            "EcsParameters": {"TaskDefinitionArn": f"{ARN}:task-definition/none"},
        },
    )  # fmt: skip
    return name


@pytest.mark.parametrize(
    ("expression", "override", "more", "problem"),
    [
        ("rate(5 minutes)", SWEEPS, {}, ""),
        ("rate(1 minute)", {"command": [*SWEEPS["command"][:-1], REAPER.cluster_arn]}, {}, ""),
        ("rate(6 minutes)", SWEEPS, {}, "it runs every 360 s, allowed is every 300 s or more often"),
        ("at(2099-01-01T00:00:00)", SWEEPS, {}, "it runs not at a rate, allowed is every 300 s or more often"),
        ("rate(5 minutes)", SWEEPS, {"State": "DISABLED"}, "it is disabled"),
        ("rate(5 minutes)", {}, {}, "it runs nothing, not burst reap --all --cluster burst"),
        ("rate(5 minutes)", {"command": ["burst", "reap", "--all"]}, {}, "it runs burst reap --all, not"),
        ("rate(5 minutes)", {"command": [*SWEEPS["command"][:-1], "b"]}, {}, "it sweeps cluster b, not burst"),
    ],
)
def test_a_sweeper_counts_only_where_it_sweeps_this_cluster_often_enough(
    cloud: Cloud, client: Any, group: str, scheduler: schedule.Scheduler,
    expression: str, override: dict[str, Any], more: dict[str, Any], problem: str,
) -> None:  # fmt: skip
    name = sweeper(client, group, cloud, expression, override, **more)

    found = scheduler.sweeper(name)

    assert found is not None
    assert found.problem("burst").startswith(problem)
    assert bool(found.problem("burst")) is bool(problem)


def test_a_sweeper_that_is_not_there_is_none(scheduler: schedule.Scheduler) -> None:
    assert scheduler.sweeper("no-such-sweeper") is None
