"""Figures as people read them, the same in text and HTML.

Numbers come from JSON, where 3.0 and 3 are one number, so they are printed without regard to their Python type.
"""

from __future__ import annotations

import collections
from datetime import datetime
from typing import TYPE_CHECKING

from burst.domain.basics import instants
from burst.domain.documents import attempts
from burst.domain.plan import catalogues
from burst.domain.tasks import tasks

if TYPE_CHECKING:
    from burst.domain.documents import driver_entries, models, task_results, window_metrics
    from burst.domain.verdict import drill_checks, snapshot_sections, snapshots

DECISIONS = ("ADMIT", "DUPLICATE", "QUARANTINE", "other")


_LARGEST_WRITTEN_OUT = 10**15
"""The digits of a larger number say nothing that a float knows; 1.7e+308 has 309 of them."""


def number(value: models.Value) -> str:
    """A value as people read it: ten digits of a number are enough for all but the last of a limit (see `measured`)."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        whole = abs(value) < _LARGEST_WRITTEN_OUT and float(value).is_integer()
        return f"{int(value):,}" if whole else f"{float(value):,.10g}"
    return str(value)


def phase(snapshot: snapshots.Snapshot) -> str:
    """The phase, with its kind where that is not a burst."""
    return snapshot.phase if snapshot.kind is catalogues.Kind.BURST else f"{snapshot.phase} ({snapshot.kind})"


def instant(moment: datetime | None) -> str:
    """An instant as documents write it; empty where there is none."""
    return "" if moment is None else instants.text(moment)


def time_of_day(moment: datetime) -> str:
    """The time of an instant in UTC without its day, to the second, as rows of one run need it."""
    return f"{instants.utc(moment):%H:%M:%S}"


def drill(check: drill_checks.DrillCheck) -> str:
    """A drill in one sentence: the fault, the recovery, and the receipts around it."""
    if check.faulted_utc is None:
        return f"{check.fault}: not caused"
    replaced = (
        "" if check.tasks_before is None else f", {check.replaced_task_count} of {check.tasks_before} tasks replaced"
    )
    recovered = "no recovery seen"
    if check.recovered_utc is not None and check.restart_to_stable_seconds is not None:
        recovered = f"recovered {instant(check.recovered_utc)}, after {number(check.restart_to_stable_seconds)} s"
    parts = (("before", check.before), ("during", check.during), ("after", check.after))
    counted = "; ".join(f"{name}: {decisions(counts)}" for name, counts in parts if counts is not None)
    limit = f" of {number(check.recover_within_seconds)} s"
    undone = "" if check.undone else "; NOT UNDONE"
    words = f"{check.fault} at {instant(check.faulted_utc)}{replaced}; {recovered}{limit}{undone}"
    return f"{words}; {counted}" if counted else words


def duration(seconds: float) -> str:
    """Seconds as plans are written: 90m, 16m30s, 20s."""
    minutes, remainder = divmod(seconds, 60)
    return "".join([f"{minutes:g}m" if minutes else "", f"{remainder:g}s" if remainder or not minutes else ""])


def measured_value(gate: snapshot_sections.GateEntry) -> str:
    """The measured value of a gate, with digits enough that one that misses a limit never reads as reaching it."""
    value, limit = gate.measured, gate.required
    if value is None:
        return number(value)
    same = isinstance(value, int | float) and value != limit and number(value) == number(limit)
    return _with_unit(f"{value:,}" if same else number(value), gate)


_COMPARED = {"at_least": "at least ", "at_most": "at most ", "equals": "equals ", None: ""}


def required_value(gate: snapshot_sections.GateEntry) -> str:
    """The required value of a gate: at least 0.995, at most 10, equals 0; the value alone where nothing is compared."""
    return _COMPARED[gate.comparison] + _with_unit(number(gate.required), gate)


def against(gate: snapshot_sections.GateEntry) -> str:
    """The measured value of a gate against the required one; its reason where nothing was required."""
    if gate.required is None:
        return gate.why
    return f"measured {measured_value(gate)}, required {required_value(gate)}"


def answer(gate: snapshot_sections.GateEntry) -> str:
    """Why a gate answers as it does, with the value it measured."""
    return gate.why if gate.required is None else f"{gate.why} ({against(gate)})"


def mode(gate: snapshot_sections.GateEntry) -> str:
    """That a gate opens nothing; empty of a required one."""
    return " (informational)" if gate.mode == "informational" else ""


def interval(section: snapshot_sections.MultiplierInterval) -> str:
    """Where the multiplier would lie were burst and reference run repeated, and by which method."""
    bounds = section.batch_means if section.method == "batch-means" else section.quasi_poisson
    parts = "batches" if section.method == "batch-means" else "minutes"
    counted = f"{bounds.parts} and {bounds.baseline_parts} {parts}" if bounds is not None else section.method
    return (
        f"multiplier {section.low:.4g} to {section.high:.4g} in {section.level:.0%} of repeats "
        f"({section.method}, {counted})"
    )


def _with_unit(figure: str, gate: snapshot_sections.GateEntry) -> str:
    return f"{figure} {gate.unit}" if gate.unit else figure


def decisions(counts: window_metrics.CountsEntry) -> str:
    """Receipts by decision."""
    by_decision = counts.document()
    return ", ".join(f"{name} {number(by_decision[name])}" for name in DECISIONS)


NO_DATA = "NO_DATA"
"""What stands in place of a figure that nobody has: it is not zero."""


def deliveries(section: window_metrics.DeliveriesEntry) -> str:
    """Deliveries sent and acknowledged, beside the decisions: a delivery that is repeated again writes no row."""
    distinct = f"distinct decisions {number(section.distinct_decisions)}"
    if section.sent is None or section.acknowledged is None:
        return f"sent and acknowledged {NO_DATA} ({section.no_data}), {distinct}"
    return f"sent {number(section.sent)}, acknowledged {number(section.acknowledged)}, {distinct}"


def duplicates(section: window_metrics.DuplicatesEntry) -> str:
    """The duplicates by when their event was first admitted."""
    classes = section.duplicate_classes
    if classes is None:
        return f"{NO_DATA} ({section.no_data})"
    return (
        f"retry {number(classes.retry)} (first admitted in the window), replay {number(classes.replay)} (before it), "
        f"unknown {number(classes.unknown)}"
    )


def driver(section: driver_entries.DriverEntry) -> str:
    """What the driver of the database did."""
    did = section.figures
    figures = f"{NO_DATA} ({section.no_data})"
    if did is not None:
        parts = (
            (number(did.connections), "connections"),
            (number(did.statements), f"statements ({did.prepared} prepared, {number(did.reused)} reused)"),
            (number(did.round_trips), "round trips"),
            (number(did.rows), "rows"),
            (number(did.bytes_received), "bytes"),
            (number(round(did.database_ms, 1)), "ms of the database"),
            (number(round(did.largest_wait_ms, 1)), "ms the largest wait"),
            (number(did.retries), "retries"),
        )
        figures = ", ".join(f"{figure} {name}" for figure, name in parts)
    return f"{figures}{_pages(section.pages)}"


def _pages(section: driver_entries.PagesEntry | None) -> str:
    if section is None:
        return ""
    pages = f"{NO_DATA} ({section.no_data})" if section.read is None else f"{number(section.read)} ({section.source})"
    return f"; pages of the last count {pages}"


def usd(amount: float | None) -> str:
    """An amount of money."""
    return "unknown" if amount is None else f"{amount:.4f} USD"


def cost(section: snapshot_sections.Cost) -> str:
    """The cost of the tasks beside the most that was foreseen, which a stop that broke may exceed."""
    estimated, most = usd(section.estimated_usd), usd(section.at_cap_usd)
    if section.estimated_usd is not None and section.estimated_usd > section.at_cap_usd:
        return f"{estimated} estimated, more than the {most} of a stop that works"
    return f"{estimated} estimated, {most} at most"


def word(snapshot: snapshots.Snapshot) -> str:
    """PASS or HOLD."""
    return "PASS" if snapshot.overall_pass else "HOLD"


def span(window: snapshot_sections.ExecutionWindow | window_metrics.WindowEntry | None) -> str:
    """A half-open window."""
    if window is None or window.start_utc is None:
        return "not known"
    return f"[{instant(window.start_utc)}, {instant(window.end_utc)})"


def attempt(section: snapshot_sections.AttemptEntry) -> str:
    """The number of an attempt, and how those before it ended."""
    verdicts = attempts.count_verdicts(section.earlier)
    other_terms = sum(entry.contract != section.contract for entry in section.earlier)
    by_others = f", {other_terms} of them by other terms" if other_terms else ""
    return number(section.number) + (f" (before it: {verdicts}{by_others})" if verdicts else "")


def changed_terms(snapshot: snapshots.Snapshot) -> str:
    """The terms that are not those of the first attempt of a rerun's chain, as its plan names them; mostly empty."""
    keys = [key for entry in snapshot.blocker_register for key in entry.changed_terms]
    return ", ".join(dict.fromkeys(keys))


def quorum(decision: snapshot_sections.Decision) -> str:
    """How many of the planned tasks GO was given to, where they were fewer; empty where they were all of them."""
    if decision.go_tasks is None or decision.planned_tasks is None or decision.go_tasks >= decision.planned_tasks:
        return ""
    return f"with {number(decision.go_tasks)} of {number(decision.planned_tasks)} tasks"


_ENDERS: dict[str | None, str] = {
    tasks.StopCode.USER_INITIATED: "somebody",
    tasks.StopCode.FAILED_TO_START: "nobody, it never started",
    **dict.fromkeys(tasks.TAKEN, "AWS"),
}
"""Who ended a task that no layer did, by its stop code. A stop that was asked for by no layer was a person's."""


def ended_by(task: task_results.TaskEntry) -> str:
    """Who ended a task, as far as that is known, and in which way."""
    if task.stopped_utc is None:
        return "not known"
    by_signal = task.ended_by in (tasks.EndCause.SIGNAL, tasks.EndCause.STOP_TASK, tasks.EndCause.PLATFORM)
    ender = task.stopped_by or _ENDERS.get(task.stop_code, "somebody" if by_signal else "itself")
    return f"{ender} ({task.ended_by})" if task.ended_by not in (None, ender) else ender


def asked_by(task: task_results.TaskEntry) -> str:
    """Who of this run asked for the end of a task, and when; empty where the documents do not say how it ended."""
    if task.ended_by is None:
        return ""
    if task.asked_by is None:
        return "nobody" if task.ended_by != tasks.EndCause.PROGRAM_ENDED else ""
    return " ".join(part for part in (task.asked_by, instant(task.asked_utc)) if part)


def list_ends(window: snapshot_sections.ExecutionWindow) -> str:
    """How the tasks ended and who had asked, with how many ended alike; empty where the documents do not say."""
    ended_tasks = [task for task in window.tasks if task.ended_by is not None]
    groups = collections.Counter((task.ended_by, task.asked_by) for task in ended_tasks)
    return ", ".join(
        f"{count} by {ended}" + ("" if ended == tasks.EndCause.PROGRAM_ENDED else f", asked by {asker or 'nobody'}")
        for (ended, asker), count in sorted(groups.items(), key=lambda group: (-group[1], str(group[0])))
    )
