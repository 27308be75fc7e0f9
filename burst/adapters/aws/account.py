"""The AWS account a plan runs in: the answers that preflight needs of it. Nothing is changed.

Each question is one call or two, so that questions can be asked at the same time.
"""

import email.utils
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.preflight import session_keys, vcpu_quotas
from burst.kit import aws

QUOTAS = {"FARGATE": "L-3032A538", "FARGATE_SPOT": "L-36FBB829"}
"""Fargate's vCPU quotas: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""
USAGE_SECONDS = 900.0
"""How far back a figure of use is looked for: AWS writes one a minute, some minutes late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The identity of the credentials, and how far this clock is from AWS's at least: AWS answers in whole seconds."""

    arn: str
    account: str
    region: str
    least_skew_seconds: float


def has_configured_credentials() -> bool:
    """Whether a variable or a file of this machine names AWS credentials; calls no service."""
    variables = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    return any(os.environ.get(name) for name in variables) or any(path.is_file() for path in aws.credential_files())


def read_session_keys() -> session_keys.SessionKeys | None:
    """The kind and the end of the credentials in use; None where there are none. Raises `errors.UsageError` for an end
    that is no instant."""
    used = aws.describe_keys()
    if used is None:
        return None
    # Only the environment's and a file's keys stay as they are; botocore renews those that a service gave it.
    name, text = used.expiry
    try:
        ends_at = instants.parse(text) if text else None
    except ValueError as exc:
        raise errors.UsageError(f"{name}={text} is no instant: {exc}") from exc
    return session_keys.SessionKeys(
        source=used.source, temporary=used.temporary or ends_at is not None, renewable=used.renewable, ends_at=ends_at
    )


class AwsAccount:
    """The account of the credentials in use. One client a service, made at its first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service; its calls may be made on several threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = aws.client(service)
            return self._clients[service]

    def identify_caller(self, clock: ports.Clock) -> Caller:
        """Identity, account and region of the credentials. Raises what `aws.region` and `aws.call` raise."""
        region = aws.region()  # STS answers without a region too; a run needs one
        sts = self.client("sts")
        before = clock.now()
        answer = aws.call("sts:GetCallerIdentity", sts.get_caller_identity)
        after = clock.now()
        server_time = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        # The header names whole seconds: AWS's instant lies within one second of it, between before and after.
        ahead = instants.seconds_between(server_time, before) - 1.0
        behind = instants.seconds_between(after, server_time)
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

    def missing_security_groups(self, ids: Sequence[str]) -> str:
        """EC2's message about security groups that do not exist, empty where all do."""
        ec2 = self.client("ec2")
        try:
            aws.call("ec2:DescribeSecurityGroups", ec2.describe_security_groups, GroupIds=list(ids))
        except errors.UsageError as exc:
            return str(exc)
        return ""

    def has_log_group(self, name: str) -> bool:
        """Whether there is a log group of exactly this name."""
        logs = self.client("logs")
        answer = aws.call("logs:DescribeLogGroups", logs.describe_log_groups, logGroupNamePrefix=name)
        return any(group["logGroupName"] == name for group in answer["logGroups"])

    def schedule_problems(self, group: str, role_arn: str, reaper: str) -> tuple[str, ...]:
        """The parts the schedule layer lacks, of its group, its role and the reaper's task definition."""
        questions = (
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
        problems = []
        for action, service, operation, parameters, part in questions:
            try:
                aws.call(action, getattr(self.client(service), operation), **parameters)
            except (aws.Absent, errors.UsageError):
                problems.append(f"{part} is not there")
            except errors.Refused as exc:
                problems.append(f"{part} cannot be looked at: {exc}")
        return tuple(problems)

    def vcpu_room(self, provider: str, now: datetime) -> vcpu_quotas.VcpuRoom:
        """The account's Fargate vCPUs in this region, and those in use. Raises what `aws.call` raises where there is no
        answer about the quota.

        In use is what AWS's own usage metric of the quota says: it is exact for the whole account (other clusters, EKS)
        in one call, and a few minutes old. Listing every cluster's tasks would miss EKS, and take many calls.
        """
        action, code = "servicequotas:GetServiceQuota", QUOTAS[provider]
        quotas = self.client("service-quotas")
        quota = aws.call(action, quotas.get_service_quota, ServiceCode="fargate", QuotaCode=code)["Quota"]
        if "Value" not in quota:
            raise errors.Refused(f"{action} named no value of {code}")
        try:
            used, unknown = self._read_usage(quota.get("UsageMetric") or {}, now), ""
        except errors.BurstError as exc:
            used, unknown = None, str(exc)
        if used is None:
            unknown = unknown or f"CloudWatch has no figure of the last {USAGE_SECONDS / 60:.0f} minutes"
        return vcpu_quotas.VcpuRoom(provider=provider, allowed=float(quota["Value"]), used=used, unknown=unknown)

    def _read_usage(self, metric: Mapping[str, Any], now: datetime) -> float | None:
        """The newest figure of a usage metric; None where there is none."""
        if not metric:
            return None
        statistic = str(metric.get("MetricStatisticRecommendation", "Maximum"))
        dimensions = metric.get("MetricDimensions") or {}
        cloudwatch = self.client("cloudwatch")
        answer = aws.call(
            "cloudwatch:GetMetricStatistics",
            cloudwatch.get_metric_statistics,
            Namespace=metric["MetricNamespace"],
            MetricName=metric["MetricName"],
            Dimensions=[{"Name": name, "Value": value} for name, value in sorted(dimensions.items())],
            StartTime=instants.later(now, -USAGE_SECONDS),
            EndTime=now,
            Period=60,
            Statistics=[statistic],
        )
        points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return float(points[-1][statistic]) if points else None
