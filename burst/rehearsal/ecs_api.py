"""The simulated ECS interface: throttles each call as AWS does and passes it to its operation."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

from burst.rehearsal import (
    armed_faults,
    ecs_call_checks,
    ecs_cluster_calls,
    ecs_definition_calls,
    ecs_refusals,
    ecs_tags,
    ecs_task_calls,
    fleet,
    settings,
    timers,
)

_LAUNCH, _READ, _REGISTER, _TAG = "launch", "read", "register", "tag"
_BUCKET_OF_OPERATION = {
    "RunTask": _LAUNCH,
    "StopTask": _LAUNCH,
    "DescribeTasks": _READ,
    "ListTasks": _READ,
    "RegisterTaskDefinition": _REGISTER,
    "TagResource": _TAG,
}


class EcsApi:
    """The ECS of one region."""

    def __init__(
        self,
        *,
        tasks: fleet.Fleet,
        options: settings.SimulationSettings,
        faults: armed_faults.ArmedFaults,
        timer: timers.Timers,
    ) -> None:
        self._faults = faults
        self._buckets = {
            _LAUNCH: options.throttle.launch.make_bucket(),
            _READ: options.throttle.read.make_bucket(),
            _REGISTER: options.throttle.register.make_bucket(),
            _TAG: options.throttle.tag.make_bucket(),
        }
        self._throttled_calls = itertools.count()
        lock = threading.RLock()  # guards definitions, clusters, services, launches and tags
        tags = ecs_tags.ResourceTags(lock=lock, tasks=tasks)
        self._definitions = ecs_definition_calls.DefinitionCalls(lock=lock, tags=tags, faults=faults)
        clusters = ecs_cluster_calls.ClusterCalls(
            lock=lock,
            tags=tags,
            definitions=self._definitions,
            tasks=tasks,
            options=options,
            faults=faults,
            timer=timer,
        )
        task_calls = ecs_task_calls.TaskCalls(
            lock=lock, tags=tags, clusters=clusters, definitions=self._definitions, tasks=tasks, faults=faults,
            launch_rate=options.throttle.tasks,
        )  # fmt: skip
        self._operations = _list_operations(tags, self._definitions, clusters, task_calls)

    def call(self, operation: str, body: ecs_call_checks.Body) -> dict[str, Any]:
        """The answer to one call. Raises `ecs_refusals.RefusedError`."""
        perform = self._operations.get(operation)
        if perform is None:
            allowed = ", ".join(self._operations)
            raise ecs_refusals.RefusedError(
                "UnknownOperationException", f"the rehearsal has no {operation}; it has {allowed}"
            )
        bucket = self._buckets.get(_BUCKET_OF_OPERATION.get(operation, ""))
        if self._faults.active("ecs-throttle") is not None or (bucket is not None and not bucket.take()):
            raise ecs_refusals.throttling_refusal(disguised=next(self._throttled_calls) % 2 == 1)
        return perform(body)

    def register_pinned(self, body: ecs_call_checks.Body, revision: int) -> None:
        """Registers a task definition under a revision, past every limit. Raises `ecs_refusals.RefusedError`."""
        self._definitions.register_pinned(body, revision)


def _list_operations(
    tags: ecs_tags.ResourceTags,
    definitions: ecs_definition_calls.DefinitionCalls,
    clusters: ecs_cluster_calls.ClusterCalls,
    task_calls: ecs_task_calls.TaskCalls,
) -> dict[str, Callable[[ecs_call_checks.Body], dict[str, Any]]]:
    """Every operation by name."""
    return {
        "CreateCluster": clusters.create_cluster,
        "CreateService": clusters.create_service,
        "DeregisterTaskDefinition": definitions.deregister_task_definition,
        "DescribeClusters": clusters.describe_clusters,
        "DescribeServices": clusters.describe_services,
        "DescribeTaskDefinition": definitions.describe_task_definition,
        "DescribeTasks": task_calls.describe_tasks,
        "ListTagsForResource": tags.list_tags_for_resource,
        "ListTaskDefinitions": definitions.list_task_definitions,
        "ListTasks": task_calls.list_tasks,
        "RegisterTaskDefinition": definitions.register_task_definition,
        "RunTask": task_calls.run_task,
        "StopTask": task_calls.stop_task,
        "TagResource": tags.tag_resource,
        "UpdateService": clusters.update_service,
    }
