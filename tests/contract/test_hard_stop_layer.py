"""The contract of `ports.HardStopLayer`, on every layer of the local and of the ECS target; then what a target makes.

A layer is told apart by its target and its name, as a run's journal has it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst import ports
from burst.adapters.aws import scheduler
from burst.adapters.local import system_clock
from burst.domain.basics import errors, instants
from burst.domain.plan import plans
from burst.kit import aws, process_tree
from burst.wiring.targets import ecs_target, local_terms, targets
from tests import cases, fixtures_aws
from tests.fixtures_aws import Cloud

PORT = ports.HardStopLayer

LAYERS = [
    *(f"local {name}" for name in local_terms.LAYERS),
    *(f"ecs {name}" for name in ecs_target.LAYERS),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One layer of one run, and whether something of it stands that would fire later."""

    layer: ports.HardStopLayer
    deadline: datetime
    would_fire: Callable[[], bool]


def watchdogs(execution_id: str) -> list[object]:
    marks = [process_tree.read_environment(process).get("BURST_WATCHDOG") for process in process_tree.list_processes()]
    return [mark for mark in marks if mark == execution_id]


def local_plan(folder: Path) -> plans.Plan:
    return cases.plan(execution_id=cases.EXECUTION_ID, evidence={"local": str(folder)})


def ecs_plan(cloud: Cloud, **changes: Any) -> plans.Plan:
    """A plan whose task definition starts the guard and has the sidecar."""
    guard = fixtures_aws.container("app", entry_point=fixtures_aws.GUARD)
    sidecar = fixtures_aws.container("lifespan", entry_point=("sleep", "100"))
    return cases.plan(
        execution_id=cloud.name,
        environment="dev",
        target={
            "kind": "ecs", "tasks": 1, "cluster": fixtures_aws.CLUSTER, "container": "app",
            "task_definition": cloud.register(guard, sidecar), "subnets": ["subnet-a"], "security_groups": ["sg-a"],
            "reaper": {
                "task_definition": "reaper:1", "role_arn": "arn:aws:iam::123456789012:role/burst-dev-scheduler",
                "group": f"burst-{cloud.name}",
            },
        },
        evidence={"run_control": cloud.place, "run_scoped": f"{cloud.place}/runs"},
        **changes,
    )  # fmt: skip


def make_sweeper(plan: plans.Plan, client: Any) -> None:
    """The recurring schedule, as the infrastructure makes it."""
    command = f'{{"containerOverrides": [{{"name": "reaper", "command": ["burst", "reap", "--all", "--cluster", "{fixtures_aws.CLUSTER}"]}}]}}'  # noqa: E501 - JSON
    client.create_schedule(
        Name=f"burst-{plan.environment}-sweeper",
        GroupName=plan.reaper(account="").group,
        ScheduleExpression="rate(5 minutes)",
        StartDate=instants.later(datetime.now(UTC), 3600),
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:ecs:eu-west-2:123456789012:cluster/burst",
            "RoleArn": "arn:aws:iam::123456789012:role/burst-scheduler",
            "Input": command,
            "EcsParameters": {"TaskDefinitionArn": "arn:aws:ecs:eu-west-2:123456789012:task-definition/reaper:1"},
        },
    )


@pytest.fixture(params=LAYERS)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    kind, name = request.param.split()
    clock, deadline = system_clock.SystemClock(), instants.later(datetime.now(UTC), 300)
    if kind == "local":
        plan = local_plan(tmp_path)
        target = targets.choose(plan, clock, tmp_path)
        layer = target.run_target(deadline, to_launch=False).layers[name]
        yield Scene(layer=layer, deadline=deadline, would_fire=lambda: bool(watchdogs(cases.EXECUTION_ID)))
    else:
        cloud: Cloud = request.getfixturevalue("cloud")
        plan, client = ecs_plan(cloud), aws.client("scheduler")
        client.create_schedule_group(Name=plan.reaper(account="").group)
        make_sweeper(plan, client)
        entries = scheduler.Scheduler(plan.reaper(account="").group, clock=clock, client=client)
        layer = targets.choose(plan, clock).run_target(deadline, to_launch=True).layers[name]
        yield Scene(layer=layer, deadline=deadline, would_fire=lambda: entries.find(cloud.name) is not None)
    layer.disarm()


def test_arming_says_how_the_layer_acts_and_arming_again_is_arming_once(scene: Scene) -> None:
    first = scene.layer.arm(scene.deadline)

    assert first
    assert scene.layer.arm(scene.deadline) == first


def test_a_layer_that_was_disarmed_would_not_fire(scene: Scene) -> None:
    scene.layer.arm(scene.deadline)

    scene.layer.disarm()

    assert not scene.would_fire()


def test_a_layer_that_was_never_armed_is_disarmed_without_an_error(scene: Scene) -> None:
    scene.layer.disarm()
    scene.layer.disarm()

    assert not scene.would_fire()


@pytest.mark.parametrize("scene", ["local sidecar", "ecs schedule"], indirect=True)
def test_a_layer_that_fires_by_itself_stands_once_it_is_armed(scene: Scene) -> None:
    scene.layer.arm(scene.deadline)

    assert scene.would_fire()


def test_a_target_makes_each_layer_that_it_names_in_the_order_in_which_they_are_armed(
    cloud: Cloud, tmp_path: Path
) -> None:
    clock, deadline = system_clock.SystemClock(), instants.later(datetime.now(UTC), 300)

    for target in (targets.choose(local_plan(tmp_path), clock), targets.choose(ecs_plan(cloud), clock)):
        assert tuple(target.run_target(deadline, to_launch=False).layers) == target.layers


@pytest.mark.parametrize("name", ["guard", "lease", "sidecar", "schedule", "sweeper"])
def test_a_layer_that_cannot_act_is_refused(name: str, cloud: Cloud) -> None:
    """Neither guard nor sidecar in the definition, no schedule group, no sweeper."""
    bare = cloud.register(fixtures_aws.container("app", entry_point=("sleep",)))
    whole = ecs_plan(cloud)
    target = whole.target.model_copy(update={"task_definition": bare})
    plan = whole.model_copy(update={"target": target})
    deadline = instants.later(datetime.now(UTC), 300)
    layer = targets.choose(plan, system_clock.SystemClock()).run_target(deadline, to_launch=True).layers[name]

    with pytest.raises(errors.Refused):
        layer.arm(deadline)
