"""The timeline of a run: its phases, the layers of the hard stop and the tasks, on one axis.

Phases come of task result and counts, the arming of layers of the journal, which is searched for those lines alone.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.documents import task_results
from burst.domain.run.events import launch_events
from burst.report import burst_chart, drawing, figures, report_documents

MOST_TASKS = 20
"""The most tasks that have a bar of their own."""
_ROW = 20.0
_NAMES = 106.0
"""How wide the names before the bars are."""
_ARMED = launch_events.LayerArmed.wire_name
_CREATED = launch_events.RunCreated.wire_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that lasted. `end` None: nobody saw its end. `tone`: phase, layer, fired, or task."""

    name: str
    start: datetime
    end: datetime | None
    tone: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A span in the units of the drawing, and in figures."""

    name: str
    x: str
    y: str
    width: str
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
    phases: Sequence[Bar]
    """Those of the bars that are phases, for the table beside."""
    deadline: str


def draw(documents: report_documents.ReportDocuments) -> Timeline | None:
    """The timeline; None where nothing is known to have begun."""
    result = documents.task_result
    spans = [*_list_phases(documents), *_list_layers(documents), *_list_tasks(result)]
    zero = burst_chart.find_zero(documents)
    ends = [span.end for span in spans if span.end is not None]
    if zero is None or not ends:
        return None
    first = min(instants.seconds_between(zero, span.start) for span in spans)
    last = max(instants.seconds_between(zero, end) for end in ends)
    plot = drawing.Plot(first=first, last=last, highest=1.0, height=_ROW * len(spans) + 38.0, name_width=_NAMES)
    bars = [_draw(span, number, plot, zero) for number, span in enumerate(spans)]
    return Timeline(
        plot=plot,
        bars=bars,
        time_ticks=plot.list_time_ticks(),
        phases=[bar for bar in bars if bar.tone == "phase"],
        deadline=figures.instant(result.deadline_utc) if result is not None else "",
    )


def _draw(span: Span, number: int, plot: drawing.Plot, zero: datetime) -> Bar:
    start = instants.seconds_between(zero, span.start)
    end = plot.last if span.end is None else instants.seconds_between(zero, span.end)
    left, right = plot.find_x(start), plot.find_x(end)
    return Bar(
        name=span.name,
        x=drawing.length(left),
        y=drawing.length(8.0 + _ROW * number),
        width=drawing.length(max(2.0, right - left)),
        tone=span.tone,
        words=span.words,
        start=figures.instant(span.start),
        seconds=figures.number(round(end - start, 1)) if span.end is not None else "not seen to end",
    )


def _list_phases(documents: report_documents.ReportDocuments) -> Iterator[Span]:
    result, metrics, preflight = documents.task_result, documents.metrics, documents.preflight
    created_at = next(_find_times(documents.journal, _CREATED), (None, None))[1]
    if preflight is not None and preflight.canary is not None:
        sent, seen = preflight.canary.sent_utc, preflight.canary.receipt_utc
        yield Span(name="preflight", start=sent, end=max(sent, seen), tone="phase", words="canary sent to receipt")
    if result is None:
        return
    if created_at is not None and result.launched_utc is not None and created_at <= result.launched_utc:
        yield _name("arming", created_at, result.launched_utc, "run begun, layers armed")
    if result.launched_utc is not None and result.go_utc is not None:
        yield _name("starting", result.launched_utc, result.go_utc, "launch to GO")
    began = result.go_utc or result.started_utc
    asked = result.stop_asked_utc or result.stop_decided_utc or result.stopped_utc
    if began is not None and asked is not None and began <= asked:
        yield _name("bursting", began, asked, "GO to the first call to stop")
    if asked is not None and result.stopped_utc is not None and asked <= result.stopped_utc:
        yield _name("stopping", asked, result.stopped_utc, "first call to stop to the last stop")
    rounds = [entry.counted_utc for entry in metrics.settle_rounds] if metrics is not None else []
    if rounds:
        yield _name("counting", min(rounds), max(rounds), "first count to the one that agreed")


def _name(name: str, start: datetime, end: datetime, words: str) -> Span:
    return Span(name=name, start=start, end=end, tone="phase", words=words)


def _list_layers(documents: report_documents.ReportDocuments) -> Iterator[Span]:
    """Each layer from when it was armed to the end of the last task that it stopped, or of all tasks."""
    result = documents.task_result
    if result is None:
        return
    armed_at = dict(_find_times(documents.journal, _ARMED))
    for layer in result.layers:
        start = armed_at.get(layer.name) or result.launched_utc or result.started_utc
        if layer.state == "not-armed" or start is None:
            continue
        stops = [
            task.stopped_utc for task in result.tasks if task.stopped_by == layer.name and task.stopped_utc is not None
        ]
        end = max(stops, default=result.stopped_utc)
        tone = "fired" if layer.state == "fired" else "layer"
        yield Span(name=layer.name, start=start, end=end, tone=tone, words=layer.state)


def _list_tasks(result: task_results.TaskResult | None) -> Iterator[Span]:
    started = [task for task in result.tasks if task.started_utc is not None] if result is not None else []
    if len(started) > MOST_TASKS:
        return
    for number, task in enumerate(started):
        if task.started_utc is not None:
            shard = number if task.shard_index is None else task.shard_index
            words = figures.ended_by(task)
            yield Span(name=f"task {shard}", start=task.started_utc, end=task.stopped_utc, tone="task", words=words)


def _find_times(journal: bytes, event: str) -> Iterator[tuple[str, datetime]]:
    """When each event of a name was noted, and the layer that it is of; lines that make no sense are passed over."""
    for line in journal.splitlines():
        if event.encode() not in line:
            continue
        try:
            value = json.loads(line)
            if value["event"] == event:
                yield str(value.get("layer", "")), instants.parse(value["at"])
        except (ValueError, KeyError, TypeError):
            continue
