"""Service Quotas, for preflight: the vCPUs that Fargate allows the account, On-Demand and Spot, and those in use.

moto knows only the quotas of VPC, so Fargate's quotas are answered here and moto answers for the rest. ECS does not
enforce these quotas in a rehearsal: tasks over a quota still start. The fault `capacity` plays ECS's answer to them.
CloudWatch's usage metrics of the quotas count the tasks that run now; AWS's are some minutes late.
"""

import json
import threading
import time
from collections.abc import Callable

from burst.rehearsal import aws_requests, settings

SERVICE = "fargate"
NAMES = {"L-3032A538": "Fargate On-Demand vCPU resource count", "L-36FBB829": "Fargate Spot vCPU resource count"}
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""
CLASSES = {"L-3032A538": "Standard/OnDemand", "L-36FBB829": "Standard/Spot"}
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/monitoring-fargate-usage.html"""
DEFAULT_VCPU = 1000.0
"""Enough for every rehearsal. A new account has 6 and has to request more."""


SECONDS_LATE = 60.0
"""The age of the newest figure of use."""


class Quotas:
    """The quotas of one account. `count_vcpu` counts the vCPUs of the tasks that run on Spot (True), or not on it."""

    def __init__(self, count_vcpu: Callable[[bool], float]) -> None:
        self._count_vcpu = count_vcpu
        self._lock = threading.Lock()
        self._vcpu = dict.fromkeys(NAMES, DEFAULT_VCPU)

    def set_vcpu(self, code: str, vcpu: float) -> None:
        """Sets a quota. Raises ValueError if Fargate has no quota of this code."""
        if code not in NAMES:
            raise ValueError(f"{code} is no quota of Fargate's; allowed are {', '.join(NAMES)}")
        with self._lock:
            self._vcpu[code] = vcpu

    def answer(self, request: aws_requests.HttpRequest, operation: str) -> aws_requests.HttpAnswer | None:
        """The answer to a request for a quota of Fargate's. None for any other request."""
        body = json.loads(request.body or b"{}")
        if operation != "GetServiceQuota" or body.get("ServiceCode") != SERVICE:
            return None
        code = str(body.get("QuotaCode"))
        if code not in NAMES:
            message = "The request failed because the specified quota does not exist."
            return aws_requests.error_answer("servicequotas", 400, "NoSuchResourceException", message)
        with self._lock:
            vcpu = self._vcpu[code]
        return aws_requests.json_answer({"Quota": _describe_quota(code, vcpu)})

    def answer_metric(self, request: aws_requests.HttpRequest, operation: str) -> aws_requests.HttpAnswer | None:
        """The answer to a request for the use of a quota of Fargate's. None for any other request."""
        body = json.loads(request.body or b"{}")
        dimensions = {each["Name"]: each["Value"] for each in body.get("Dimensions") or ()}
        if operation != "GetMetricStatistics" or dimensions.get("Service") != "Fargate":
            return None
        vcpu = self._count_vcpu(dimensions.get("Class") == CLASSES["L-36FBB829"])
        point = {"Timestamp": time.time() - SECONDS_LATE, "Maximum": vcpu, "Unit": "None"}
        return aws_requests.json_answer({"Label": body.get("MetricName"), "Datapoints": [point]})


def _describe_quota(code: str, vcpu: float) -> dict[str, object]:
    return {
        "ServiceCode": SERVICE,
        "ServiceName": "AWS Fargate",
        "QuotaArn": f"arn:aws:servicequotas:{settings.REGION}:{settings.ACCOUNT}:{SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": NAMES[code],
        "Value": vcpu,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
        "UsageMetric": {
            "MetricNamespace": "AWS/Usage",
            "MetricName": "ResourceCount",
            "MetricDimensions": {"Class": CLASSES[code], "Resource": "vCPU", "Service": "Fargate", "Type": "Resource"},
            "MetricStatisticRecommendation": "Maximum",
        },
    }
