"""The AWS account a plan runs in, looked at and never changed: what preflight asks it.

Each question is one call or two, so that it can be asked beside the others.
"""

import email.utils
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.kit import aws

ON_DEMAND_QUOTA, SPOT_QUOTA = "L-3032A538", "L-36FBB829"
"""Fargate's vCPU quotas: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""
_EXPIRY_VARIABLE = "AWS_CREDENTIAL_EXPIRATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and how far this clock is from AWS's at least: its answers name whole seconds alone."""

    arn: str
    account: str
    region: str
    least_skew_seconds: float


def configured() -> bool:
    """Whether anything of this machine names AWS credentials; asks nobody."""
    variables = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    return any(os.environ.get(name) for name in variables) or any(path.is_file() for path in aws.files())


def credentials_expiry() -> datetime | None:
    """When the credentials in the environment end, where they say so; others renew themselves or say nothing."""
    text = os.environ.get(_EXPIRY_VARIABLE)
    try:
        return instants.parse(text) if text else None
    except ValueError as exc:
        raise errors.UsageError(f"{_EXPIRY_VARIABLE}={text} is no instant: {exc}") from exc


class AwsAccount:
    """The account of the credentials in use. One client a service, made by whoever asks it first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service; its calls may be made on several threads."""
        with self._lock:
            if service not in self._made:
                self._made[service] = aws.client(service)
            return self._made[service]

    def caller(self, clock: ports.Clock) -> Caller:
        """Who calls AWS, and in which region. Raises what `aws.region` and `aws.call` raise."""
        region = aws.region()  # without one STS answers all the same, for the whole of AWS
        sts = self.client("sts")
        before = clock.now()
        answer = aws.call("sts:GetCallerIdentity", sts.get_caller_identity)
        after = clock.now()
        told = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        # The header names whole seconds: AWS's instant lies in [told, told + 1), and was read between before and after.
        ahead = instants.seconds_between(told, before) - 1.0
        behind = instants.seconds_between(after, told)
        return Caller(
            arn=answer["Arn"],
            account=answer["Account"],
            region=region,
            least_skew_seconds=max(0.0, ahead, behind),
        )

    def cluster_status(self, name: str) -> str:
        """The cluster's status, `MISSING` where there is none."""
        answer = aws.call("ecs:DescribeClusters", self.client("ecs").describe_clusters, clusters=[name])
        return str(answer["clusters"][0]["status"]) if answer["clusters"] else "MISSING"

    def missing_subnets(self, ids: Sequence[str]) -> str:
        """What EC2 says of subnets that are not there, empty where all are."""
        return self._missing("ec2:DescribeSubnets", self.client("ec2").describe_subnets, SubnetIds=list(ids))

    def missing_security_groups(self, ids: Sequence[str]) -> str:
        """What EC2 says of security groups that are not there, empty where all are."""
        return self._missing(
            "ec2:DescribeSecurityGroups", self.client("ec2").describe_security_groups, GroupIds=list(ids)
        )

    def _missing(self, action: str, operation: Any, **parameters: Any) -> str:
        try:
            aws.call(action, operation, **parameters)
        except errors.UsageError as exc:
            return str(exc)
        return ""

    def has_log_group(self, name: str) -> bool:
        """Whether there is a log group of exactly this name."""
        logs = self.client("logs")
        answer = aws.call("logs:DescribeLogGroups", logs.describe_log_groups, logGroupNamePrefix=name)
        return any(group["logGroupName"] == name for group in answer["logGroups"])

    def schedule_problems(self, group: str, role_arn: str, reaper: str) -> tuple[str, ...]:
        """What the schedule layer lacks: its group, its role, the reaper's task definition."""
        asked = (
            (
                "scheduler:GetScheduleGroup",
                "scheduler",
                "get_schedule_group",
                {"Name": group},
                f"schedule group {group}",
            ),
            ("iam:GetRole", "iam", "get_role", {"RoleName": role_arn.rpartition("/")[2]}, f"role {role_arn}"),
            (
                "ecs:DescribeTaskDefinition",
                "ecs",
                "describe_task_definition",
                {"taskDefinition": reaper},
                f"task definition {reaper}",
            ),
        )
        found = []
        for action, service, operation, parameters, what in asked:
            try:
                aws.call(action, getattr(self.client(service), operation), **parameters)
            except (aws.Absent, errors.UsageError):
                found.append(f"{what} is not there")
            except errors.Refused as exc:
                found.append(f"{what} cannot be looked at: {exc}")
        return tuple(found)

    def vcpu_quota(self, *, spot: bool) -> float:
        """The account's Fargate vCPUs in this region. Raises what `aws.call` raises where that cannot be told."""
        action, code = "servicequotas:GetServiceQuota", SPOT_QUOTA if spot else ON_DEMAND_QUOTA
        quotas = self.client("service-quotas")
        quota = aws.call(action, quotas.get_service_quota, ServiceCode="fargate", QuotaCode=code)["Quota"]
        if "Value" not in quota:
            raise errors.Refused(f"{action} named no value of {code}")
        return float(quota["Value"])
