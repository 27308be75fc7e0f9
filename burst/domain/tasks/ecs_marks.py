"""Marks: the run, shard, deadline and lease that a burst task on ECS carries from its launch on, for any later reader.

`startedBy` holds the run; the overrides of the container that carries the load hold shard, deadline and lease. Tags
hold run and deadline as well, and StopTask deletes them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from burst.domain.basics import errors
from burst.domain.tasks import ecs_truths, tasks

STARTED_BY = "burst/"
DEADLINE_TAG, RUN_TAG, PHASE_TAG = "burst:deadline", "burst:run", "burst:phase"
RUN, DEADLINE, CONTROL = "BURST_EXECUTION_ID", "BURST_DEADLINE_UTC", "BURST_CONTROL_URI"
BUDGET, SHARD, HINT = "BURST_BUDGET_SECONDS", "BURST_SHARD_INDEX", "BURST_SHARD_HINT"
GRACE, ONE_SHOT = "BURST_GRACE_SECONDS", "BURST_ONE_SHOT"

_STARTED_BY_ALLOWED = re.compile(r"[A-Za-z0-9_/-]{1,128}")


def started_by(execution_id: str) -> str:
    """The value of `startedBy`. Raises `errors.UsageError` for an id that does not fit there."""
    words = f"{STARTED_BY}{execution_id}"
    if not _STARTED_BY_ALLOWED.fullmatch(words):
        raise errors.UsageError(
            f"execution id {execution_id!r} cannot mark a task; allowed: letters, digits, - and _, at most "
            f"{128 - len(STARTED_BY)} of them"
        )
    return words


def read_marked_tasks(described: Iterable[Mapping[str, Any]]) -> list[tasks.MarkedTask]:
    """The burst tasks of any run among the described tasks, with their marks."""
    burst_tasks = [task for task in described if run_of(task)]
    shards = {task.task_id: task for task in assign_shards(burst_tasks)}
    return [
        tasks.MarkedTask(
            execution_id=run_of(task),
            task=shards[task["taskArn"]],
            deadline=tasks.parse_deadline(tags(task).get(DEADLINE_TAG) or environment(task).get(DEADLINE)),
            control_uri=environment(task).get(CONTROL),
            stopping=ecs_truths.describe_stopping(task),
        )
        for task in burst_tasks
    ]


def run_of(described: Mapping[str, Any]) -> str:
    """The run, or the one-shot of a run, that a task was started for; empty for a task that is not burst's."""
    words = str(described.get("startedBy") or "")
    return words.removeprefix(STARTED_BY) if words.startswith(STARTED_BY) else tags(described).get(RUN_TAG, "")


def tags(described: Mapping[str, Any]) -> dict[str, str]:
    """A task's tags by key."""
    return {tag["key"]: tag.get("value", "") for tag in described.get("tags") or ()}


def environment(described: Mapping[str, Any]) -> dict[str, str]:
    """The variables that the container that carries the load got at its launch."""
    return {pair["name"]: pair.get("value", "") for pair in _load_override(described).get("environment") or ()}


def container(described: Mapping[str, Any]) -> str:
    """The name of the container that carries the load; empty where no container got a run's variables."""
    return str(_load_override(described).get("name", ""))


def _load_override(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """The override of the container that carries the load: the one with the variables of its run."""
    overrides: Sequence[Mapping[str, Any]] = (described.get("overrides") or {}).get("containerOverrides") or ()
    with_run = (each for each in overrides if any(pair["name"] == RUN for pair in each.get("environment") or ()))
    return next(with_run, {})


def assign_shards(described: Iterable[Mapping[str, Any]]) -> list[tasks.Task]:
    """Tasks with the shard of each. Tasks of a batch carry its first shard, and take theirs in the order of ARNs."""
    batches: dict[tuple[str, int], list[str]] = {}
    for description in described:
        variables = environment(description)
        first = variables.get(SHARD) or variables.get(HINT) or "0"
        batch = run_of(description), int(first) if first.isdigit() else 0
        batches.setdefault(batch, []).append(description["taskArn"])
    sharded = [
        tasks.Task(task_id=arn, shard_index=first + index)
        for (_, first), arns in batches.items()
        for index, arn in enumerate(sorted(set(arns)))
    ]
    return sorted(sharded, key=lambda task: (task.shard_index, task.task_id))
