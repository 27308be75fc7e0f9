"""The permissions IAM would check for a call: actions, resources and condition keys. A policy can be tested on them.

An operation and its action may differ in name (HeadObject needs `s3:GetObject`), and a call may need several actions
(RunTask with tags). Source: AWS's Service Authorization Reference. Permissions that AWS checks without a trace in the
call are missing: those for the KMS key of an object, and those for the roles that a task definition names.
"""

import json
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from burst.rehearsal import aws_requests, settings

ANY = "*"

_S3_ACTIONS = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
}
_S3_BUCKET_SETTINGS = {
    "versioning": "BucketVersioning",
    "object-lock": "BucketObjectLockConfiguration",
    "encryption": "EncryptionConfiguration",
    "policy": "BucketPolicy",
}
_S3_CONDITION_HEADERS = {
    "if-none-match": "s3:if-none-match",
    "if-match": "s3:if-match",
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
}
_ACTION_PREFIXES = {"monitoring": "cloudwatch"}
"""The services whose name in a signature is not the one in IAM's actions."""
_LOCK_HEADER = "x-amz-object-lock-mode"
_ECS_RESOURCES = {
    "RunTask": ("taskDefinition", "task-definition"),
    "StopTask": ("task", "task/{cluster}"),
    "DescribeTasks": ("tasks", "task/{cluster}"),
    "DescribeServices": ("services", "service/{cluster}"),
    "UpdateService": ("service", "service/{cluster}"),
    "DescribeClusters": ("clusters", "cluster"),
}
"""The parameter that names an operation's resources, and their kind. IAM has no resources for other operations."""
_TAGGING_PARAMETERS = ("tags", "enableECSManagedTags", "propagateTags")
"""A launch with one of these parameters also needs permission to tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A permission to do one action on one resource, which is `*` for an action without resources.

    `context` holds the condition keys of the call with their values.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def read_needs(call: aws_requests.AwsCall, request: aws_requests.HttpRequest) -> tuple[Need, ...]:
    """The permissions a request needs. An operation that this module does not list needs its own name on `*`."""
    if call.service == "s3":
        return _read_s3_needs(call.operation, request)
    body = _read_body(request.body)
    if call.service == "ecs":
        return read_ecs_needs(call.operation, body)
    if call.service == "scheduler":
        return _read_scheduler_needs(call.operation, request, body)
    action = f"{_ACTION_PREFIXES.get(call.service, call.service)}:{call.operation}"
    resources = _RESOURCE_READERS[action](body) if action in _RESOURCE_READERS else [ANY]
    return tuple(Need(action=action, resource=resource) for resource in resources)


def read_ecs_needs(operation: str, body: Mapping[str, Any]) -> tuple[Need, ...]:
    """The permissions an ECS call needs."""
    cluster_arn = _ecs_arn("cluster", str(body.get("cluster") or "default"))
    cluster_name = cluster_arn.rpartition("/")[2]
    context = {"ecs:cluster": cluster_arn} if "cluster" in body else {}
    parameter, kind = _ECS_RESOURCES.get(operation, ("", ""))
    argument = body.get(parameter) or ()
    names = [argument] if isinstance(argument, str) else argument
    arns = [_ecs_arn(kind.format(cluster=cluster_name), name) for name in names]
    needs = [Need(action=f"ecs:{operation}", resource=resource, context=context) for resource in arns or [ANY]]
    if operation == "RunTask" and any(body.get(name) for name in _TAGGING_PARAMETERS):
        tags_at_launch = {"ecs:CreateAction": "RunTask"}
        task_arns = _ecs_arn(f"task/{cluster_name}", ANY)
        needs.append(Need(action="ecs:TagResource", resource=task_arns, context=tags_at_launch))
    return tuple(needs)


def _read_s3_needs(operation: str, request: aws_requests.HttpRequest) -> tuple[Need, ...]:
    bucket, _, key = urllib.parse.unquote(request.path.lstrip("/")).partition("/")
    settings_in_query = [name for parameter, name in _S3_BUCKET_SETTINGS.items() if parameter in request.query]
    if settings_in_query and not key:
        action = f"{'Get' if request.method == 'GET' else 'Put'}{settings_in_query[0]}"
    else:
        action = _S3_ACTIONS.get(operation, operation)
    context = {
        condition: request.headers[header]
        for header, condition in _S3_CONDITION_HEADERS.items()
        if header in request.headers
    }
    if action == "PutObject":
        context["s3:ObjectCreationOperation"] = "true"
    if action == "ListBucket" and "prefix" in request.query:
        context["s3:prefix"] = request.query["prefix"]
    resource = f"arn:aws:s3:::{bucket}{'/' if key else ''}{key}"
    needs = [Need(action=f"s3:{action}", resource=resource, context=context)]
    if _LOCK_HEADER in request.headers:
        needs.append(Need(action="s3:PutObjectRetention", resource=resource))
    return tuple(needs)


def _read_scheduler_needs(
    operation: str, request: aws_requests.HttpRequest, body: Mapping[str, Any]
) -> tuple[Need, ...]:
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
        passed_to = {"iam:PassedToService": "scheduler.amazonaws.com"}
        needs.append(Need(action="iam:PassRole", resource=str(role), context=passed_to))
    return tuple(needs)


def _read_parameters(body: Mapping[str, Any]) -> Sequence[str]:
    names = [str(name) for name in body.get("Names") or (body.get("Name"),)]
    return [name if name.startswith("arn:") else _arn("ssm", f"parameter/{name.lstrip('/')}") for name in names]


def _read_signing_key(body: Mapping[str, Any]) -> Sequence[str]:
    return [str(body.get("KeyId"))]


def _read_log_stream(body: Mapping[str, Any]) -> Sequence[str]:
    return [_arn("logs", f"log-group:{body.get('logGroupName')}:log-stream:{body.get('logStreamName')}")]


def _read_quota(body: Mapping[str, Any]) -> Sequence[str]:
    return [_arn("servicequotas", f"{body.get('ServiceCode')}/{body.get('QuotaCode')}")]


_RESOURCE_READERS: dict[str, Callable[[Mapping[str, Any]], Sequence[str]]] = {
    "iam:GetRole": lambda body: [f"arn:aws:iam::{settings.ACCOUNT}:role/{body.get('RoleName')}"],
    "kms:GetPublicKey": _read_signing_key,
    "kms:Sign": _read_signing_key,
    "logs:GetLogEvents": _read_log_stream,
    "servicequotas:GetServiceQuota": _read_quota,
    "secretsmanager:GetSecretValue": lambda body: [str(body.get("SecretId"))],
    "ssm:GetParameter": _read_parameters,
    "ssm:GetParameters": _read_parameters,
}


def _ecs_arn(kind: str, name: str) -> str:
    return name if name.startswith("arn:") else _arn("ecs", f"{kind}/{name}")


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{settings.REGION}:{settings.ACCOUNT}:{resource}"


def _read_body(body: bytes) -> Mapping[str, Any]:
    """The fields of a request body, which is JSON or a form. Empty if it is neither."""
    try:
        fields = json.loads(body)
    except ValueError:
        fields = dict(urllib.parse.parse_qsl(body.decode("ascii", "replace")))
    return fields if isinstance(fields, dict) else {}
