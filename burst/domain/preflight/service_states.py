"""The state of an ECS service, from what ECS says of it, of its task definitions and of its tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from burst.domain.documents import entry_answers

_PINNED = "@sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedService:
    """A service as DescribeServices, DescribeTaskDefinition and DescribeTasks describe it."""

    service: Mapping[str, Any] = field(hash=False)
    definitions: Sequence[Mapping[str, Any]]
    """The task definition of each of its deployments."""
    tasks: Sequence[Mapping[str, Any]] = ()
    """Its running tasks; none where they were not asked for."""


def list_definitions(service: Mapping[str, Any]) -> tuple[str, ...]:
    """The task definitions of a service: one of each deployment that has or wants tasks, the newest first."""
    deployed = [
        str(deployment["taskDefinition"])
        for deployment in service.get("deployments") or ()
        if deployment.get("status") == "PRIMARY"
        or any(deployment.get(count) for count in ("desiredCount", "runningCount", "pendingCount"))
    ]
    return tuple(dict.fromkeys([str(service["taskDefinition"]), *deployed]))


def read_state(described: DescribedService, variables: Iterable[str]) -> entry_answers.ServiceSeen:
    """The state of a service. While two deployments have tasks, both of their definitions are its own."""
    service = described.service
    return entry_answers.ServiceSeen(
        desired=int(service.get("desiredCount", 0)),
        running=int(service.get("runningCount", 0)),
        task_definition=", ".join(list_definitions(service)),
        images=_list_images(described),
        variables={name: _list_values(described.definitions, name) for name in variables},
    )


def _list_images(described: DescribedService) -> list[str]:
    """The digests that every task of the service runs: as its tasks say, else as every definition pins them."""
    by_tasks = [_read_digests(task) for task in described.tasks]
    if by_tasks and len(by_tasks) >= int(described.service.get("runningCount", 0)):
        return sorted(set.intersection(*by_tasks))
    pinned = [_read_pins(definition) for definition in described.definitions]
    return sorted(set.intersection(*pinned)) if pinned else []


def pins_images(definitions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every container of every definition names its image by digest, so that no task runs another."""
    images = [container.get("image", "") for each in definitions for container in each["containerDefinitions"]]
    return bool(images) and all(_PINNED in image for image in images)


def _read_digests(task: Mapping[str, Any]) -> set[str]:
    return {str(container["imageDigest"]) for container in task.get("containers", ()) if container.get("imageDigest")}


def _read_pins(definition: Mapping[str, Any]) -> set[str]:
    images = [str(container.get("image", "")) for container in definition["containerDefinitions"]]
    return {f"sha256:{image.partition(_PINNED)[2]}" for image in images if _PINNED in image}


def _list_values(definitions: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """The values of a variable, each once; a definition that lacks it adds an empty one."""
    values = list[str]()
    for definition in definitions:
        pairs = [pair for container in definition["containerDefinitions"] for pair in container.get("environment", ())]
        values += [str(pair.get("value", "")) for pair in pairs if pair["name"] == name] or [""]
    return sorted(set(values))
