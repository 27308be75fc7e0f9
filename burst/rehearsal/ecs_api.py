"""The simulated ECS interface: checks each call as AWS does, and answers from the fleet.

Where moto stops short (tokens, limits, failures, paging, stop codes, several containers, time), this is the part
that a controller's safety rests on. Sources: the ECS API reference and `ECS_Idempotency`; where AWS says nothing the
choice is named where it is made.
"""

import itertools
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from burst.rehearsal import armed_faults, fleet, settings, timers, token_bucket

Body = Mapping[str, Any]

NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
PROVIDERS = ("FARGATE", "FARGATE_SPOT")

_PAGE = 100
_MOST_TASKS = 10
_MOST_IDS = 100
_MOST_TAGS = 50
_LONGEST_OVERRIDES = 8192
_STARTED_BY = re.compile(r"[A-Za-z0-9\-_/]{1,128}", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,255}", re.ASCII)
_FARGATE_STOP_TIMEOUT = range(2, 121)
_LAUNCH, _READ, _REGISTER, _TAG = "launch", "read", "register", "tag"
_BUCKET_OF = {
    "RunTask": _LAUNCH,
    "StopTask": _LAUNCH,
    "DescribeTasks": _READ,
    "ListTasks": _READ,
    "RegisterTaskDefinition": _REGISTER,
    "TagResource": _TAG,
}


class RefusedError(Exception):
    """An error answer of the API: its code, message, further fields and HTTP status."""

    def __init__(self, code: str, message: str, *, status: int = 400, **fields: object) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.body = {"__type": code, "message": message, **fields}


def throttling_refusal(*, disguised: bool) -> RefusedError:
    """Throttling in one of its two forms: the second one no retry of botocore recognises."""
    if disguised:
        return RefusedError("InvalidParameterException", "Rate exceeded (ErrorCode: Throttling)")
    return RefusedError("ThrottlingException", "Rate exceeded")


@dataclass(slots=True, kw_only=True)
class _Cluster:
    name: str
    arn: str
    document: dict[str, Any]
    tokens: dict[str, "_Launched"] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Launched:
    """What a client token stands for: the call it was first seen with, and what became of it."""

    call: str
    arns: tuple[str, ...]
    failures: tuple[dict[str, str], ...]


class EcsApi:
    """One region's ECS."""

    def __init__(
        self,
        *,
        tasks: fleet.Fleet,
        options: settings.SimulationSettings,
        faults: armed_faults.ArmedFaults,
        later: timers.Timers,
    ) -> None:
        self._fleet = tasks
        self._options = options
        self._faults = faults
        self._later = later
        self._lock = threading.RLock()
        self._clusters: dict[str, _Cluster] = {}
        self._families: dict[str, list[dict[str, Any]]] = {}
        self._tags: dict[str, list[dict[str, str]]] = {}
        self._buckets = {
            _LAUNCH: token_bucket.TokenBucket(options.throttle.launch),
            _READ: token_bucket.TokenBucket(options.throttle.read),
            _REGISTER: token_bucket.TokenBucket(options.throttle.register),
            _TAG: token_bucket.TokenBucket(options.throttle.tag),
        }
        self._throttles = itertools.count()
        self._operations: dict[str, Callable[[Body], dict[str, Any]]] = {
            "CreateCluster": self._create_cluster,
            "CreateService": self._create_service,
            "DeregisterTaskDefinition": self._deregister_task_definition,
            "DescribeClusters": self._describe_clusters,
            "DescribeServices": self._describe_services,
            "DescribeTaskDefinition": self._describe_task_definition,
            "DescribeTasks": self._describe_tasks,
            "ListTagsForResource": self._list_tags_for_resource,
            "ListTaskDefinitions": self._list_task_definitions,
            "ListTasks": self._list_tasks,
            "RegisterTaskDefinition": self._register_task_definition,
            "RunTask": self._run_task,
            "StopTask": self._stop_task,
            "TagResource": self._tag_resource,
            "UpdateService": self._update_service,
        }

    def call(self, operation: str, body: Body) -> dict[str, Any]:
        """The answer to one call; raises `RefusedError`."""
        perform = self._operations.get(operation)
        if perform is None:
            allowed = ", ".join(self._operations)
            raise RefusedError("UnknownOperationException", f"the rehearsal has no {operation}; it has {allowed}")
        bucket = self._buckets.get(_BUCKET_OF.get(operation, ""))
        if self._faults.active("ecs-throttle") is not None or (bucket is not None and not bucket.take()):
            raise throttling_refusal(disguised=next(self._throttles) % 2 == 1)
        return perform(body)

    # Tasks

    def _run_task(self, body: Body) -> dict[str, Any]:
        cluster = self._cluster(body)
        token = body.get("clientToken") or uuid.uuid4().hex
        if not _TOKEN.fullmatch(token):
            raise _invalid("clientToken has to be 1 to 64 ASCII characters from 33 to 126.")
        call = json.dumps({key: value for key, value in body.items() if key != "clientToken"}, sort_keys=True)
        with self._lock:
            before = cluster.tokens.get(token)
            if before is not None and not self._expired(before):
                return self._launched_before(before, call)
            wishes = self._wishes(cluster, body)
            kept = self._placeable(wishes)
            # On Fargate there is no container instance to name, so a failure has no arn.
            failures = tuple({"reason": NO_CAPACITY} for _ in range(len(wishes) - len(kept)))
            tasks = [self._fleet.launch(wish) for wish in kept]
            arns = tuple(task.arn for task in tasks)
            cluster.tokens[token] = _Launched(call=call, arns=arns, failures=failures)
        return {"tasks": [self._shown(task, with_tags=True) for task in tasks], "failures": [*failures]}

    def _expired(self, before: _Launched) -> bool:
        """A token lives an hour longer than its last task, which is as long as ECS remembers that one."""
        return bool(before.arns) and all(self._fleet.by_arn(arn) is None for arn in before.arns)

    def _launched_before(self, before: _Launched, call: str) -> dict[str, Any]:
        if before.call != call:
            raise RefusedError(
                "ConflictException",
                "The request was sent before with this clientToken and other parameters.",
                resourceIds=[*before.arns],
            )
        return {"tasks": [self._shown_again(arn) for arn in before.arns], "failures": [*before.failures]}

    def _shown_again(self, arn: str) -> dict[str, Any]:
        """A stopped task comes back in its shortest form (ECS_Idempotency), a forgotten one as no more than that."""
        task = self._fleet.by_arn(arn)
        if task is not None and task.last_status != "STOPPED":
            return self._shown(task, with_tags=True)
        return {"taskArn": arn, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}

    def _wishes(self, cluster: _Cluster, body: Body) -> list[fleet.LaunchRequest]:
        definition = self._definition(body.get("taskDefinition"))
        if definition["status"] != "ACTIVE":
            raise RefusedError("ClientException", "TaskDefinition is inactive")
        count = body.get("count", 1)
        if not 1 <= count <= _MOST_TASKS:
            raise _invalid(f"count {count} is not between 1 and {_MOST_TASKS}.")
        started_by = body.get("startedBy")
        if started_by is not None and not _STARTED_BY.fullmatch(started_by):
            raise _invalid(
                "startedBy can contain up to 128 letters, numbers, hyphens, forward slashes and underscores."
            )
        overrides = _overrides(body, definition)
        tags = self._launch_tags(body, definition)
        return [
            fleet.LaunchRequest(
                cluster_arn=cluster.arn,
                definition=definition,
                capacity_provider=provider,
                launch_type="FARGATE",
                started_by=started_by,
                group=body.get("group", f"family:{definition['family']}"),
                overrides=overrides,
                tags=tags,
            )
            for provider in _providers(body, definition, count)
        ]

    def _placeable(self, wishes: list[fleet.LaunchRequest]) -> list[fleet.LaunchRequest]:
        kept = [wish for wish in wishes if not self._without_capacity(wish.capacity_provider)]
        return kept[: len(kept) // 2] if kept and self._faults.strike("partial-launch") else kept

    def _without_capacity(self, provider: str | None) -> bool:
        labels = ("capacity", f"capacity:{provider or 'FARGATE'}")
        return any(self._faults.active(label) is not None for label in labels)

    def _launch_tags(self, body: Body, definition: Mapping[str, Any]) -> tuple[Mapping[str, str], ...]:
        propagated = body.get("propagateTags", "NONE")
        if propagated not in ("NONE", "TASK_DEFINITION"):
            raise _invalid("Invalid value for propagateTags: a task that is run by itself has no service.")
        inherited = self._tags.get(definition["taskDefinitionArn"], []) if propagated == "TASK_DEFINITION" else []
        own = _checked_tags(body.get("tags", []))
        return tuple(_merged(inherited, own))

    def _describe_tasks(self, body: Body) -> dict[str, Any]:
        cluster = self._cluster(body)
        wanted = body.get("tasks", [])
        if not wanted:
            raise _invalid("Tasks cannot be empty.")
        if len(wanted) > _MOST_IDS:
            raise _invalid(f"Tasks cannot have more than {_MOST_IDS} elements.")
        tasks: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for name in wanted:
            task = self._fleet.find(cluster.arn, name)
            if task is None or not self._fleet.visible(task):
                failures.append({"arn": _task_arn(cluster, name), "reason": "MISSING"})
            else:
                tasks.append(self._shown(task, with_tags="TAGS" in body.get("include", [])))
        return {"tasks": tasks, "failures": failures}

    def _list_tasks(self, body: Body) -> dict[str, Any]:
        cluster = self._cluster(body)
        desired = body.get("desiredStatus", "RUNNING")
        if desired not in ("RUNNING", "PENDING", "STOPPED"):
            raise _invalid(f"desiredStatus {desired} is none of RUNNING, PENDING, STOPPED.")
        found = [
            task
            for task in self._fleet.tasks()
            if task.cluster_arn == cluster.arn
            and task.desired_status == desired  # PENDING never is one: AWS says that filter returns nothing
            and self._fleet.visible(task)
            and body.get("startedBy") in (None, task.started_by)
            and body.get("family") in (None, task.definition["family"])
            and body.get("launchType") in (None, task.launch_type)
            and "serviceName" not in body
        ]
        page, rest = _page(body, [(task.number, task.arn) for task in found])
        return {"taskArns": page, **rest}

    def _stop_task(self, body: Body) -> dict[str, Any]:
        cluster = self._cluster(body)
        task = self._fleet.find(cluster.arn, body.get("task", ""))
        if task is None:
            raise _invalid("The referenced task was not found.")
        # A task already STOPPED is answered as it is: AWS does not say whether it is an error.
        self._fleet.stop(task, code=fleet.USER_INITIATED, reason=body.get("reason", "Task stopped by user"))
        with self._fleet.lock:
            task.tags.clear()
        return {"task": self._shown(task, with_tags=True)}

    def _shown(self, task: fleet.SimulatedTask, *, with_tags: bool) -> dict[str, Any]:
        with self._fleet.lock:
            document = {
                "taskArn": task.arn,
                "clusterArn": task.cluster_arn,
                "taskDefinitionArn": task.definition["taskDefinitionArn"],
                "lastStatus": task.last_status,
                "desiredStatus": task.desired_status,
                "version": task.version,
                "launchType": task.launch_type,
                "capacityProviderName": task.capacity_provider,
                "platformFamily": "Linux",
                "platformVersion": "1.4.0",
                "availabilityZone": f"{settings.REGION}a",
                "cpu": task.overrides.get("cpu", task.definition.get("cpu")),
                "memory": task.overrides.get("memory", task.definition.get("memory")),
                "connectivity": None if task.connectivity_at is None else "CONNECTED",
                "connectivityAt": _stamp(task.connectivity_at),
                "createdAt": _stamp(task.created_at),
                "pullStartedAt": _stamp(task.pull_started_at),
                "pullStoppedAt": _stamp(task.pull_stopped_at),
                "startedAt": _stamp(task.started_at),
                "stoppingAt": _stamp(task.stopping_at),
                "executionStoppedAt": _stamp(task.execution_stopped_at),
                "stoppedAt": _stamp(task.stopped_at),
                "stopCode": task.stop_code,
                "stoppedReason": task.stopped_reason,
                "startedBy": task.started_by,
                "group": task.group,
                "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": [], **task.overrides},
                "attachments": [],
                "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
                "enableExecuteCommand": False,
                "healthStatus": "UNKNOWN",
                "containers": [_shown_container(task, container) for container in task.containers],
                "tags": [{**tag} for tag in task.tags] if with_tags else [],
            }
        return {key: value for key, value in document.items() if value is not None}

    # Task definitions

    def _register_task_definition(self, body: Body) -> dict[str, Any]:
        family = body.get("family", "")
        if not _NAME.fullmatch(family):
            raise RefusedError("ClientException", f"family {family!r} is not 1 to 255 letters, numbers, - and _.")
        _check_containers(body)
        tags = _checked_tags(body.get("tags", []))
        with self._lock:
            revisions = self._families.setdefault(family, [])
            revision = len(revisions) + 1
            document = {
                **{key: value for key, value in body.items() if key != "tags"},
                "taskDefinitionArn": _arn("task-definition", f"{family}:{revision}"),
                "revision": revision,
                "status": "ACTIVE",
                "compatibilities": ["EC2", "FARGATE"],
                "registeredAt": _stamp(self._faults.now()),
                "registeredBy": f"arn:aws:iam::{settings.ACCOUNT}:root",
            }
            revisions.append(document)
            self._tags[document["taskDefinitionArn"]] = tags
        return {"taskDefinition": document, "tags": tags}

    def _deregister_task_definition(self, body: Body) -> dict[str, Any]:
        definition = self._definition(body.get("taskDefinition"))
        definition["status"] = "INACTIVE"
        definition["deregisteredAt"] = _stamp(self._faults.now())
        return {"taskDefinition": definition}

    def _describe_task_definition(self, body: Body) -> dict[str, Any]:
        definition = self._definition(body.get("taskDefinition"))
        tags = self._tags.get(definition["taskDefinitionArn"], []) if "TAGS" in body.get("include", []) else []
        return {"taskDefinition": definition, "tags": tags}

    def _list_task_definitions(self, body: Body) -> dict[str, Any]:
        status = body.get("status", "ACTIVE")
        family = body.get("familyPrefix")
        with self._lock:
            arns = [
                definition["taskDefinitionArn"]
                for name in sorted(self._families)
                for definition in self._families[name]
                if definition["status"] == status and family in (None, name)
            ]
        if body.get("sort") == "DESC":
            arns.reverse()
        page, rest = _page(body, [*enumerate(arns, start=1)])
        return {"taskDefinitionArns": page, **rest}

    def _definition(self, name: str | None) -> dict[str, Any]:
        """The definition of `family`, `family:revision` or an ARN; the family alone is its latest active revision."""
        family, _, revision = (name or "").rpartition("task-definition/")[2].partition(":")
        with self._lock:
            revisions = self._families.get(family, [])
            if not revision:
                found = [each for each in revisions if each["status"] == "ACTIVE"][-1:]
            else:
                found = [each for each in revisions if str(each["revision"]) == revision]
        if not found:
            raise RefusedError("ClientException", "Unable to describe task definition.")
        return found[0]

    # Clusters and services

    def _create_cluster(self, body: Body) -> dict[str, Any]:
        name = body.get("clusterName", "default")
        if not _NAME.fullmatch(name):
            raise _invalid(f"clusterName {name!r} is not 1 to 255 letters, numbers, - and _.")
        with self._lock:
            cluster = self._clusters.get(name)
            if cluster is None:
                document = {
                    "clusterArn": _arn("cluster", name),
                    "clusterName": name,
                    "status": "ACTIVE",
                    "capacityProviders": body.get("capacityProviders", []),
                    "defaultCapacityProviderStrategy": body.get("defaultCapacityProviderStrategy", []),
                    "settings": body.get("settings", []),
                }
                cluster = _Cluster(name=name, arn=document["clusterArn"], document=document)
                self._clusters[name] = cluster
                self._tags[cluster.arn] = _checked_tags(body.get("tags", []))
        return {"cluster": self._shown_cluster(cluster)}

    def _describe_clusters(self, body: Body) -> dict[str, Any]:
        clusters: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for name in body.get("clusters", ["default"]):
            cluster = self._clusters.get(_short(name))
            if cluster is None:
                failures.append({"arn": _arn("cluster", _short(name)), "reason": "MISSING"})
            else:
                clusters.append(self._shown_cluster(cluster))
        return {"clusters": clusters, "failures": failures}

    def _shown_cluster(self, cluster: _Cluster) -> dict[str, Any]:
        statuses = [task.last_status for task in self._fleet.tasks() if task.cluster_arn == cluster.arn]
        return {
            **cluster.document,
            "runningTasksCount": statuses.count("RUNNING"),
            "pendingTasksCount": statuses.count("PENDING") + statuses.count("PROVISIONING"),
            "activeServicesCount": len(cluster.services),
            "registeredContainerInstancesCount": 0,
            "tags": self._tags.get(cluster.arn, []),
        }

    def _create_service(self, body: Body) -> dict[str, Any]:
        cluster = self._cluster(body)
        name = body.get("serviceName", "")
        if not _NAME.fullmatch(name):
            raise _invalid(f"serviceName {name!r} is not 1 to 255 letters, numbers, - and _.")
        definition = self._definition(body.get("taskDefinition"))
        with self._lock:
            if name in cluster.services:
                raise _invalid("Creation of service was not idempotent.")
            service = {
                "serviceArn": _arn("service", f"{cluster.name}/{name}"),
                "serviceName": name,
                "clusterArn": cluster.arn,
                "status": "ACTIVE",
                "taskDefinition": definition["taskDefinitionArn"],
                "desiredCount": 0,
                "runningCount": 0,
                "pendingCount": 0,
                "launchType": body.get("launchType", "FARGATE"),
                "createdAt": _stamp(self._faults.now()),
                "deployments": [],
                "events": [],
            }
            cluster.services[name] = service
            self._tags[str(service["serviceArn"])] = _checked_tags(body.get("tags", []))
        self._scale(service, body.get("desiredCount", 0))
        return {"service": {**service}}

    def _update_service(self, body: Body) -> dict[str, Any]:
        cluster = self._cluster(body)
        service = cluster.services.get(_short(body.get("service", "")))
        if service is None:
            raise RefusedError("ServiceNotFoundException", "Service not found.")
        if "taskDefinition" in body:
            service["taskDefinition"] = self._definition(body["taskDefinition"])["taskDefinitionArn"]
        if "desiredCount" in body:
            self._scale(service, body["desiredCount"])
        return {"service": {**service}}

    def _scale(self, service: dict[str, Any], desired: int) -> None:
        """A service counts its tasks and runs none: what serves in a rehearsal runs on this machine anyway."""
        if desired < 0:
            raise _invalid("desiredCount cannot be negative.")
        with self._lock:
            service["desiredCount"] = desired
            service["pendingCount"] = max(0, desired - service["runningCount"])

        def settle() -> None:
            with self._lock:
                service["runningCount"] = service["desiredCount"]
                service["pendingCount"] = 0

        self._later.after(self._options.service_seconds, settle)

    def _describe_services(self, body: Body) -> dict[str, Any]:
        cluster = self._cluster(body)
        names = body.get("services", [])
        if not 1 <= len(names) <= _MOST_TASKS:
            raise _invalid(f"Services has to name 1 to {_MOST_TASKS} services.")
        services: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for name in names:
            service = cluster.services.get(_short(name))
            if service is None:
                failures.append({"arn": _arn("service", f"{cluster.name}/{_short(name)}"), "reason": "MISSING"})
            else:
                services.append({**service})
        return {"services": services, "failures": failures}

    def _cluster(self, body: Body) -> _Cluster:
        cluster = self._clusters.get(_short(body.get("cluster", "default")))
        if cluster is None:
            raise RefusedError("ClusterNotFoundException", "Cluster not found.")
        return cluster

    # Tags

    def _tag_resource(self, body: Body) -> dict[str, Any]:
        tags = _checked_tags(body.get("tags", []))
        with self._lock, self._fleet.lock:
            held = self._tags_of(body.get("resourceArn", ""))
            held[:] = _checked_tags(_merged(held, tags))
        return {}

    def _list_tags_for_resource(self, body: Body) -> dict[str, Any]:
        with self._lock, self._fleet.lock:
            return {"tags": [{**tag} for tag in self._tags_of(body.get("resourceArn", ""))]}

    def _tags_of(self, arn: str) -> list[dict[str, str]]:
        task = self._fleet.by_arn(arn)
        held = self._tags.get(arn) if task is None else task.tags
        if held is None:
            raise _invalid("The specified resource was not found.")
        return held


def _invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameterException", message)


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:ecs:{settings.REGION}:{settings.ACCOUNT}:{kind}/{name}"


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _task_arn(cluster: _Cluster, name: str) -> str:
    return name if name.startswith("arn:") else _arn("task", f"{cluster.name}/{name}")


def _stamp(moment: datetime | None) -> float | None:
    return None if moment is None else round(moment.timestamp(), 3)


def _shown_container(task: fleet.SimulatedTask, container: fleet.Container) -> dict[str, Any]:
    document: dict[str, Any] = {
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.definition.get("image"),
        "lastStatus": container.last_status,
        "exitCode": container.exit_code,
        "reason": container.reason,
        "runtimeId": container.runtime_id,
        "networkBindings": [],
        "networkInterfaces": [],
        "healthStatus": "UNKNOWN",
        "cpu": str(container.definition.get("cpu", 0)),
    }
    return {key: value for key, value in document.items() if value is not None}


def _overrides(body: Body, definition: Mapping[str, Any]) -> Mapping[str, Any]:
    overrides: Mapping[str, Any] = body.get("overrides", {})
    if len(json.dumps(overrides, ensure_ascii=False, separators=(",", ":"))) > _LONGEST_OVERRIDES:
        raise _invalid(f"Container Overrides length must be at most {_LONGEST_OVERRIDES}")
    names = {container["name"] for container in definition["containerDefinitions"]}
    for override in overrides.get("containerOverrides", []):
        if override.get("name") not in names:
            raise _invalid(
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            )
    return overrides


def _providers(body: Body, definition: Mapping[str, Any], count: int) -> list[str | None]:
    """The capacity provider of each task: bases first, the rest by weight."""
    strategy: Sequence[Mapping[str, Any]] = body.get("capacityProviderStrategy", [])
    if strategy and "launchType" in body:
        raise _invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if definition.get("networkMode") == "awsvpc" and "networkConfiguration" not in body:
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if not strategy:
        if body.get("launchType", "FARGATE") != "FARGATE":
            raise _invalid("No Container Instances were found in your cluster.")
        return [None] * count
    for item in strategy:
        if item.get("capacityProvider") not in PROVIDERS:
            raise _invalid(f"The specified capacity provider {item.get('capacityProvider')} was not found.")
    chosen: list[str | None] = [item["capacityProvider"] for item in strategy for _ in range(item.get("base", 0))]
    weights = {item["capacityProvider"]: item.get("weight", 1 if len(strategy) == 1 else 0) for item in strategy}
    if not any(weights.values()):
        raise _invalid("At least one capacity provider must have a weight greater than zero.")
    placed = dict.fromkeys(weights, 0)
    while len(chosen) < count:
        provider = min((name for name in weights if weights[name]), key=lambda name: (placed[name] + 1) / weights[name])
        placed[provider] += 1
        chosen.append(provider)
    return chosen[:count]


def _check_containers(body: Body) -> None:
    containers = body.get("containerDefinitions", [])
    names = [container.get("name") for container in containers]
    if not containers or None in names or len(set(names)) != len(names):
        raise RefusedError("ClientException", "Container definitions need names, each its own.")
    if not any(container.get("essential", True) for container in containers):
        raise RefusedError("ClientException", "A task definition must have at least one essential container.")
    for container in containers:
        if not container.get("image"):
            raise RefusedError("ClientException", "Container.image should not be null or empty.")
        if "dependsOn" in container:
            raise RefusedError(
                "ClientException", "the rehearsal starts containers together; dependsOn is not simulated."
            )
        if container.get("stopTimeout", fleet.STOP_TIMEOUT_SECONDS) not in _FARGATE_STOP_TIMEOUT:
            raise RefusedError("ClientException", "stopTimeout is 2 to 120 seconds on Fargate.")


def _checked_tags(tags: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    if len(tags) > _MOST_TAGS:
        raise _invalid(f"Tags cannot have more than {_MOST_TAGS} elements.")
    for tag in tags:
        if not 1 <= len(tag.get("key", "")) <= 128 or len(tag.get("value", "")) > 256:
            raise _invalid("A tag has a key of 1 to 128 characters and a value of at most 256.")
    return [{"key": tag["key"], "value": tag.get("value", "")} for tag in tags]


def _merged(held: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in {tag["key"]: tag["value"] for tag in (*held, *new)}.items()]


def _page(body: Body, numbered: Sequence[tuple[int, str]]) -> tuple[list[str], dict[str, str]]:
    """One page and the token of the next; numbers rise in the order listed, so what comes and goes between two pages
    moves nothing."""
    size = min(body.get("maxResults", _PAGE), _PAGE)
    try:
        after = int(body.get("nextToken", "0"))
    except ValueError:
        raise _invalid("Invalid token") from None
    left = [(number, arn) for number, arn in numbered if number > after]
    page = left[:size]
    rest = {"nextToken": str(page[-1][0])} if len(left) > size else {}
    return [arn for _, arn in page], rest
