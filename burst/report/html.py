"""The report as one self-contained HTML page: no script, nothing fetched, the same bytes for the same documents.

The chart is a few lines of SVG of our own, because every charting library needs a script, a font or 35 MB. All text
is escaped by the template; the figures of the chart stand in a table beside it.
"""

import functools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import jinja2

from burst.domain.basics import wording
from burst.domain.documents import window_metrics
from burst.domain.receipts import receipts
from burst.domain.verdict import snapshots, step_sections
from burst.report import figures, rate_charts, series_charts

_WIDTH, _HEIGHT = 720.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 12.0, 12.0, 28.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bucket of the chart, in the units of its drawing, and the figures it stands for."""

    x: str
    width: str
    admit_y: str
    admit_height: str
    total_y: str
    total_height: str
    start: str
    end: str
    counts: Mapping[str, int]
    admits_per_minute: str
    total_per_minute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillMark:
    """An instant of a drill in the chart: its fault, or the recovery from it."""

    x: str
    words: str
    recovered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The receipts per minute of each bucket, and the line of the required rate."""

    bars: Sequence[Bar]
    top: str
    required_y: str | None
    required: str
    marks: Sequence[DrillMark]


def render(verdict: snapshots.Verdict, metrics: window_metrics.Metrics | None) -> bytes:
    """The page for a snapshot and the counts beside it; deterministic. Without metrics it has no chart."""
    # Read back, so that a value in memory and one from a file (3.0 and 3) give the same page.
    snapshot = snapshots.Verdict.read(verdict.content).snapshot
    page = _template().render(
        snapshot=snapshot,
        sha256=verdict.sha256,
        chart=_chart(snapshot, metrics.buckets) if metrics is not None and metrics.buckets else None,
        series=series_charts.draw(snapshot),
        rates=_draw_rates(snapshot),
        metrics=metrics,
        counting=_counting(metrics) if metrics is not None and metrics.settle_rounds else None,
        word=figures.word(snapshot),
        decisions=figures.DECISIONS,
        phase_rows=figures.list_phase_rows(snapshot),
    )
    return page.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateChart:
    """The rates over time, and the steps beside."""

    drawing: rate_charts.Drawing
    steps: Sequence[step_sections.RateStepEntry]


def _draw_rates(snapshot: snapshots.Snapshot) -> RateChart | None:
    """The chart of the load's steps; None where it has none."""
    if not snapshot.rate_steps:
        return None
    drawing = rate_charts.draw(step_sections.read_plan(snapshot.rate_steps))
    return RateChart(drawing=drawing, steps=snapshot.rate_steps)


def _counting(metrics: window_metrics.Metrics) -> str:
    """How the counts came to rest, from the rounds themselves."""
    rounds = [settle_round.counts.counts for settle_round in metrics.settle_rounds]
    late, lost = receipts.count_gains(rounds[0], rounds[-1]), metrics.lost
    return (
        f"{wording.format_count(len(rounds), 'count')}, settled: {figures.number(not metrics.unsettled)}; "
        f"late: {_list_decisions(late)}; vanished: {_list_decisions(lost)}{_describe_live(metrics.live)}"
    )


def _describe_live(live: window_metrics.LiveEntry | None) -> str:
    """Whether the live counts were those of a last count of the same time."""
    if live is None:
        return ""
    difference = live.difference or "a last count found the same"
    return f"; live counts to {figures.instant(live.counted_to_utc)}: {figures.decisions(live.slices)}, {difference}"


def _list_decisions(counts: receipts.Counts) -> str:
    return figures.decisions(window_metrics.CountsEntry.from_counts(counts))


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("burst.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for print_figure in (
        figures.phase,
        figures.number,
        figures.instant,
        figures.measured_value,
        figures.required_value,
        figures.span,
        figures.decisions,
        figures.deliveries,
        figures.drill,
        figures.duplicates,
        figures.driver,
        figures.cost,
        figures.ended_by,
        figures.asked_by,
        figures.quorum,
        figures.attempt,
        figures.changed_terms,
        figures.mode,
        figures.interval,
    ):
        environment.filters[print_figure.__name__] = print_figure
    environment.filters["shell_words"] = shlex.join
    return environment.get_template("report.html.j2")


def _chart(snapshot: snapshots.Snapshot, buckets: Sequence[window_metrics.BucketEntry]) -> Chart:
    required = _required_per_minute(snapshot)
    first, last = buckets[0].window.start, max(bucket.window.end for bucket in buckets)
    seconds = (last - first).total_seconds() or 1.0
    highest = max([_per_minute(bucket.counts.counts.total, bucket) for bucket in buckets] + [required or 0.0, 1.0])
    across, down = (_WIDTH - _LEFT - _RIGHT) / seconds, (_HEIGHT - _TOP - _BOTTOM) / (highest * 1.05)
    floor = _HEIGHT - _BOTTOM

    def bar(bucket: window_metrics.BucketEntry) -> Bar:
        counts, window = bucket.counts.counts, bucket.window
        admits, total = _per_minute(counts.admit, bucket), _per_minute(counts.total, bucket)
        return Bar(
            x=_length(_LEFT + (window.start - first).total_seconds() * across),
            width=_length(max(window.seconds * across - 1.0, 0.5)),
            admit_y=_length(floor - admits * down),
            admit_height=_length(admits * down),
            total_y=_length(floor - total * down),
            total_height=_length(total * down),
            start=figures.instant(window.start),
            end=figures.instant(window.end),
            counts=bucket.counts.document(),
            admits_per_minute=figures.number(round(admits, 3)),
            total_per_minute=figures.number(round(total, 3)),
        )

    return Chart(
        bars=[bar(bucket) for bucket in buckets],
        top=figures.number(round(highest * 1.05)),
        required_y=None if required is None else _length(floor - required * down),
        required=figures.number(required if required is None else round(required, 3)),
        marks=[
            DrillMark(x=_length(_LEFT + (at - first).total_seconds() * across), words=words, recovered=recovered)
            for at, words, recovered in _list_marks(snapshot)
            if first <= at <= last
        ],
    )


def _list_marks(snapshot: snapshots.Snapshot) -> Iterator[tuple[datetime, str, bool]]:
    """The instants of each drill: its fault, and the recovery from it."""
    for check in snapshot.drills or ():
        if check.faulted_utc is not None:
            yield check.faulted_utc, f"{check.name}: {check.fault}", False
        if check.recovered_utc is not None:
            yield check.recovered_utc, f"{check.name}: recovered", True


def _per_minute(count: int, bucket: window_metrics.BucketEntry) -> float:
    return count / bucket.window.seconds * 60


def _required_per_minute(snapshot: snapshots.Snapshot) -> float | None:
    baseline, multiplier = snapshot.baseline_extract, snapshot.burst_target.ingest_multiplier
    return None if baseline is None or multiplier is None else baseline.admits_per_minute * multiplier


def _length(value: float) -> str:
    """A length in the drawing; two decimals, so that no platform's printing of floats shows."""
    return f"{value:.2f}"
