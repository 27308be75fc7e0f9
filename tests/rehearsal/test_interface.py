"""The simulated ECS interface: tokens, failures, limits, paging, filters, throttling, services."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions

from burst.rehearsal import aws_simulation, settings
from tests import waiting
from tests.rehearsal import aws_clients, conftest


@pytest.fixture(scope="module")
def ecs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws_clients.EcsCluster]:
    """A cluster whose tasks stay PROVISIONING for an hour: these tests launch many, and no process starts."""
    options = settings.SimulationSettings(provisioning_seconds=3600, missing_seconds=0, throttle=conftest.UNTHROTTLED)
    with aws_simulation.start(tmp_path_factory.mktemp("aws"), options=options) as aws:
        cluster = conftest.make_cluster(aws)
        cluster.register("plain", {"name": "app", "command": ["true"]})
        yield cluster


def run(ecs: aws_clients.EcsCluster, **parameters: Any) -> dict[str, Any]:
    """The answer to RunTask with the plain definition."""
    return dict(ecs.client.run_task(**{"cluster": aws_clients.CLUSTER, "taskDefinition": "plain", **parameters}))


def arns(answer: dict[str, Any]) -> list[str]:
    """The tasks of a RunTask answer."""
    return [task["taskArn"] for task in answer["tasks"]]


# Tokens and failures


def test_the_same_call_with_the_same_token_gives_the_same_tasks(ecs: aws_clients.EcsCluster) -> None:
    first = run(ecs, clientToken="token-1", count=3, startedBy="burst/token-1")
    again = run(ecs, clientToken="token-1", count=3, startedBy="burst/token-1")

    assert arns(again) == arns(first)
    assert len(ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy="burst/token-1")["taskArns"]) == 3


def test_a_token_repeated_after_the_stop_gives_the_shortest_form(ecs: aws_clients.EcsCluster) -> None:
    (arn,) = arns(run(ecs, clientToken="token-2"))
    ecs.stop(arn)

    again = run(ecs, clientToken="token-2")["tasks"]

    assert again == [{"taskArn": arn, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}]


def test_a_token_with_other_parameters_conflicts_and_names_the_tasks(ecs: aws_clients.EcsCluster) -> None:
    first = run(ecs, clientToken="token-3", count=2)

    with pytest.raises(exceptions.ClientError) as raised:
        run(ecs, clientToken="token-3", count=1)

    assert aws_clients.error_code(raised.value) == "ConflictException"
    assert raised.value.response["resourceIds"] == arns(first)


def test_without_a_token_each_call_starts_tasks_of_its_own(ecs: aws_clients.EcsCluster) -> None:
    assert arns(run(ecs)) != arns(run(ecs))


def test_without_capacity_tasks_are_failures_and_a_repeated_token_repeats_them(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("capacity")
    try:
        short = run(ecs, clientToken="token-4", count=2)
    finally:
        ecs.aws.faults.disarm("capacity")

    again = run(ecs, clientToken="token-4", count=2)
    anew = run(ecs, clientToken="token-5", count=2)

    assert short["tasks"] == []
    assert [failure["reason"][:34] for failure in short["failures"]] == ["Capacity is unavailable at this ti"] * 2
    assert (again["tasks"], again["failures"]) == ([], short["failures"])
    assert (len(anew["tasks"]), anew["failures"]) == (2, [])


def test_one_capacity_provider_can_be_without_capacity_alone(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("capacity:FARGATE_SPOT")
    try:
        spot = run(ecs, capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}])
        on_demand = run(ecs, capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}])
    finally:
        ecs.aws.faults.disarm("capacity:FARGATE_SPOT")

    assert (len(spot["tasks"]), len(spot["failures"])) == (0, 1)
    assert [task["capacityProviderName"] for task in on_demand["tasks"]] == ["FARGATE"]


def test_a_partial_launch_starts_half_and_reports_the_rest_once(ecs: aws_clients.EcsCluster) -> None:
    ecs.aws.faults.arm("partial-launch")

    partial = run(ecs, count=5)
    whole = run(ecs, count=5)

    assert (len(partial["tasks"]), len(partial["failures"])) == (2, 3)
    assert (len(whole["tasks"]), len(whole["failures"])) == (5, 0)


def test_a_short_answer_has_fewer_tasks_and_no_reason_and_a_repeated_token_has_it_again(
    ecs: aws_clients.EcsCluster,
) -> None:
    ecs.aws.faults.arm("short-answer")

    short = run(ecs, clientToken="token-6", count=5)
    again = run(ecs, clientToken="token-6", count=5)
    anew = run(ecs, clientToken="token-7", count=3)

    assert (len(short["tasks"]), short["failures"]) == (2, [])
    assert (arns(again), again["failures"]) == (arns(short), [])
    assert (len(anew["tasks"]), anew["failures"]) == (3, [])


def test_a_strategy_gives_bases_first_and_the_rest_by_weight(ecs: aws_clients.EcsCluster) -> None:
    strategy = [
        {"capacityProvider": "FARGATE", "base": 1, "weight": 1},
        {"capacityProvider": "FARGATE_SPOT", "weight": 3},
    ]

    providers = [task["capacityProviderName"] for task in run(ecs, count=9, capacityProviderStrategy=strategy)["tasks"]]

    assert (providers.count("FARGATE"), providers.count("FARGATE_SPOT")) == (3, 6)


# Limits

TOO_LONG = {"name": "app", "environment": [{"name": "X", "value": "x" * 8192}]}
REFUSED = {
    "eleven tasks": ({"count": 11}, "InvalidParameterException"),
    "no tasks": ({"count": 0}, "InvalidParameterException"),
    "overrides too long": ({"overrides": {"containerOverrides": [TOO_LONG]}}, "InvalidParameterException"),
    "an unknown container": (
        {"overrides": {"containerOverrides": [{"name": "other"}]}},
        "InvalidParameterException",
    ),
    "startedBy too long": ({"startedBy": "x" * 129}, "InvalidParameterException"),
    "startedBy with a colon": ({"startedBy": "burst:run"}, "InvalidParameterException"),
    "a token too long": ({"clientToken": "x" * 65}, "InvalidParameterException"),
    "a token with a space": ({"clientToken": "a b"}, "InvalidParameterException"),
    "too many tags": ({"tags": [{"key": str(n), "value": ""} for n in range(51)]}, "InvalidParameterException"),
    "tags of a service": ({"propagateTags": "SERVICE"}, "InvalidParameterException"),
    "launch type and strategy": (
        {"launchType": "FARGATE", "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
        "InvalidParameterException",
    ),
    "an unknown capacity provider": (
        {"capacityProviderStrategy": [{"capacityProvider": "CHEAP", "weight": 1}]},
        "InvalidParameterException",
    ),
    "an unknown cluster": ({"cluster": "other"}, "ClusterNotFoundException"),
    "an unknown definition": ({"taskDefinition": "other"}, "ClientException"),
}


@pytest.mark.parametrize(("parameters", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_launch_that_ecs_refuses_is_refused(
    ecs: aws_clients.EcsCluster, parameters: dict[str, Any], code: str
) -> None:
    before = len(list_arns(ecs))

    with pytest.raises(exceptions.ClientError) as raised:
        run(ecs, **parameters)

    assert aws_clients.error_code(raised.value) == code
    assert len(list_arns(ecs)) == before


def test_overrides_of_just_8192_characters_are_accepted(ecs: aws_clients.EcsCluster) -> None:
    around = len('{"containerOverrides":[{"name":"app","environment":[{"name":"X","value":""}]}]}')
    override = {"name": "app", "environment": [{"name": "X", "value": "x" * (8192 - around)}]}

    assert len(arns(run(ecs, overrides={"containerOverrides": [override]}))) == 1


def test_an_inactive_definition_starts_nothing(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.register("retired", {"name": "app", "command": ["true"]})
    ecs.client.deregister_task_definition(taskDefinition=arn)

    with pytest.raises(exceptions.ClientError, match="inactive") as raised:
        run(ecs, taskDefinition=arn)

    assert aws_clients.error_code(raised.value) == "ClientException"


def test_no_more_than_a_hundred_tasks_are_described_at_once(ecs: aws_clients.EcsCluster) -> None:
    with pytest.raises(exceptions.ClientError) as raised:
        ecs.client.describe_tasks(cluster=aws_clients.CLUSTER, tasks=[f"{n:032x}" for n in range(101)])

    assert aws_clients.error_code(raised.value) == "InvalidParameterException"
    hundred = ecs.client.describe_tasks(cluster=aws_clients.CLUSTER, tasks=[f"{n:032x}" for n in range(100)])
    assert {failure["reason"] for failure in hundred["failures"]} == {"MISSING"}


def test_an_operation_that_is_not_simulated_is_refused(ecs: aws_clients.EcsCluster) -> None:
    with pytest.raises(exceptions.ClientError, match="the rehearsal has no"):
        ecs.client.delete_cluster(cluster=aws_clients.CLUSTER)


# Listing


def test_tasks_are_listed_a_hundred_a_page_each_once(ecs: aws_clients.EcsCluster) -> None:
    started = [arn for n in range(11) for arn in arns(run(ecs, count=10, startedBy="burst/pages"))]

    pages = [
        page["taskArns"]
        for page in ecs.client.get_paginator("list_tasks").paginate(
            cluster=aws_clients.CLUSTER, startedBy="burst/pages"
        )
    ]

    assert [len(page) for page in pages] == [100, 10]
    assert sorted(arn for page in pages for arn in page) == sorted(started)


def test_listing_shows_running_tasks_unless_asked_for_stopped_ones(ecs: aws_clients.EcsCluster) -> None:
    kept, stopped = arns(run(ecs, count=2, startedBy="burst/filters"))
    ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=stopped)

    def list_filtered(**filters: str) -> list[str]:
        answer = ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy="burst/filters", **filters)
        return list(answer["taskArns"])

    assert list_filtered() == [kept]
    assert list_filtered(desiredStatus="STOPPED") == [stopped]
    assert list_filtered(desiredStatus="PENDING") == []
    assert list_filtered(family="plain") == [kept]
    assert list_filtered(family="other") == []


def list_arns(ecs: aws_clients.EcsCluster) -> list[str]:
    """Every task with the desired status RUNNING, over all pages."""
    pages = ecs.client.get_paginator("list_tasks").paginate(cluster=aws_clients.CLUSTER)
    return [arn for page in pages for arn in page["taskArns"]]


def test_with_one_filter_only_started_by_is_refused_beside_another_filter(ecs: aws_clients.EcsCluster) -> None:
    (arn,) = arns(run(ecs, startedBy="burst/one-filter"))
    ecs.aws.faults.arm("one-filter")
    try:
        for other in ({"desiredStatus": "RUNNING"}, {"family": "plain"}, {"launchType": "FARGATE"}):
            with pytest.raises(exceptions.ClientError, match="startedBy must be the only filter") as raised:
                ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy="burst/one-filter", **other)
            assert aws_clients.error_code(raised.value) == "InvalidParameterException"
        alone = ecs.client.list_tasks(cluster=aws_clients.CLUSTER, startedBy="burst/one-filter", maxResults=100)
        others = ecs.client.list_tasks(cluster=aws_clients.CLUSTER, desiredStatus="RUNNING", family="plain")
    finally:
        ecs.aws.faults.disarm("one-filter")

    assert alone["taskArns"] == [arn]
    assert others["taskArns"]


# Throttling


def test_calls_beyond_the_limit_get_both_throttling_errors(own_folder: Path) -> None:
    throttle = settings.Throttle(
        launch=settings.RateLimit(burst=3, per_second=0.3), read=settings.RateLimit(burst=100, per_second=100)
    )
    options = settings.SimulationSettings(provisioning_seconds=3600, throttle=throttle)
    with aws_simulation.start(own_folder, options=options) as aws:
        ecs = conftest.make_cluster(aws)
        ecs.register("plain", {"name": "app", "command": ["true"]})
        refused = []
        for _ in range(3):
            run(ecs)
        for _ in range(2):
            with pytest.raises(exceptions.ClientError, match="Rate exceeded") as raised:
                run(ecs)
            refused.append(aws_clients.error_code(raised.value))
        ecs.client.list_tasks(cluster=aws_clients.CLUSTER)  # reads have a limit of their own
        waiting.until(lambda: is_run_task_accepted(ecs), what="the bucket to refill")
        outcomes = [call.outcome for call in aws.calls("ecs", "RunTask")]

    assert refused == ["ThrottlingException", "InvalidParameterException"]
    assert outcomes[:5] == ["ok"] * 3 + refused


def test_a_launch_beyond_fargates_rate_is_throttled_and_spot_has_a_bucket_of_its_own(own_folder: Path) -> None:
    throttle = settings.Throttle(tasks=settings.RateLimit(burst=12, per_second=4))
    options = settings.SimulationSettings(provisioning_seconds=3600, throttle=throttle)
    spot = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    with aws_simulation.start(own_folder, options=options) as aws:
        ecs = conftest.make_cluster(aws)
        ecs.register("plain", {"name": "app", "command": ["true"]})
        first = run(ecs, count=10, clientToken="rate-1")
        with pytest.raises(exceptions.ClientError, match="Rate exceeded"):
            run(ecs, count=10)
        again = run(ecs, count=10, clientToken="rate-1")  # starts nothing, and takes nothing from the bucket
        of_spot = run(ecs, count=10, capacityProviderStrategy=spot)
        waiting.until(lambda: is_run_task_accepted(ecs, count=4), what="the bucket to refill")

    assert arns(again) == arns(first)
    assert [task["capacityProviderName"] for task in of_spot["tasks"]] == ["FARGATE_SPOT"] * 10


def is_run_task_accepted(ecs: aws_clients.EcsCluster, **parameters: Any) -> bool:
    """Whether a call of RunTask succeeds."""
    try:
        run(ecs, **parameters)
    except exceptions.ClientError:
        return False
    return True


# Definitions, services, tags


def test_a_family_has_revisions_and_its_name_alone_means_the_latest(ecs: aws_clients.EcsCluster) -> None:
    first = ecs.register("revised", {"name": "app", "command": ["true"]})
    second = ecs.register("revised", {"name": "app", "command": ["false"]})

    latest = ecs.client.describe_task_definition(taskDefinition="revised")["taskDefinition"]
    earlier = ecs.client.describe_task_definition(taskDefinition="revised:1")["taskDefinition"]
    listed = ecs.client.list_task_definitions(familyPrefix="revised")["taskDefinitionArns"]

    assert latest["taskDefinitionArn"] == second
    assert (earlier["taskDefinitionArn"], earlier["containerDefinitions"][0]["command"]) == (first, ["true"])
    assert listed == [first, second]


@pytest.mark.parametrize(
    "container",
    [
        {"name": "app", "stopTimeout": 121},
        {"name": "app", "dependsOn": [{"containerName": "app", "condition": "START"}]},
        {"name": "app", "essential": False},
    ],
    ids=["stop timeout", "dependsOn", "nothing essential"],
)
def test_a_definition_that_cannot_be_run_is_refused(ecs: aws_clients.EcsCluster, container: dict[str, Any]) -> None:
    with pytest.raises(exceptions.ClientError) as raised:
        ecs.register("refused", container)

    assert aws_clients.error_code(raised.value) == "ClientException"


def test_a_service_is_scaled_up_and_back(ecs: aws_clients.EcsCluster) -> None:
    ecs.client.create_service(cluster=aws_clients.CLUSTER, serviceName="ingest", taskDefinition="plain", desiredCount=1)

    def counts() -> tuple[int, int]:
        answer = ecs.client.describe_services(cluster=aws_clients.CLUSTER, services=["ingest"])
        return answer["services"][0]["desiredCount"], answer["services"][0]["runningCount"]

    settled_counts = []
    for desired in (1, 4, 1):
        ecs.client.update_service(cluster=aws_clients.CLUSTER, service="ingest", desiredCount=desired)
        waiting.until(lambda: counts()[0] == counts()[1], what="the service to settle")
        settled_counts.append(counts())

    assert settled_counts == [(1, 1), (4, 4), (1, 1)]
    missing = ecs.client.describe_services(cluster=aws_clients.CLUSTER, services=["other"])
    assert missing["failures"][0]["reason"] == "MISSING"


def test_tags_come_from_the_call_and_with_propagation_from_the_definition_too(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.client.register_task_definition(
        family="tagged",
        containerDefinitions=[{"name": "app", "image": "burst", "command": ["true"]}],
        tags=[{"key": "cost", "value": "burst"}],
    )["taskDefinition"]["taskDefinitionArn"]

    (plain,) = arns(run(ecs, taskDefinition=definition))
    (inheriting,) = arns(
        run(ecs, taskDefinition=definition, propagateTags="TASK_DEFINITION", tags=[{"key": "run", "value": "1"}])
    )
    ecs.client.tag_resource(resourceArn=plain, tags=[{"key": "late", "value": "2"}])

    assert ecs.client.list_tags_for_resource(resourceArn=plain)["tags"] == [{"key": "late", "value": "2"}]
    assert ecs.client.list_tags_for_resource(resourceArn=inheriting)["tags"] == [
        {"key": "cost", "value": "burst"},
        {"key": "run", "value": "1"},
    ]


def test_a_cluster_that_is_not_there_is_missing(ecs: aws_clients.EcsCluster) -> None:
    answer = ecs.client.describe_clusters(clusters=[aws_clients.CLUSTER, "other"])

    assert [cluster["status"] for cluster in answer["clusters"]] == ["ACTIVE"]
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]
