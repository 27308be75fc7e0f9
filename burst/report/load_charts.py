"""What the generator saw, over time: latency percentiles as lines, refused and failed requests as bars by class.

Both are drawn of the load document, in which the tasks count by their own clocks.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.documents import load_documents
from burst.domain.verdict import snapshots
from burst.report import burst_buckets, burst_chart, drawing, figures, report_documents

PERCENTS = (50, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """The answers of one part of the time; percentiles in milliseconds."""

    elapsed: str
    start: str
    answers: str
    percentiles: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyChart:
    """The percentiles over time, in the units of their drawing, and the limits that the plan sets."""

    plot: drawing.Plot
    value_ticks: Sequence[drawing.Tick]
    time_ticks: Sequence[drawing.Tick]
    lines: Sequence[tuple[str, str]]
    """The name of each percentile, and its points."""
    limits: Sequence[tuple[str, str]]
    """Where each limit lies, and its words."""
    rows: Sequence[LatencyRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorChart:
    """Requests that were refused or failed: how many of each class, and over time where there were any."""

    answered: int
    classes: Sequence[tuple[str, int, str]]
    """Each class, how many, and their share of all that came to an end."""
    plot: drawing.Plot | None
    value_ticks: Sequence[drawing.Tick]
    time_ticks: Sequence[drawing.Tick]
    refused: str
    failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The answers of one part of the time."""

    start: datetime
    end: datetime
    latency: Sequence[load_documents.LatencyBucket]

    @property
    def answers(self) -> int:
        return sum(bucket.count for bucket in self.latency)


def draw_latency(documents: report_documents.ReportDocuments) -> LatencyChart | None:
    """The percentiles over time; None where no account tells them by time."""
    span = burst_buckets.find_load_span(documents)
    parts = [_clip(part, span) for part in _list_parts(documents.load)]
    if not parts:
        return None
    zero = burst_chart.find_zero(documents) or parts[0].start
    percentiles = [
        [load_documents.find_percentile_ms(part.latency, percent) or 0.0 for percent in PERCENTS] for part in parts
    ]
    limits = list(_list_limits(documents.snapshot))
    plot = drawing.Plot(
        first=min(0.0, instants.seconds_between(zero, parts[0].start)),
        last=instants.seconds_between(zero, parts[-1].end),
        highest=max([*itertools.chain.from_iterable(percentiles), *(limit for limit, _ in limits)]),
        height=200.0,
    )
    middles = [instants.seconds_between(zero, part.start + (part.end - part.start) / 2) for part in parts]
    return LatencyChart(
        plot=plot,
        value_ticks=plot.list_value_ticks(),
        time_ticks=plot.list_time_ticks(),
        lines=[
            (f"p{percent}", plot.join_points(zip(middles, (row[index] for row in percentiles), strict=True)))
            for index, percent in enumerate(PERCENTS)
        ],
        limits=[(drawing.length(plot.find_y(limit)), words) for limit, words in limits],
        rows=[_tell(part, values, zero) for part, values in zip(parts, percentiles, strict=True)],
    )


def _list_parts(load: load_documents.Load | None) -> Iterator[_Part]:
    """The parts of the time, as many neighbours added up as make no more than can be drawn."""
    entries = load.latency_over_time if load is not None else []
    size = math.ceil(len(entries) / burst_buckets.MOST) or 1
    for first in range(0, len(entries), size):
        group = entries[first : first + size]
        counts = Counter[int]()
        for entry in group:
            for bucket in entry.latency:
                counts[bucket.up_to_us] += bucket.count
        buckets = [load_documents.LatencyBucket(up_to_us=up_to, count=count) for up_to, count in sorted(counts.items())]
        end = instants.later(group[-1].start_utc, group[-1].seconds)
        if buckets:
            yield _Part(start=group[0].start_utc, end=end, latency=buckets)


def _clip(part: _Part, span: burst_buckets.LoadSpan) -> _Part:
    """A part without its time before GO or after the last stop: it begins at a round instant of a clock."""
    clipped = span.clip(part.start, part.end)
    return replace(part, start=clipped[0], end=clipped[1])


def _list_limits(snapshot: snapshots.Snapshot) -> Iterator[tuple[float, str]]:
    """The limits on percentiles over the whole burst."""
    for gate in snapshot.gates:
        if gate.name in ("latency_p95_ms", "latency_p99_ms") and isinstance(gate.required, int | float):
            yield float(gate.required), f"limit of {gate.name.split('_')[1]}: {figures.number(gate.required)} ms"


def _tell(part: _Part, percentiles: Sequence[float], zero: datetime) -> LatencyRow:
    return LatencyRow(
        elapsed=drawing.describe_elapsed(instants.seconds_between(zero, part.start)),
        start=figures.time_of_day(part.start),
        answers=figures.number(part.answers),
        percentiles=[figures.number(round(value, 1)) for value in percentiles],
    )


def draw_errors(documents: report_documents.ReportDocuments) -> ErrorChart | None:
    """The requests that were not acknowledged; None where no account tells of answers."""
    load = documents.load
    if load is None or not load.answered:
        return None
    kinds = Counter[str]()
    for task in load.tasks:
        kinds.update({f"refused with {kind}": number for kind, number in task.refused.items()})
        kinds.update({f"failed: {kind}": number for kind, number in task.failed.items()})
    classes = [
        (kind, number, f"{100 * number / load.answered:.3g} %")
        for kind, number in sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0]))
    ]
    buckets = [bucket for bucket in burst_buckets.list_buckets(documents) if bucket.load is not None]
    plot = _plan_errors(documents, buckets) if classes else None
    return ErrorChart(
        answered=load.answered,
        classes=classes,
        plot=plot,
        value_ticks=plot.list_value_ticks() if plot else [],
        time_ticks=plot.list_time_ticks() if plot else [],
        **_draw_errors(documents, buckets, plot),
    )


def _plan_errors(
    documents: report_documents.ReportDocuments, buckets: Sequence[burst_buckets.PictureBucket]
) -> drawing.Plot | None:
    highest = max((_count_errors(bucket.load) for bucket in buckets), default=0.0)
    if highest <= 0.0:
        return None
    zero = burst_chart.find_zero(documents) or buckets[0].start
    first, last = (instants.seconds_between(zero, edge) for edge in (buckets[0].start, buckets[-1].end))
    return drawing.Plot(first=first, last=last, highest=highest, height=150.0)


def _count_errors(part: burst_buckets.LoadPart | None) -> float:
    return part.refused + part.failed if part is not None else 0.0


def _draw_errors(
    documents: report_documents.ReportDocuments,
    buckets: Sequence[burst_buckets.PictureBucket],
    plot: drawing.Plot | None,
) -> dict[str, str]:
    if plot is None:
        return {"refused": "", "failed": ""}
    zero = burst_chart.find_zero(documents) or buckets[0].start
    refused, failed = [], []
    for bucket in buckets:
        start, end = (instants.seconds_between(zero, edge) for edge in (bucket.start, bucket.end))
        low = bucket.load.refused if bucket.load else 0.0
        refused.append((start, end, 0.0, low))
        failed.append((start, end, low, _count_errors(bucket.load)))
    return {"refused": plot.join_bars(refused), "failed": plot.join_bars(failed)}
