"""Gates of drills: whether each fault was caused as it should be, whether the system recovered from it in time, whether
nothing of it is left, and whether the receipts before, during and after it add up.

The drills come from the plan, so that a result cannot hide one by leaving it out. When a system had recovered is never
read from a document: it is found again in the samples.
"""

import itertools
from collections.abc import Iterator, Mapping

from burst.domain.basics import instants
from burst.domain.documents import task_results, window_metrics
from burst.domain.observations import recoveries
from burst.domain.plan import catalogues, drill_sections
from burst.domain.receipts import receipts
from burst.domain.run import drill_recoveries
from burst.domain.verdict import cases, gates, observed_cases


def find_recoveries(case: cases.Case) -> Mapping[str, recoveries.Recovery]:
    """The recovery from each drill of the plan, found in the observed samples."""
    result = case.task_result.value
    attempt = result.attempt if result is not None else None
    entries = result.drills if result is not None else ()
    ended_at = attempt.end if attempt is not None else None
    return drill_recoveries.find_recoveries(case.plan, entries, observed_cases.read_observed(case).series, ended_at)


def ask_restart(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each drill of the plan: whether its fault was caused as it should be."""
    entries = list_entries(case)
    for drill in case.plan.drills:
        yield restart_gate(drill, entries.get(drill.name), case.task_result.problem)


def ask_rto(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each drill of the plan: whether the system recovered within the time that the plan allows."""
    entries, recovered = list_entries(case), find_recoveries(case)
    for drill in case.plan.drills:
        yield rto_gate(drill, entries.get(drill.name), recovered[drill.name])


def ask_undone(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each drill of the plan: whether its fault was taken back."""
    entries = list_entries(case)
    for drill in case.plan.drills:
        yield undone_gate(drill, entries.get(drill.name), case.task_result.problem)


def ask_windows(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each drill of the plan: whether the receipts before, during and after it add up to the whole."""
    entries, recovered = list_entries(case), find_recoveries(case)
    for drill in case.plan.drills:
        yield windows_gate(
            drill, entries.get(drill.name), recovered[drill.name], case.metrics.value, case.metrics_problem
        )


def list_entries(case: cases.Case) -> dict[str, task_results.DrillEntry]:
    """The drills of the task result, by name."""
    result = case.task_result.value
    return {entry.name: entry for entry in result.drills} if result is not None else {}


def restart_gate(drill: drill_sections.DrillSection, entry: task_results.DrillEntry | None, problem: str) -> gates.Gate:
    """Whether a fault was caused: each task of the service replaced, or the command ended as it should."""
    restarts = drill.restart is not None
    required = (entry.tasks_before if entry is not None else None) if restarts else drill.required_exit_code
    question = gates.GateQuestion(
        name=f"{gates.RESTART}{drill.name}",
        blocker=catalogues.Role.RESTART,
        required=required,
        comparison=gates.Comparison.EQUALS,
    )
    if entry is None:
        return question.answer(gates.GateStatus.INVALID, None, problem or "the task result says nothing of it")
    measured = entry.replaced_task_count if restarts else entry.exit_code
    service = drill.restart.service if drill.restart is not None else None
    if entry.service != service:
        why = f"the task result tells of {entry.service or 'a command'}, not of {service or 'a command'}"
        return question.answer(gates.GateStatus.INVALID, measured, why)
    if entry.problem is not None:
        unknown = measured is None or entry.intended_utc is None or (restarts and not entry.tasks_before)
        return question.answer(gates.GateStatus.INVALID if unknown else gates.GateStatus.FAIL, measured, entry.problem)
    as_required = measured is not None and measured == required
    if not entry.caused or not as_required or (restarts and not entry.tasks_before):
        return question.answer(gates.GateStatus.INVALID, measured, "nothing proves that the fault was caused")
    words = f"all {measured} tasks of {drill.restart.service} were replaced" if drill.restart else "the command ended"
    return question.answer(gates.GateStatus.PASS, measured, f"{words}, by {_text(entry)}")


def _text(entry: task_results.DrillEntry) -> str:
    return instants.text(entry.over_utc) if entry.over_utc is not None else "nobody knows when"


def rto_gate(
    drill: drill_sections.DrillSection, entry: task_results.DrillEntry | None, recovery: recoveries.Recovery
) -> gates.Gate:
    """Whether the system recovered in time: from the fault to the first sample of the first sustained good stretch."""
    question = gates.GateQuestion(
        name=f"{gates.RTO}{drill.name}",
        blocker=catalogues.Role.RTO,
        required=drill.recover_within,
        comparison=gates.Comparison.AT_MOST,
        unit=gates.SECONDS,
    )
    seconds = drill_recoveries.measure_seconds(entry, recovery) if entry is not None else None
    if seconds is None or seconds < 0:
        return question.answer(gates.GateStatus.INVALID, None, recovery.why or "nobody can tell when it recovered")
    status = gates.GateStatus.PASS if seconds <= drill.recover_within else gates.GateStatus.FAIL
    limit = instants.exact(drill.recover_within)
    return question.answer(status, seconds, f"recovered after {instants.exact(seconds)} s of {limit} s: {recovery.why}")


def undone_gate(drill: drill_sections.DrillSection, entry: task_results.DrillEntry | None, problem: str) -> gates.Gate:
    """Whether nothing of a fault is left to take back."""
    question = gates.GateQuestion(
        name=f"{gates.DRILL_UNDONE}{drill.name}",
        blocker=catalogues.Role.BUDGET,
        required=0,
        comparison=gates.Comparison.EQUALS,
    )
    if entry is None:
        return question.answer(gates.GateStatus.INVALID, None, problem or "the task result says nothing of it")
    if not entry.undone or (drill.undo is not None and entry.undo_problem is not None):
        command = " ".join(drill.undo or entry.undo_command)
        return question.answer(gates.GateStatus.FAIL, 1, f"not taken back: {entry.undo_problem}; run: {command}")
    words = "nothing has to be taken back" if drill.undo is None or entry.intended_utc is None else "taken back"
    return question.answer(gates.GateStatus.PASS, 0, words)


def windows_gate(
    drill: drill_sections.DrillSection,
    entry: task_results.DrillEntry | None,
    recovery: recoveries.Recovery,
    metrics: window_metrics.Metrics | None,
    problem: str,
) -> gates.Gate:
    """Whether the parts of the window around a drill begin and end where it did, and add up to the whole."""
    question = gates.GateQuestion(
        name=f"{gates.DRILL_WINDOWS}{drill.name}",
        blocker=catalogues.Role.EVIDENCE,
        required=metrics.counts.counts.total if metrics is not None else None,
        comparison=gates.Comparison.EQUALS,
    )
    if metrics is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    parts = next((part for part in metrics.drills if part.drill == drill.name), None)
    if parts is None or not parts.parts:
        why = parts.no_data if parts is not None else ""
        return question.answer(gates.GateStatus.INVALID, None, why or "they were not counted apart")
    counts = sum((part.counts.counts for part in parts.parts), receipts.Counts())
    why = _find_misfit(parts, entry, recovery, metrics)
    if why or counts != metrics.counts.counts:
        why = why or f"the parts add up to {counts.total} receipts of {metrics.counts.counts.total}, or to others"
        return question.answer(gates.GateStatus.INVALID, counts.total, why)
    named = (("before", parts.before), ("during", parts.during), ("after", parts.after))
    words = ", ".join(f"{part.counts.counts.total} {name}" for name, part in named if part is not None)
    return question.answer(gates.GateStatus.PASS, counts.total, words)


def _find_misfit(
    parts: window_metrics.DrillWindowsEntry,
    entry: task_results.DrillEntry | None,
    recovery: recoveries.Recovery,
    metrics: window_metrics.Metrics,
) -> str:
    """Why parts are not those of the window, the fault and the recovery; empty where they are."""
    edges = [(part.start_utc, part.end_utc) for part in parts.parts]
    joined = all(first[1] == second[0] for first, second in itertools.pairwise(edges))
    if not joined or (edges[0][0], edges[-1][1]) != (metrics.window.start_utc, metrics.window.end_utc):
        return "the parts do not cover the window"
    struck_at = entry.intended_utc if entry is not None else None
    if parts.before is not None and struck_at is not None and parts.before.end_utc != struck_at:
        return "the part before the fault does not end where the fault began"
    recovered_at = parts.after.start_utc if parts.after is not None else None
    return "" if recovered_at == recovery.recovered_at else "the part after the recovery does not begin with it"
