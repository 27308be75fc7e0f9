"""Service Quotas, as far as preflight asks them: the vCPUs that Fargate allows the account, On-Demand and Spot.

moto knows the quotas of VPC alone, so those of Fargate are answered here and all others by moto. What is told is not
held to: tasks over a quota start all the same, because what ECS then answers is the fault `capacity`'s to play.
"""

import json
import threading

from burst.rehearsal import aws_requests, endpoint, settings

SERVICE = "fargate"
NAMES = {"L-3032A538": "Fargate On-Demand vCPU resource count", "L-36FBB829": "Fargate Spot vCPU resource count"}
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""
DEFAULT_VCPU = 1000.0
"""Room for every rehearsal. A new account has 6, and asks for more."""


class Quotas:
    """The quotas of one account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vcpu = dict.fromkeys(NAMES, DEFAULT_VCPU)

    def allow(self, code: str, vcpu: float) -> None:
        """So many vCPUs from now on. Raises ValueError for a quota that is none of Fargate's."""
        if code not in NAMES:
            raise ValueError(f"{code} is no quota of Fargate's; allowed are {', '.join(NAMES)}")
        with self._lock:
            self._vcpu[code] = vcpu

    def answer(self, request: aws_requests.HttpRequest, operation: str) -> endpoint.HttpAnswer | None:
        """The answer to a question about a quota of Fargate's; None for any other."""
        asked = json.loads(request.body or b"{}")
        if operation != "GetServiceQuota" or asked.get("ServiceCode") != SERVICE:
            return None
        code = str(asked.get("QuotaCode"))
        if code not in NAMES:
            message = "The request failed because the specified quota does not exist."
            return endpoint.error_answer("servicequotas", 400, "NoSuchResourceException", message)
        with self._lock:
            vcpu = self._vcpu[code]
        body = json.dumps({"Quota": _quota(code, vcpu)}).encode()
        return endpoint.HttpAnswer(status=200, body=body, headers=(("Content-Type", "application/x-amz-json-1.1"),))


def _quota(code: str, vcpu: float) -> dict[str, object]:
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
