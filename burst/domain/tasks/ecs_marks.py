"""Marks: what a burst task on ECS carries with it, written at its launch and read again by whoever finds it.

The run stands in `startedBy`; shard, deadline and lease in the overrides of the container that carries the load. Tags
say run and deadline as well, and StopTask deletes them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from burst.domain.basics import errors
from burst.domain.tasks import tasks

STARTED_BY = "burst/"
DEADLINE_TAG, RUN_TAG, PHASE_TAG = "burst:deadline", "burst:run", "burst:phase"
RUN, DEADLINE, CONTROL = "BURST_EXECUTION_ID", "BURST_DEADLINE_UTC", "BURST_CONTROL_URI"
BUDGET, SHARD, HINT = "BURST_BUDGET_SECONDS", "BURST_SHARD_INDEX", "BURST_SHARD_HINT"
GRACE, ONE_SHOT = "BURST_GRACE_SECONDS", "BURST_ONE_SHOT"

_STARTED_BY_ALLOWED = re.compile(r"[A-Za-z0-9_/-]{1,128}")


def started_by(execution_id: str) -> str:
    """The word for `startedBy`. Raises `errors.UsageError` where the id cannot be one."""
    words = f"{STARTED_BY}{execution_id}"
    if not _STARTED_BY_ALLOWED.fullmatch(words):
        raise errors.UsageError(
            f"execution id {execution_id!r} cannot mark a task; allowed: letters, digits, - and _, at most "
            f"{128 - len(STARTED_BY)} of them"
        )
    return words


def read_marked_tasks(described: Iterable[Mapping[str, Any]]) -> list[tasks.MarkedTask]:
    """Those of the tasks that are burst's, of whatever run, with what they carry."""
    ours = [one for one in described if run_of(one)]
    shards = {task.task_id: task for task in assign_shards(ours)}
    return [
        tasks.MarkedTask(
            execution_id=run_of(one),
            task=shards[one["taskArn"]],
            deadline=tasks.parse_deadline(tags(one).get(DEADLINE_TAG) or environment(one).get(DEADLINE)),
            control_uri=environment(one).get(CONTROL),
        )
        for one in ours
    ]


def run_of(described: Mapping[str, Any]) -> str:
    """The run, or the one-shot of a run, a task was started for; empty where it is not burst's."""
    words = str(described.get("startedBy") or "")
    return words.removeprefix(STARTED_BY) if words.startswith(STARTED_BY) else tags(described).get(RUN_TAG, "")


def tags(described: Mapping[str, Any]) -> dict[str, str]:
    """A task's tags by key."""
    return {tag["key"]: tag.get("value", "") for tag in described.get("tags") or ()}


def environment(described: Mapping[str, Any]) -> dict[str, str]:
    """The variables the container that carries the load was told at its launch."""
    return {pair["name"]: pair.get("value", "") for pair in _load_override(described).get("environment") or ()}


def container(described: Mapping[str, Any]) -> str:
    """The name of the container that carries the load; empty where none was told of a run."""
    return str(_load_override(described).get("name", ""))


def _load_override(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """The override of the container that carries the load: the one that was told of its run."""
    for override in (described.get("overrides") or {}).get("containerOverrides") or ():
        if any(pair["name"] == RUN for pair in override.get("environment") or ()):
            found: Mapping[str, Any] = override
            return found
    return {}


def assign_shards(described: Iterable[Mapping[str, Any]]) -> list[tasks.Task]:
    """Tasks with the shard each was launched for: those of a batch share their first, and follow it by ARN."""
    batches: dict[tuple[str, int], list[str]] = {}
    for one in described:
        told = environment(one)
        first = told.get(SHARD) or told.get(HINT) or "0"
        batches.setdefault((run_of(one), int(first) if first.isdigit() else 0), []).append(one["taskArn"])
    found = [
        tasks.Task(task_id=arn, shard_index=first + index)
        for (_, first), arns in batches.items()
        for index, arn in enumerate(sorted(set(arns)))
    ]
    return sorted(found, key=lambda task: (task.shard_index, task.task_id))
