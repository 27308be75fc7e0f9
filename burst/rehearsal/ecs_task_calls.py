"""The calls that start, read and stop tasks of the simulated ECS.

The safety of a controller depends on these calls, so they follow AWS where moto does not: in client tokens, limits,
failures, paging and stop codes. Sources: the ECS API reference and its page on idempotency (`ECS_Idempotency`).
Comments name the choices that AWS's documentation leaves open.
"""

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burst.rehearsal import (
    armed_faults,
    ecs_call_checks,
    ecs_cluster_calls,
    ecs_definition_calls,
    ecs_documents,
    ecs_refusals,
    ecs_tags,
    fleet,
    settings,
    simulated_tasks,
)

_NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"

_OTHER_FILTERS = frozenset({"desiredStatus", "family", "launchType", "serviceName", "containerInstance"})
"""The filters of ListTasks beside `startedBy`, which has to be the only one by AWS's documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Launch:
    """An answered RunTask call: its parameters without the client token, and its tasks and failures."""

    parameters: str
    arns: tuple[str, ...]
    failures: tuple[dict[str, str], ...]


class TaskCalls:
    """Calls on tasks, with the launches of each cluster by client token."""

    def __init__(
        self,
        *,
        lock: threading.RLock,
        tags: ecs_tags.ResourceTags,
        clusters: ecs_cluster_calls.ClusterCalls,
        definitions: ecs_definition_calls.DefinitionCalls,
        tasks: fleet.Fleet,
        faults: armed_faults.ArmedFaults,
        launch_rate: settings.RateLimit,
    ) -> None:
        self._lock = lock
        self._tags = tags
        self._clusters = clusters
        self._definitions = definitions
        self._fleet = tasks
        self._faults = faults
        self._launches: dict[tuple[str, str], _Launch] = {}
        self._task_buckets = {name: launch_rate.make_bucket() for name in ecs_call_checks.PROVIDERS}

    def run_task(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """RunTask."""
        cluster = self._clusters.find(body)
        token = body.get("clientToken") or uuid.uuid4().hex
        ecs_call_checks.check_token(token)
        parameters = json.dumps({key: value for key, value in body.items() if key != "clientToken"}, sort_keys=True)
        with self._lock:
            earlier = self._launches.get((cluster.name, token))
            if earlier is not None and not self._is_forgotten(earlier):
                return self._answer_again(earlier, parameters)
            requests = self._read_task_requests(cluster, body)
            self._take_launch_tokens(requests)
            if self._faults.strike("short-answer"):
                requests = requests[: len(requests) // 2]
            placed = self._place(requests)
            # On Fargate there is no container instance to name, so a failure has no arn.
            failures = tuple({"reason": _NO_CAPACITY} for _ in range(len(requests) - len(placed)))
            tasks = [self._fleet.launch(request) for request in placed]
            arns = tuple(task.arn for task in tasks)
            self._launches[cluster.name, token] = _Launch(parameters=parameters, arns=arns, failures=failures)
        return {"tasks": [self._describe(task, with_tags=True) for task in tasks], "failures": [*failures]}

    def describe_tasks(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """DescribeTasks."""
        cluster = self._clusters.find(body)
        names = body.get("tasks", [])
        if not names:
            raise ecs_refusals.invalid_parameter("Tasks cannot be empty.")
        if len(names) > ecs_call_checks.MOST_IDS:
            raise ecs_refusals.invalid_parameter(f"Tasks cannot have more than {ecs_call_checks.MOST_IDS} elements.")
        tasks: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for name in names:
            of_service = self._clusters.find_definition_of_task(cluster, name)
            if of_service is not None:
                definition = self._definitions.find(of_service)
                tasks.append(ecs_documents.describe_service_task(name, cluster.arn, definition))
                continue
            task = self._fleet.find(cluster.arn, name)
            if task is None or not self._fleet.visible(task):
                arn = name if name.startswith("arn:") else ecs_call_checks.arn("task", f"{cluster.name}/{name}")
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                tasks.append(self._describe(task, with_tags="TAGS" in body.get("include", [])))
        return {"tasks": tasks, "failures": failures}

    def list_tasks(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """ListTasks."""
        cluster = self._clusters.find(body)
        desired = body.get("desiredStatus", "RUNNING")
        if desired not in ("RUNNING", "PENDING", "STOPPED"):
            raise ecs_refusals.invalid_parameter(f"desiredStatus {desired} is none of RUNNING, PENDING, STOPPED.")
        if "startedBy" in body and self._faults.active("one-filter") and _OTHER_FILTERS.intersection(body):
            raise ecs_refusals.invalid_parameter("startedBy must be the only filter that is used.")
        if "serviceName" in body:
            service = self._clusters.find_service(body, body["serviceName"])
            running = service.tasks if desired == "RUNNING" else []
            page, next_token = ecs_call_checks.cut_page(body, [*enumerate(running, start=1)])
            return {"taskArns": page, **next_token}
        matching = [
            task
            for task in self._fleet.tasks()
            if task.cluster_arn == cluster.arn
            # The filter is the wish and not the state: a task that is stopping is among the STOPPED ones while it still
            # runs, and none is PENDING, as AWS says.
            and task.desired_status == desired
            and self._fleet.visible(task)
            and body.get("startedBy") in (None, task.started_by)
            and body.get("family") in (None, task.definition["family"])
            and body.get("launchType") in (None, task.launch_type)
        ]
        page, next_token = ecs_call_checks.cut_page(body, [(task.number, task.arn) for task in matching])
        return {"taskArns": page, **next_token}

    def stop_task(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """StopTask."""
        cluster = self._clusters.find(body)
        task = self._fleet.find(cluster.arn, body.get("task", ""))
        if task is None:
            raise ecs_refusals.invalid_parameter("The referenced task was not found.")
        # AWS does not say whether it refuses to stop a stopped task. Here the answer is the task.
        reason = body.get("reason", "Task stopped by user")
        stop = self._fleet.stop if self._faults.active("stop-ignored") is None else self._fleet.ignore_stop
        stop(task, code=simulated_tasks.USER_INITIATED, reason=reason)
        with self._fleet.lock:
            task.tags.clear()
        return {"task": self._describe(task, with_tags=True)}

    def _is_forgotten(self, launch: _Launch) -> bool:
        """Whether ECS has forgotten all of its tasks, an hour after they stopped. Its token is then free again."""
        return bool(launch.arns) and all(self._fleet.by_arn(arn) is None for arn in launch.arns)

    def _answer_again(self, launch: _Launch, parameters: str) -> dict[str, Any]:
        if launch.parameters != parameters:
            raise ecs_refusals.RefusedError(
                "ConflictException",
                "The request was sent before with this clientToken and other parameters.",
                resourceIds=[*launch.arns],
            )
        return {"tasks": [self._describe_again(arn) for arn in launch.arns], "failures": [*launch.failures]}

    def _describe_again(self, arn: str) -> dict[str, Any]:
        """A stopped task has the shortest form (ECS_Idempotency), and so has a forgotten one."""
        task = self._fleet.by_arn(arn)
        if task is not None and task.last_status != "STOPPED":
            return self._describe(task, with_tags=True)
        return {"taskArn": arn, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}

    def _read_task_requests(
        self, cluster: ecs_cluster_calls.Cluster, body: ecs_call_checks.Body
    ) -> list[simulated_tasks.TaskRequest]:
        definition = self._definitions.find(body.get("taskDefinition"))
        if definition["status"] != "ACTIVE":
            raise ecs_refusals.RefusedError("ClientException", "TaskDefinition is inactive")
        count = ecs_call_checks.read_count(body)
        started_by = ecs_call_checks.read_started_by(body)
        overrides = ecs_call_checks.read_overrides(body, definition)
        tags = self._read_launch_tags(body, definition)
        return [
            simulated_tasks.TaskRequest(
                cluster_arn=cluster.arn,
                definition=definition,
                capacity_provider=provider,
                launch_type="FARGATE",
                started_by=started_by,
                group=body.get("group", f"family:{definition['family']}"),
                overrides=overrides,
                tags=tags,
            )
            for provider in ecs_call_checks.choose_providers(body, definition, count)
        ]

    def _read_launch_tags(
        self, body: ecs_call_checks.Body, definition: Mapping[str, Any]
    ) -> tuple[Mapping[str, str], ...]:
        source = body.get("propagateTags", "NONE")
        if source not in ("NONE", "TASK_DEFINITION"):
            raise ecs_refusals.invalid_parameter(
                "Invalid value for propagateTags: a task that is run by itself has no service."
            )
        inherited = self._tags.get(definition["taskDefinitionArn"]) if source == "TASK_DEFINITION" else []
        return tuple(ecs_call_checks.merge_tags(inherited, ecs_call_checks.read_tags(body)))

    def _take_launch_tokens(self, requests: list[simulated_tasks.TaskRequest]) -> None:
        """Takes a token of Fargate's launch rate for each task: On-Demand and Spot have a bucket each.

        Whether AWS starts as many tasks as there are tokens is not documented. Here a call starts all of them or none.
        """
        for provider, bucket in self._task_buckets.items():
            count = sum((request.capacity_provider or "FARGATE") == provider for request in requests)
            if not bucket.take(count):
                raise ecs_refusals.throttling_refusal(disguised=False)

    def _place(self, requests: list[simulated_tasks.TaskRequest]) -> list[simulated_tasks.TaskRequest]:
        """The requests for which there is capacity: half of them where the fault `partial-launch` strikes."""
        placed = [request for request in requests if self._has_capacity(request.capacity_provider)]
        return placed[: len(placed) // 2] if placed and self._faults.strike("partial-launch") else placed

    def _has_capacity(self, provider: str | None) -> bool:
        labels = ("capacity", f"capacity:{provider or 'FARGATE'}")
        return all(self._faults.active(label) is None for label in labels)

    def _describe(self, task: simulated_tasks.SimulatedTask, *, with_tags: bool) -> dict[str, Any]:
        with self._fleet.lock:
            return ecs_documents.describe_task(task, with_tags=with_tags)
