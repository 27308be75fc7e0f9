"""Service Quotas, for preflight: the vCPUs that Fargate allows the account, On-Demand and Spot.

moto knows only the quotas of VPC, so Fargate's quotas are answered here and moto answers for the rest. ECS does not
enforce these quotas in a rehearsal: tasks over a quota still start. The fault `capacity` plays ECS's answer to them.
"""

import json
import threading

from burst.rehearsal import aws_requests, settings

SERVICE = "fargate"
NAMES = {"L-3032A538": "Fargate On-Demand vCPU resource count", "L-36FBB829": "Fargate Spot vCPU resource count"}
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""
DEFAULT_VCPU = 1000.0
"""Enough for every rehearsal. A new account has 6 and has to request more."""


class Quotas:
    """The quotas of one account."""

    def __init__(self) -> None:
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
    }
