"""Task records: files of the guard and the watchdog in a run's folder, from which any later process learns the truth.

The guard writes its record twice, at its start and once no process of the task is left; the watchdog writes the
processes that it had to end. Readers are other processes, perhaps of a later day, so reading is strict.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
    `overshoot_seconds`: how long the last process outlived the deadline, by the monotonic clock.
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
        return GuardRecord(
            shard_index=fields["shard_index"],
            guard_pid=fields["guard_pid"],
            guard_started=fields["guard_started"],
            started_at=instants.parse(fields["started_at"]),
            stopped_at=None if fields["stopped_at"] is None else instants.parse(fields["stopped_at"]),
            exit_code=fields["exit_code"],
            stopped_by=None if fields["stopped_by"] is None else tasks.Layer(fields["stopped_by"]),
            detail=fields["detail"],
            overshoot_seconds=fields["overshoot_seconds"],
        )
    except _NOT_A_RECORD as exc:
        raise ValueError(f"not a guard's record: {exc!r}") from exc


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
