"""The account that preflight reads, on a simulated AWS."""

import boto3
import pytest

from burst.adapters.aws import account
from burst.adapters.local import system_clock
from burst.rehearsal import quotas
from tests import fixtures_aws

ACCOUNT = "123456789012"


def test_the_caller_is_named_by_account_and_region(cloud: fixtures_aws.Cloud) -> None:
    caller = account.AwsAccount().identify_caller(system_clock.SystemClock())

    assert caller.account == ACCOUNT
    assert caller.arn.startswith(f"arn:aws:sts::{ACCOUNT}:")
    assert caller.region == boto3.session.Session().region_name
    assert caller.least_skew_seconds == 0.0


def test_the_vcpus_in_use_are_those_of_the_tasks_that_run_and_spot_has_its_own(cloud: fixtures_aws.Cloud) -> None:
    clock, session = system_clock.SystemClock(), account.AwsAccount()
    before = session.vcpu_room("FARGATE", clock.now()).used
    definition = cloud.register(fixtures_aws.container(entry_point=fixtures_aws.ENDS_ON_TERM))
    task = cloud.start_task(definition, cluster=fixtures_aws.CLUSTER)

    on_demand, spot = (session.vcpu_room(provider, clock.now()) for provider in ("FARGATE", "FARGATE_SPOT"))
    cloud.ecs.stop_task(cluster=fixtures_aws.CLUSTER, task=task)

    assert before is not None
    assert on_demand.used == before + 0.25
    assert spot.used == 0.0
    assert on_demand.allowed == spot.allowed == quotas.DEFAULT_VCPU


def test_a_quota_whose_use_may_not_be_read_is_told_with_the_reason(
    cloud: fixtures_aws.Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")

    room = account.AwsAccount().vcpu_room("FARGATE", system_clock.SystemClock().now())

    assert room.used is None
    assert "cloudwatch:GetMetricStatistics" in room.words
