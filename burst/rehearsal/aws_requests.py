"""Requests as they come over the wire: which service and operation each is for, and who sends it.

The service is the one the signature was made for (SigV4 credential scope), because every service is asked at one
address. The sender is told by the access key: the operator's host has one, and the tasks of each family have theirs.
"""

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from burst.rehearsal import armed_faults

OPERATOR_KEY = "AKIAREHEARSALOPERATOR"
TASK_KEY = "ASIAREHEARSALTASK"
SECRET = "rehearsal"  # noqa: S105 - signs requests that nobody checks, on loopback
UNKNOWN = "unknown"

_CREDENTIAL = re.compile(r"Credential=([^/,]+)/\d{8}/[^/,]+/([^/,]+)/aws4_request")
_SCHEDULER = (
    (re.compile(r"/schedules/[^/]+"), "{}Schedule"),
    (re.compile(r"/schedules"), "ListSchedules"),
    (re.compile(r"/schedule-groups/[^/]+"), "{}ScheduleGroup"),
    (re.compile(r"/schedule-groups"), "ListScheduleGroups"),
)
_VERB = {"POST": "Create", "GET": "Get", "PUT": "Update", "DELETE": "Delete"}
_OBJECT = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject", "POST": "PostObject"}
_BUCKET = {
    "PUT": "CreateBucket",
    "GET": "ListObjects",
    "HEAD": "HeadBucket",
    "DELETE": "DeleteBucket",
    "POST": "DeleteObjects",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request, whole."""

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
        """The query's parameters, the last of each name."""
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCall:
    """What a request asks for and who asks."""

    service: str
    operation: str
    caller: str
    principal: str
    """The caller where it is the operator or the scheduler, and the family of its definition where it is a task."""


def task_access_key(family: str) -> str:
    """The access key of the tasks of a family."""
    return f"{TASK_KEY}-{family}"


def recognise_call(request: HttpRequest) -> AwsCall:
    """The service, operation and sender of a request; `unknown` where it does not say."""
    credential = request.headers.get("authorization", "")
    signed_in_query = request.query.get("X-Amz-Credential")
    if signed_in_query is not None:
        credential = f"Credential={signed_in_query}"
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


def _operation(service: str, request: HttpRequest) -> str:
    target = request.headers.get("x-amz-target")
    if target is not None:
        return target.rpartition(".")[2]
    if service == "s3":
        return _s3_operation(request)
    if service == "scheduler":
        for pattern, name in _SCHEDULER:
            if pattern.fullmatch(request.path):
                return name.format(_VERB.get(request.method, UNKNOWN))
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(urllib.parse.parse_qsl(request.body.decode("ascii", "replace"))).get("Action", UNKNOWN)
    return UNKNOWN


def _s3_operation(request: HttpRequest) -> str:
    bucket, _, key = request.path.lstrip("/").partition("/")
    query = request.query
    if not bucket:
        return "ListBuckets"
    if not key:
        return (
            "ListObjectsV2"
            if request.method == "GET" and "list-type" in query
            else _BUCKET.get(request.method, UNKNOWN)
        )
    if "uploadId" in query or "uploads" in query:
        return "MultipartUpload"
    if "x-amz-copy-source" in request.headers:
        return "CopyObject"
    return _OBJECT.get(request.method, UNKNOWN)
