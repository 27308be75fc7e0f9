"""The task result of a run: what became of every task, one-shot and service, built from the run's own events.

Pure, so that verification builds it again from the journal and holds the published document against it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from burst.domain.basics import canonical, instants
from burst.domain.documents import task_records_document, task_results
from burst.domain.plan import plans
from burst.domain.run import drill_entries, runs
from burst.domain.tasks import one_shots, services, tasks


def build_task_result(
    plan: plans.Plan, run: runs.Run, layers: list[task_results.LayerEntry], journal_prefix: bytes
) -> task_results.TaskResult:
    """The task result of a run. `journal_prefix` are the journal's bytes that the document names by digest."""
    entries = _task_entries(plan, run)
    start, stop = _find_ends(entries)
    return task_results.TaskResult(
        execution_id=run.execution_id,
        platform_run_id=plan.scope,
        started_utc=start,
        stopped_utc=stop,
        tasks=entries,
        command=list(run.command),
        planned_tasks=plan.target.tasks,
        go_tasks=run.go_tasks,
        ready_tasks=run.stopping.ready if run.stopping and run.go_at is None else None,
        launched_utc=run.launching_at,
        stop_decided_utc=run.stopping.at if run.stopping else None,
        stop_detail=_stop_detail(run),
        go_utc=run.go_at,
        deadline_utc=run.deadline,
        elapsed_seconds=instants.seconds_between(start, stop) if start and stop else None,
        overshoot_seconds=_overshoot(run, stop),
        stop_reason=run.stopping.reason if run.stopping else None,
        stop_asked_utc=run.stop_asked_at,
        load_accounts=None if run.load is None else run.load.tasks,
        count_problem=run.count_problem,
        layers=_mark_fired(layers, entries),
        outages=list(run.outages),
        count_blindnesses=list(run.count_blindnesses),
        early_stop=run.early_stop,
        interruption=_interruption(run),
        halt=run.halt,
        stop_sign=run.stop_sign,
        unclear_signs=list(run.unclear_signs),
        one_shots=_list_shots(plan, run),
        services=_service_entries(plan, run),
        drills=drill_entries.list_drills(plan, run),
        journal=task_results.JournalPrefix(size=len(journal_prefix), sha256=canonical.digest(journal_prefix)),
    )


def _find_ends(entries: list[task_results.TaskEntry]) -> tuple[datetime | None, datetime | None]:
    """The first start of a task and the last stop of one; None where none is known."""
    starts = [entry.started_utc for entry in entries if entry.started_utc]
    stops = [entry.stopped_utc for entry in entries if entry.stopped_utc]
    return min(starts, default=None), max(stops, default=None)


def build_task_records(plan: plans.Plan, run: runs.Run) -> task_records_document.TaskRecords:
    """The records of the run's guards, as they were read."""
    records = [
        task_records_document.TaskRecordEntry.from_record(truth.task, truth.end.record)
        for truth in run.truths.values()
        if truth.end is not None and truth.end.record is not None
    ]
    return task_records_document.TaskRecords(
        execution_id=run.execution_id,
        platform_run_id=plan.scope,
        records=sorted(records, key=lambda record: (record.shard_index, record.task_id)),
    )


def _task_entries(plan: plans.Plan, run: runs.Run) -> list[task_results.TaskEntry]:
    """Every task that was launched, or may have been."""
    truths = sorted(run.truths.values(), key=lambda truth: truth.task.shard_index)
    entries = [task_entry(run, truth) for truth in truths]
    return [*entries, *_unaccounted_entries(plan, run, entries)] if run.unaccounted else entries


def _explain_dropped(run: runs.Run, task_id: str) -> str | None:
    """Why the burst began without a task that was launched for it; None for a task of the burst."""
    was_replaced = task_id in run.replaced
    why = run.withdrawn.get(task_id, "it ended before GO" if was_replaced or task_id in run.dropped else None)
    return f"{why}; another task took its place" if why and was_replaced else why


def _stop_detail(run: runs.Run) -> str | None:
    """What caused a stop, where its reason does not hold it."""
    reason = run.stopping.reason.partition(":")[0] if run.stopping else ""
    details = {
        "launch-failed": run.launch_failed,
        "operator": run.operator_stop,
        "series-silent": _tell_silence(run),
    }
    return details.get(reason)


def _tell_silence(run: runs.Run) -> str | None:
    """What the first series without a sample said last."""
    silent = run.silent_series
    return run.observed[silent[0]][-1].detail or None if silent else None


def task_entry(run: runs.Run, truth: tasks.TaskTruth) -> task_results.TaskEntry:
    """One task of a run."""
    asked_by, asked_at = _find_asking(run, truth)
    end = truth.end or tasks.TaskEnd()
    return task_results.TaskEntry(
        id=truth.task.task_id,
        shard_index=truth.task.shard_index,
        started_utc=truth.started_at,
        stopped_utc=truth.stopped_at,
        stop_code=truth.stop_code,
        exit_code=truth.exit_code,
        stopped_by=truth.stopped_by.value if truth.stopped_by else None,
        detail=truth.detail,
        ended_by=end.cause.value if end.cause else None,
        asked_by=asked_by,
        asked_utc=asked_at,
        load_ended_utc=end.load_ended_at,
        end_source=end.source.value if end.source else None,
        dropped=_explain_dropped(run, truth.task.task_id),
    )


def _find_asking(run: runs.Run, truth: tasks.TaskTruth) -> tuple[str | None, datetime | None]:
    """Who of this run asked for the end of a task, and when; neither where nobody was seen to, or only after it."""
    end = truth.end or tasks.TaskEnd()
    match end.cause:
        case tasks.EndCause.LEASE_STOP:
            return _ASKED_BY_OPERATOR if run.operator_stop is not None else _ASKED_BY_RUN, end.asked_at
        case tasks.EndCause.BUDGET:
            return tasks.Layer.GUARD.value, end.asked_at
        case tasks.EndCause.SIGNAL | tasks.EndCause.STOP_TASK | tasks.EndCause.SIDECAR:
            pass
        case _:
            return None, None
    by_run = truth.stopped_by is tasks.Layer.CONTROLLER
    asked_at = run.stop_asked_at if by_run else run.deadline
    if truth.stopped_by is None or asked_at is None or truth.stopped_at is None or truth.stopped_at < asked_at:
        return None, None
    asked_by = _ASKED_BY_OPERATOR if by_run and run.operator_stop is not None else truth.stopped_by.value
    return asked_by, asked_at


_ASKED_BY_OPERATOR = "operator"
_ASKED_BY_RUN = tasks.Layer.CONTROLLER.value


def _list_shots(plan: plans.Plan, run: runs.Run) -> list[task_results.OneShotEntry]:
    """The one-shots that the run came to, those of drills last."""
    before = _shot_entries("before", {shot.name: shot.exit_code for shot in plan.before}, run)
    after = _shot_entries("after", {shot.name: shot.exit_code for shot in plan.after}, run)
    faults = {drill.name: drill.required_exit_code for drill in plan.drills if drill.command is not None}
    undoing = {drill.undo_name: 0 for drill in plan.drills if drill.undo is not None}
    return [*before, *after, *_shot_entries("during", faults, run), *_shot_entries("undo", undoing, run)]


def _shot_entries(
    when: Literal["before", "after", "during", "undo"], shots: Mapping[str, int], run: runs.Run
) -> list[task_results.OneShotEntry]:
    """The one-shots that the run came to, by name and required exit code. One that is left out was not run, which its
    gate says."""
    entries = []
    for name, required_exit_code in shots.items():
        attempt = run.shots.get(name)
        if attempt is None:
            continue
        truth = attempt.truth
        unknown_id = f"unknown:{name}" if attempt.not_started is None else None
        entries.append(
            task_results.OneShotEntry(
                name=name,
                when=when,
                id=truth.task.task_id if truth else unknown_id,
                started_utc=truth.started_at if truth else None,
                stopped_utc=truth.stopped_at if truth else None,
                stop_code=truth.stop_code if truth else None,
                exit_code=truth.exit_code if truth else None,
                required_exit_code=required_exit_code,
                stopped_by=truth.stopped_by.value if truth and truth.stopped_by else None,
                problem=one_shots.problem(attempt, required_exit_code),
            )
        )
    return entries


def _service_entries(plan: plans.Plan, run: runs.Run) -> list[task_results.ServiceEntry]:
    if run.scaling is None:
        return []
    cluster, before = str(plan.target.cluster), run.scaling.definitions_before
    rolled = {roll.name: roll.definition for roll in run.scaling.rolls}
    return [
        task_results.ServiceEntry(
            name=change.name,
            before=change.before,
            desired=change.desired,
            restored=change.name in run.scaling.back,
            detail=run.scaling.back.get(change.name) or run.scaling.problems.get(change.name) or "nobody put it back",
            command=None
            if change.name in run.scaling.back
            else services.restoring_command(cluster, change.name, change.before, before.get(change.name)),
            definition_before=before.get(change.name),
            definition=rolled.get(change.name),
        )
        for change in run.scaling.changes
    ]


def _unaccounted_entries(
    plan: plans.Plan, run: runs.Run, entries: list[task_results.TaskEntry]
) -> list[task_results.TaskEntry]:
    """Tasks that may have been started: their ids are not known, so their ends were not seen.

    They are those of the last launch; of a run that was taken over, whose launches are not known, any.
    """
    shards = set(range(plan.target.tasks)) - {entry.shard_index for entry in entries}
    if run.attempts and run.attempts[-1].replaces:
        last = run.attempts[-1]
        shards = set(last.shards) - {
            truth.task.shard_index for truth in run.truths.values() if truth.task.task_id in last.task_ids
        }
    detail = "its launch was not answered, and what was launched could not be looked for"
    nothing = dict.fromkeys(("started_utc", "stopped_utc", "stop_code", "exit_code", "stopped_by"))
    return [
        task_results.TaskEntry(id=f"unknown:{shard}", shard_index=shard, detail=detail, **nothing)
        for shard in sorted(shards)
    ]


def _overshoot(run: runs.Run, stop: datetime | None) -> float | None:
    if run.deadline is None or stop is None or not run.ended:
        return None
    return max(0.0, instants.seconds_between(run.deadline, stop))


def _interruption(run: runs.Run) -> task_results.Interruption | None:
    if not run.interruptions:
        return None
    signal, at = run.interruptions[0]
    return task_results.Interruption.model_validate({"signal": signal, "at_utc": at})


def _mark_fired(
    layers: list[task_results.LayerEntry], entries: list[task_results.TaskEntry]
) -> list[task_results.LayerEntry]:
    """The layers; one that stopped tasks is marked as fired, with their ids."""
    stopped: dict[str, list[str]] = {}
    for entry in entries:
        if entry.stopped_by:
            stopped.setdefault(entry.stopped_by, []).append(entry.id)
    return [
        layer.model_copy(update={"state": "fired", "detail": f"stopped {', '.join(stopped[layer.name])}"})
        if layer.name in stopped
        else layer
        for layer in layers
    ]
