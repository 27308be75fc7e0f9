"""Journal: the events a run is remembered by, and the run they describe.

`fold` turns events into a `runs.Run`, one function an event name. Nothing but the journal is remembered, so another
process can continue from any line of it; events this version does not know change nothing, so an older one can read it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from burst.domain.basics import errors, instants, windows
from burst.domain.documents import document_names, task_results
from burst.domain.receipts import early_stops, receipts
from burst.domain.run import runs
from burst.domain.tasks import one_shots, services, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the journal."""

    sequence: int
    at: datetime
    name: str
    fields: Mapping[str, Any] = field(hash=False)


_RESUMED = "resumed"
"""The event that a continuing controller writes first; only before it, or at the end, may broken lines stand."""


def line(event: Event) -> bytes:
    """The line of an event, whole."""
    value = {"sequence": event.sequence, "at": instants.text(event.at), "event": event.name, **event.fields}
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse(content: bytes, name: str) -> tuple[Event, ...]:
    """The events of a journal's bytes; `name` is what messages call it.

    A line cut in half by a crash is passed over, and so are several where continuing crashed too. Raises
    `errors.EvidenceCorrupt` for a broken line anywhere else, `errors.EvidenceUnknown` for a schema this version does
    not know.
    """
    found: list[Event] = []
    torn_at: int | None = None
    for number, written in enumerate(content.split(b"\n"), start=1):
        event = _event(written)
        if event is None:
            torn_at = torn_at or (number if written else None)
            continue
        if torn_at is not None and event.name != _RESUMED:
            raise errors.EvidenceCorrupt(f"{name}:{torn_at}: not a journal event, and no crash explains it")
        if event.sequence != len(found) + 1:
            raise errors.EvidenceCorrupt(f"{name}:{number}: event {event.sequence} follows event {len(found)}")
        _refuse_other_schema(event, name)
        found.append(event)
        torn_at = None
    return tuple(found)


def _refuse_other_schema(event: Event, name: str) -> None:
    schema = event.fields.get("schema", document_names.JOURNAL_SCHEMA)
    if schema != document_names.JOURNAL_SCHEMA:
        raise errors.EvidenceUnknown(
            f"{name}: schema {schema!r} is not known; allowed: {document_names.JOURNAL_SCHEMA}"
        )


def _event(written: bytes) -> Event | None:
    try:
        value = json.loads(written)
        sequence, at, name = value.pop("sequence"), instants.parse(value.pop("at")), value.pop("event")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if type(sequence) is not int or type(name) is not str:
        return None
    return Event(sequence=sequence, at=at, name=name, fields=value)


def fold(events: Iterable[Event], run: runs.Run | None = None) -> runs.Run:
    """The run that journal events describe, continuing from `run` where given.

    Raises `errors.EvidenceCorrupt` for an event that lacks what its name promises.
    """
    folded = runs.Run() if run is None else run
    for event in events:
        try:
            folded = apply(folded, event)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as exc:
            where = f"event {event.sequence} ({event.name})"
            raise errors.EvidenceCorrupt(f"{where} cannot be understood: {exc!r}") from exc
    return folded


def apply(run: runs.Run, event: Event) -> runs.Run:
    """The run after one more event. Events this version does not know change nothing."""
    change = _CHANGES.get(event.name)
    return run if change is None else change(run, event)


def _created(run: runs.Run, event: Event) -> runs.Run:
    return replace(
        run,
        execution_id=event.fields["execution_id"],
        created_at=event.at,
        deadline=instants.parse(event.fields["deadline"]),
        early_stop_allowed=event.fields["early_stop"],
        barrier=event.fields.get("barrier", True),
    )


def _layer(run: runs.Run, event: Event) -> runs.Run:
    state = "armed" if event.name == "layer-armed" else str(event.fields["why"])
    return replace(run, layers={**run.layers, event.fields["layer"]: state})


def _launching(run: runs.Run, event: Event) -> runs.Run:
    attempt = runs.LaunchAttempt(at=event.at, capacity=event.fields.get("capacity"))
    return replace(run, launching_at=event.at, unaccounted=True, attempts=(*run.attempts, attempt))


def _answered(run: runs.Run, event: Event) -> runs.Run:
    failures = tuple(
        tasks.LaunchFailure(shortage=tasks.Shortage(entry["shortage"]), reason=entry["reason"])
        for entry in event.fields.get("failures", ())
    )
    attempts = (*run.attempts[:-1], *(replace(last, failures=failures) for last in run.attempts[-1:]))
    return replace(_launched(run, event), attempts=attempts)


def _launched(run: runs.Run, event: Event) -> runs.Run:
    """What a launch started, as answered or as found: PENDING until seen. The launch is accounted for then, unless it
    was looked for too early to be sure that all of it can be seen."""
    truths = dict(run.truths)
    for entry in event.fields["tasks"]:
        task = tasks.Task(task_id=entry["task_id"], shard_index=entry["shard_index"])
        truths.setdefault(task.task_id, tasks.TaskTruth(task=task, status=tasks.TaskStatus.PENDING))
    return replace(run, truths=truths, unaccounted=run.unaccounted and not event.fields.get("accounted", True))


def _seen(run: runs.Run, event: Event) -> runs.Run:
    truth = truth_from_fields(event.fields)
    return replace(run, truths={**run.truths, truth.task.task_id: truth})


def _counted(run: runs.Run, event: Event) -> runs.Run:
    window = windows.Window(instants.parse(event.fields["start"]), instants.parse(event.fields["end"]))
    poll = early_stops.Poll(seconds=window.seconds, counts=receipts.Counts(**event.fields["counts"]))
    return replace(run, polls=(*run.polls, poll), counted_to=window.end)


def _measured(run: runs.Run, event: Event) -> runs.Run:
    counts = event.fields.get("counts")
    return replace(run, measured=True, settled_counts=None if counts is None else receipts.Counts(**counts))


def _stop_intended(run: runs.Run, event: Event) -> runs.Run:
    if event.fields["force"]:
        stopping = run.stopping or runs.Stopping(at=event.at, reason=event.fields["reason"])
        return replace(run, stopping=replace(stopping, forced_at=event.at))
    early = event.fields.get("early_stop")
    return replace(
        run,
        stopping=runs.Stopping(at=event.at, reason=event.fields["reason"]),
        early_stop=task_results.EarlyStop.model_validate(early) if early else None,
    )


def _blind(run: runs.Run, event: Event) -> runs.Run:
    outage = task_results.Outage(blind_since_utc=event.at, detail=event.fields["why"])
    return replace(run, outages=(*run.outages, outage))


def _sighted(run: runs.Run, event: Event) -> runs.Run:
    ended = run.outages[-1].model_copy(update={"sight_regained_utc": event.at})
    return replace(run, outages=(*run.outages[:-1], ended))


def _interrupted(run: runs.Run, event: Event) -> runs.Run:
    return replace(run, interruptions=(*run.interruptions, (event.fields["signal"], event.at)))


def _scaling_up(run: runs.Run, event: Event) -> runs.Run:
    """Services are about to be scaled, or were found to have been: how they stood before is known from here on."""
    changes = tuple(services.ServiceChange(**entry) for entry in event.fields["services"])
    return replace(run, scaling=runs.Scaling(changes=changes, at=event.at))


def _scaled(run: runs.Run, event: Event) -> runs.Run:
    return run if run.scaling is None else replace(run, scaling=replace(run.scaling, up=True))


def _putting_back(run: runs.Run, event: Event) -> runs.Run:
    if run.scaling is None:
        return run
    return replace(run, scaling=replace(run.scaling, tries=(*run.scaling.tries, event.at)))


def _put_back_seen(run: runs.Run, event: Event) -> runs.Run:
    if run.scaling is None:
        return run
    back = {**run.scaling.back, **event.fields["back"]}
    return replace(run, scaling=replace(run.scaling, back=back, problems=event.fields["problems"]))


def _shot_asked(run: runs.Run, event: Event) -> runs.Run:
    """Asked for again, it keeps the deadline it had."""
    name = event.fields["name"]
    asked = one_shots.Shot(asked_at=event.at, deadline=instants.later(event.at, event.fields["timeout_seconds"]))
    return replace(run, shots={**run.shots, name: run.shots.get(name, asked)})


def _shot_started(run: runs.Run, event: Event) -> runs.Run:
    task = tasks.Task(task_id=event.fields["task_id"], shard_index=0)
    return _with_shot(run, event, truth=tasks.TaskTruth(task=task, status=tasks.TaskStatus.PENDING))


def _shot_stopping(run: runs.Run, event: Event) -> runs.Run:
    first = run.shots[event.fields["name"]].stopping_at or event.at
    return _with_shot(run, event, stopping_at=first, forced_at=event.at if event.fields["force"] else None)


def _with_shot(run: runs.Run, event: Event, **changed: Any) -> runs.Run:
    name = event.fields["name"]
    return replace(run, shots={**run.shots, name: replace(run.shots[name], **changed)})


_CHANGES: Mapping[str, Callable[[runs.Run, Event], runs.Run]] = {
    "run-created": _created,
    "layer-armed": _layer,
    "layer-failed": _layer,
    "launch-intended": _launching,
    "taken-over": lambda run, event: replace(
        run, launching_at=instants.parse(event.fields["created_at"]), unaccounted=True
    ),
    "journal-recovered": lambda run, event: replace(run, journal_size=event.fields["size"]),
    "launch-failed": lambda run, event: replace(run, launch_failed=event.fields["why"]),
    "launch-answered": _answered,
    "tasks-found": _launched,
    "task-ready": lambda run, event: replace(run, ready=run.ready | {event.fields["shard_index"]}),
    "task-seen": _seen,
    "go-given": lambda run, event: replace(run, go_at=instants.parse(event.fields["go_at"])),
    "counted": _counted,
    "blind": _blind,
    "sight-regained": _sighted,
    "services-intended": _scaling_up,
    "services-found": _scaling_up,
    "services-up": _scaled,
    "services-failed": lambda run, event: replace(run, scaling_failed=event.fields["why"]),
    "services-restoring": _putting_back,
    "services-restored": _put_back_seen,
    "one-shot-intended": _shot_asked,
    "one-shot-started": _shot_started,
    "one-shot-refused": lambda run, event: _with_shot(run, event, not_started=event.fields["why"]),
    "one-shot-seen": lambda run, event: _with_shot(run, event, truth=truth_from_fields(event.fields["truth"])),
    "one-shot-stop-intended": _shot_stopping,
    "interrupted": _interrupted,
    "operator-stop": lambda run, event: replace(run, operator_stop=event.fields["reason"]),
    "resumed": lambda run, event: replace(run, resumed_at=event.at),
    "stop-intended": _stop_intended,
    "measured": _measured,
    "measure-failed": lambda run, event: replace(run, measured=True, count_problem=event.fields["why"]),
    "published": lambda run, event: replace(run, published=True),
    "run-finished": lambda run, event: replace(run, exit_code=event.fields["exit_code"]),
}


def truth_fields(truth: tasks.TaskTruth) -> dict[str, Any]:
    """A truth as the journal holds it."""
    return {
        "task_id": truth.task.task_id,
        "shard_index": truth.task.shard_index,
        "status": truth.status.value,
        "started_at": instants.text(truth.started_at) if truth.started_at else None,
        "stopped_at": instants.text(truth.stopped_at) if truth.stopped_at else None,
        "exit_code": truth.exit_code,
        "stop_code": truth.stop_code,
        "stopped_by": truth.stopped_by.value if truth.stopped_by else None,
        "detail": truth.detail,
    }


def truth_from_fields(fields: Mapping[str, Any]) -> tasks.TaskTruth:
    """The truth the journal holds."""
    return tasks.TaskTruth(
        task=tasks.Task(task_id=fields["task_id"], shard_index=fields["shard_index"]),
        status=tasks.TaskStatus(fields["status"]),
        started_at=instants.parse(fields["started_at"]) if fields["started_at"] else None,
        stopped_at=instants.parse(fields["stopped_at"]) if fields["stopped_at"] else None,
        exit_code=fields["exit_code"],
        stop_code=fields["stop_code"],
        stopped_by=tasks.Layer(fields["stopped_by"]) if fields["stopped_by"] else None,
        detail=fields["detail"],
    )
