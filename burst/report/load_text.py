"""A load summary as a table of text."""

from collections.abc import Iterator

from burst.domain.documents import load_summaries
from burst.report import terminal

_HEAD = ("REQUEST", "REQUESTS", "REFUSED", "FAILED", "P50 MS", "P95 MS", "P99 MS", "LONGEST MS")


def render(summary: load_summaries.LoadSummary) -> str:
    """The requests by name, their total, and the schedule where there is one."""
    parts = [terminal.table([_HEAD, *(_list_cells(entry) for entry in (*summary.requests, summary.total))])]
    if summary.schedule is not None:
        parts.append(_tell_schedule(summary.schedule))
    return "\n".join(parts)


def _list_cells(entry: load_summaries.RequestSummary) -> tuple[str, ...]:
    counts = (entry.requests, entry.refused, entry.failed)
    times = (entry.p50_ms, entry.p95_ms, entry.p99_ms, entry.longest_ms)
    return entry.name, *(f"{number:,}" for number in counts), *_list_times(times)


def _list_times(times: tuple[float | None, ...]) -> Iterator[str]:
    yield from ("-" if time is None else f"{time:,.1f}" for time in times)


def _tell_schedule(schedule: load_summaries.ScheduleSummary) -> str:
    return (
        f"due {schedule.due:,}, sent {schedule.sent:,}, in time {schedule.in_time:,}, "
        f"late {schedule.late:,} (the latest {schedule.latest_seconds:.2f} s)"
    )
