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
    shard_index: int
    status: tasks.TaskStatus
    started_at: models.Instant | None
    stopped_at: models.Instant | None
    exit_code: int | None
    stop_code: str | None
    stopped_by: tasks.Layer | None
    detail: str

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
    stopped_at: models.Instant | None
    exit_code: int | None
    stopped_by: tasks.Layer | None
    cause: tasks.EndCause | None
    asked_at: models.Instant | None
    overshoot_seconds: float | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEntry:
    """The facts of a task's end beyond its stop, one field a fact."""

    cause: tasks.EndCause | None
    asked_at: models.Instant | None
    load_ended_at: models.Instant | None
    source: tasks.EndSource | None
    record: RecordEntry | None

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
