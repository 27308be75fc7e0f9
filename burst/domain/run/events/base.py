"""The base of all events, and the state of a task as events hold it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

import pydantic

from burst.domain.documents import models
from burst.domain.run import runs
from burst.domain.tasks import tasks


class Event:
    """One thing that happened to a run, or is about to.

    Its fields are what its line in the journal holds beside sequence, instant and name. The instant at which the line
    was written comes to `apply` as an argument.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(
        strict=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )
    wire_name: ClassVar[str]
    """The event's name in the journal."""
    added: ClassVar[Mapping[str, Any]] = {}
    """Fields that were added in a later minor version, and what they are worth in a line that does not have them."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The run after the event. An event that changes nothing inherits this one: it informs a reader."""
        return run


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthEntry:
    """A task as it was seen, one field a fact."""

    task_id: str
    """The task, by the id that its launcher gave it."""
    shard_index: int
    """Which part of the load the task has, from 0."""
    status: tasks.TaskStatus
    """What the launcher knows of it; UNKNOWN is not STOPPED, because nobody saw its end."""
    started_at: models.Instant | None
    """When its load program could begin, by its platform; None where nobody saw it start."""
    stopped_at: models.Instant | None
    """The latest end that the evidence allows; None where nobody has seen it end."""
    exit_code: int | None
    """The exit code of its load container or process; None where there is none, or nobody knows it."""
    stop_code: str | None
    """Why it stopped, as ECS names it, or burst for a local task; None while it is not known to have stopped."""
    stopped_by: tasks.Layer | None
    """The layer of the hard stop that ended it; None where no layer did."""
    detail: str
    """What its platform and its guard's record say of it."""

    @classmethod
    def from_truth(cls, truth: tasks.TaskTruth) -> Self:
        """The entry of what a launcher said."""
        return cls(
            task_id=truth.task.task_id,
            shard_index=truth.task.shard_index,
            status=truth.status,
            started_at=truth.started_at,
            stopped_at=truth.stopped_at,
            exit_code=truth.exit_code,
            stop_code=truth.stop_code,
            stopped_by=truth.stopped_by,
            detail=truth.detail,
        )

    @property
    def truth(self) -> tasks.TaskTruth:
        """What the launcher said."""
        return tasks.TaskTruth(
            task=tasks.Task(task_id=self.task_id, shard_index=self.shard_index),
            status=self.status,
            started_at=self.started_at,
            stopped_at=self.stopped_at,
            exit_code=self.exit_code,
            stop_code=self.stop_code,
            stopped_by=self.stopped_by,
            detail=self.detail,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEntry:
    """The record of a guard as it was read."""

    started_at: models.Instant
    """When the guard began, by the task's clock."""
    stopped_at: models.Instant | None
    """When no process of the task was left, by the task's clock; None where the guard has not seen that."""
    exit_code: int | None
    """The exit code that its guard recorded; None where the guard has not seen the end."""
    stopped_by: tasks.Layer | None
    """The layer that ended the program; `controller` is any signal. None where it ended by itself."""
    cause: tasks.EndCause | None
    """What ended the task, by the guard's record; None where the record has no end."""
    asked_at: models.Instant | None
    """The heartbeat of the lease that said STOP, or the deadline; None where nobody asked."""
    overshoot_seconds: float | None
    """How long the last process outlived the deadline, by the monotonic clock; None where it has no end."""
    detail: str
    """The guard's own words about the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEntry:
    """The facts of a task's end beyond its stop, one field a fact."""

    cause: tasks.EndCause | None
    """What ended the task, such as its program, a lease that says STOP, or a signal; None where nothing tells."""
    asked_at: models.Instant | None
    """When the end was asked for, as the guard read it in the lease; None where nobody asked."""
    load_ended_at: models.Instant | None
    """The earliest end of its load that the evidence allows; None where nothing tells."""
    source: tasks.EndSource | None
    """The evidence of `load_ended_at`; None where there is none."""
    record: RecordEntry | None
    """The record of its guard; None where there is none that can be read."""

    @classmethod
    def from_end(cls, end: tasks.TaskEnd) -> Self:
        """The entry of what a launcher said."""
        record = None if end.record is None else RecordEntry(**_values(end.record))
        return cls(**{**_values(end), "record": record})

    @property
    def end(self) -> tasks.TaskEnd:
        """What the launcher said."""
        record = None if self.record is None else tasks.RecordedTask(**_values(self.record))
        return tasks.TaskEnd(**{**_values(self), "record": record})


def _values(value: RecordEntry | EndEntry | tasks.RecordedTask | tasks.TaskEnd) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
