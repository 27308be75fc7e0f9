"""The timeline of a run: phases, one-shots, services, drills, outages, layers of the hard stop and tasks, on one axis.

Most instants come of the task result. When layers were armed and services changed is told by the journal alone, which
is searched for those lines.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst.domain.basics import instants, wording
from burst.domain.documents import task_results
from burst.domain.run.events import errand_events, launch_events
from burst.report import burst_chart, drawing, figures, report_documents

MOST_TASKS = 20
"""The most tasks that have a bar of their own."""
_ROW = 20.0
_NAMES = 134.0
"""How wide the names before the bars are."""
_LONGEST_NAME, _LONGEST_SHORT_NAME = 20, 11
"""The letters of a name that fit beside the bars, and those that fit on a narrow screen."""
_LONGER_BY = 1.0
"""By how much of its length the axis may grow for the instants at which layers would have ended everything."""
_WHEN = {"before": "before the burst", "after": "after the burst", "during": "of a drill", "undo": "takes a drill back"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSpan:
    """Something that lasted. `end` None: nobody saw its end. `tone`: phase, errand, fault, layer, fired, or task.

    Spans of one name and kind stand in one row. `latest`: when it would have ended all tasks by itself.
    """

    kind: str
    name: str
    start: datetime
    end: datetime | None
    tone: str
    words: str
    latest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A span in the units of the drawing, and in figures. `shown_name` is empty for all but the first bar of a row."""

    kind: str
    name: str
    shown_name: str
    short_name: str
    x: str
    y: str
    middle_y: str
    width: str
    latest_x: str
    """Where it would have ended all tasks; empty where that is not known, or not in the drawing."""
    tone: str
    words: str
    start: str
    seconds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The timeline of a run."""

    plot: drawing.Plot
    bars: Sequence[Bar]
    time_ticks: Sequence[drawing.Tick]
    rows: Sequence[Bar]
    """Every bar that is no task, for the table beside; tasks have a table of their own."""
    deadline: str
    deadline_x: str
    """Where the deadline lies; empty where it is not in the drawing."""

    @property
    def tones(self) -> frozenset[str]:
        """The tones that are drawn, for the key below."""
        return frozenset(bar.tone for bar in self.bars)

    @property
    def has_latest(self) -> bool:
        """Whether the latest end of a layer is drawn."""
        return any(bar.latest_x for bar in self.bars)


def draw(documents: report_documents.ReportDocuments) -> Timeline | None:
    """The timeline; None where nothing is known to have begun."""
    result = documents.task_result
    spans = [
        *_list_phases(documents),
        *_list_errands(documents),
        *_list_faults(documents),
        *_list_layers(documents),
        *_list_tasks(result),
    ]
    zero = burst_chart.find_zero(documents)
    ends = [span.end for span in spans if span.end is not None]
    if zero is None or not ends:
        return None
    rows = list(dict.fromkeys((span.kind, span.name) for span in spans))
    first, last = _find_edges(spans, zero)
    plot = drawing.Plot(first=first, last=last, highest=1.0, height=_ROW * len(rows) + 38.0, name_width=_NAMES)
    bars = []
    for number, row in enumerate(rows):
        of_row = [span for span in spans if (span.kind, span.name) == row]
        bars += [_draw(span, number, plot, zero, named=span is of_row[0]) for span in of_row]
    deadline = result.deadline_utc if result is not None else None
    return Timeline(
        plot=plot,
        bars=bars,
        time_ticks=plot.list_time_ticks(),
        rows=[bar for bar in bars if bar.tone != "task"],
        deadline=figures.instant(deadline),
        deadline_x=_place(deadline, plot, zero),
    )


def _find_edges(spans: Sequence[TimelineSpan], zero: datetime) -> tuple[float, float]:
    """From when to when the axis goes: from the first start to the last end, or to the last `latest` that is near."""
    first = min(instants.seconds_between(zero, span.start) for span in spans)
    last = max(instants.seconds_between(zero, span.end) for span in spans if span.end is not None)
    latest = max(
        (instants.seconds_between(zero, span.latest) for span in spans if span.latest is not None), default=last
    )
    return first, max(last, latest) if latest <= last + _LONGER_BY * (last - first) else last


def _place(moment: datetime | None, plot: drawing.Plot, zero: datetime) -> str:
    """Where an instant lies; empty where it is not known, or not in the drawing."""
    if moment is None or not plot.first <= instants.seconds_between(zero, moment) <= plot.last:
        return ""
    return drawing.length(plot.find_x(instants.seconds_between(zero, moment)))


def _draw(span: TimelineSpan, number: int, plot: drawing.Plot, zero: datetime, *, named: bool) -> Bar:
    start = instants.seconds_between(zero, span.start)
    end = plot.last if span.end is None else instants.seconds_between(zero, span.end)
    left, right = plot.find_x(start), plot.find_x(end)
    return Bar(
        kind=span.kind,
        name=span.name,
        shown_name=_shorten(span.name, _LONGEST_NAME) if named else "",
        short_name=_shorten(span.name, _LONGEST_SHORT_NAME) if named else "",
        x=drawing.length(left),
        y=drawing.length(8.0 + _ROW * number),
        middle_y=drawing.length(15.0 + _ROW * number),
        width=drawing.length(max(2.0, right - left)),
        latest_x=_place(span.latest, plot, zero),
        tone=span.tone,
        words=span.words,
        start=figures.instant(span.start),
        seconds=figures.number(round(end - start, 1)) if span.end is not None else "not seen to end",
    )


def _shorten(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def _list_phases(documents: report_documents.ReportDocuments) -> Iterator[TimelineSpan]:
    result, metrics, preflight = documents.task_result, documents.metrics, documents.preflight
    created_at = next((at for at, _ in _find_lines(documents.journal, launch_events.RunCreated.wire_name)), None)
    if preflight is not None and preflight.canary is not None:
        sent, receipt_at = preflight.canary.sent_utc, preflight.canary.receipt_utc
        yield _name("preflight", sent, max(sent, receipt_at), "canary sent to its receipt")
    if result is None:
        return
    if created_at is not None and result.launched_utc is not None and created_at <= result.launched_utc:
        yield _name("arming", created_at, result.launched_utc, "run begun, layers armed")
    if result.launched_utc is not None and result.go_utc is not None:
        yield _name("starting", result.launched_utc, result.go_utc, "launch to GO")
    began = result.go_utc or result.started_utc
    stop_asked_at = result.stop_asked_utc or result.stop_decided_utc or result.stopped_utc
    if began is not None and stop_asked_at is not None and began <= stop_asked_at:
        yield _name("bursting", began, stop_asked_at, "GO to the first call to stop")
    if stop_asked_at is not None and result.stopped_utc is not None and stop_asked_at <= result.stopped_utc:
        yield _name("stopping", stop_asked_at, result.stopped_utc, "first call to stop to the last stop")
    rounds = [entry.counted_utc for entry in metrics.settle_rounds] if metrics is not None else []
    if rounds:
        yield _name("counting", min(rounds), max(rounds), "first count to the one that agreed")


def _name(name: str, start: datetime, end: datetime, words: str) -> TimelineSpan:
    return TimelineSpan(kind="phase", name=name, start=start, end=end, tone="phase", words=words)


def _list_errands(documents: report_documents.ReportDocuments) -> Iterator[TimelineSpan]:
    """The one-shots that were started, and the services from before their change until they were put back."""
    result = documents.task_result
    if result is None:
        return
    for shot in result.one_shots:
        if shot.started_utc is not None:
            words = f"{_WHEN[shot.when]}; {shot.problem or 'ended as it should'}"
            yield TimelineSpan(
                kind="one-shot",
                name=shot.name,
                start=shot.started_utc,
                end=shot.stopped_utc,
                tone="errand",
                words=words,
            )
    changed_at = _find_changes(documents.journal)
    back_at = _find_returns(documents.journal)
    for service in result.services:
        start = changed_at.get(service.name)
        if start is not None:
            words = f"{_describe(service)}; {'put back' if service.restored else 'not put back'}"
            yield TimelineSpan(
                kind="service",
                name=service.name,
                start=start,
                end=back_at.get(service.name) if service.restored else None,
                tone="errand",
                words=words,
            )


def _describe(service: task_results.ServiceEntry) -> str:
    """The change of a service, in words."""
    scaled = (
        f"{service.before} to {wording.format_count(service.desired, 'task')}"
        if service.before != service.desired
        else ""
    )
    rolled = "a task definition for the burst" if service.definition is not None else ""
    return ", ".join(filter(None, (scaled, rolled))) or f"{wording.format_count(service.desired, 'task')}, as before"


def _find_changes(journal: bytes) -> dict[str, datetime]:
    """When each service was about to be changed for the first time."""
    changed_at: dict[str, datetime] = {}
    for event in (errand_events.ServicesIntended, errand_events.ServicesFound):
        for at, line in _find_lines(journal, event.wire_name):
            for entry in (*_list_entries(line, "services"), *_list_entries(line, "rolls")):
                if isinstance(entry, dict) and at < changed_at.get(str(entry.get("name")), instants.later(at, 1.0)):
                    changed_at[str(entry.get("name"))] = at
    return changed_at


def _find_returns(journal: bytes) -> dict[str, datetime]:
    """When each service was first seen back."""
    returned_at: dict[str, datetime] = {}
    for at, line in _find_lines(journal, errand_events.ServicesRestored.wire_name):
        for name in _list_entries(line, "back"):
            returned_at.setdefault(str(name), at)
    return returned_at


def _list_entries(line: dict[str, Any], key: str) -> list[Any]:
    value = line.get(key)
    return list(value) if isinstance(value, list | dict) else []


def _list_faults(documents: report_documents.ReportDocuments) -> Iterator[TimelineSpan]:
    """The drills, each to its recovery, and the times in which the tasks or the count could not be seen."""
    for check in documents.snapshot.drills or ():
        if check.faulted_utc is not None:
            ends = [moment for moment in (check.over_utc, check.recovered_utc) if moment is not None]
            recovered = "recovered" if check.recovered_utc is not None else "no recovery seen"
            yield TimelineSpan(
                kind="drill",
                name=check.name,
                start=check.faulted_utc,
                end=max(ends) if check.recovered_utc is not None else None,
                tone="fault",
                words=f"{check.fault}; {recovered}",
            )
    for outage in documents.snapshot.runtime_budget.outages:
        words = f"the controller could not see the tasks: {outage.detail}".removesuffix(": ")
        start, end = outage.blind_since_utc, outage.sight_regained_utc
        yield TimelineSpan(kind="outage", name="tasks not seen", start=start, end=end, tone="fault", words=words)
    for blind in documents.snapshot.decision.count_blindnesses:
        start, end, words = blind.since_utc, blind.until_utc, f"no live count came: {blind.why}"
        yield TimelineSpan(kind="outage", name="no live count", start=start, end=end, tone="fault", words=words)


def _list_layers(documents: report_documents.ReportDocuments) -> Iterator[TimelineSpan]:
    """Each layer from when it was armed to the end of the last task that it stopped, or of all tasks."""
    result = documents.task_result
    if result is None:
        return
    armed_at = {
        str(line.get("layer", "")): at
        for at, line in _find_lines(documents.journal, launch_events.LayerArmed.wire_name)
    }
    for layer in result.layers:
        start = armed_at.get(layer.name) or result.launched_utc or result.started_utc
        if layer.state == "not-armed" or start is None:
            continue
        stops = [
            task.stopped_utc for task in result.tasks if task.stopped_by == layer.name and task.stopped_utc is not None
        ]
        yield TimelineSpan(
            kind="layer",
            name=layer.name,
            start=start,
            end=max(stops, default=result.stopped_utc),
            tone="fired" if layer.state == "fired" else "layer",
            words="armed; it ended tasks" if layer.state == "fired" else "armed; it had nothing to end",
            latest=_find_latest(result, layer.name),
        )


def _find_latest(result: task_results.TaskResult, layer: str) -> datetime | None:
    """When a layer would have ended everything by itself; None where that is not known."""
    seconds = result.worst_end_seconds.get(layer)
    if seconds is None or result.deadline_utc is None:
        return None
    return instants.later(result.deadline_utc, seconds)


def _list_tasks(result: task_results.TaskResult | None) -> Iterator[TimelineSpan]:
    started = [task for task in result.tasks if task.started_utc is not None] if result is not None else []
    if len(started) > MOST_TASKS:
        return
    for number, task in enumerate(started):
        if task.started_utc is not None:
            name = f"task {number if task.shard_index is None else task.shard_index}"
            words = figures.ended_by(task)
            yield TimelineSpan(
                kind="task", name=name, start=task.started_utc, end=task.stopped_utc, tone="task", words=words
            )


def _find_lines(journal: bytes, event: str) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """The lines of an event and when each was noted; lines that make no sense are passed over."""
    for line in journal.splitlines():
        if event.encode() not in line:
            continue
        try:
            value = json.loads(line)
            if value["event"] == event:
                yield instants.parse(value["at"]), value
        except (ValueError, KeyError, TypeError):
            continue
