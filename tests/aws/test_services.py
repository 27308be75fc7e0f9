"""Services of the system under load, scaled on a simulated ECS."""

from concurrent import futures
from datetime import UTC, datetime
from typing import Any

import pytest

from burst.adapters.aws import ecs_services, s3_store
from burst.adapters.local import system_clock
from burst.control import errands
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans
from burst.domain.tasks import service_definitions
from burst.domain.tasks import services as scaling
from burst.kit import aws
from burst.wiring.targets import kept_services
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud


@pytest.fixture
def names(cloud: Cloud) -> list[str]:
    definition = cloud.register(fixtures_aws.container(command=["sleep", "100"]))
    service_names = [f"ingest-{cloud.name}", f"writer-{cloud.name}"]
    for name in service_names:
        cloud.ecs.create_service(
            cluster=fixtures_aws.CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=0,
            launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-a"]}},
        )  # fmt: skip
    return service_names


@pytest.fixture
def cluster_services(cloud: Cloud) -> ecs_services.EcsServices:
    return ecs_services.EcsServices(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=cloud.ecs)


def test_a_count_that_ecs_does_not_confirm_was_not_set(names: list[str]) -> None:
    def answers_with_another(parsed: dict[str, Any], **_: object) -> None:
        parsed["service"]["desiredCount"] = 7

    client = aws.client("ecs")
    client.meta.events.register("after-call.ecs.UpdateService", answers_with_another)
    deaf = ecs_services.EcsServices(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=client)

    failed = deaf.scale({names[0]: 0})

    assert str(failed[names[0]]) == f"ecs:UpdateService was to set {names[0]} to 0, and answered 7"


def test_more_services_than_one_call_takes_are_looked_at(
    cloud: Cloud, cluster_services: ecs_services.EcsServices
) -> None:
    before = cloud.calls("DescribeServices")

    looked_up = cluster_services.look([f"service-{number}" for number in range(21)])

    assert looked_up == ()
    assert cloud.calls("DescribeServices") - before == 3


def test_an_answer_that_is_lost_is_asked_for_again(
    cloud: Cloud, cluster_services: ecs_services.EcsServices, names: list[str]
) -> None:
    cloud.world.faults.arm("response-lost:UpdateService")

    failed = cluster_services.scale({names[0]: 0})

    assert failed == {}


def test_a_revision_for_a_run_has_the_variables_and_all_else_of_its_base(
    cloud: Cloud, cluster_services: ecs_services.EcsServices
) -> None:
    own = [{"name": "KEPT", "value": "1"}, {"name": "SCOPE", "value": "old"}]
    base = cloud.register(fixtures_aws.container(command=["sleep", "100"], environment=own))

    derived = cluster_services.derive_definition(base, container=None, environment={"SCOPE": "new"})

    before, after = (
        cloud.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"] for arn in (base, derived)
    )
    variables = [{"name": "KEPT", "value": "1"}, {"name": "SCOPE", "value": "new"}]
    assert after["containerDefinitions"] == [{**before["containerDefinitions"][0], "environment": variables}]
    differing = {name for name in after if after[name] != before.get(name)}
    assert differing <= {"taskDefinitionArn", "revision", "registeredAt", "containerDefinitions"}


def test_a_variable_that_a_secret_has_is_refused_without_its_value() -> None:
    described = {
        "taskDefinitionArn": "arn:writer:7",
        "containerDefinitions": [{"name": "app", "secrets": [{"name": "SCOPE", "valueFrom": "arn:secret"}]}],
    }

    with pytest.raises(errors.Refused, match="SCOPE of app is a secret of arn:writer:7") as refusal:
        service_definitions.add_variables(described, None, {"SCOPE": "hunter2"})
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("container", [None, "absent"])
def test_a_container_that_is_not_named_plainly_is_refused(container: str | None) -> None:
    described = {"taskDefinitionArn": "arn:writer:7", "containerDefinitions": [{"name": "app"}, {"name": "side"}]}

    with pytest.raises(errors.Refused, match=r"services\[\]\.container names one of app, side"):
        service_definitions.add_variables(described, container, {"SCOPE": "s"})


def test_services_are_restored_through_a_control_plane_that_throttles(
    cloud: Cloud, cluster_services: ecs_services.EcsServices, names: list[str]
) -> None:
    cluster_services.scale(dict.fromkeys(names, 1))
    changes = [scaling.ServiceChange(name=name, before=0, desired=1) for name in names]
    before = len(cloud.world.calls(operation="DescribeServices"))

    def is_throttled() -> bool:
        calls = cloud.world.calls(operation="DescribeServices")[before:]
        return any(call.outcome != "ok" for call in calls)

    cloud.world.faults.arm("ecs-throttle")
    with futures.ThreadPoolExecutor() as threads:
        putting_back = threads.submit(errands.put_back, cluster_services, changes)
        waiting.until(is_throttled, what="a call to be throttled")
        cloud.world.faults.disarm("ecs-throttle")
        back, problems = putting_back.result()

    assert (set(back), problems) == (set(names), {})
    assert [service.desired for service in cluster_services.look(names)] == [0, 0]


def keep(cloud: Cloud, execution_id: str, name: str, *, ago_seconds: float = 60.0) -> None:
    """A run that scaled a service and died."""
    deadline = instants.later(datetime.now(UTC), -ago_seconds)
    kept = run_records.KeptServices.from_changes(
        execution_id, fixtures_aws.CLUSTER, deadline, (scaling.ServiceChange(name=name, before=0, desired=1),)
    )
    s3_store.S3Store(f"{cloud.place}/services").put_once(document_names.services_name(execution_id), kept.content())


def test_an_unreadable_note_of_one_run_does_not_hold_up_the_services_of_another(
    cloud: Cloud, cluster_services: ecs_services.EcsServices, names: list[str]
) -> None:
    cluster_services.scale({names[0]: 1})
    keep(cloud, "m10_dead", names[0])
    keep(cloud, "m10_in_time", names[1], ago_seconds=-60.0)
    keep(cloud, "m10_busy", names[1])
    place = s3_store.S3Store(f"{cloud.place}/services")
    place.put_once(document_names.services_name("m10_broken"), b"{")

    orphans, unknown = kept_services.find_left(system_clock.SystemClock(), cloud.place, None, {"m10_busy"})
    back = [service.put_back() for service in orphans]

    assert [service.kept.execution_id for service in orphans] == ["m10_dead"]
    assert list(unknown) == ["m10_broken"]
    assert back == [({names[0]: "was set back to 0"}, {})]
    assert cluster_services.look(names[:1])[0].desired == 0
    assert "m10_dead" not in document_names.runs_with_services(place.names())


def test_services_that_another_run_has_not_put_back_are_held(
    cloud: Cloud, cluster_services: ecs_services.EcsServices, names: list[str]
) -> None:
    cluster_services.scale({names[0]: 1})
    keep(cloud, "m10_dead", names[0])
    keep(cloud, "m10_put_back_by_hand", names[1])
    keep(cloud, "m10_other", "another-service")
    text = (
        "schema: burst.plan/v1\nphase: M10.F\nscope: fresh\nenvironment: dev\n"
        f"target: {{kind: ecs, tasks: 1, cluster: {fixtures_aws.CLUSTER}, task_definition: 'burst:1', "
        "subnets: [subnet-a], security_groups: [sg-a]}\n"
        "load: {command: [send], host: 'http://ingest.internal'}\n"
        "budget: {max: 60s, operator_cap: 60s, min_window: 20s}\ngates: {admit_ratio: 0.9}\n"
        "receipts: {dsn: 'env:DSN'}\n"
        f"services: [{{name: {names[0]}, desired: 2}}, {{name: {names[1]}, desired: 2}}]\n"
        f"evidence: {{local: runs, run_control: '{cloud.place}', run_scoped: '{cloud.place}/runs'}}\n"
    )

    held = kept_services.find_holders(plans.parse(text, source="a test"), cluster_services.look(names))

    assert held == {names[0]: "m10_dead"}
    cluster_services.scale({names[0]: 0})
