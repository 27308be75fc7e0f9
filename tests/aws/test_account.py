"""The account that preflight reads, on a simulated AWS."""

import boto3
import pytest

from burst.adapters.aws import account
from burst.adapters.local import system_clock
from burst.domain.preflight import vcpu_quotas
from burst.rehearsal import quotas
from tests import fixtures_aws, waiting

ACCOUNT = "123456789012"


def test_the_caller_is_named_by_account_and_region(cloud: fixtures_aws.Cloud) -> None:
    caller = account.AwsAccount().identify_caller(system_clock.SystemClock())

    assert caller.account == ACCOUNT
    assert caller.arn.startswith(f"arn:aws:sts::{ACCOUNT}:")
    assert caller.region == boto3.session.Session().region_name
    assert caller.least_skew_seconds == 0.0


def test_the_vcpus_in_use_are_those_of_the_tasks_that_run_and_spot_has_its_own(cloud: fixtures_aws.Cloud) -> None:
    clock, session = system_clock.SystemClock(), account.AwsAccount()
    definition = cloud.register(fixtures_aws.container(entry_point=fixtures_aws.ENDS_ON_TERM))

    def read_rooms() -> list[vcpu_quotas.VcpuRoom]:
        return [session.vcpu_room(provider, clock.now()) for provider in ("FARGATE", "FARGATE_SPOT")]

    def is_ended(task: str) -> bool:
        (described,) = cloud.ecs.describe_tasks(cluster=fixtures_aws.CLUSTER, tasks=[task])["tasks"]
        return bool(described["lastStatus"] == "STOPPED")

    def start_and_end_one() -> list[list[float | None]] | None:
        """What was in use before, with and after a task; None where a task of another test ended meanwhile."""
        before = read_rooms()
        task = cloud.start_task(definition, cluster=fixtures_aws.CLUSTER)
        beside = read_rooms()
        cloud.ecs.stop_task(cluster=fixtures_aws.CLUSTER, task=task)
        waiting.until(lambda: is_ended(task), what="the task to end")
        used = [[room.used for room in rooms] for rooms in (before, beside, read_rooms())]
        return used if used[0] == used[2] else None

    (on_demand, spot), (on_demand_beside, spot_beside), _ = waiting.until(start_and_end_one, what="a quiet account")

    assert None not in (on_demand, spot)
    assert on_demand_beside == (on_demand or 0.0) + 0.25
    assert spot_beside == spot
    assert {room.allowed for room in read_rooms()} == {quotas.DEFAULT_VCPU}


def test_a_quota_whose_use_may_not_be_read_is_told_with_the_reason(
    cloud: fixtures_aws.Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")

    room = account.AwsAccount().vcpu_room("FARGATE", system_clock.SystemClock().now())

    assert room.used is None
    assert "cloudwatch:GetMetricStatistics" in room.words
