"""The checks that ECS makes on the parameters of a call, as functions of the call alone.

Sources: the ECS API reference and the limits it states.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from burst.rehearsal import ecs_refusals, settings, simulated_tasks

Body = Mapping[str, Any]
Tags = list[dict[str, str]]

PROVIDERS = ("FARGATE", "FARGATE_SPOT")
MOST_TASKS = 10
MOST_SERVICES = 10
MOST_IDS = 100

_MOST_TAGS = 50
_PAGE = 100
_LONGEST_OVERRIDES = 8192
_STARTED_BY = re.compile(r"[A-Za-z0-9\-_/]{1,128}", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,255}", re.ASCII)
_FARGATE_STOP_TIMEOUT = range(2, 121)


def arn(kind: str, name: str) -> str:
    """The ARN of an ECS resource."""
    return f"arn:aws:ecs:{settings.REGION}:{settings.ACCOUNT}:{kind}/{name}"


def short_name(name: str) -> str:
    """The name of a resource given by its name or its ARN."""
    return name.rpartition("/")[2]


def is_name(name: str) -> bool:
    """Whether ECS accepts this name for a cluster, a service or a family."""
    return _NAME.fullmatch(name) is not None


def check_token(token: str) -> None:
    """Checks a client token."""
    if not _TOKEN.fullmatch(token):
        raise ecs_refusals.invalid_parameter("clientToken has to be 1 to 64 ASCII characters from 33 to 126.")


def read_count(body: Body) -> int:
    """The number of tasks that RunTask should start."""
    count: int = body.get("count", 1)
    if not 1 <= count <= MOST_TASKS:
        raise ecs_refusals.invalid_parameter(f"count {count} is not between 1 and {MOST_TASKS}.")
    return count


def read_started_by(body: Body) -> str | None:
    """The `startedBy` of RunTask."""
    started_by: str | None = body.get("startedBy")
    if started_by is not None and not _STARTED_BY.fullmatch(started_by):
        raise ecs_refusals.invalid_parameter(
            "startedBy can contain up to 128 letters, numbers, hyphens, forward slashes and underscores."
        )
    return started_by


def read_overrides(body: Body, definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The overrides of RunTask."""
    overrides: Mapping[str, Any] = body.get("overrides", {})
    if len(json.dumps(overrides, ensure_ascii=False, separators=(",", ":"))) > _LONGEST_OVERRIDES:
        raise ecs_refusals.invalid_parameter(f"Container Overrides length must be at most {_LONGEST_OVERRIDES}")
    names = {container["name"] for container in definition["containerDefinitions"]}
    for override in overrides.get("containerOverrides", []):
        if override.get("name") not in names:
            raise ecs_refusals.invalid_parameter(
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            )
    return overrides


def choose_providers(body: Body, definition: Mapping[str, Any], count: int) -> list[str | None]:
    """The capacity provider of each new task, or None for each if the call has no strategy."""
    strategy: Sequence[Mapping[str, Any]] = body.get("capacityProviderStrategy", [])
    if strategy and "launchType" in body:
        raise ecs_refusals.invalid_parameter(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if definition.get("networkMode") == "awsvpc" and "networkConfiguration" not in body:
        raise ecs_refusals.invalid_parameter(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified."
        )
    if not strategy:
        if body.get("launchType", "FARGATE") != "FARGATE":
            raise ecs_refusals.invalid_parameter("No Container Instances were found in your cluster.")
        return [None] * count
    for item in strategy:
        if item.get("capacityProvider") not in PROVIDERS:
            raise ecs_refusals.invalid_parameter(
                f"The specified capacity provider {item.get('capacityProvider')} was not found."
            )
    return _distribute(strategy, count)


def _distribute(strategy: Sequence[Mapping[str, Any]], count: int) -> list[str | None]:
    """The capacity provider of each task: first each provider's base, then by weight."""
    chosen: list[str | None] = [item["capacityProvider"] for item in strategy for _ in range(item.get("base", 0))]
    weights = {item["capacityProvider"]: item.get("weight", 1 if len(strategy) == 1 else 0) for item in strategy}
    if not any(weights.values()):
        raise ecs_refusals.invalid_parameter("At least one capacity provider must have a weight greater than zero.")
    placed = dict.fromkeys(weights, 0)
    while len(chosen) < count:
        provider = min((name for name in weights if weights[name]), key=lambda name: (placed[name] + 1) / weights[name])
        placed[provider] += 1
        chosen.append(provider)
    return chosen[:count]


def check_containers(body: Body) -> None:
    """Checks the container definitions of RegisterTaskDefinition."""
    containers = body.get("containerDefinitions", [])
    names = [container.get("name") for container in containers]
    if not containers or None in names or len(set(names)) != len(names):
        raise ecs_refusals.RefusedError("ClientException", "Container definitions need names, each its own.")
    if not any(container.get("essential", True) for container in containers):
        raise ecs_refusals.RefusedError(
            "ClientException", "A task definition must have at least one essential container."
        )
    for container in containers:
        if not container.get("image"):
            raise ecs_refusals.RefusedError("ClientException", "Container.image should not be null or empty.")
        if "dependsOn" in container:
            raise ecs_refusals.RefusedError(
                "ClientException", "the rehearsal starts containers together; dependsOn is not simulated."
            )
        if container.get("stopTimeout", simulated_tasks.STOP_TIMEOUT_SECONDS) not in _FARGATE_STOP_TIMEOUT:
            raise ecs_refusals.RefusedError("ClientException", "stopTimeout is 2 to 120 seconds on Fargate.")


def read_tags(body: Body) -> Tags:
    """The tags of a call."""
    return check_tags(body.get("tags", []))


def check_tags(tags: Sequence[Mapping[str, str]]) -> Tags:
    """The tags, each with its key and value."""
    if len(tags) > _MOST_TAGS:
        raise ecs_refusals.invalid_parameter(f"Tags cannot have more than {_MOST_TAGS} elements.")
    for tag in tags:
        if not 1 <= len(tag.get("key", "")) <= 128 or len(tag.get("value", "")) > 256:
            raise ecs_refusals.invalid_parameter("A tag has a key of 1 to 128 characters and a value of at most 256.")
    return [{"key": tag["key"], "value": tag.get("value", "")} for tag in tags]


def merge_tags(old: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]]) -> Tags:
    """The old tags and the new ones. A new value replaces the old value of its key."""
    values = {tag["key"]: tag["value"] for tag in (*old, *new)}
    return [{"key": key, "value": value} for key, value in values.items()]


def cut_page(body: Body, numbered: Sequence[tuple[int, str]]) -> tuple[list[str], dict[str, str]]:
    """One page of ARNs, and the token of the next page if there is one.

    The token is the number of the page's last ARN. Numbers rise in the order of the list, so an ARN that appears or
    disappears between two pages shifts no other.
    """
    size = min(body.get("maxResults", _PAGE), _PAGE)
    try:
        after = int(body.get("nextToken", "0"))
    except ValueError:
        raise ecs_refusals.invalid_parameter("Invalid token") from None
    remaining = [(number, resource) for number, resource in numbered if number > after]
    page = remaining[:size]
    next_token = {"nextToken": str(page[-1][0])} if len(remaining) > size else {}
    return [resource for _, resource in page], next_token
