"""The state of a service on a simulated ECS: its counts, task definition, images and variables."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.aws import ecs_service_states
from burst.adapters.local import system_clock
from burst.domain.documents import entry_answers
from burst.rehearsal import ecs_documents
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud

DIGEST = f"sha256:{'a' * 64}"


def _register(cloud: Cloud, image: str, **variables: str) -> str:
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    return cloud.register({**fixtures_aws.container(), "image": image, "environment": environment})


def _look(name: str, *variables: str, images: bool = True) -> entry_answers.ServiceSeen | None:
    states = ecs_service_states.EcsServiceStates(fixtures_aws.CLUSTER, clock=system_clock.SystemClock())
    return states.look(name, variables, images=images)


def _create(cloud: Cloud, definition: str, count: int) -> str:
    name = f"gateway-{cloud.name}"
    cloud.ecs.create_service(
        cluster=fixtures_aws.CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=count,
        launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-a"]}},
    )  # fmt: skip
    waiting.until(lambda: _require(name).running == count, seconds=20, what="the service to run")
    return name


def _require(name: str, *variables: str, images: bool = True) -> entry_answers.ServiceSeen:
    seen = _look(name, *variables, images=images)
    assert seen is not None
    return seen


def test_a_service_is_seen_with_its_counts_definition_image_and_the_variables_that_are_asked_for(
    cloud: Cloud,
) -> None:
    definition = _register(cloud, "gateway:latest", SCOPE="platform_1", OTHER="x")

    seen = _require(_create(cloud, definition, 3), "SCOPE", "MISSING")

    assert (seen.desired, seen.running) == (3, 3)
    assert seen.task_definition.endswith(f"/{definition.rpartition('/')[2]}")
    assert seen.images == [ecs_documents.digest_image("gateway:latest")]  # as its tasks say
    assert seen.variables == {"SCOPE": ["platform_1"], "MISSING": [""]}


def test_an_image_that_the_definition_pins_needs_no_task_and_where_it_is_not_asked_for_no_task_is_described(
    cloud: Cloud,
) -> None:
    name = _create(cloud, _register(cloud, f"gateway@{DIGEST}"), 2)
    before = cloud.calls("DescribeTasks")

    assert _require(name).images == [DIGEST]
    assert _require(name, images=False).running == 2
    assert cloud.calls("DescribeTasks") == before


@pytest.fixture
def unhurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An AWS of this test's own, whose roll-outs take so long that a busy machine sees them too."""
    options = replace(fixtures_aws.ROOMY, service_seconds=5.0)
    with fixtures_aws.shared(tmp_path / "aws", options) as shared, fixtures_aws.use(shared, monkeypatch) as cloud:
        yield cloud


def test_while_a_rollout_is_under_way_both_definitions_are_seen(unhurried: Cloud) -> None:
    cloud = unhurried
    old = _register(cloud, "gateway:1", SCOPE="platform_1")
    name = _create(cloud, old, 2)
    new = _register(cloud, "gateway:2", SCOPE="platform_2")

    cloud.ecs.update_service(cluster=fixtures_aws.CLUSTER, service=name, taskDefinition=new)
    during = _require(name, "SCOPE")

    assert during.task_definition.count("task-definition/") == 2
    assert during.variables == {"SCOPE": ["platform_1", "platform_2"]}
    waiting.until(lambda: _require(name, "SCOPE").variables == {"SCOPE": ["platform_2"]}, seconds=20, what="the end")


@pytest.mark.parametrize("name", ["nowhere"])
def test_a_service_that_is_not_there_is_none(cloud: Cloud, name: str) -> None:
    assert _look(name) is None


def test_many_tasks_are_listed_in_pages_and_described_in_batches(cloud: Cloud) -> None:
    name = _create(cloud, _register(cloud, "gateway:latest"), 130)
    calls: dict[str, Any] = {action: cloud.calls(action) for action in ("ListTasks", "DescribeTasks")}

    assert _require(name).images == [ecs_documents.digest_image("gateway:latest")]
    assert {action: cloud.calls(action) - before for action, before in calls.items()} == {
        "ListTasks": 2,
        "DescribeTasks": 2,
    }
