"""The report as one self-contained HTML page: no script, nothing fetched, the same bytes for the same documents.

The charts are a few lines of SVG of our own, because every charting library needs a script, a font or 35 MB. Each part
of the page has a module that makes its values of the documents; the templates print them, and escape all text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.documents import window_metrics
from burst.domain.receipts import receipts
from burst.domain.verdict import snapshots, step_sections
from burst.report import (
    burst_chart,
    figures,
    load_charts,
    pages,
    phase_rows,
    rate_charts,
    report_answers,
    report_documents,
    series_charts,
    timelines,
)

MOST_OPEN_TASKS = 24
"""A table of more tasks is folded: with hundreds it would be most of the page."""


def render(verdict: snapshots.Verdict, contents: Mapping[str, bytes]) -> bytes:
    """The page for a snapshot and the documents that it names; deterministic. A missing document has no section."""
    documents = report_documents.ReportDocuments.read(verdict, contents)
    snapshot, metrics = documents.snapshot, documents.metrics
    page = pages.find_template("report.html.j2").render(
        snapshot=snapshot,
        sha256=documents.sha256,
        answer=report_answers.give(documents),
        chart=burst_chart.draw(documents),
        latency=load_charts.draw_latency(documents),
        errors=load_charts.draw_errors(documents),
        timeline=timelines.draw(documents),
        series=series_charts.draw(snapshot, _measure_burst(documents)),
        rates=_draw_rates(snapshot),
        worst_ends=documents.task_result.worst_end_seconds if documents.task_result is not None else {},
        metrics=metrics,
        most_open_tasks=MOST_OPEN_TASKS,
        preflight=documents.preflight,
        counting=_describe_counting(metrics) if metrics is not None and metrics.settle_rounds else None,
        word=figures.word(snapshot),
        decisions=figures.DECISIONS,
        phase_rows=phase_rows.list_all(snapshot),
        pages={entry.blocker: report_answers.find_page(snapshot, entry.blocker) for entry in snapshot.blocker_register},
    )
    return page.encode()


def _measure_burst(documents: report_documents.ReportDocuments) -> float | None:
    """The seconds of the attempt window; None where there was none."""
    attempt = documents.task_result.attempt if documents.task_result is not None else None
    return attempt.seconds if attempt is not None else None


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


def _describe_counting(metrics: window_metrics.Metrics) -> str:
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
