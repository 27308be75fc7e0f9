"""What live counts cost a writer of the same table: its rows a second while a burst is counted every two seconds,
beside those of the periods in which nobody counts, in turns; and the processor time that the counts took.

The counts are a process of their own, as a controller is. `BENCH_ROWS` names another number of receipts that the table
holds before, `BENCH_PAIRS` another number of pairs of periods.
"""

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing import synchronize
from typing import Any, Self

import psutil
import psycopg

from burst import ports
from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, instants, redaction
from burst.kit import measure
from burst.sandbox import embedded_postgres
from burst.task import counting
from tests.bench import count_bench

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
PAIRS = int(os.environ.get("BENCH_PAIRS", "8"))
PERIOD_SECONDS = 6.0
POLL_SECONDS = 2.0
PACED_PER_SECOND = 3000
BATCH = 30
_APART = multiprocessing.get_context("spawn")


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
            for counter in ("tail", "window"):
                with _Poller(server.dsn, counter) as poller:
                    counted, alone = _alternate(server.dsn, rate, poller)
                figures[f"{writer}_rows_a_second_alone"] = statistics.median(alone)
                lost = [1 - one / other for one, other in zip(counted, alone, strict=True)]
                figures[f"{writer}_lost_to_{counter}_counts"] = statistics.median(lost)
                figures[f"{writer}_lost_to_{counter}_counts_error"] = statistics.stdev(lost) / len(lost) ** 0.5
                figures[f"{writer}_processor_share_of_{counter}_counts"] = poller.processor_share
    return figures


class _Poller:
    """Counts every two seconds in a process of its own, while it is told to."""

    def __init__(self, dsn: str, counter: str) -> None:
        self._ready, self._counts, self._ended = _APART.Event(), _APART.Event(), _APART.Event()
        self._seconds = _APART.Value("d", 0.0)
        self._counted_seconds = 0.0
        signals = self._ready, self._counts, self._ended
        self._process = _APART.Process(target=_poll, args=(dsn, counter, *signals, self._seconds), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._counts.set()
        self._process.join(60)

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Polls while it lasts."""
        began = time.monotonic()
        self._counts.set()
        yield
        self._counts.clear()
        self._counted_seconds += time.monotonic() - began

    @property
    def processor_share(self) -> float:
        """The processor time of the counts, of poller and server, per second of one processor."""
        return float(self._seconds.value) / self._counted_seconds


def _poll(
    dsn: str,
    counter_name: str,
    ready: synchronize.Event,
    counts: synchronize.Event,
    ended: synchronize.Event,
    seconds: Any,
) -> None:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)
    source.open(instants.later(datetime.now(UTC), 3600))
    source.wait_for_mark(30)
    counter = _FOLLOW[counter_name](source, datetime.now(UTC))
    before = _read_processor_seconds(dsn)
    ready.set()
    while counts.wait() and not ended.is_set():
        with contextlib.suppress(errors.Unavailable):  # one that takes too long costs the writer all the same
            counter.poll(datetime.now(UTC))
        seconds.value = _read_processor_seconds(dsn) - before
        ended.wait(POLL_SECONDS)
    source.close()


def _read_processor_seconds(dsn: str) -> float:
    """Of this process and of the server's processes that serve burst."""
    query = "select pid from pg_stat_activity where application_name like 'burst%'"
    with psycopg.connect(dsn, autocommit=True) as connection:
        pids = [os.getpid(), *(row[0] for row in connection.execute(query).fetchall())]
    used = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            used += times.user + times.system
    return used


def _follow_tail(source: postgres_receipts.PostgresReceipts, start: datetime) -> ports.Counter:
    return source.follow(
        start=start,
        until=instants.later(start, 3600),
        scope=count_bench.LIVE_SCOPE,
        settle_seconds=0.5,
        every_seconds=POLL_SECONDS,
        patience_seconds=30.0,
    )


def _follow_window(source: postgres_receipts.PostgresReceipts, start: datetime) -> ports.Counter:
    """Slice by slice from the whole table, as often, whatever it takes: its clock stands still, so it never pauses."""
    return measure.LiveCounter(source, start=start, scope=count_bench.LIVE_SCOPE, settle_seconds=0.5, now=lambda: start)


_FOLLOW = {"tail": _follow_tail, "window": _follow_window}


def _alternate(dsn: str, rate: int | None, poller: _Poller) -> tuple[list[float], list[float]]:
    """Rows a second with polls and without, in pairs of periods; which comes first changes, because the table grows."""
    counted, alone = [], []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        _write(connection, rate)  # the first period warms up
        for number in range(PAIRS):
            if number % 2:
                alone.append(_write(connection, rate))
            with poller.counting():
                counted.append(_write(connection, rate))
            if not number % 2:
                alone.append(_write(connection, rate))
    return counted, alone


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
