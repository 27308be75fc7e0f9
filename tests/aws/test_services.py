"""Services of the system under load, scaled on a simulated ECS."""

from concurrent import futures
from datetime import UTC, datetime
from typing import Any

import pytest

from burst.adapters.aws import ecs_services, s3_store
from burst.adapters.local import system_clock
from burst.control import errands
from burst.domain.basics import instants
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans
from burst.domain.tasks import services as scaling
from burst.kit import aws
from burst.wiring.targets import ecs_target
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud


@pytest.fixture
def names(cloud: Cloud) -> list[str]:
    definition = cloud.register(fixtures_aws.container(command=["sleep", "100"]))
    made = [f"ingest-{cloud.name}", f"writer-{cloud.name}"]
    for name in made:
        cloud.ecs.create_service(
            cluster=fixtures_aws.CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=0,
            launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-a"]}},
        )  # fmt: skip
    return made


@pytest.fixture
def scaled(cloud: Cloud) -> ecs_services.EcsServices:
    return ecs_services.EcsServices(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=cloud.ecs)


def test_services_are_scaled_and_put_back_by_what_was_seen_before(
    scaled: ecs_services.EcsServices, names: list[str]
) -> None:
    before = scaled.look(names)

    failed = scaled.scale(dict.fromkeys(names, 1))
    waiting.until(lambda: {one.running for one in scaled.look(names)} == {1}, what="both services to run")
    up = scaled.look(names)
    back = scaled.scale({service.name: service.desired for service in before})

    assert (failed, back) == ({}, {})
    assert [service.desired for service in before] == [0, 0]
    assert [service.desired for service in up] == [1, 1]
    assert [service.desired for service in scaled.look(names)] == [0, 0]


def test_one_service_that_cannot_be_scaled_does_not_keep_the_others_from_it(
    scaled: ecs_services.EcsServices, names: list[str]
) -> None:
    failed = scaled.scale({"no-such-service": 1, names[0]: 1})

    assert list(failed) == ["no-such-service"]
    assert "ecs:UpdateService" in str(failed["no-such-service"])
    assert scaled.look(names[:1])[0].desired == 1
    scaled.scale({names[0]: 0})


def test_a_count_that_ecs_does_not_confirm_was_not_set(names: list[str]) -> None:
    def answers_with_another(parsed: dict[str, Any], **_: object) -> None:
        parsed["service"]["desiredCount"] = 7

    client = aws.client("ecs")
    client.meta.events.register("after-call.ecs.UpdateService", answers_with_another)
    deaf = ecs_services.EcsServices(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=client)

    failed = deaf.scale({names[0]: 0})

    assert str(failed[names[0]]) == f"ecs:UpdateService was to set {names[0]} to 0, and answered 7"


def test_a_service_that_is_not_there_is_left_out(scaled: ecs_services.EcsServices, names: list[str]) -> None:
    assert [one.name for one in scaled.look([names[0], "no-such-service", names[1]])] == names


def test_more_services_than_one_call_takes_are_looked_at(cloud: Cloud, scaled: ecs_services.EcsServices) -> None:
    before = cloud.calls("DescribeServices")

    found = scaled.look([f"service-{number}" for number in range(21)])

    assert found == ()
    assert cloud.calls("DescribeServices") - before == 3


def test_an_answer_that_is_lost_is_asked_for_again(
    cloud: Cloud, scaled: ecs_services.EcsServices, names: list[str]
) -> None:
    cloud.world.faults.arm("response-lost:UpdateService")

    failed = scaled.scale({names[0]: 0})

    assert failed == {}


def test_services_are_put_back_through_a_control_plane_that_throttles(
    cloud: Cloud, scaled: ecs_services.EcsServices, names: list[str]
) -> None:
    scaled.scale(dict.fromkeys(names, 1))
    made = [scaling.ServiceChange(name=name, before=0, desired=1) for name in names]
    before = len(cloud.world.calls(operation="DescribeServices"))

    def refused() -> bool:
        asked = cloud.world.calls(operation="DescribeServices")[before:]
        return any(call.outcome != "ok" for call in asked)

    cloud.world.faults.arm("ecs-throttle")
    with futures.ThreadPoolExecutor() as threads:
        putting_back = threads.submit(errands.put_back, scaled, made)
        waiting.until(refused, what="a call to be throttled")
        cloud.world.faults.disarm("ecs-throttle")
        back, problems = putting_back.result()

    assert (set(back), problems) == (set(names), {})
    assert [service.desired for service in scaled.look(names)] == [0, 0]


def keep(cloud: Cloud, execution_id: str, name: str, *, ago_seconds: float = 60.0) -> None:
    """A run that scaled a service and died."""
    deadline = instants.later(datetime.now(UTC), -ago_seconds)
    kept = run_records.KeptServices.from_changes(
        execution_id, fixtures_aws.CLUSTER, deadline, (scaling.ServiceChange(name=name, before=0, desired=1),)
    )
    s3_store.S3Store(f"{cloud.place}/services").put_once(document_names.services_name(execution_id), kept.content())


def test_what_is_kept_of_one_run_and_unreadable_keeps_no_other_runs_services_from_being_put_back(
    cloud: Cloud, scaled: ecs_services.EcsServices, names: list[str]
) -> None:
    scaled.scale({names[0]: 1})
    keep(cloud, "m10_dead", names[0])
    keep(cloud, "m10_in_time", names[1], ago_seconds=-60.0)
    keep(cloud, "m10_busy", names[1])
    place = s3_store.S3Store(f"{cloud.place}/services")
    place.put_once(document_names.services_name("m10_broken"), b"{")

    left, unknown = ecs_target.services_left(system_clock.SystemClock(), cloud.place, None, {"m10_busy"})
    back = [one.put_back() for one in left]

    assert [one.kept.execution_id for one in left] == ["m10_dead"]
    assert list(unknown) == ["m10_broken"]
    assert back == [({names[0]: "was set back to 0"}, {})]
    assert scaled.look(names[:1])[0].desired == 0
    assert "m10_dead" not in document_names.runs_with_services(place.names())


def test_services_that_another_run_has_not_put_back_are_held(
    cloud: Cloud, scaled: ecs_services.EcsServices, names: list[str]
) -> None:
    scaled.scale({names[0]: 1})
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

    held = ecs_target.services_held(plans.parse(text, source="a test"), scaled.look(names))

    assert held == {names[0]: "m10_dead"}
    scaled.scale({names[0]: 0})
