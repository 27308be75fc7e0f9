"""What IAM would be asked for a call: actions, resources and the conditions' keys, so that a policy can be held to it.

An operation and its action are not always of one name (HeadObject asks for `s3:GetObject`), and a call may ask for
more than one (RunTask with tags). Source: AWS's Service Authorization Reference. What AWS asks without any trace in
the call is not here: the key an object is under, the roles a task definition names.
"""

import json
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from burst.rehearsal import aws_requests, settings

_S3 = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
}
_S3_SUBRESOURCES = {
    "versioning": "BucketVersioning",
    "object-lock": "BucketObjectLockConfiguration",
    "encryption": "EncryptionConfiguration",
    "policy": "BucketPolicy",
}
_S3_HEADERS = {
    "if-none-match": "s3:if-none-match",
    "if-match": "s3:if-match",
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
}
_LOCK_HEADER = "x-amz-object-lock-mode"
_ECS = {
    "RunTask": ("taskDefinition", "task-definition"),
    "StopTask": ("task", "task/{cluster}"),
    "DescribeTasks": ("tasks", "task/{cluster}"),
    "DescribeServices": ("services", "service/{cluster}"),
    "UpdateService": ("service", "service/{cluster}"),
    "DescribeClusters": ("clusters", "cluster"),
}
"""The parameter that names an operation's resources, and what kind they are; of the others IAM knows no resource."""
_TAGGING = ("tags", "enableECSManagedTags", "propagateTags")
"""What makes a launch ask for the right to tag as well."""
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One action on one resource; `*` where the action knows none. `context` holds the keys conditions may name."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def read_needs(asked: aws_requests.AwsCall, request: aws_requests.HttpRequest) -> tuple[Need, ...]:
    """What a request asks for; an operation nobody described here asks for its own name on `*`."""
    if asked.service == "s3":
        return _s3(asked.operation, request)
    body = _document(request.body)
    if asked.service == "ecs":
        return read_ecs_needs(asked.operation, body)
    if asked.service == "scheduler":
        return _scheduler(asked.operation, request, body)
    action = f"{asked.service}:{asked.operation}"
    resources = _OTHERS[action](body) if action in _OTHERS else [ANY]
    return tuple(Need(action=action, resource=one) for one in resources)


def read_ecs_needs(operation: str, body: Mapping[str, Any]) -> tuple[Need, ...]:
    """What an ECS call asks for."""
    cluster = _ecs("cluster", str(body.get("cluster") or "default"))
    name = cluster.rpartition("/")[2]
    context = {"ecs:cluster": cluster} if "cluster" in body else {}
    parameter, kind = _ECS.get(operation, ("", ""))
    named = body.get(parameter) or ()
    resources = [_ecs(kind.format(cluster=name), each) for each in ([named] if isinstance(named, str) else named)]
    needs = [Need(action=f"ecs:{operation}", resource=one, context=context) for one in resources or [ANY]]
    if operation == "RunTask" and any(body.get(name) for name in _TAGGING):
        tagged = {"ecs:CreateAction": "RunTask"}
        needs.append(Need(action="ecs:TagResource", resource=_ecs(f"task/{name}", ANY), context=tagged))
    return tuple(needs)


def _s3(operation: str, request: aws_requests.HttpRequest) -> tuple[Need, ...]:
    bucket, _, key = urllib.parse.unquote(request.path.lstrip("/")).partition("/")
    asked = [made for given, made in _S3_SUBRESOURCES.items() if given in request.query]
    if asked and not key:
        action = f"{'Get' if request.method == 'GET' else 'Put'}{asked[0]}"
    else:
        action = _S3.get(operation, operation)
    context = {made: request.headers[given] for given, made in _S3_HEADERS.items() if given in request.headers}
    if action == "PutObject":
        context["s3:ObjectCreationOperation"] = "true"
    if action == "ListBucket" and "prefix" in request.query:
        context["s3:prefix"] = request.query["prefix"]
    resource = f"arn:aws:s3:::{bucket}{'/' if key else ''}{key}"
    locked = [Need(action="s3:PutObjectRetention", resource=resource)] if _LOCK_HEADER in request.headers else []
    return (Need(action=f"s3:{action}", resource=resource, context=context), *locked)


def _scheduler(operation: str, request: aws_requests.HttpRequest, body: Mapping[str, Any]) -> tuple[Need, ...]:
    action = f"scheduler:{operation}"
    if operation.startswith("List"):
        return (Need(action=action, resource=ANY),)
    name = urllib.parse.unquote(request.path.rpartition("/")[2])
    if operation.endswith("ScheduleGroup"):
        return (Need(action=action, resource=_arn("scheduler", f"schedule-group/{name}")),)
    group = body.get("GroupName") or request.query.get("groupName") or "default"
    needs = [Need(action=action, resource=_arn("scheduler", f"schedule/{group}/{name}"))]
    role = (body.get("Target") or {}).get("RoleArn")
    if role:
        passed = {"iam:PassedToService": "scheduler.amazonaws.com"}
        needs.append(Need(action="iam:PassRole", resource=str(role), context=passed))
    return tuple(needs)


def _parameters(body: Mapping[str, Any]) -> Sequence[str]:
    names = [str(each) for each in body.get("Names") or (body.get("Name"),)]
    return [name if name.startswith("arn:") else _arn("ssm", f"parameter/{name.lstrip('/')}") for name in names]


def _signing_key(body: Mapping[str, Any]) -> Sequence[str]:
    return [str(body.get("KeyId"))]


def _log_stream(body: Mapping[str, Any]) -> Sequence[str]:
    return [_arn("logs", f"log-group:{body.get('logGroupName')}:log-stream:{body.get('logStreamName')}")]


def _quota(body: Mapping[str, Any]) -> Sequence[str]:
    return [_arn("servicequotas", f"{body.get('ServiceCode')}/{body.get('QuotaCode')}")]


_OTHERS: dict[str, Callable[[Mapping[str, Any]], Sequence[str]]] = {
    "iam:GetRole": lambda body: [f"arn:aws:iam::{settings.ACCOUNT}:role/{body.get('RoleName')}"],
    "kms:GetPublicKey": _signing_key,
    "kms:Sign": _signing_key,
    "logs:GetLogEvents": _log_stream,
    "servicequotas:GetServiceQuota": _quota,
    "secretsmanager:GetSecretValue": lambda body: [str(body.get("SecretId"))],
    "ssm:GetParameter": _parameters,
    "ssm:GetParameters": _parameters,
}


def _ecs(kind: str, name: str) -> str:
    return name if name.startswith("arn:") else _arn("ecs", f"{kind}/{name}")


def _arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{settings.REGION}:{settings.ACCOUNT}:{rest}"


def _document(body: bytes) -> Mapping[str, Any]:
    """The fields of a request, from JSON or from a form."""
    try:
        found = json.loads(body)
    except ValueError:
        found = dict(urllib.parse.parse_qsl(body.decode("ascii", "replace")))
    return found if isinstance(found, dict) else {}
