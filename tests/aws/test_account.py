"""The account that preflight reads, on a simulated AWS."""

import boto3

from burst.adapters.aws import account
from burst.adapters.local import system_clock
from tests import fixtures_aws

ACCOUNT = "123456789012"


def test_the_caller_is_named_by_account_and_region(cloud: fixtures_aws.Cloud) -> None:
    caller = account.AwsAccount().identify_caller(system_clock.SystemClock())

    assert caller.account == ACCOUNT
    assert caller.arn.startswith(f"arn:aws:sts::{ACCOUNT}:")
    assert caller.region == boto3.session.Session().region_name
    assert caller.least_skew_seconds == 0.0
