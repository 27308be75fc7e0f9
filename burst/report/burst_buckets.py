"""The buckets of a burst's picture: receipts of the database beside what the generator was due to send and sent.

The generator counts by whole seconds of its own clock, the receipts by buckets of the database's. A second that lies
across the edge of a bucket is shared between the two, so figures of the generator are no whole numbers here. Where
there are more buckets than a screen can show, neighbours are added up.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from burst.domain.basics import instants
from burst.domain.documents import load_documents
from burst.domain.receipts import receipts
from burst.report import report_documents

MOST = 120
"""The most buckets that are drawn."""
_FIGURES = ("due", "sent", "acknowledged", "refused", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPart:
    """What the generator counted in a bucket, of all tasks."""

    due: float = 0.0
    sent: float = 0.0
    acknowledged: float = 0.0
    refused: float = 0.0
    failed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureBucket:
    """One bucket. `partial`: it is shorter than the others. `counts`, `load`: None where nobody counted."""

    start: datetime
    end: datetime
    partial: bool
    counts: receipts.Counts | None
    load: LoadPart | None

    @property
    def seconds(self) -> float:
        """How long it is."""
        return instants.seconds_between(self.start, self.end)

    def find_rate(self, number: float) -> float:
        """A number of events in this bucket, as events a minute."""
        return number / self.seconds * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpan:
    """The time in which a load can have been sent, as far as it is known."""

    start: datetime | None
    end: datetime | None

    def clip(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """The part of a time in which there can have been a load; all of it where that is none.

        Clocks of tasks may differ from the controller's, so a count outside the span is believed where it stands.
        """
        begun = self.start if self.start is not None and start < self.start < end else start
        ended = self.end if self.end is not None and begun < self.end < end else end
        return begun, ended


def find_load_span(documents: report_documents.ReportDocuments) -> LoadSpan:
    """From GO to the last stop."""
    result = documents.task_result
    attempt = result.attempt if result is not None else None
    return LoadSpan(
        start=result.go_utc if result is not None else None, end=attempt.end if attempt is not None else None
    )


def list_buckets(documents: report_documents.ReportDocuments) -> list[PictureBucket]:
    """The buckets of a run, at most `MOST`; none where neither receipts nor load were counted by time."""
    span = find_load_span(documents)
    buckets = _list_counted(documents, span) or _list_sent(documents, span)
    width = max((bucket.seconds for bucket in buckets), default=0.0)
    return [_add_up(group, width) for group in _group(buckets)]


def _list_counted(documents: report_documents.ReportDocuments, span: LoadSpan) -> list[PictureBucket]:
    if documents.metrics is None:
        return []
    entries = sorted(documents.metrics.buckets, key=lambda entry: entry.start_utc)
    loads = _share(documents.load, [(entry.start_utc, entry.end_utc) for entry in entries], span)
    return [
        PictureBucket(start=entry.start_utc, end=entry.end_utc, partial=False, counts=entry.counts.counts, load=load)
        for entry, load in zip(entries, loads, strict=True)
    ]


def _list_sent(documents: report_documents.ReportDocuments, span: LoadSpan) -> list[PictureBucket]:
    """Buckets of the seconds that the generator counted, where nobody counted receipts by time."""
    seconds = documents.load.seconds if documents.load is not None else []
    if not seconds:
        return []
    first, last = seconds[0].start_utc, seconds[-1].start_utc
    step = max(1, math.ceil((instants.seconds_between(first, last) + 1) / MOST))
    count = math.ceil((instants.seconds_between(first, last) + 1) / step)
    edges = [first + timedelta(seconds=step * number) for number in range(count + 1)]
    spans = list(itertools.pairwise(edges))
    return [
        PictureBucket(start=start, end=end, partial=False, counts=None, load=load)
        for (start, end), load in zip(spans, _share(documents.load, spans, span), strict=True)
    ]


def _share(
    load: load_documents.Load | None, spans: Sequence[tuple[datetime, datetime]], loaded: LoadSpan
) -> list[LoadPart | None]:
    """What the generator counted in each span; the spans are in order and do not overlap.

    Events counted in the second of GO were sent after GO, and those of the last second before the last stop.
    """
    if load is None or not load.seconds:
        return [None] * len(spans)
    sums = [dict.fromkeys(_FIGURES, 0.0) for _ in spans]
    index = 0
    for second in load.seconds:
        begun, ended = loaded.clip(second.start_utc, second.start_utc + timedelta(seconds=1))
        whole = instants.seconds_between(begun, ended)
        while index < len(spans) - 1 and spans[index][1] <= begun:
            index += 1
        for number in range(index, len(spans)):
            start, end = spans[number]
            shared = instants.seconds_between(max(start, begun), min(end, ended))
            if shared <= 0.0:
                break
            for figure in _FIGURES:
                sums[number][figure] += getattr(second, figure) * shared / whole
    return [LoadPart(**figures) for figures in sums]


def _group(buckets: Sequence[PictureBucket]) -> Iterator[Sequence[PictureBucket]]:
    size = math.ceil(len(buckets) / MOST) or 1
    for first in range(0, len(buckets), size):
        yield buckets[first : first + size]


def _add_up(group: Sequence[PictureBucket], width: float) -> PictureBucket:
    """Neighbours as one bucket; it is partial where one of them is shorter than the widest of all."""
    loads = [bucket.load for bucket in group if bucket.load is not None]
    counts = [bucket.counts for bucket in group if bucket.counts is not None]
    return PictureBucket(
        start=group[0].start,
        end=group[-1].end,
        partial=any(bucket.seconds < width for bucket in group),
        counts=sum(counts, receipts.Counts()) if counts else None,
        load=LoadPart(**{figure: math.fsum(getattr(load, figure) for load in loads) for figure in _FIGURES})
        if loads
        else None,
    )
