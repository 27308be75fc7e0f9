"""Service definitions: the RegisterTaskDefinition request for a service's definition with other variables."""

from collections.abc import Mapping
from typing import Any

from burst.domain.basics import errors

_ANSWERED_ONLY = frozenset(
    {
        *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt"),
        *("registeredBy", "deregisteredAt", "deleteRequestedAt"),
    }
)
"""What DescribeTaskDefinition answers with and RegisterTaskDefinition does not take."""


def add_variables(
    described: Mapping[str, Any], container: str | None, environment: Mapping[str, str]
) -> dict[str, Any]:
    """The request for a revision like the described one, with these variables in one container, over its own.

    Without `container` it is the only essential one. Raises `errors.Refused` where there is no such container, or where
    one of its secrets has the name of a variable. No message holds a value.
    """
    arn, containers = described.get("taskDefinitionArn"), list(described.get("containerDefinitions", ()))
    names = [each["name"] for each in containers if container in (None, each["name"])]
    if container is None:
        names = [each["name"] for each in containers if each.get("essential", True)]
    if len(names) != 1:
        container_names = ", ".join(str(each["name"]) for each in containers)
        problem = "several essential containers" if container is None else f"no container {container}"
        raise errors.Refused(f"{arn} has {problem}; services[].container names one of {container_names}")
    changed = [_change_container(each, environment, arn) if each["name"] == names[0] else each for each in containers]
    kept = {key: value for key, value in described.items() if key not in _ANSWERED_ONLY}
    return {**kept, "containerDefinitions": changed}


def _change_container(container: Mapping[str, Any], environment: Mapping[str, str], arn: object) -> dict[str, Any]:
    hidden = sorted(secret["name"] for secret in container.get("secrets", ()) if secret["name"] in environment)
    if hidden:
        raise errors.Refused(f"{', '.join(hidden)} of {container['name']} is a secret of {arn}; leave it to that")
    own = {entry["name"]: entry["value"] for entry in container.get("environment", ())}
    merged = {**own, **environment}
    return {**container, "environment": [{"name": name, "value": merged[name]} for name in sorted(merged)]}
