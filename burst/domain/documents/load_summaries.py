"""Load summaries: what a load came to, in the figures that a person asks for first, and what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.documents import load_documents
from burst.load import raised_markers

LEAST_IN_TIME = 0.99
"""Of what was due, sent in time, as `gates.offered_load` asks by default."""
_PERCENTS = (50.0, 95.0, 99.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSummary:
    """The requests of one name, or of all. The latencies are None where no answer has one."""

    name: str
    requests: int
    acknowledged: int
    refused: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    longest_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSummary:
    """How a schedule was kept. `due` is without what could still be sent in time when the load ended."""

    due: int
    in_time: int
    sent: int
    late: int
    latest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    """`requests` by name, then `total` over all of them; `schedule` is None where the program has none."""

    requests: tuple[RequestSummary, ...]
    total: RequestSummary
    schedule: ScheduleSummary | None
    faults: tuple[str, ...]
    """The faults of the load, in words; none where it was sent as it should be and answered well."""


def summarize(load: load_documents.Load) -> LoadSummary:
    """The summary of a load account."""
    total = _sum_up(
        "all",
        sum(task.acknowledged for task in load.tasks),
        load.refusals(),
        load.failures(),
        load.latency,
    )
    schedule = _read_schedule(load)
    return LoadSummary(
        requests=tuple(
            _sum_up(
                request.name,
                request.acknowledged,
                sum(request.refused.values()),
                sum(request.failed.values()),
                request.latency,
            )
            for request in load.requests
        ),
        total=total,
        schedule=schedule,
        faults=tuple(_list_faults(load, total, schedule)),
    )


def _sum_up(
    name: str, acknowledged: int, refused: int, failed: int, latency: list[load_documents.LatencyBucket]
) -> RequestSummary:
    p50, p95, p99, longest = (load_documents.find_percentile_ms(latency, percent) for percent in _PERCENTS)
    return RequestSummary(
        name=name,
        requests=acknowledged + refused + failed,
        acknowledged=acknowledged,
        refused=refused,
        failed=failed,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        longest_ms=longest,
    )


def _read_schedule(load: load_documents.Load) -> ScheduleSummary | None:
    if not load.shards_with_due:
        return None
    return ScheduleSummary(
        due=load.decided_due,
        in_time=load.in_time,
        sent=load.sent,
        late=sum(task.late for task in load.tasks),
        latest_seconds=load.latest_seconds,
    )


def _list_faults(load: load_documents.Load, total: RequestSummary, schedule: ScheduleSummary | None) -> Iterator[str]:
    if total.requests == 0:
        yield "NO_DATA: no request came to an end"
    if total.refused or total.failed:
        yield f"{total.refused + total.failed} of {total.requests} requests failed: {load.name_failures()}"
    raised = {name: count for name, count in load.markers.items() if name.startswith(raised_markers.RAISED)}
    if raised:
        kinds = ", ".join(
            f"{count} {name.removeprefix(raised_markers.RAISED)}" for name, count in sorted(raised.items())
        )
        yield f"users raised {wording.format_count(sum(raised.values()), 'exception')}: {kinds}"
    if schedule is not None and schedule.in_time < LEAST_IN_TIME * schedule.due:
        yield (
            f"{schedule.in_time} of {schedule.due} events due were sent in time, which is under {LEAST_IN_TIME:.0%}; "
            f"the latest was {schedule.latest_seconds:.1f} s late"
        )
    bad_lines = sum(task.bad_lines for task in load.tasks)
    if bad_lines:
        yield f"{bad_lines} lines of the account make no sense"
