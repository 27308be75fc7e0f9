"""The account that a rehearsal furnishes: revisions of any height, and everything again where an answer was lost."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions

from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.rehearsal import aws_simulation, bootstrap, settings
from burst.wiring import preparing
from tests import fixtures_aws
from tests.rehearsal import aws_clients

EXAMPLE = Path(__file__).parents[2] / "runbooks" / "plans" / "ecs.yaml"
ONE = settings.RateLimit(burst=1, per_second=0.001)
CREATED = (
    "CreateBucket", "CreateCluster", "CreateRole", "CreateSchedule", "CreateScheduleGroup",
    "CreateService", "PutParameter",
)  # fmt: skip


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws_simulation.AwsSimulation]:
    """An AWS that lets RegisterTaskDefinition through once."""
    options = settings.SimulationSettings(throttle=settings.Throttle(register=ONE))
    with aws_simulation.start(tmp_path_factory.mktemp("aws"), options=options) as simulation:
        yield simulation


@pytest.fixture
def operator(aws: aws_simulation.AwsSimulation, monkeypatch: pytest.MonkeyPatch) -> aws_simulation.AwsSimulation:
    """The same AWS, with this process as the operator's."""
    fixtures_aws.become_operator(aws, monkeypatch)
    return aws


def read_plan(*overrides: str) -> plans.Plan:
    """The example plan, with these changes."""
    return preparing.read_plan(preparing.RunRequest(plan_file=EXAMPLE, overrides=overrides))


def describe(aws: aws_simulation.AwsSimulation, name: str) -> dict[str, Any]:
    """A task definition, as a real client reads it."""
    client = aws_clients.make_client(aws, "ecs")
    return dict(client.describe_task_definition(taskDefinition=name)["taskDefinition"])


def test_a_plan_may_pin_any_revision_and_two_plans_two_of_one_family(operator: aws_simulation.AwsSimulation) -> None:
    before = operator.calls("ecs", "RegisterTaskDefinition")
    for pinned in ("high:400", "high:25"):
        bootstrap.furnish_account(read_plan(f"target.task_definition={pinned}"), python=sys.executable, api_key="a-key")

    assert [describe(operator, name)["revision"] for name in ("high:400", "high:25", "high")] == [400, 25, 400]
    assert [container["name"] for container in describe(operator, "high:400")["containerDefinitions"]] == [
        "burst",
        "lifespan",
    ]
    with pytest.raises(exceptions.ClientError):
        describe(operator, "high:26")
    assert operator.calls("ecs", "RegisterTaskDefinition") == before


def test_a_pinned_revision_that_is_registered_stays_and_the_next_one_counts_on_from_the_highest(
    operator: aws_simulation.AwsSimulation,
) -> None:
    containers = [{"name": "app", "image": "burst", "command": ["true"]}]
    aws_simulation.register_definition(operator.address, "counted", 12, containerDefinitions=containers)
    aws_simulation.register_definition(
        operator.address, "counted", 12, containerDefinitions=[{**containers[0], "cpu": 9}]
    )

    client = aws_clients.make_client(operator, "ecs")
    registered = client.register_task_definition(family="counted", containerDefinitions=containers)["taskDefinition"]

    assert describe(operator, "counted:12")["containerDefinitions"] == containers
    assert registered["revision"] == 13
    assert client.list_task_definitions(familyPrefix="counted")["taskDefinitionArns"] == [
        f"arn:aws:ecs:eu-west-2:123456789012:task-definition/counted:{revision}" for revision in (12, 13)
    ]


@pytest.mark.parametrize(
    ("revision", "fields", "refusal"),
    [(0, {"containerDefinitions": [{"name": "app", "image": "x"}]}, "not 1 or more"), (3, {}, "need names")],
    ids=["revision 0", "no container"],
)
def test_a_pinned_revision_that_ecs_would_refuse_is_refused(
    aws: aws_simulation.AwsSimulation, revision: int, fields: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(errors.UsageError, match=refusal):
        aws_simulation.register_definition(aws.address, "refused", revision, **fields)


def test_whatever_answer_is_lost_the_account_is_furnished(operator: aws_simulation.AwsSimulation) -> None:
    service = 'services=[{"name": "ingest-writer", "desired": 3}]'
    plan = read_plan(service, "target.cluster=lost", "environment=pilot", "evidence.run_scoped=s3://lost/runs")
    for operation in CREATED:
        operator.faults.arm(f"response-lost:{operation}")

    bootstrap.furnish_account(plan, python=sys.executable, api_key="a-key")

    outcomes = {operation: [call.outcome for call in operator.calls(operation=operation)] for operation in CREATED}
    assert [operation for operation in CREATED if "response-lost" not in outcomes[operation]] == []
    ecs, scheduler = (aws_clients.make_client(operator, name) for name in ("ecs", "scheduler"))
    (described,) = ecs.describe_services(cluster="lost", services=["ingest-writer"])["services"]
    assert described["desiredCount"] == bootstrap.SERVICE_COUNT
    assert scheduler.get_schedule(GroupName=plan.reaper(settings.ACCOUNT).group, Name="burst-pilot-sweeper")
