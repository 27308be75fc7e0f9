"""The tags of ECS resources, and the calls that read and change them."""

import threading
from typing import Any

from burst.rehearsal import ecs_call_checks, ecs_refusals, fleet


class ResourceTags:
    """The tags of clusters, services and task definitions by ARN. A task holds its own tags."""

    def __init__(self, *, lock: threading.RLock, tasks: fleet.Fleet) -> None:
        self._lock = lock
        self._fleet = tasks
        self._tags: dict[str, ecs_call_checks.Tags] = {}

    def set(self, arn: str, tags: ecs_call_checks.Tags) -> None:
        """Gives a new resource its tags."""
        self._tags[arn] = tags

    def get(self, arn: str) -> ecs_call_checks.Tags:
        """The tags of a resource that is no task; none if it has none."""
        return self._tags.get(arn, [])

    def tag_resource(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """TagResource."""
        new = ecs_call_checks.read_tags(body)
        with self._lock, self._fleet.lock:
            tags = self._find(body.get("resourceArn", ""))
            tags[:] = ecs_call_checks.check_tags(ecs_call_checks.merge_tags(tags, new))
        return {}

    def list_tags_for_resource(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """ListTagsForResource."""
        with self._lock, self._fleet.lock:
            return {"tags": [{**tag} for tag in self._find(body.get("resourceArn", ""))]}

    def _find(self, arn: str) -> ecs_call_checks.Tags:
        task = self._fleet.by_arn(arn)
        tags = self._tags.get(arn) if task is None else task.tags
        if tags is None:
            raise ecs_refusals.invalid_parameter("The specified resource was not found.")
        return tags
