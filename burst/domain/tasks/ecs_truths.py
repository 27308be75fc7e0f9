"""The truth about an ECS task, from the answer of DescribeTasks and the record of its guard, where there is one.

The fields of an answer disagree: a task that failed to start has no containers, a killed task has no exit code, and a
task that burst stopped ends with a code that looks like its own. So they are read in one order: a failed start, the
sidecar's exit 64, the guard's record, burst's own reason for the stop, the program's exit code. The record goes before
the reason, because StopTask is answered also where it did nothing. An unknown stop code is kept, and proves nothing: it
names no layer.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from burst.domain.basics import instants
from burst.domain.tasks import task_records, tasks

SIDECAR_CONTAINER = "lifespan"
EXIT_SIDECAR = 64
EXIT_GUARD_ENDED = 124
EXIT_KILLED = 137
EXIT_TERMINATED = 143
APPEARS_SECONDS = 300.0
"""How long after RunTask a task may be missing from ListTasks and DescribeTasks. AWS's reference of RunTask: the API is
eventually consistent; wait "starting with a couple of seconds of wait time, and increase gradually up to about five
minutes"."""
GUARD_EXIT_SECONDS = 10.0
"""How long a guard may go on after the end that it recorded: it waits until the record is written."""

_REASON = re.compile(r"burst: ([a-z]+)")
_SHORTAGES = {
    tasks.Shortage.CAPACITY: re.compile(r"capacity is unavailable|^RESOURCE:|InsufficientFreeAddresses", re.IGNORECASE),
    tasks.Shortage.QUOTA: re.compile(r"limit on the number of|quota|limit exceeded", re.IGNORECASE),
    tasks.Shortage.PASSING: re.compile(r"^AGENT|timeout|timed out|provisioning failed|throttl", re.IGNORECASE),
}
_NOT_BEGUN = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
_ENDED = frozenset({"STOPPED", "DELETED"})


def stop_reason(by: tasks.Layer) -> str:
    """The reason that burst gives StopTask; `read_layer` reads it again."""
    return f"burst: {by.value}"


def read_layer(stopped_reason: str) -> tasks.Layer | None:
    """The layer that called StopTask with this reason; None for a reason that is not burst's."""
    match = _REASON.match(stopped_reason)
    return next((layer for layer in tasks.Layer if match and layer.value == match[1]), None)


def read_failure(entry: Mapping[str, Any]) -> tasks.LaunchFailure:
    """One entry of RunTask's `failures`. A call with the same token brings the same entry again."""
    words = ": ".join(str(entry[name]) for name in ("reason", "detail") if entry.get(name)) or "no reason given"
    for shortage, pattern in _SHORTAGES.items():
        if pattern.search(words):
            return tasks.LaunchFailure(shortage=shortage, reason=words)
    return tasks.LaunchFailure(shortage=tasks.Shortage.OTHER, reason=words)


def read_status(described: Mapping[str, Any]) -> tasks.TaskStatus:
    """The task's status. A task that is stopping still runs: its end was not seen."""
    last = described.get("lastStatus")
    if last in _ENDED:
        return tasks.TaskStatus.STOPPED
    if last in _NOT_BEGUN:
        return tasks.TaskStatus.PENDING
    return tasks.TaskStatus.RUNNING if last else tasks.TaskStatus.UNKNOWN


def describe_stopping(described: Mapping[str, Any]) -> str:
    """Since when and why a task is stopping that has not stopped yet; empty for any other task."""
    last, since = described.get("lastStatus"), _instant(described, "stoppingAt")
    if described.get("desiredStatus") != "STOPPED" or last in _ENDED or not last:
        return ""
    began = f" since {instants.text(since)}" if since else ""
    return f"stopping{began}, not stopped yet ({last}: {described.get('stoppedReason') or 'no reason given'})"


def judge_task(
    task: tasks.Task,
    described: Mapping[str, Any],
    *,
    container: str,
    guarded: bool,
    record: task_records.Record = task_records.Lacking.ABSENT,
    deadline: datetime | None = None,
) -> tasks.TaskTruth:
    """The truth about one task that ECS describes.

    `container` carries the load; with `guarded` its exit codes are those of `burst guard`, `record` is that guard's
    record, and `deadline` its deadline.
    """
    task_status = read_status(described)
    started_at = _instant(described, "startedAt")
    if task_status is not tasks.TaskStatus.STOPPED:
        detail = describe_stopping(described)
        return tasks.TaskTruth(task=task, status=task_status, started_at=started_at, detail=detail)
    exit_code = _exit_code(described, container)
    known_record = record if guarded and isinstance(record, task_records.GuardRecord) else None
    cause = _find_cause(described, exit_code, guarded, known_record)
    stopped_by, explanation = _find_layer(described, cause, exit_code if guarded else None, record, deadline)
    recorded_end = _read_guarded_end(described, exit_code, record) if guarded else None
    return tasks.TaskTruth(
        task=task,
        status=task_status,
        started_at=started_at,
        stopped_at=recorded_end or _stopped_at(described),
        exit_code=EXIT_SIDECAR if stopped_by is tasks.Layer.SIDECAR else exit_code,
        stop_code=str(described.get("stopCode") or "") or None,
        stopped_by=stopped_by,
        detail="; ".join(part for part in (explanation, *_reasons(described)) if part),
        end=_find_end(described, cause, exit_code, known_record, recorded_end=recorded_end, guarded=guarded),
    )


def judge_undescribed_task(task: tasks.Task, record: task_records.Record, *, answer: str) -> tasks.TaskTruth:
    """The truth about a task that ECS no longer describes, or not yet: only its guard's record can prove its end.

    `answer` is the answer of ECS in words.
    """
    if isinstance(record, task_records.Lacking):
        return tasks.TaskTruth(task=task, status=tasks.TaskStatus.UNKNOWN, detail=f"{answer}; {record}")
    if record.stopped_at is None:
        detail = f"{answer}; its guard has recorded its start and no end"
        return tasks.TaskTruth(task=task, status=tasks.TaskStatus.UNKNOWN, started_at=record.started_at, detail=detail)
    return tasks.TaskTruth(
        task=task,
        status=tasks.TaskStatus.STOPPED,
        started_at=record.started_at,
        stopped_at=record.stopped_at,
        exit_code=record.exit_code,
        stop_code=tasks.StopCode.GONE,
        stopped_by=None if record.cause is tasks.EndCause.SIGNAL else record.stopped_by,
        detail=f"{answer}; known from its guard's record" + (f": {record.detail}" if record.detail else ""),
        end=tasks.TaskEnd(
            cause=record.cause,
            asked_at=record.asked_at,
            load_ended_at=record.stopped_at,
            source=tasks.EndSource.RECORD,
            record=record.facts,
        ),
    )


def _find_cause(
    described: Mapping[str, Any], exit_code: int | None, guarded: bool, record: task_records.GuardRecord | None
) -> tasks.EndCause | None:
    """What ended the task; None: nothing tells."""
    stop_code = described.get("stopCode")
    if stop_code == tasks.StopCode.FAILED_TO_START:
        return tasks.EndCause.PLATFORM
    if _exit_code(described, SIDECAR_CONTAINER) == EXIT_SIDECAR:
        return tasks.EndCause.SIDECAR
    recorded = record.cause if record is not None and record.stopped_at is not None else None
    code = None if record is None else record.exit_code
    if task_records.is_certain(recorded, code, stop_code=stop_code, exit_code=exit_code):
        return recorded
    if stop_code == tasks.StopCode.USER_INITIATED:
        return tasks.EndCause.STOP_TASK
    if stop_code != tasks.StopCode.ESSENTIAL_EXITED:
        return tasks.EndCause.PLATFORM
    if recorded is not None or (guarded and exit_code in (EXIT_GUARD_ENDED, EXIT_KILLED, None)):
        return recorded
    return tasks.EndCause.PROGRAM_ENDED


def _find_layer(
    described: Mapping[str, Any],
    cause: tasks.EndCause | None,
    guard_exit_code: int | None,
    record: task_records.Record,
    deadline: datetime | None,
) -> tuple[tasks.Layer | None, str]:
    """The layer that ended the task, and the explanation of its guard. A signal names none, and AWS is none."""
    detail = "" if isinstance(record, task_records.Lacking) else record.detail
    if cause is tasks.EndCause.SIDECAR:
        return tasks.Layer.SIDECAR, "the lifespan sidecar ended it"
    if cause is tasks.EndCause.STOP_TASK:
        return read_layer(str(described.get("stoppedReason") or "")), detail
    if described.get("stopCode") in (tasks.StopCode.FAILED_TO_START, *tasks.TAKEN):
        return None, detail
    if cause in (tasks.EndCause.SIGNAL, tasks.EndCause.PLATFORM):
        return None, detail
    if isinstance(record, task_records.GuardRecord) and record.stopped_at is not None:
        return record.stopped_by, detail
    if guard_exit_code == EXIT_GUARD_ENDED:
        return _guard_or_lease(_stopped_at(described), deadline, record)
    return None, detail


def _guard_or_lease(
    stopped_at: datetime | None, deadline: datetime | None, record: task_records.Record
) -> tuple[tasks.Layer, str]:
    """The reason of a guard that ended its task and recorded no end: before the deadline it can only be the lease."""
    lacking = record if isinstance(record, task_records.Lacking) else "its guard has recorded no end"
    if stopped_at is not None and deadline is not None and stopped_at < deadline:
        return tasks.Layer.LEASE, f"known from exit 124 before the deadline; {lacking}"
    return tasks.Layer.GUARD, f"known from exit 124; {lacking}"


def _find_end(
    described: Mapping[str, Any],
    cause: tasks.EndCause | None,
    exit_code: int | None,
    record: task_records.GuardRecord | None,
    *,
    recorded_end: datetime | None,
    guarded: bool,
) -> tasks.TaskEnd:
    """The end of a stopped task: its cause, and the earliest end of its load that the evidence allows."""
    load_ended_at, source = _find_load_end(described, cause, exit_code, record, guarded=guarded)
    return tasks.TaskEnd(
        cause=cause,
        asked_at=record.asked_at if record is not None and record.cause is cause else None,
        load_ended_at=recorded_end or load_ended_at,
        source=tasks.EndSource.RECORD if recorded_end else source,
        record=None if record is None else record.facts,
    )


def _find_load_end(
    described: Mapping[str, Any],
    cause: tasks.EndCause | None,
    exit_code: int | None,
    record: task_records.GuardRecord | None,
    *,
    guarded: bool,
) -> tuple[datetime | None, tasks.EndSource | None]:
    """The earliest end of the load where no record of a guard can be believed whole.

    A guard that cannot write the record of an end waits for it, so the load may have ended that much before its
    container. A task that was stopped and left with the code of a signal still ran when ECS began to stop it.
    """
    first_end = _instant(described, "executionStoppedAt")
    ended_at, source = (
        first_end or _stopped_at(described),
        tasks.EndSource.CONTAINER if first_end else tasks.EndSource.TASK,
    )
    if ended_at is None:
        return None, None
    if record is not None and record.stopped_at is not None:
        return min((record.stopped_at, tasks.EndSource.RECORD), (ended_at, source), key=lambda end: end[0])
    if not guarded:
        return ended_at, source
    earliest = instants.later(ended_at, -GUARD_EXIT_SECONDS)
    signalled = cause is tasks.EndCause.STOP_TASK and exit_code in (EXIT_TERMINATED, EXIT_KILLED)
    alive = [_instant(described, "startedAt"), _instant(described, "stoppingAt") if signalled else None]
    return min(max([earliest, *(moment for moment in alive if moment is not None)]), ended_at), source


def _exit_code(described: Mapping[str, Any], name: str) -> int | None:
    for container in described.get("containers") or ():
        if container.get("name") == name:
            code = container.get("exitCode")
            return code if isinstance(code, int) else None
    return None


def _read_guarded_end(
    described: Mapping[str, Any], exit_code: int | None, record: task_records.Record
) -> datetime | None:
    """The end of the load in the record of its guard; None where anything contradicts the record.

    ECS calls a task stopped once its network is down too, on Fargate about 25 s after its containers ended, and those
    seconds would lower every rate. `executionStoppedAt` is too early: it is the end of the first essential container.
    A guard ends together with its container, so its record is right where the container left with the recorded exit
    code, between the two times of ECS. Exit code 137 proves nothing: a container that ECS kills leaves it too.
    """
    first_end, stopped_at = _instant(described, "executionStoppedAt"), _stopped_at(described)
    if isinstance(record, task_records.Lacking) or record.stopped_at is None or first_end is None or stopped_at is None:
        return None
    same_code = exit_code == record.exit_code and exit_code not in (None, EXIT_KILLED)
    in_time = instants.later(first_end, -GUARD_EXIT_SECONDS) <= record.stopped_at <= stopped_at
    return record.stopped_at if same_code and in_time else None


def _stopped_at(described: Mapping[str, Any]) -> datetime | None:
    return _instant(described, "stoppedAt") or _instant(described, "executionStoppedAt")


def _instant(described: Mapping[str, Any], name: str) -> datetime | None:
    moment = described.get(name)
    return instants.utc(moment) if isinstance(moment, datetime) else None


def _reasons(described: Mapping[str, Any]) -> tuple[str, ...]:
    of_containers = (
        f"{container.get('name')}: {container['reason']}"
        for container in described.get("containers") or ()
        if container.get("reason")
    )
    return (str(described.get("stoppedReason") or ""), *of_containers)
