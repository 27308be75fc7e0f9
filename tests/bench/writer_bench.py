"""What live counts cost a writer of the same table: its rows a second while a burst is counted every two seconds,
beside those of the periods in which nobody counts, in turns.

`BENCH_ROWS` names another number of receipts that the table holds before.
"""

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg

from burst import ports
from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, instants, redaction
from burst.kit import measure
from burst.sandbox import embedded_postgres
from burst.task import counting
from tests.bench import count_bench

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
PERIODS = 8
PERIOD_SECONDS = 5.0
POLL_SECONDS = 2.0
PACED_PER_SECOND = 3000
BATCH = 30
Poll = Callable[[], object]


def run() -> dict[str, object]:
    """The share of its rows that a saturated and a paced writer lose to live counts by the tail, and to live counts
    that read the window so far; negative where chance was kinder to the counted periods."""
    figures: dict[str, object] = {"rows_before": ROWS}
    with embedded_postgres.start(durable=False) as server:
        embedded_postgres.apply_schema(server.dsn)
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(count_bench.FILL, [ROWS])
            connection.execute("vacuum analyze receipts")
        for writer, rate in (("saturated", None), ("paced", PACED_PER_SECOND)):
            for counter, follow in (("tail", _follow_tail), ("window", _follow_window)):
                with follow(server.dsn) as poll:
                    counted, alone = _alternate(server.dsn, rate, poll)
                figures[f"{writer}_rows_a_second_alone"] = alone
                figures[f"{writer}_lost_to_{counter}_counts"] = 1 - counted / alone
    return figures


@contextlib.contextmanager
def _follow(
    dsn: str, choose: Callable[[postgres_receipts.PostgresReceipts, datetime], ports.Counter]
) -> Iterator[Poll]:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)
    source.open(instants.later(datetime.now(UTC), 600))
    source.wait_for_mark(30)
    counter = choose(source, datetime.now(UTC))
    yield lambda: counter.poll(datetime.now(UTC))
    source.close()


def _follow_tail(dsn: str) -> Any:
    return _follow(
        dsn,
        lambda source, start: source.follow(
            start=start,
            until=instants.later(start, 600),
            scope=count_bench.LIVE_SCOPE,
            settle_seconds=0.5,
            every_seconds=POLL_SECONDS,
            patience_seconds=30.0,
        ),
    )


def _follow_window(dsn: str) -> Any:
    """Slice by slice from the whole table, as often, whatever it takes."""
    return _follow(
        dsn,
        lambda source, start: measure.LiveCounter(
            source, start=start, scope=count_bench.LIVE_SCOPE, settle_seconds=0.5, now=lambda: start
        ),
    )


def _alternate(dsn: str, rate: int | None, poll: Poll) -> tuple[float, float]:
    """Medians of rows a second with polls and without."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        _write(connection, rate)  # the first period warms up
        periods = [_write_pair(connection, rate, poll, counted_first=bool(number % 2)) for number in range(PERIODS)]
    counted, alone = (statistics.median(column) for column in zip(*periods, strict=True))
    return counted, alone


def _write_pair(
    connection: psycopg.Connection[Any], rate: int | None, poll: Poll, *, counted_first: bool
) -> tuple[float, float]:
    """Rows a second of a counted period and of one alone; which comes first changes, because the table grows."""
    if counted_first:
        return _write_counted(connection, rate, poll), _write(connection, rate)
    alone = _write(connection, rate)
    return _write_counted(connection, rate, poll), alone


def _write_counted(connection: psycopg.Connection[Any], rate: int | None, poll: Poll) -> float:
    ended = threading.Event()

    def count() -> None:
        while not ended.wait(POLL_SECONDS):
            with contextlib.suppress(errors.Unavailable):  # one that takes too long costs the writer all the same
                poll()

    counting_thread = threading.Thread(target=count)
    counting_thread.start()
    try:
        return _write(connection, rate)
    finally:
        ended.set()
        counting_thread.join()


def _write(connection: psycopg.Connection[Any], rate: int | None) -> float:
    """Rows a second over one period, each batch a transaction of its own; with a rate no faster than that."""
    began, written = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < PERIOD_SECONDS:
        if rate is not None and written > elapsed * rate:
            time.sleep(BATCH / rate / 4)
            continue
        connection.execute(count_bench.NEW, [BATCH])
        written += BATCH
    return written / (time.monotonic() - began)


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
