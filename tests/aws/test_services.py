"""Services of the system under load, scaled on a simulated ECS."""

import pytest

from burst.adapters import services, system_clock
from burst.domain import errors
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
def scaled(cloud: Cloud) -> services.EcsServices:
    return services.EcsServices(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=cloud.ecs)


def test_services_are_scaled_and_put_back_by_what_was_seen_before(
    scaled: services.EcsServices, names: list[str]
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
    scaled: services.EcsServices, names: list[str]
) -> None:
    failed = scaled.scale({"no-such-service": 1, names[0]: 1})

    assert list(failed) == ["no-such-service"]
    assert "ecs:UpdateService" in str(failed["no-such-service"])
    assert scaled.look(names[:1])[0].desired == 1
    scaled.scale({names[0]: 0})


def test_a_service_that_is_not_there_is_named(scaled: services.EcsServices, names: list[str]) -> None:
    with pytest.raises(errors.UsageError, match="saw no-such-service, of which cluster burst"):
        scaled.look([*names, "no-such-service"])


def test_more_services_than_one_call_takes_are_looked_at(cloud: Cloud, scaled: services.EcsServices) -> None:
    before = cloud.calls("DescribeServices")

    with pytest.raises(errors.UsageError):
        scaled.look([f"service-{number}" for number in range(21)])

    assert cloud.calls("DescribeServices") - before == 3


def test_an_answer_that_is_lost_is_asked_for_again(
    cloud: Cloud, scaled: services.EcsServices, names: list[str]
) -> None:
    cloud.world.faults.arm("response-lost:UpdateService")

    failed = scaled.scale({names[0]: 0})

    assert failed == {}
