"""A stage for many tasks: ECS, the bucket and the guards of every task, in one process of its own.

The guards are not processes. Each is the state of a task that keeps the contract on S3: it claims a shard, is ready,
leaves a record of its start, obeys STOP in the lease a little later, and leaves a record of its end. A share of them
reads no lease and ends on StopTask alone, after its stopTimeout. Throttling is by AWS's own buckets.
"""

import http.server
import json
import math
import os
import random
import re
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from burst.domain.tasks import launch_rates, leases, task_records, tasks
from burst.kit import token_bucket

START_SECONDS = 2.0
"""From RunTask to RUNNING and READY."""
POLL_SECONDS = 1.0
"""How often a guard reads the lease."""
END_SECONDS = 0.5
"""How long the load of a task takes to end after its guard told it to."""
TEARDOWN_SECONDS = 1.0
"""From the end of the containers to STOPPED."""
OBJECT = '<ETag>"0"</ETag><LastModified>2026-02-21T02:00:00Z</LastModified><Size>0</Size>'
"""What S3 lists of an object beside its key."""
_ARN = "arn:aws:ecs:eu-west-2:123456789012"


@dataclass(slots=True)
class StageTask:
    """One task, by the instants of what happens to it; monotonic seconds."""

    arn: str
    shard: int
    began: float
    started_by: str
    overrides: dict[str, Any]
    disobeys: bool
    reads_lease_after: float
    stop_asked: float | None = None
    lease_read: float | None = None

    def ended(self, stop_timeout: float) -> float:
        """When its containers end."""
        by_lease = math.inf if self.lease_read is None else self.lease_read + END_SECONDS
        by_call = (
            math.inf if self.stop_asked is None else self.stop_asked + (stop_timeout if self.disobeys else END_SECONDS)
        )
        return min(by_lease, by_call)


@dataclass(slots=True)
class Stage:
    """Everything that the process holds. Its methods are called under `lock`."""

    disobedient: int
    stop_timeout: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    tasks: dict[str, StageTask] = field(default_factory=dict)
    tokens: dict[str, list[str]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    launched_at: list[float] = field(default_factory=list)
    lease_stop: float | None = None
    folder: str = ""

    def now_words(self, monotonic: float) -> float:
        """A monotonic instant as ECS writes it."""
        return round(time.time() - time.monotonic() + monotonic, 3)


def make_bucket(rate: launch_rates.Rate) -> token_bucket.TokenBucket:
    """A bucket of AWS's."""
    return token_bucket.TokenBucket(burst=rate.burst, per_second=rate.per_second)


BUCKETS = {
    "RunTask": make_bucket(launch_rates.RUN_AND_STOP_CALLS),
    "DescribeTasks": make_bucket(launch_rates.READING_CALLS),
}
BUCKETS |= {"StopTask": BUCKETS["RunTask"], "ListTasks": BUCKETS["DescribeTasks"]}
FARGATE = make_bucket(launch_rates.FARGATE_TASKS)


class Throttled(Exception):
    """The account's bucket has no token for this call."""


# ECS


def answer_ecs(stage: Stage, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer of ECS to one call. Raises `Throttled`."""
    stage.calls[operation] += 1
    bucket = BUCKETS.get(operation)
    if bucket is not None and not bucket.take():
        stage.throttled[operation] += 1
        raise Throttled(operation)
    return ECS[operation](stage, parameters)


def describe_definition(stage: Stage, parameters: dict[str, Any]) -> dict[str, Any]:
    container = {
        "name": "burst", "image": "burst", "essential": True, "entryPoint": ["burst", "guard", "--"],
        "stopTimeout": int(stage.stop_timeout), "cpu": 256,
    }  # fmt: skip
    arn = f"{_ARN}:task-definition/{parameters['taskDefinition']}"
    return {"taskDefinition": {"taskDefinitionArn": arn, "containerDefinitions": [container], "status": "ACTIVE"}}


def run_task(stage: Stage, parameters: dict[str, Any]) -> dict[str, Any]:
    token, now = parameters["clientToken"], time.monotonic()
    if token not in stage.tokens:
        if not FARGATE.take(parameters["count"]):
            stage.throttled["Fargate"] += 1
            raise Throttled("RunTask")
        environment = {
            pair["name"]: pair["value"] for pair in parameters["overrides"]["containerOverrides"][0]["environment"]
        }
        first, arns = int(environment["BURST_SHARD_HINT"]), []
        for shard in range(first, first + parameters["count"]):
            arn = f"{_ARN}:task/burst/{shard:032x}"
            stage.tasks[arn] = StageTask(
                arn=arn, shard=shard, began=now, started_by=parameters["startedBy"], overrides=parameters["overrides"],
                disobeys=shard < stage.disobedient, reads_lease_after=random.uniform(0, POLL_SECONDS),
            )  # fmt: skip
            arns.append(arn)
        stage.tokens[token] = arns
        stage.launched_at.append(now)
    return {"tasks": [describe(stage, stage.tasks[arn]) for arn in stage.tokens[token]], "failures": []}


def describe(stage: Stage, task: StageTask) -> dict[str, Any]:
    """A task as DescribeTasks shows it."""
    now, ended = time.monotonic(), task.ended(stage.stop_timeout)
    running, asked = now >= task.began + START_SECONDS, task.stop_asked is not None
    status, version = ("RUNNING", 3) if running else ("PENDING", 1)
    if ended <= now:
        status, version = ("STOPPED", 6) if ended + TEARDOWN_SECONDS <= now else ("DEPROVISIONING", 5)
    document: dict[str, Any] = {
        "taskArn": task.arn, "clusterArn": f"{_ARN}:cluster/burst",
        "taskDefinitionArn": f"{_ARN}:task-definition/burst:1",
        "launchType": "FARGATE", "platformFamily": "Linux", "platformVersion": "1.4.0", "cpu": "256", "memory": "512",
        "availabilityZone": "eu-west-2a", "startedBy": task.started_by, "group": "family:burst",
        "overrides": task.overrides, "enableExecuteCommand": False, "lastStatus": status,
        "attachments": [{"id": "a", "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": [
            {"name": "subnetId", "value": "subnet-a"}, {"name": "networkInterfaceId", "value": "eni-0"},
            {"name": "macAddress", "value": "0a:00"}, {"name": "privateIPv4Address", "value": "10.0.0.1"}]}],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "desiredStatus": "STOPPED" if asked or ended <= now else "RUNNING", "version": version + asked,
        "createdAt": stage.now_words(task.began), "connectivity": "CONNECTED",
        "containers": [{"containerArn": f"{_ARN}:container/burst/{task.shard}", "taskArn": task.arn, "name": "burst",
                        "image": "burst", "lastStatus": status, "networkBindings": [], "networkInterfaces": [],
                        "healthStatus": "UNKNOWN", "cpu": "256", "runtimeId": "r"}],
    }  # fmt: skip
    if running:
        document["startedAt"] = stage.now_words(task.began + START_SECONDS)
    if ended <= now:
        document["executionStoppedAt"] = stage.now_words(ended + 0.05)
        document["containers"][0]["exitCode"] = 137 if task.disobeys else 124
    if status == "STOPPED":
        document["stoppedAt"] = stage.now_words(ended + TEARDOWN_SECONDS)
        document["stopCode"] = "UserInitiated" if asked else "EssentialContainerExited"
        document["stoppedReason"] = "burst: controller" if asked else "Essential container in task exited"
    return document


def describe_tasks(stage: Stage, parameters: dict[str, Any]) -> dict[str, Any]:
    named = [stage.tasks[arn] for arn in parameters["tasks"] if arn in stage.tasks]
    return {"tasks": [describe(stage, task) for task in named], "failures": []}


def list_tasks(stage: Stage, parameters: dict[str, Any]) -> dict[str, Any]:
    now = time.monotonic()
    is_stopping = parameters["desiredStatus"] == "STOPPED"
    wanted = [
        arn
        for arn, task in stage.tasks.items()
        if (task.stop_asked is not None or task.ended(stage.stop_timeout) <= now) is is_stopping
    ]
    first = int(parameters.get("nextToken") or 0)
    more = {"nextToken": str(first + 100)} if len(wanted) > first + 100 else {}
    return {"taskArns": wanted[first : first + 100], **more}


def stop_task(stage: Stage, parameters: dict[str, Any]) -> dict[str, Any]:
    task = stage.tasks[parameters["task"]]
    if task.stop_asked is None and task.ended(stage.stop_timeout) > time.monotonic():
        task.stop_asked = time.monotonic()
    return {"task": describe(stage, task)}


ECS: dict[str, Callable[[Stage, dict[str, Any]], dict[str, Any]]] = {
    "DescribeTaskDefinition": describe_definition, "RunTask": run_task, "DescribeTasks": describe_tasks,
    "ListTasks": list_tasks, "StopTask": stop_task,
}  # fmt: skip


# The guards, on S3


def play_guards(stage: Stage) -> None:
    """What the guards have written by now: ready marks and records; and whether each has read STOP in the lease."""
    now = time.monotonic()
    stop = stage.lease_stop
    for task in stage.tasks.values():
        if stop is not None and task.lease_read is None and not task.disobeys and now >= stop + task.reads_lease_after:
            task.lease_read = stop + task.reads_lease_after


def list_keys(stage: Stage, prefix: str) -> list[str]:
    """The keys under `ready/` or `claims/`: those of the tasks that have started."""
    now = time.monotonic()
    started = [task for task in stage.tasks.values() if now >= task.began + START_SECONDS]
    return [f"{prefix}{task.shard:04d}" for task in started]


def read_record(stage: Stage, key: str) -> bytes | None:
    """The record of a task's guard; None before its start, and where KILL kept the guard from its last record."""
    arn = f"{_ARN}:task/burst/{key.rpartition('/')[2].removesuffix('.json')}"
    task = stage.tasks.get(arn)
    if task is None:
        return None
    ended = task.ended(stage.stop_timeout)
    is_over = ended <= time.monotonic() and not task.disobeys
    record = task_records.GuardRecord(
        shard_index=task.shard, guard_pid=1, guard_started=1.0,
        started_at=datetime.fromtimestamp(stage.now_words(task.began + START_SECONDS), UTC),
        stopped_at=datetime.fromtimestamp(stage.now_words(ended), UTC) if is_over else None,
        exit_code=124 if is_over else None,
        stopped_by=tasks.Layer.LEASE if is_over else None,
        detail="the lease says STOP" if is_over else "",
    )  # fmt: skip
    return task_records.encode_guard(record)


def get_object(stage: Stage, key: str) -> bytes | None:
    """The bytes of an object, also of those that the guards write."""
    if "/claims/" in key:
        return f"{_ARN}:task/burst/{int(key.rpartition('/')[2]):032x}".encode()
    return read_record(stage, key) if "/tasks/" in key else stage.objects.get(key)


def put_object(stage: Stage, key: str, content: bytes, if_match: str | None, if_none_match: str | None) -> bool:
    """Writes an object; False where the condition does not hold."""
    present = stage.objects.get(key)
    if (if_none_match and present is not None) or (if_match and (present is None or etag(present) != if_match)):
        return False
    stage.objects[key] = content
    if key.endswith("control.json"):
        stage.folder = key.removesuffix("control.json")
        if leases.decode(content).state is leases.LeaseState.STOP and stage.lease_stop is None:
            stage.lease_stop = time.monotonic()
    return True


def etag(content: bytes) -> str:
    """An object's ETag."""
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'


# The server


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the calls of one connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    stage: Stage

    def do_POST(self) -> None:
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        parameters = json.loads(self._body())
        try:
            with self.stage.lock:
                play_guards(self.stage)
                answer = answer_ecs(self.stage, operation, parameters)
        except Throttled:
            self._send(400, json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode())
            return
        self._send(200, json.dumps(answer).encode())

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        key = urllib.parse.unquote(parts.path).lstrip("/").partition("/")[2]
        with self.stage.lock:
            if parts.path == "/stage":
                self._send(200, json.dumps(self._figures()).encode())
                return
            self.stage.calls["s3:List" if "prefix" in query else "s3:Get"] += 1
            if "prefix" in query:
                names = "".join(
                    f"<Contents><Key>{name}</Key>{OBJECT}</Contents>" for name in list_keys(self.stage, query["prefix"])
                )
                listing = f"<ListBucketResult><IsTruncated>false</IsTruncated>{names}</ListBucketResult>"
                self._send(200, listing.encode(), kind="application/xml")
                return
            content = get_object(self.stage, key)
        if content is None:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", kind="application/xml")
        else:
            self._send(200, content, etag=etag(content))

    def do_PUT(self) -> None:
        content = self._body()
        if "aws-chunked" in (self.headers.get("Content-Encoding") or ""):
            content = re.split(rb"\r\n", content, maxsplit=2)[1]
        key = urllib.parse.unquote(self.path).lstrip("/").partition("/")[2].partition("?")[0]
        with self.stage.lock:
            self.stage.calls["s3:Put"] += 1
            done = put_object(self.stage, key, content, self.headers.get("If-Match"), self.headers.get("If-None-Match"))
        if done:
            self._send(200, b"", etag=etag(content))
        else:
            self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>", kind="application/xml")

    def _figures(self) -> dict[str, Any]:
        launched = self.stage.launched_at
        return {
            "calls": dict(self.stage.calls),
            "throttled": dict(self.stage.throttled),
            "launch_seconds": launched[-1] - launched[0] if launched else 0.0,
            "alive": sum(task.ended(self.stage.stop_timeout) > time.monotonic() for task in self.stage.tasks.values()),
        }

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, content: bytes, *, kind: str = "application/x-amz-json-1.1", etag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Says nothing."""


class Server(http.server.ThreadingHTTPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a controller that ends closes its connections."""


def main() -> None:
    """Serves until standard input ends; writes its port first."""
    disobedient, stop_timeout = int(sys.argv[1]), float(sys.argv[2])
    Handler.stage = Stage(disobedient=disobedient, stop_timeout=stop_timeout)
    server = Server(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
