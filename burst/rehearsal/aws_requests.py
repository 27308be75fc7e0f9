"""Requests to the simulated AWS and answers to them: which service and operation a request is for, and its caller.

Every service is at one address, so the service is the one in the signature (SigV4 credential scope). The caller is
known by the access key: the operator's host has one, and the tasks of each family have one.
"""

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax import saxutils

from burst.rehearsal import armed_faults

OPERATOR_KEY = "AKIAREHEARSALOPERATOR"
TASK_KEY = "ASIAREHEARSALTASK"
SECRET = "rehearsal"  # noqa: S105 - it signs requests whose signatures are never checked, on loopback
UNKNOWN = "unknown"
JSON_TYPE = "application/x-amz-json-1.1"

_CREDENTIAL = re.compile(r"Credential=([^/,]+)/\d{8}/[^/,]+/([^/,]+)/aws4_request")
_RPC_PATH = re.compile(r"/service/[^/]+/operation/([^/]+)")
"""Of services that speak Smithy's RPC v2, such as CloudWatch."""
_SCHEDULER_PATHS = (
    (re.compile(r"/schedules/[^/]+"), "{}Schedule"),
    (re.compile(r"/schedules"), "ListSchedules"),
    (re.compile(r"/schedule-groups/[^/]+"), "{}ScheduleGroup"),
    (re.compile(r"/schedule-groups"), "ListScheduleGroups"),
)
_SCHEDULER_VERBS = {"POST": "Create", "GET": "Get", "PUT": "Update", "DELETE": "Delete"}
_OBJECT_OPERATIONS = {
    "PUT": "PutObject",
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "DELETE": "DeleteObject",
    "POST": "PostObject",
}
_BUCKET_OPERATIONS = {
    "PUT": "CreateBucket",
    "GET": "ListObjects",
    "HEAD": "HeadBucket",
    "DELETE": "DeleteBucket",
    "POST": "DeleteObjects",
}

_XML_ERRORS = {
    "s3": "{}",
    "sts": "<ErrorResponse>{}</ErrorResponse>",
    "iam": "<ErrorResponse>{}</ErrorResponse>",
    "ec2": "<Response><Errors>{}</Errors></Response>",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One whole HTTP request."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters. Of parameters with the same name, the last counts."""
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One whole HTTP answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCall:
    """The service and operation that a request is for, and the caller that sent it."""

    service: str
    operation: str
    caller: str
    principal: str
    """For a task the family of its definition, else the caller: the operator or the scheduler."""


def task_access_key(family: str) -> str:
    """The access key of the tasks of a family."""
    return f"{TASK_KEY}-{family}"


def recognise_call(request: HttpRequest) -> AwsCall:
    """The service, operation and caller of a request. Service and operation are `unknown` if it does not name them."""
    credential = request.headers.get("authorization", "")
    credential_in_query = request.query.get("X-Amz-Credential")
    if credential_in_query is not None:
        credential = f"Credential={credential_in_query}"
    match = _CREDENTIAL.search(credential)
    key, service = match.groups() if match else ("", UNKNOWN)
    caller = armed_faults.TASKS if key.startswith(TASK_KEY) else armed_faults.OPERATOR
    family = key.removeprefix(TASK_KEY).removeprefix("-")
    return AwsCall(
        service=service,
        operation=_operation(service, request),
        caller=caller,
        principal=family if caller == armed_faults.TASKS else armed_faults.OPERATOR,
    )


def json_answer(document: object, *, status: int = 200, content_type: str = JSON_TYPE) -> HttpAnswer:
    """An answer with a JSON document."""
    return HttpAnswer(status=status, body=json.dumps(document).encode(), headers=(("Content-Type", content_type),))


def error_answer(service: str, status: int, code: str, message: str) -> HttpAnswer:
    """An error answer in the service's own format: XML for S3, STS, IAM and EC2, JSON for the others."""
    if service in _XML_ERRORS:
        error = f"<Error><Code>{code}</Code><Message>{saxutils.escape(message)}</Message></Error>"
        text = _XML_ERRORS[service].format(error)
        return HttpAnswer(status=status, body=text.encode(), headers=(("Content-Type", "application/xml"),))
    document = json.dumps({"__type": code, "message": message, "Message": message})
    return HttpAnswer(
        status=status, body=document.encode(), headers=(("Content-Type", JSON_TYPE), ("x-amzn-ErrorType", code))
    )


def denial_answer(service: str, message: str) -> HttpAnswer:
    """IAM's refusal in the service's own words and format."""
    match service:
        case "ecs" | "logs" | "servicequotas" | "ssm" | "secretsmanager" | "kms":
            return error_answer(service, 400, "AccessDeniedException", message)
        case "ec2":
            return error_answer(service, 403, "UnauthorizedOperation", message)
        case "s3" | "sts" | "iam":
            return error_answer(service, 403, "AccessDenied", message)
    return error_answer(service, 403, "AccessDeniedException", message)


def _operation(service: str, request: HttpRequest) -> str:
    target = request.headers.get("x-amz-target")
    if target is not None:
        return target.rpartition(".")[2]
    if service == "s3":
        return _s3_operation(request)
    rpc = _RPC_PATH.fullmatch(request.path)
    if rpc is not None:
        return rpc[1]
    if service == "scheduler":
        for pattern, name in _SCHEDULER_PATHS:
            if pattern.fullmatch(request.path):
                return name.format(_SCHEDULER_VERBS.get(request.method, UNKNOWN))
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(urllib.parse.parse_qsl(request.body.decode("ascii", "replace"))).get("Action", UNKNOWN)
    return UNKNOWN


def _s3_operation(request: HttpRequest) -> str:
    bucket, _, key = request.path.lstrip("/").partition("/")
    query = request.query
    if not bucket:
        return "ListBuckets"
    if not key:
        if request.method == "GET" and "list-type" in query:
            return "ListObjectsV2"
        return _BUCKET_OPERATIONS.get(request.method, UNKNOWN)
    if "uploadId" in query or "uploads" in query:
        return "MultipartUpload"
    if "x-amz-copy-source" in request.headers:
        return "CopyObject"
    return _OBJECT_OPERATIONS.get(request.method, UNKNOWN)
