"""The contract of `ports.Services`, on the fake and on a simulated ECS."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from burst import ports
from burst.adapters.aws import ecs_services
from burst.adapters.local import system_clock
from burst.domain.basics import errors
from burst.domain.tasks import services as scaling
from tests import fakes, fixtures_aws, waiting

PORT = ports.Services
ABSENT = "no-such-service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Two services that stand at no task, and how time passes for them."""

    services: ports.Services
    names: tuple[str, str]
    pass_time: Callable[[float], None]

    def desired(self) -> list[int]:
        return [service.desired for service in self.services.look(self.names)]

    def rollout(self, name: str) -> scaling.Rollout:
        self.pass_time(0.1)
        return self.services.look_at_rollout(name)

    def judge(self, before: scaling.Rollout) -> scaling.Replacement:
        return scaling.judge_restart(before.tasks, before.deployment, self.rollout(before.name))

    def is_rolled(self, name: str, definition: str, running: int) -> bool:
        self.pass_time(0.1)
        (service,) = self.services.look([name])
        return (service.definition, service.running, service.settled) == (definition, running, True)

    def running(self) -> list[int]:
        self.pass_time(0.1)
        return [service.running for service in self.services.look(self.names)]


def fake_stage() -> Stage:
    clock, names = fakes.TickingClock(), ("ingest", "writer")
    services = fakes.FakeServices(
        clock, desired=dict.fromkeys(names, 0), definitions_there={f"{name}:1": {} for name in names}
    )
    return Stage(services=services, names=names, pass_time=clock.sleep)


def ecs_stage(cloud: fixtures_aws.Cloud) -> Stage:
    definition = cloud.register(fixtures_aws.container(command=["sleep", "100"]))
    names = (f"ingest-{cloud.name}", f"writer-{cloud.name}")
    for name in names:
        cloud.ecs.create_service(
            cluster=fixtures_aws.CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=0,
            launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-a"]}},
        )  # fmt: skip
    services = ecs_services.EcsServices(fixtures_aws.CLUSTER, clock=system_clock.SystemClock(), client=cloud.ecs)
    return Stage(services=services, names=names, pass_time=lambda _: None)


@pytest.fixture(params=["fake", "ecs"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return fake_stage() if request.param == "fake" else ecs_stage(request.getfixturevalue("cloud"))


def test_services_are_scaled_and_put_back_to_the_counts_they_had(stage: Stage) -> None:
    before = stage.services.look(stage.names)

    failed = stage.services.scale(dict.fromkeys(stage.names, 1))
    waiting.until(lambda: stage.running() == [1, 1], what="both services to run")
    raised = stage.desired()
    failed_back = stage.services.scale({service.name: service.desired for service in before})
    waiting.until(lambda: stage.running() == [0, 0], what="both services to be back")

    assert (failed, failed_back) == ({}, {})
    assert [service.desired for service in before] == [0, 0]
    assert raised == [1, 1]
    assert stage.desired() == [0, 0]


def test_a_service_that_cannot_be_scaled_is_named_and_holds_up_no_other(stage: Stage) -> None:
    failed = stage.services.scale({ABSENT: 1, stage.names[0]: 1})

    assert list(failed) == [ABSENT]
    assert stage.desired() == [1, 0]
    stage.services.scale({stage.names[0]: 0})


def test_a_restart_replaces_every_task_by_a_new_deployment(stage: Stage) -> None:
    name = stage.names[0]
    stage.services.scale({name: 2})
    waiting.until(lambda: stage.running()[0] == 2, what="the service to run")
    waiting.until(lambda: stage.rollout(name).complete, what="the first deployment to be complete")
    before = stage.rollout(name)

    deployment = stage.services.restart(name)

    assert deployment != before.deployment
    waiting.until(lambda: stage.judge(before).over, what="every task to be replaced")
    after = stage.rollout(name)
    assert (after.deployment, after.desired, len(after.tasks)) == (deployment, 2, 2)
    assert not set(before.tasks).intersection(after.tasks)
    stage.services.scale({name: 0})


def test_a_restart_is_not_over_while_a_task_of_before_runs(stage: Stage) -> None:
    name = stage.names[0]
    stage.services.scale({name: 1})
    waiting.until(lambda: stage.running()[0] == 1, what="the service to run")
    before = stage.rollout(name)

    untouched = stage.judge(before)

    assert (untouched.replaced, untouched.running, untouched.over) == (0, 0, False)
    stage.services.scale({name: 0})


def test_a_service_that_is_not_there_has_no_rollout_and_is_not_restarted(stage: Stage) -> None:
    with pytest.raises(errors.Refused):
        stage.services.look_at_rollout(ABSENT)
    with pytest.raises((errors.Refused, errors.UsageError)):
        stage.services.restart(ABSENT)


def test_the_count_a_service_has_already_may_be_set_again(stage: Stage) -> None:
    assert stage.services.scale(dict.fromkeys(stage.names, 0)) == {}
    assert stage.desired() == [0, 0]


def test_an_absent_service_is_left_out_of_the_order_asked(stage: Stage) -> None:
    first, second = stage.names

    assert [service.name for service in stage.services.look([second, ABSENT, first])] == [second, first]
    assert list(stage.services.look([])) == []


# Rolling to another task definition


def test_a_service_is_rolled_with_its_count_and_put_back(stage: Stage) -> None:
    name = stage.names[0]
    (before,) = stage.services.look([name])
    derived = stage.services.derive_definition(before.definition, container=None, environment={"SCOPE": "s-1"})

    failed = stage.services.scale({name: 1}, {name: derived})

    assert failed == {}
    waiting.until(lambda: stage.is_rolled(name, derived, 1), what="the roll-out to be over")
    assert stage.services.scale({name: 0}, {name: before.definition}) == {}
    waiting.until(lambda: stage.is_rolled(name, before.definition, 0), what="the service to be back")


def test_a_definition_without_variables_is_the_one_that_it_is_made_of(stage: Stage) -> None:
    (service,) = stage.services.look(stage.names[:1])

    assert stage.services.derive_definition(service.definition, container=None, environment={}) == service.definition


def test_two_definitions_of_one_base_are_two_revisions(stage: Stage) -> None:
    (service,) = stage.services.look(stage.names[:1])

    derived = [
        stage.services.derive_definition(service.definition, container=None, environment={"SCOPE": scope})
        for scope in ("a", "b")
    ]

    assert len({service.definition, *derived}) == 3


def test_a_definition_that_is_not_there_is_refused(stage: Stage) -> None:
    with pytest.raises((errors.Refused, errors.UsageError)):
        stage.services.derive_definition("no-such-definition:9", container=None, environment={"SCOPE": "a"})
