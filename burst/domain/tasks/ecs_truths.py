"""The truth about an ECS task, told from what DescribeTasks says of it and, where there is one, its guard's record.

ECS says a thing in several places, and they disagree: a task that failed to start has no containers, one that was
killed has no exit code, one stopped by us ended with a code that looks like its own. So they are asked in one order:
the stop code, then the sidecar's exit 64, then our own reason for the stop, then the guard, then the program's exit
code. What this version does not know is kept as it is and proves nothing: no layer, and whatever code there is.
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
GUARD_EXIT_SECONDS = 10.0
"""How long a guard may take from the end it recorded to its own: it waits a while for the record to be written."""

_REASON = re.compile(r"burst: ([a-z]+)")
_SHORTAGES = {
    tasks.Shortage.CAPACITY: re.compile(r"capacity is unavailable|^RESOURCE:|InsufficientFreeAddresses", re.IGNORECASE),
    tasks.Shortage.QUOTA: re.compile(r"limit on the number of|quota|limit exceeded", re.IGNORECASE),
    tasks.Shortage.PASSING: re.compile(r"^AGENT|timeout|timed out|provisioning failed|throttl", re.IGNORECASE),
}
_NOT_BEGUN = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
_ENDED = frozenset({"STOPPED", "DELETED"})


def stop_reason(by: tasks.Layer) -> str:
    """The reason burst gives StopTask, by which the truth knows it again."""
    return f"burst: {by.value}"


def read_layer(stopped_reason: str) -> tasks.Layer | None:
    """The layer whose StopTask this reason came with; None where it was not burst's."""
    found = _REASON.match(stopped_reason)
    return next((layer for layer in tasks.Layer if found and layer.value == found[1]), None)


def read_failure(entry: Mapping[str, Any]) -> tasks.LaunchFailure:
    """One entry of RunTask's `failures`, and what may be tried next. Repeating the same token repeats the entry."""
    words = ": ".join(str(entry[name]) for name in ("reason", "detail") if entry.get(name)) or "no reason given"
    for shortage, pattern in _SHORTAGES.items():
        if pattern.search(words):
            return tasks.LaunchFailure(shortage=shortage, reason=words)
    return tasks.LaunchFailure(shortage=tasks.Shortage.OTHER, reason=words)


def read_status(described: Mapping[str, Any]) -> tasks.TaskStatus:
    """Where the task is. One that is stopping still runs: nobody has seen it end."""
    last = described.get("lastStatus")
    if last in _ENDED:
        return tasks.TaskStatus.STOPPED
    if last in _NOT_BEGUN:
        return tasks.TaskStatus.PENDING
    return tasks.TaskStatus.RUNNING if last else tasks.TaskStatus.UNKNOWN


def judge_task(
    task: tasks.Task,
    described: Mapping[str, Any],
    *,
    container: str,
    guarded: bool,
    record: task_records.Record = task_records.Lacking.ABSENT,
    deadline: datetime | None = None,
) -> tasks.TaskTruth:
    """The truth about one task. `container` is the one that carries the load; `guarded` says that its exit codes are
    those of `burst guard`; `record` is what that guard left behind, `deadline` what it was told."""
    where = read_status(described)
    started_at = _instant(described, "startedAt")
    if where is not tasks.TaskStatus.STOPPED:
        return tasks.TaskTruth(task=task, status=where, started_at=started_at, detail=_going(described))
    exit_code = _exit_code(described, container)
    stopped_by, said = _stopped_by(described, exit_code, guarded, record, deadline)
    return tasks.TaskTruth(
        task=task,
        status=where,
        started_at=started_at,
        stopped_at=(_ended_under_guard(described, exit_code, record) if guarded else None) or _stopped_at(described),
        exit_code=EXIT_SIDECAR if stopped_by is tasks.Layer.SIDECAR else exit_code,
        stop_code=str(described.get("stopCode") or "") or None,
        stopped_by=stopped_by,
        detail="; ".join(part for part in (said, *_reasons(described)) if part),
    )


def judge_undescribed_task(task: tasks.Task, record: task_records.Record, *, asked: str) -> tasks.TaskTruth:
    """The truth about a task ECS no longer knows, or does not know yet: only evidence can say that it ended.

    `asked` says what was asked and answered.
    """
    if isinstance(record, task_records.Lacking):
        return tasks.TaskTruth(task=task, status=tasks.TaskStatus.UNKNOWN, detail=f"{asked}; {record}")
    if record.stopped_at is None:
        detail = f"{asked}; its guard has recorded its start and no end"
        return tasks.TaskTruth(task=task, status=tasks.TaskStatus.UNKNOWN, started_at=record.started_at, detail=detail)
    return tasks.TaskTruth(
        task=task,
        status=tasks.TaskStatus.STOPPED,
        started_at=record.started_at,
        stopped_at=record.stopped_at,
        exit_code=record.exit_code,
        stop_code=tasks.StopCode.GONE,
        stopped_by=record.stopped_by,
        detail=f"{asked}; told by its guard's record" + (f": {record.detail}" if record.detail else ""),
    )


def _stopped_by(
    described: Mapping[str, Any],
    exit_code: int | None,
    guarded: bool,
    record: task_records.Record,
    deadline: datetime | None,
) -> tuple[tasks.Layer | None, str]:
    """Which layer ended the task, and what its guard had to say."""
    stop_code = described.get("stopCode")
    said = "" if isinstance(record, task_records.Lacking) else record.detail
    if stop_code == tasks.StopCode.FAILED_TO_START or stop_code in tasks.TAKEN:
        return None, said
    if _exit_code(described, SIDECAR_CONTAINER) == EXIT_SIDECAR:
        return tasks.Layer.SIDECAR, "the lifespan sidecar ended it"
    if stop_code == tasks.StopCode.USER_INITIATED:
        return read_layer(str(described.get("stoppedReason") or "")), said
    if isinstance(record, task_records.GuardRecord) and record.stopped_at is not None:
        return record.stopped_by, said
    if guarded and exit_code == EXIT_GUARD_ENDED:
        return _guard_or_lease(_stopped_at(described), deadline, record)
    return None, said


def _guard_or_lease(
    stopped_at: datetime | None, deadline: datetime | None, record: task_records.Record
) -> tuple[tasks.Layer, str]:
    """Why a guard that recorded no end ended its task: it has two reasons, and before the deadline only the lease."""
    lacking = record if isinstance(record, task_records.Lacking) else "its guard has recorded no end"
    if stopped_at is not None and deadline is not None and stopped_at < deadline:
        return tasks.Layer.LEASE, f"told by exit 124 before the deadline; {lacking}"
    return tasks.Layer.GUARD, f"told by exit 124; {lacking}"


def _exit_code(described: Mapping[str, Any], name: str) -> int | None:
    for container in described.get("containers") or ():
        if container.get("name") == name:
            code = container.get("exitCode")
            return code if isinstance(code, int) else None
    return None


def _ended_under_guard(
    described: Mapping[str, Any], exit_code: int | None, record: task_records.Record
) -> datetime | None:
    """When the load ended by the record of its guard; None where anything speaks against that.

    ECS calls a task stopped when its network is taken down too, on Fargate about 25 s after its containers, and those
    seconds would lower every rate. Its `executionStoppedAt` is too early: it is the end of the first essential
    container. A guard's end is that of its container, so the record is right where the container left with the exit
    code recorded, between ECS's two times. 137 proves nothing: a container that ECS kills leaves it too.
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


def _going(described: Mapping[str, Any]) -> str:
    """Why a task that has not ended may end soon, or where it is on its way."""
    last, wanted = described.get("lastStatus"), described.get("desiredStatus")
    return f"{last}: {described.get('stoppedReason') or 'stopping'}" if wanted == "STOPPED" and last else ""


def _reasons(described: Mapping[str, Any]) -> tuple[str, ...]:
    of_containers = (
        f"{container.get('name')}: {container['reason']}"
        for container in described.get("containers") or ()
        if container.get("reason")
    )
    return (str(described.get("stoppedReason") or ""), *of_containers)
