"""Whether the slices of live counts add up to the count at the end, while eight writers commit late and out of order.

In every other run they also delete and update receipts, and the table is vacuumed between polls.

`BENCH_RUNS` names another number of runs. A run takes about four seconds.
"""

import os
from datetime import UTC, datetime

import psycopg

from burst.adapters.postgres import postgres_receipts, tail_counter
from burst.domain.basics import instants, redaction, windows
from burst.domain.documents import window_metrics
from burst.domain.receipts import receipts
from burst.sandbox import embedded_postgres
from burst.task import counting
from tests.counting import writers

RUNS = int(os.environ.get("BENCH_RUNS", "100"))
SECONDS = 2.5
INSERTING = ("plain", "late", "savepoint", "rollback", "prepare")
REWRITING = (*INSERTING, "delete", "update", "sizes")
_EXACT = """
select decision, count(*) from receipts where platform_run_id = %s
    and created_at_utc::timestamptz >= %s and created_at_utc::timestamptz < %s group by decision
"""


def run() -> dict[str, object]:
    """How many runs of each kind had slices that add up, how many differed and said so, and how many did not say so.
    Raises `AssertionError` where the count at the end is not that of a statement which reads every text."""
    figures: dict[str, int] = {}
    with embedded_postgres.start(durable=False) as server:
        for number in range(RUNS):
            kind = "rewriting" if number % 2 else "inserting"
            live = _play(server, number, kind)
            outcome = "equal" if live.slices == live.counts else "different_and_said" if live.difference else "unsaid"
            figures[f"{kind}_{outcome}"] = figures.get(f"{kind}_{outcome}", 0) + 1
            if outcome != "equal":
                figures[f"{kind}_largest_difference"] = max(
                    figures.get(f"{kind}_largest_difference", 0), _measure_difference(live)
                )
    return {"runs": RUNS, **dict(sorted(figures.items()))}


def _play(server: embedded_postgres.PostgresServer, number: int, kind: str) -> window_metrics.LiveEntry:
    dsn = server.create_database()
    embedded_postgres.apply_schema(dsn)
    writers.insert(dsn, 2000, at=datetime(2026, 1, 1, tzinfo=UTC))
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)
    try:
        until = instants.later(datetime.now(UTC), SECONDS)
        source.open(until)
        source.wait_for_mark(30)
        counter = source.follow(
            start=datetime.now(UTC), until=until, scope=writers.SCOPE,
            settle_seconds=0.05, every_seconds=1.0, patience_seconds=10.0,
        )  # fmt: skip
        assert isinstance(counter, tail_counter.TailCounter)
        followed, habits = counter.followed, REWRITING if kind == "rewriting" else INSERTING
        with writers.writing(dsn, number, *habits):
            writers.poll_to_the_end(
                counter, until, lambda: writers.run(dsn, "vacuum receipts") if kind == "rewriting" else None
            )
        slices = writers.total_at_the_end(counter)
        return window_metrics.LiveEntry(
            counted_to_utc=until,
            slices=window_metrics.CountsEntry.from_counts(slices),
            counts=_count_at_the_end(source, dsn, windows.Window(followed.start, until)),
        )
    finally:
        source.close()


def _count_at_the_end(
    source: postgres_receipts.PostgresReceipts, dsn: str, window: windows.Window
) -> window_metrics.CountsEntry:
    give_up_at = instants.later(datetime.now(UTC), 30)
    counts = source.count(window, scope=writers.SCOPE, bucket_seconds=60, give_up_at=give_up_at).counts
    assert counts == _count_exactly(dsn, window), counts
    return window_metrics.CountsEntry.from_counts(counts)


def _count_exactly(dsn: str, window: windows.Window) -> receipts.Counts:
    with psycopg.connect(dsn) as connection:
        connection.execute("set timezone to 'UTC'")
        found: dict[str, int] = dict(connection.execute(_EXACT, [writers.SCOPE, window.start, window.end]).fetchall())
    named = {name: found.pop(name, 0) for name in receipts.DECISIONS}
    return receipts.Counts(**{name.lower(): number for name, number in named.items()}, other=sum(found.values()))


def _measure_difference(live: window_metrics.LiveEntry) -> int:
    assert live.counts is not None
    more = receipts.count_gains(live.slices.counts, live.counts.counts).total
    fewer = receipts.count_gains(live.counts.counts, live.slices.counts).total
    return more + fewer
