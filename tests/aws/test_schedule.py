"""The schedule layer on a simulated EventBridge Scheduler, whose entries fire."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.aws import scheduler
from burst.adapters.local import system_clock
from burst.domain.basics import errors, instants
from burst.kit import aws
from tests import fakes, fixtures_aws, waiting
from tests.fixtures_aws import Cloud

ARN = "arn:aws:ecs:eu-west-2:123456789012"
REAPER = scheduler.ReaperTask(
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
def entries(group: str, client: Any) -> scheduler.Scheduler:
    return scheduler.Scheduler(group, clock=system_clock.SystemClock(), client=client)


def due(seconds: float = 300) -> datetime:
    return instants.later(datetime.now(UTC).replace(microsecond=0), seconds)


def read_entry(client: Any, group: str, name: str) -> dict[str, Any]:
    description: dict[str, Any] = client.get_schedule(GroupName=group, Name=name)
    return description


def test_an_armed_entry_fires_once_at_its_instant_and_deletes_itself(
    cloud: Cloud, client: Any, group: str, entries: scheduler.Scheduler
) -> None:
    due_at = due()

    armed = entries.arm(cloud.name, due_at=due_at, reaper=REAPER)

    description = read_entry(client, group, armed.name)
    assert armed == scheduler.ScheduleEntry(name=f"burst-{cloud.name}", at=due_at)
    assert entries.find(cloud.name) == armed
    assert description["ScheduleExpression"] == f"at({due_at:%Y-%m-%dT%H:%M:%S})"
    assert (description["ScheduleExpressionTimezone"], description["FlexibleTimeWindow"]) == ("UTC", {"Mode": "OFF"})
    assert description["ActionAfterCompletion"] == "DELETE"
    assert description["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
    assert json.loads(description["Target"]["Input"]) == {
        "containerOverrides": [{"name": "reaper", "command": ["burst", "reap", "--run", cloud.name]}]
    }


def test_when_it_fires_the_reaper_runs_with_the_runs_id(cloud: Cloud, client: Any, group: str, tmp_path: Path) -> None:
    script = tmp_path / "entry"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\n')
    script.chmod(0o755)
    revision = cloud.register(fixtures_aws.container("reaper", entry_point=(str(script),)))
    reaper = scheduler.ReaperTask(
        cluster_arn=REAPER.cluster_arn, task_definition_arn=f"{ARN}:task-definition/{revision}", container="reaper",
        role_arn=REAPER.role_arn, subnets=REAPER.subnets, security_groups=REAPER.security_groups,
    )  # fmt: skip
    quick = scheduler.Scheduler(group, clock=system_clock.SystemClock(), client=client, soonest_seconds=1)

    quick.arm(cloud.name, due_at=due(0), reaper=reaper)

    words = waiting.until(
        lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text(), seconds=20, what="the reaper to run"
    )
    assert words == f"burst reap --run {cloud.name}\n"
    waiting.until(lambda: quick.find(cloud.name) is None, what="the entry to delete itself")


@pytest.mark.parametrize(("public", "word"), [(True, "ENABLED"), (False, "DISABLED")])
def test_the_reaper_gets_a_public_address_where_the_plan_gives_its_tasks_one(
    cloud: Cloud, client: Any, group: str, entries: scheduler.Scheduler, public: bool, word: str
) -> None:
    armed = entries.arm(cloud.name, due_at=due(), reaper=dataclasses.replace(REAPER, public_addresses=public))

    network = read_entry(client, group, armed.name)["Target"]["EcsParameters"]["NetworkConfiguration"]
    assert network["awsvpcConfiguration"]["AssignPublicIp"] == word


def test_arming_twice_is_arming_once(cloud: Cloud, client: Any, group: str, entries: scheduler.Scheduler) -> None:
    due_at = due()
    first = entries.arm(cloud.name, due_at=due_at, reaper=REAPER)

    again = entries.arm(cloud.name, due_at=due_at, reaper=REAPER)
    later = entries.arm(cloud.name, due_at=instants.later(due_at, 60), reaper=REAPER)

    assert first == again == later
    assert len(client.list_schedules(GroupName=group)["Schedules"]) == 1


def test_an_entry_that_fires_too_late_is_a_conflict(cloud: Cloud, entries: scheduler.Scheduler) -> None:
    entries.arm(cloud.name, due_at=due(900), reaper=REAPER)

    with pytest.raises(errors.Conflict, match="was there already and it fires at"):
        entries.arm(cloud.name, due_at=due(300), reaper=REAPER)


def test_an_entry_whose_answer_is_lost_is_made_once(
    cloud: Cloud, client: Any, group: str, entries: scheduler.Scheduler
) -> None:
    cloud.world.faults.arm("response-lost:CreateSchedule")

    armed = entries.arm(cloud.name, due_at=due(), reaper=REAPER)

    assert entries.find(cloud.name) == armed
    assert len(client.list_schedules(GroupName=group)["Schedules"]) == 1


def test_an_entry_due_too_soon_is_made_for_a_minute_from_now(group: str, client: Any, cloud: Cloud) -> None:
    clock = fakes.TickingClock(instants.later(datetime.now(UTC).replace(microsecond=1), 0))
    entries = scheduler.Scheduler(group, clock=clock, client=client)

    armed = entries.arm(cloud.name, due_at=instants.later(clock.now(), 5), reaper=REAPER)

    assert armed.at == instants.later(clock.now().replace(microsecond=0), 61)


def test_disarming_deletes_the_entry_and_a_missing_entry_is_no_error(
    cloud: Cloud, entries: scheduler.Scheduler
) -> None:
    entries.arm(cloud.name, due_at=due(), reaper=REAPER)

    entries.disarm(cloud.name)
    entries.disarm(cloud.name)

    assert entries.find(cloud.name) is None


def test_a_one_shot_has_an_entry_of_its_own_that_reaps_its_run(
    cloud: Cloud, client: Any, group: str, entries: scheduler.Scheduler
) -> None:
    entries.arm(cloud.name, due_at=due(), reaper=REAPER)
    armed = entries.arm(cloud.name, due_at=due(900), reaper=REAPER, one_shot="refresh")

    description = read_entry(client, group, f"burst-{cloud.name}.refresh")
    (override,) = json.loads(description["Target"]["Input"])["containerOverrides"]
    assert description["ScheduleExpression"] == f"at({armed.at:%Y-%m-%dT%H:%M:%S})"
    assert override["command"] == ["burst", "reap", "--run", cloud.name]
    entries.disarm(cloud.name, one_shot="refresh")
    assert [entry["Name"] for entry in client.list_schedules(GroupName=group)["Schedules"]] == [f"burst-{cloud.name}"]


def test_without_the_group_nothing_is_armed_and_the_message_says_what_to_make(cloud: Cloud, client: Any) -> None:
    entries = scheduler.Scheduler("no-such-group", clock=system_clock.SystemClock(), client=client)

    with pytest.raises(aws.Absent, match="make the schedule group no-such-group"):
        entries.arm(cloud.name, due_at=due(), reaper=REAPER)


@pytest.mark.parametrize("length", [3, 58, 59, 100])
def test_names_are_short_enough_for_aws_and_differ_where_ids_do(length: int) -> None:
    first, second = "r" * length, "r" * (length - 1) + "s"

    names = [scheduler.entry_name(execution_id) for execution_id in (first, second)]

    assert all(len(name) <= scheduler.LONGEST_NAME for name in names)
    assert names[0] != names[1]
    assert names[0] == scheduler.entry_name(first)


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
    cloud: Cloud, client: Any, group: str, entries: scheduler.Scheduler,
    expression: str, override: dict[str, Any], more: dict[str, Any], problem: str,
) -> None:  # fmt: skip
    name = sweeper(client, group, cloud, expression, override, **more)

    described_sweeper = entries.sweeper(name)

    assert described_sweeper is not None
    assert described_sweeper.problem("burst").startswith(problem)
    assert bool(described_sweeper.problem("burst")) is bool(problem)


def test_a_sweeper_that_is_not_there_is_none(entries: scheduler.Scheduler) -> None:
    assert entries.sweeper("no-such-sweeper") is None
