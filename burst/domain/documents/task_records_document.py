"""The task records: what the guard of each task wrote about it, as the run read it, kept as evidence."""

from datetime import datetime
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.documents import models, task_results
from burst.domain.tasks import task_records, tasks


class TaskRecordEntry(models.Model):
    """The record of one task's guard. `stopped_utc` None: it has no end. `asked_utc`: as the guard read it."""

    task_id: str
    """The task, by the id that its launcher gave it."""
    shard_index: int
    """Which part of the load the task had, from 0."""
    started_utc: models.Instant
    """When the guard began, by the task's clock."""
    stopped_utc: models.Instant | None
    """When no process of the task was left, by the task's clock; None where the guard has not seen that."""
    exit_code: int | None
    """The exit code that its guard recorded; None where the guard has not seen the end."""
    stopped_by: str | None
    """The layer that ended the program; `controller` is any signal. None where it ended by itself."""
    cause: str | None
    """What ended the task, such as `program-ended`, `budget` or `lease-stop`; None where it has no end."""
    asked_utc: models.Instant | None
    """The heartbeat of the lease that said STOP, or the deadline; None where nobody asked."""
    overshoot_seconds: float | None
    """How long the last process outlived the deadline, by the monotonic clock; None where it has no end."""
    detail: models.Words = ""
    """The guard's own words about the end."""

    @classmethod
    def from_record(cls, task: tasks.Task, record: tasks.RecordedTask) -> Self:
        """The entry of one record."""
        return cls(
            task_id=task.task_id,
            shard_index=task.shard_index,
            started_utc=record.started_at,
            stopped_utc=record.stopped_at,
            exit_code=record.exit_code,
            stopped_by=record.stopped_by.value if record.stopped_by else None,
            cause=record.cause.value if record.cause else None,
            asked_utc=record.asked_at,
            overshoot_seconds=record.overshoot_seconds,
            detail=record.detail,
        )


class TaskRecords(models.Model):
    """`{slug}_task_records.json`. A task without an entry left no record that could be read."""

    schema_: Annotated[Literal["burst.task-records/v1"], pydantic.Field(alias="schema")] = "burst.task-records/v1"
    execution_id: str
    platform_run_id: str
    records: list[TaskRecordEntry]
    """The record of each task that left one that could be read, by its shard."""


def find_contradiction(records: TaskRecords, result: task_results.TaskResult) -> str:
    """Why a task result cannot have been made from these records; empty where it can."""
    ends = {task.id: task for task in result.tasks}
    for record in records.records:
        task = ends.get(record.task_id)
        if task is None:
            return f"{record.task_id} has a record and is no task of the run"
        if task.end_source == tasks.EndSource.RECORD and not _same_instant(task.load_ended_utc, record.stopped_utc):
            return f"{record.task_id} has another end in its guard's record"
        # AWS or a sidecar may end a task of which the guard has its own story.
        tells = record.stopped_utc is not None and task_records.is_certain(
            record.cause, record.exit_code, stop_code=task.stop_code, exit_code=task.exit_code
        )
        if tells and task.ended_by not in (record.cause, *_ABOVE):
            return f"{record.task_id} ended by {record.cause}, by its guard's record"
    recorded = {record.task_id for record in records.records}
    for task in result.tasks:
        if task.end_source == tasks.EndSource.RECORD and task.id not in recorded:
            return f"{task.id} is said to have a record, and has none"
    return ""


_ABOVE = (tasks.EndCause.SIDECAR, tasks.EndCause.PLATFORM)


def _same_instant(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and first == second
