"""Task records: files of the guard and the watchdog in a run's folder, from which any later process learns the truth.

The guard writes its record twice, at its start and once no process of the task is left; the watchdog writes the
processes that it had to end. Readers are other processes, perhaps of a later day, so reading is strict.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from burst.domain.basics import instants
from burst.domain.tasks import tasks

_NOT_A_RECORD = (KeyError, TypeError, AttributeError, RecursionError)
_KINDS: dict[str, tuple[type, ...]] = {
    "shard_index": (int,),
    "guard_pid": (int,),
    "guard_started": (float, int),
    "exit_code": (int, type(None)),
    "detail": (str,),
    "overshoot_seconds": (float, int, type(None)),
}
"""The exact types of a guard's fields: `true` is no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRecord:
    """One task as its guard saw it. `guard_started` is the start time of the process, as psutil reports it.

    `stopped_at` None: the guard has not seen the end, or never did. `stopped_by` None: the program ended by itself.
    `stopped_by` controller: by a signal, of which the guard cannot know the sender. `overshoot_seconds`: how long the
    last process outlived the deadline, by the monotonic clock.
    """

    shard_index: int
    guard_pid: int
    guard_started: float
    started_at: datetime
    stopped_at: datetime | None = None
    exit_code: int | None = None
    stopped_by: tasks.Layer | None = None
    detail: str = ""
    overshoot_seconds: float | None = None
    cause: tasks.EndCause | None = None
    """What ended the task. The records of burst 0.1.0 do not state it: then it follows from the layer and its words."""
    asked_at: datetime | None = None
    """When the end was asked for: the heartbeat of the lease that said STOP, or the deadline."""

    @property
    def facts(self) -> tasks.RecordedTask:
        """The record as evidence keeps it."""
        return tasks.RecordedTask(
            started_at=self.started_at,
            stopped_at=self.stopped_at,
            exit_code=self.exit_code,
            stopped_by=self.stopped_by,
            cause=self.cause,
            asked_at=self.asked_at,
            overshoot_seconds=self.overshoot_seconds,
            detail=self.detail,
        )


def is_certain(
    cause: str | None, recorded_exit_code: int | None, *, stop_code: str | None, exit_code: int | None
) -> bool:
    """Whether the cause in the record of an end tells what ended the task, by the task's own stop code and exit code.

    A signal has a sender whom the guard does not know. A container that StopTask ended with another code than its
    guard recorded had outlived that guard.
    """
    was_outlived = stop_code == tasks.StopCode.USER_INITIATED and exit_code != recorded_exit_code
    return cause in _CERTAIN and not was_outlived


_CERTAIN = frozenset(tasks.EndCause) - {tasks.EndCause.SIGNAL}


class Lacking(StrEnum):
    """Why there is no usable record of a guard, in the words of evidence."""

    ABSENT = "its guard left no record"
    OUT_OF_REACH = "its guard's record could not be read"
    MALFORMED = "its guard's record makes no sense"


Record = GuardRecord | Lacking
"""A guard's record, or the reason why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One process that the watchdog had to end."""

    shard_index: int
    pid: int
    killed_at: datetime


def encode_guard(record: GuardRecord) -> bytes:
    """The bytes of `tasks/{shard}.json`."""
    fields = {
        "shard_index": record.shard_index,
        "guard_pid": record.guard_pid,
        "guard_started": record.guard_started,
        "started_at": instants.text(record.started_at),
        "stopped_at": None if record.stopped_at is None else instants.text(record.stopped_at),
        "exit_code": record.exit_code,
        "stopped_by": record.stopped_by,
        "detail": record.detail,
        "overshoot_seconds": record.overshoot_seconds,
        "cause": record.cause,
        "asked_at": None if record.asked_at is None else instants.text(record.asked_at),
    }
    return json.dumps(fields, sort_keys=True).encode()


def decode_guard(content: bytes) -> GuardRecord:
    """The record in these bytes; raises ValueError for incomplete or malformed bytes."""
    try:
        fields = json.loads(content)
        wrong = next((name for name, kinds in _KINDS.items() if type(fields[name]) not in kinds), None)
        if wrong is not None:
            raise ValueError(
                f"{wrong} is {fields[wrong]!r}, allowed is {' or '.join(k.__name__ for k in _KINDS[wrong])}"
            )
        stopped_at = _read_instant(fields["stopped_at"])
        stopped_by = None if fields["stopped_by"] is None else tasks.Layer(fields["stopped_by"])
        written_cause, ended = fields.get("cause"), stopped_at is not None
        return GuardRecord(
            shard_index=fields["shard_index"],
            guard_pid=fields["guard_pid"],
            guard_started=fields["guard_started"],
            started_at=instants.parse(fields["started_at"]),
            stopped_at=stopped_at,
            exit_code=fields["exit_code"],
            stopped_by=stopped_by,
            detail=fields["detail"],
            overshoot_seconds=fields["overshoot_seconds"],
            cause=_read_cause(written_cause) if written_cause else _infer_cause(stopped_by, fields) if ended else None,
            asked_at=_read_instant(fields.get("asked_at")),
        )
    except _NOT_A_RECORD as exc:
        raise ValueError(f"not a guard's record: {exc!r}") from exc


def _read_instant(text: str | None) -> datetime | None:
    return None if text is None else instants.parse(text)


def _read_cause(text: str) -> tasks.EndCause | None:
    """A cause by its name; None for one that a later guard added: it proves nothing."""
    return next((cause for cause in tasks.EndCause if cause == text), None)


_LEASE_WORDS = {
    "the lease says STOP": tasks.EndCause.LEASE_STOP,
    "the lease was unreadable": tasks.EndCause.LEASE_UNREADABLE,
    "there was no shard": tasks.EndCause.NO_SHARD,
}
"""The words of guards of burst 0.1.0 for an end by the lease; all others said that it was stale."""


def _infer_cause(stopped_by: tasks.Layer | None, fields: Mapping[str, Any]) -> tasks.EndCause | None:
    """The cause of an end in a record that does not state it."""
    if stopped_by is tasks.Layer.LEASE:
        causes = (cause for words, cause in _LEASE_WORDS.items() if fields["detail"].startswith(words))
        return next(causes, tasks.EndCause.LEASE_STALE)
    return {
        None: tasks.EndCause.PROGRAM_ENDED,
        tasks.Layer.GUARD: tasks.EndCause.BUDGET,
        tasks.Layer.CONTROLLER: tasks.EndCause.SIGNAL,
    }.get(stopped_by)


def encode_kills(kills: Sequence[Kill]) -> bytes:
    """The bytes of `watchdog.json`."""
    fields = [
        {"shard_index": kill.shard_index, "pid": kill.pid, "killed_at": instants.text(kill.killed_at)} for kill in kills
    ]
    return json.dumps(fields, sort_keys=True).encode()


def decode_kills(content: bytes) -> tuple[Kill, ...]:
    """The kills in these bytes; raises ValueError for incomplete or malformed bytes."""
    try:
        return tuple(
            Kill(shard_index=kill["shard_index"], pid=kill["pid"], killed_at=instants.parse(kill["killed_at"]))
            for kill in json.loads(content)
        )
    except _NOT_A_RECORD as exc:
        raise ValueError(f"not a watchdog's record: {exc!r}") from exc
