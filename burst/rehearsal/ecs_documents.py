"""Tasks and containers as DescribeTasks shows them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from burst.rehearsal import settings, simulated_tasks


def describe_task(task: simulated_tasks.SimulatedTask, *, with_tags: bool) -> dict[str, Any]:
    """The document of a task, without fields that have no value. The caller holds the fleet's lock."""
    document = {
        **_describe_identity(task),
        **_describe_times(task),
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "version": task.version,
        "connectivity": None if task.connectivity_at is None else "CONNECTED",
        "healthStatus": "UNKNOWN",
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
        "containers": [_describe_container(task, container) for container in task.containers],
        "tags": [{**tag} for tag in task.tags] if with_tags else [],
    }
    return {key: value for key, value in document.items() if value is not None}


def describe_service_task(arn: str, cluster_arn: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a service's task, which is no more than a name: it runs the containers of its definition."""
    return {
        "taskArn": arn,
        "clusterArn": cluster_arn,
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "containers": [
            {"name": each["name"], "image": each["image"], "imageDigest": digest_image(each["image"]), "taskArn": arn}
            for each in definition["containerDefinitions"]
        ],
        "tags": [],
    }


def digest_image(image: str) -> str:
    """The digest of a container's image: the one that pins it, else one that its name gives."""
    pinned = image.partition("@")[2]
    return pinned or f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def epoch_seconds(moment: datetime | None) -> float | None:
    """A time as the ECS API writes it, to the millisecond."""
    return None if moment is None else round(moment.timestamp(), 3)


def _describe_identity(task: simulated_tasks.SimulatedTask) -> dict[str, Any]:
    return {
        "taskArn": task.arn,
        "clusterArn": task.cluster_arn,
        "taskDefinitionArn": task.definition["taskDefinitionArn"],
        "launchType": task.launch_type,
        "capacityProviderName": task.capacity_provider,
        "platformFamily": "Linux",
        "platformVersion": "1.4.0",
        "availabilityZone": f"{settings.REGION}a",
        "cpu": task.overrides.get("cpu", task.definition.get("cpu")),
        "memory": task.overrides.get("memory", task.definition.get("memory")),
        "startedBy": task.started_by,
        "group": task.group,
        "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": [], **task.overrides},
        "attachments": [],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "enableExecuteCommand": False,
    }


def _describe_times(task: simulated_tasks.SimulatedTask) -> dict[str, float | None]:
    return {
        "connectivityAt": epoch_seconds(task.connectivity_at),
        "createdAt": epoch_seconds(task.created_at),
        "pullStartedAt": epoch_seconds(task.pull_started_at),
        "pullStoppedAt": epoch_seconds(task.pull_stopped_at),
        "startedAt": epoch_seconds(task.started_at),
        "stoppingAt": epoch_seconds(task.stopping_at),
        "executionStoppedAt": epoch_seconds(task.execution_stopped_at),
        "stoppedAt": epoch_seconds(task.stopped_at),
    }


def _describe_container(task: simulated_tasks.SimulatedTask, container: simulated_tasks.Container) -> dict[str, Any]:
    document: dict[str, Any] = {
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.definition.get("image"),
        "imageDigest": digest_image(str(container.definition.get("image", ""))) if task.pull_stopped_at else None,
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
