"""The picture of a burst: receipts per minute as bars, events offered and sent as lines, and numbered instants.

The instants of the run are numbered in the drawing and named in a list below it, so that no words lie upon the bars,
and a narrow screen shows the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.receipts import receipts
from burst.report import burst_buckets, drawing, figures, report_documents

_LANE = 27.0
"""How high a lane of numbers is; on a narrow screen the circle of a number is nearly as high."""
_MARK_ROOM = 22.0
"""From the top of the plane to the middle of the lowest lane: the words of the highest value lie between."""
_MOST_LANES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartEvent:
    """Something that happened at an instant. `tone`: good, bad, or plain."""

    at: datetime
    words: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartMark:
    """An event in the drawing: its number, where it stands, and its words for the list below."""

    number: int
    x: str
    y: str
    tone: str
    words: str
    elapsed: str
    instant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """A bucket in figures. None is not known; rates are events a minute."""

    elapsed: str
    start: str
    seconds: str
    offered: str | None
    sent: str | None
    counts: receipts.Counts | None
    admits_per_minute: str | None
    refused: str | None
    failed: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstChart:
    """The picture, in the units of its drawing, and the figures that it stands for."""

    plot: drawing.Plot
    zero: str
    """The instant from which the time is told."""
    value_ticks: Sequence[drawing.Tick]
    time_ticks: Sequence[drawing.Tick]
    admit: str
    duplicate: str
    rest: str
    partial: str
    """The outlines of the buckets that are shorter than the others."""
    offered: str
    sent: str
    required_y: str | None
    required: str
    baseline_y: str | None
    baseline: str
    blind: Sequence[tuple[str, str]]
    """From where and how wide, for each time in which nobody could look."""
    marks: Sequence[ChartMark]
    rows: Sequence[ChartRow]
    bucket_seconds: str

    @property
    def has_load(self) -> bool:
        """Whether the generator counted what it offered and sent."""
        return any(row.sent is not None for row in self.rows)


def draw(documents: report_documents.ReportDocuments) -> BurstChart | None:
    """The picture of a run; None where nothing was counted by time."""
    buckets = burst_buckets.list_buckets(documents)
    if not buckets:
        return None
    go_at = find_zero(documents) or buckets[0].start
    events = sorted(list_events(documents), key=lambda event: event.at)
    baseline, required = _find_rates(documents)
    lanes = _spread(events, buckets, go_at)
    plot = drawing.Plot(
        first=instants.seconds_between(go_at, buckets[0].start),
        last=instants.seconds_between(go_at, buckets[-1].end),
        highest=max([*_list_heights(buckets), required or 0.0, baseline or 0.0, 1.0]),
        top=_MARK_ROOM + 13.0 + _LANE * max(lanes.values(), default=0),
        height=263.0 + _LANE * max(lanes.values(), default=0),
    )
    return BurstChart(
        plot=plot,
        zero=figures.instant(go_at),
        value_ticks=plot.list_value_ticks(),
        time_ticks=plot.list_time_ticks(),
        **_draw_bars(plot, buckets, go_at),
        offered=_draw_line(plot, buckets, go_at, "due"),
        sent=_draw_line(plot, buckets, go_at, "sent"),
        required_y=None if required is None else drawing.length(plot.find_y(required)),
        required="" if required is None else figures.number(round(required, 3)),
        baseline_y=None if baseline is None else drawing.length(plot.find_y(baseline)),
        baseline="" if baseline is None else figures.number(round(baseline, 3)),
        blind=list(_draw_blindness(plot, documents, go_at)),
        marks=list(_draw_marks(plot, lanes, go_at)),
        rows=[_tell(bucket, go_at) for bucket in buckets],
        bucket_seconds=figures.number(round(max(bucket.seconds for bucket in buckets), 3)),
    )


def find_zero(documents: report_documents.ReportDocuments) -> datetime | None:
    """The instant from which a report tells the time: GO, else the beginning of the counted window."""
    result, metrics = documents.task_result, documents.metrics
    if result is not None and result.go_utc is not None:
        return result.go_utc
    return metrics.window.start_utc if metrics is not None else None


def list_events(documents: report_documents.ReportDocuments) -> Iterator[ChartEvent]:
    """What happened in a run, in no order."""
    result, snapshot = documents.task_result, documents.snapshot
    if result is not None and result.go_utc is not None:
        yield ChartEvent(at=result.go_utc, words="GO: the tasks begin to send", tone="good")
        yield from _list_steps(documents, result.go_utc)
    for check in snapshot.drills or ():
        if check.faulted_utc is not None:
            yield ChartEvent(at=check.faulted_utc, words=f"drill {check.name}: {check.fault}", tone="bad")
        if check.recovered_utc is not None:
            yield ChartEvent(at=check.recovered_utc, words=f"drill {check.name}: recovered", tone="good")
    yield from _list_stops(documents)
    for outage in snapshot.runtime_budget.outages:
        until = figures.instant(outage.sight_regained_utc) or "the end"
        words = f"the controller could not see the tasks until {until}"
        yield ChartEvent(at=outage.blind_since_utc, words=f"{words}: {outage.detail}" if outage.detail else words)
    for blindness in snapshot.decision.count_blindnesses:
        until = figures.instant(blindness.until_utc) or "the end"
        yield ChartEvent(at=blindness.since_utc, words=f"no live count until {until}: {blindness.why}")


def _list_steps(documents: report_documents.ReportDocuments, go_at: datetime) -> Iterator[ChartEvent]:
    for step in documents.snapshot.rate_steps or ():
        if step.start_seconds > 0.0:
            counted = "" if step.counted else ", not counted"
            yield ChartEvent(at=instants.later(go_at, step.start_seconds), words=f"step {step.name} begins{counted}")


def _list_stops(documents: report_documents.ReportDocuments) -> Iterator[ChartEvent]:
    decision, window = documents.snapshot.decision, documents.snapshot.burst_execution_window
    early, halt, sign = decision.early_stop, decision.halt, decision.stop_sign
    if early is not None:
        saved = f"{figures.number(round(early.seconds_saved, 3))} s saved"
        yield ChartEvent(at=early.at_utc, words=f"early stop by the rule {early.rule}, {saved}", tone="bad")
    if halt is not None:
        yield ChartEvent(at=halt.at_utc, words=f"halted by {halt.by}: {halt.reason}", tone="bad")
    if sign is not None:
        yield ChartEvent(at=sign.at_utc, words=f"stop sign {sign.sign} was {figures.number(sign.value)}", tone="bad")
    if window.stop_asked_utc is not None:
        reason = f" ({decision.stop_reason})" if decision.stop_reason else ""
        yield ChartEvent(at=window.stop_asked_utc, words=f"STOP: the tasks are asked to end{reason}")
    if window.load_ended_utc is not None:
        yield ChartEvent(at=window.load_ended_utc, words="the load ended, at the earliest")


def _find_rates(documents: report_documents.ReportDocuments) -> tuple[float | None, float | None]:
    """The admits per minute of the baseline, and those that are required."""
    baseline, multiplier = documents.snapshot.baseline_extract, documents.snapshot.burst_target.ingest_multiplier
    if baseline is None:
        return None, None
    return baseline.admits_per_minute, None if multiplier is None else baseline.admits_per_minute * multiplier


def _list_heights(buckets: Sequence[burst_buckets.PictureBucket]) -> Iterator[float]:
    for bucket in buckets:
        if bucket.counts is not None:
            yield bucket.find_rate(bucket.counts.total)
        if bucket.load is not None:
            yield bucket.find_rate(max(bucket.load.due, bucket.load.sent))


def _draw_bars(plot: drawing.Plot, buckets: Sequence[burst_buckets.PictureBucket], go_at: datetime) -> dict[str, str]:
    layers: dict[str, list[tuple[float, float, float, float]]] = {
        name: [] for name in ("admit", "duplicate", "rest", "partial")
    }
    for bucket in buckets:
        counts = bucket.counts
        if counts is None:
            continue
        start, end = (instants.seconds_between(go_at, edge) for edge in (bucket.start, bucket.end))
        heights = (counts.admit, counts.admit + counts.duplicate, counts.total)
        low = 0.0
        for name, height in zip(("admit", "duplicate", "rest"), heights, strict=True):
            layers[name].append((start, end, low, bucket.find_rate(height)))
            low = bucket.find_rate(height)
        if bucket.partial:
            layers["partial"].append((start, end, 0.0, low))
    return {name: plot.join_bars(bars) for name, bars in layers.items()}


def _draw_line(plot: drawing.Plot, buckets: Sequence[burst_buckets.PictureBucket], go_at: datetime, figure: str) -> str:
    """A line that is level over each bucket; empty where there was nothing of it.

    It ends before a last bucket that is shorter than the others: by then the tasks were asked to end, and its fall to
    zero would lie upon the mark of that.
    """
    levels = []
    drawn_buckets = buckets[:-1] if len(buckets) > 1 and buckets[-1].partial else buckets
    for bucket in drawn_buckets:
        if bucket.load is not None:
            start, end = (instants.seconds_between(go_at, edge) for edge in (bucket.start, bucket.end))
            levels.append((start, end, bucket.find_rate(getattr(bucket.load, figure))))
    return plot.join_levels(levels) if any(rate for _, _, rate in levels) else ""


def _draw_blindness(
    plot: drawing.Plot, documents: report_documents.ReportDocuments, go_at: datetime
) -> Iterator[tuple[str, str]]:
    for outage in documents.snapshot.runtime_budget.outages:
        start = instants.seconds_between(go_at, outage.blind_since_utc)
        end = plot.last
        if outage.sight_regained_utc is not None:
            end = instants.seconds_between(go_at, outage.sight_regained_utc)
        left, right = plot.find_x(start), plot.find_x(end)
        if right > left:
            yield drawing.length(left), drawing.length(right - left)


def _spread(
    events: Sequence[ChartEvent], buckets: Sequence[burst_buckets.PictureBucket], go_at: datetime
) -> dict[ChartEvent, int]:
    """The lane of the number of each event that lies in the picture."""
    first, last = (instants.seconds_between(go_at, edge) for edge in (buckets[0].start, buckets[-1].end))
    plot = drawing.Plot(first=first, last=last, highest=1.0)
    drawn_events = [event for event in events if first - 1.0 <= instants.seconds_between(go_at, event.at) <= last + 1.0]
    places = [plot.find_x(instants.seconds_between(go_at, event.at)) for event in drawn_events]
    lanes = drawing.spread_lanes(places, _LANE)
    return {event: min(lane, _MOST_LANES) for event, lane in zip(drawn_events, lanes, strict=True)}


def _draw_marks(plot: drawing.Plot, lanes: dict[ChartEvent, int], go_at: datetime) -> Iterator[ChartMark]:
    for number, (event, lane) in enumerate(lanes.items(), start=1):
        elapsed = instants.seconds_between(go_at, event.at)
        yield ChartMark(
            number=number,
            x=drawing.length(plot.find_x(elapsed)),
            y=drawing.length(plot.top - _MARK_ROOM - _LANE * lane),
            tone=event.tone,
            words=event.words,
            elapsed=drawing.describe_elapsed(elapsed),
            instant=figures.instant(event.at),
        )


def _tell(bucket: burst_buckets.PictureBucket, go_at: datetime) -> ChartRow:
    load, counts = bucket.load, bucket.counts

    def say_rate(number: float | None) -> str | None:
        return None if number is None else figures.number(round(bucket.find_rate(number), 1))

    def say_count(number: float | None) -> str | None:
        return None if number is None else figures.number(round(number))

    return ChartRow(
        elapsed=drawing.describe_elapsed(instants.seconds_between(go_at, bucket.start)),
        start=figures.time_of_day(bucket.start),
        seconds=figures.number(round(bucket.seconds, 3)),
        offered=say_rate(load.due if load else None),
        sent=say_rate(load.sent if load else None),
        counts=counts,
        admits_per_minute=say_rate(counts.admit if counts else None),
        refused=say_count(load.refused if load else None),
        failed=say_count(load.failed if load else None),
    )
