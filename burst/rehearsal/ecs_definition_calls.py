"""The task definitions of the simulated ECS, and the calls that register, read and retire them."""

import threading
from typing import Any

from burst.rehearsal import armed_faults, ecs_call_checks, ecs_documents, ecs_refusals, ecs_tags, settings


class DefinitionCalls:
    """Every revision of every family."""

    def __init__(self, *, lock: threading.RLock, tags: ecs_tags.ResourceTags, faults: armed_faults.ArmedFaults) -> None:
        self._lock = lock
        self._tags = tags
        self._faults = faults
        self._families: dict[str, dict[int, dict[str, Any]]] = {}

    def find(self, name: str | None) -> dict[str, Any]:
        """The definition named by `family`, `family:revision` or an ARN. A family alone is its latest active revision.

        Raises `RefusedError` if there is none.
        """
        family, _, revision = (name or "").rpartition("task-definition/")[2].partition(":")
        with self._lock:
            revisions = [document for _, document in sorted(self._families.get(family, {}).items())]
            if not revision:
                matching = [each for each in revisions if each["status"] == "ACTIVE"][-1:]
            else:
                matching = [each for each in revisions if str(each["revision"]) == revision]
        if not matching:
            raise ecs_refusals.RefusedError("ClientException", "Unable to describe task definition.")
        return matching[0]

    def register_task_definition(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """RegisterTaskDefinition."""
        with self._lock:
            return self._register(body, max(self._families.get(body.get("family", ""), {}), default=0) + 1)

    def register_pinned(self, body: ecs_call_checks.Body, revision: int) -> None:
        """Registers a definition under this revision. Does nothing where the family has that revision already."""
        if revision < 1:
            raise ecs_refusals.invalid_parameter(f"revision {revision} is not 1 or more.")
        with self._lock:
            if revision not in self._families.get(body.get("family", ""), {}):
                self._register(body, revision)

    def _register(self, body: ecs_call_checks.Body, revision: int) -> dict[str, Any]:
        family = body.get("family", "")
        if not ecs_call_checks.is_name(family):
            raise ecs_refusals.RefusedError(
                "ClientException", f"family {family!r} is not 1 to 255 letters, numbers, - and _."
            )
        ecs_call_checks.check_containers(body)
        tags = ecs_call_checks.read_tags(body)
        document = {
            **{key: value for key, value in body.items() if key != "tags"},
            "taskDefinitionArn": ecs_call_checks.arn("task-definition", f"{family}:{revision}"),
            "revision": revision,
            "status": "ACTIVE",
            "compatibilities": ["EC2", "FARGATE"],
            "registeredAt": ecs_documents.epoch_seconds(self._faults.now()),
            "registeredBy": f"arn:aws:iam::{settings.ACCOUNT}:root",
        }
        self._families.setdefault(family, {})[revision] = document
        self._tags.set(document["taskDefinitionArn"], tags)
        return {"taskDefinition": document, "tags": tags}

    def deregister_task_definition(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """DeregisterTaskDefinition."""
        definition = self.find(body.get("taskDefinition"))
        definition["status"] = "INACTIVE"
        definition["deregisteredAt"] = ecs_documents.epoch_seconds(self._faults.now())
        return {"taskDefinition": definition}

    def describe_task_definition(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """DescribeTaskDefinition."""
        definition = self.find(body.get("taskDefinition"))
        tags = self._tags.get(definition["taskDefinitionArn"]) if "TAGS" in body.get("include", []) else []
        return {"taskDefinition": definition, "tags": tags}

    def list_task_definitions(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """ListTaskDefinitions."""
        status = body.get("status", "ACTIVE")
        family = body.get("familyPrefix")
        with self._lock:
            arns = [
                definition["taskDefinitionArn"]
                for name in sorted(self._families)
                for _, definition in sorted(self._families[name].items())
                if definition["status"] == status and family in (None, name)
            ]
        if body.get("sort") == "DESC":
            arns.reverse()
        page, next_token = ecs_call_checks.cut_page(body, [*enumerate(arns, start=1)])
        return {"taskDefinitionArns": page, **next_token}
