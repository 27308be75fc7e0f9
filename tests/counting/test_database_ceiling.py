"""Faults of a database under a ceiling: a true count, or a refusal with its reason and no question more."""

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from burst.adapters.local import system_clock
from burst.adapters.postgres import connections, postgres_receipts
from burst.control import database_ceiling
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipts
from burst.kit import measure
from burst.sandbox import embedded_postgres
from burst.task import counting
from tests import waiting

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))
CEILING_SECONDS = 2.0
FAR_SECONDS = 30.0
"""A ceiling for what is not to come to it, however slow the machine is."""
STATEMENT_SECONDS = 0.6
NAME = "burst/ceiling"
COUNTS = receipts.Counts(admit=40)


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def execute(dsn: str, *queries: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for query in queries:
            connection.execute(query.encode())


def fill(dsn: str) -> None:
    execute(
        dsn,
        "insert into receipts (receipt_id, platform_run_id, decision, created_at_utc, event_id)"
        " select n::text, 'a', 'ADMIT', (timestamptz '2026-02-21 02:00Z' + n * interval '1 second')::text, n::text"
        " from generate_series(1, 40) n",
    )


def limited(dsn: str, ceiling_seconds: float = CEILING_SECONDS) -> database_ceiling.LimitedSource:
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn),
        columns=counting.COLUMNS,
        application_name=NAME,
        timeouts=connections.Timeouts(statement_seconds=STATEMENT_SECONDS, lock_seconds=STATEMENT_SECONDS),
    )
    words = f"{database_ceiling.KEY} is {ceiling_seconds:g}s"
    return database_ceiling.LimitedSource(source, limit_seconds=ceiling_seconds, words=words)


def count_finally(source: database_ceiling.LimitedSource) -> measure.Measurement:
    """As a controller counts: what is away is asked again, until the time is up."""
    clock, give_up_at = system_clock.SystemClock(), soon(40)
    while True:
        try:
            return measure.measure(
                source,
                window=WINDOW,
                scope="a",
                bucket_seconds=60,
                settling=measure.Settling(settle_seconds=0.05, give_up_at=give_up_at),
                clock=clock,
            )
        except errors.Unavailable:
            if clock.now() >= give_up_at:
                raise
            clock.sleep(0.1)


def used_seconds(source: database_ceiling.LimitedSource) -> float:
    figures = source.read_figures()
    assert figures is not None
    return figures.database_seconds


@contextlib.contextmanager
def locked(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table receipts in access exclusive mode")
        yield connection


def test_a_lock_that_stays_is_asked_for_no_longer_than_the_ceiling(database_dsn: str) -> None:
    fill(database_dsn)
    source = limited(database_dsn)

    with locked(database_dsn), pytest.raises(errors.Refused, match=r"receipts\.database_seconds_max is 2s") as refusal:
        count_finally(source)

    assert "nothing more is asked" in str(refusal.value)
    assert CEILING_SECONDS <= used_seconds(source) < CEILING_SECONDS + 2 * STATEMENT_SECONDS
    with pytest.raises(errors.Refused):  # not even where the lock is gone
        count_finally(source)


def test_a_lock_that_goes_leaves_a_true_count(database_dsn: str) -> None:
    fill(database_dsn)
    source = limited(database_dsn, FAR_SECONDS)
    with futures.ThreadPoolExecutor() as threads, locked(database_dsn) as lock:
        counting_on = threads.submit(count_finally, source)
        waiting.until(lambda: used_seconds(source) > 0.3, what="the count to wait for the lock")
        lock.rollback()
        measured = counting_on.result(40)

    assert (measured.settled, measured.count.counts) == (True, COUNTS)
    assert used_seconds(source) < FAR_SECONDS + STATEMENT_SECONDS


def test_a_statement_that_is_always_cut_off_is_refused_by_the_ceiling_and_never_a_part_of_a_count(
    database_dsn: str,
) -> None:
    fill(database_dsn)
    execute(
        database_dsn,
        "alter table receipts rename to kept",
        "create view receipts as select kept.* from kept where pg_sleep(0.05) is not null",
    )
    source = limited(database_dsn)

    with pytest.raises(errors.Refused, match=r"receipts\.database_seconds_max is 2s"):
        count_finally(source)

    assert CEILING_SECONDS <= used_seconds(source) < CEILING_SECONDS + 2 * STATEMENT_SECONDS


def test_backends_that_are_terminated_leave_a_true_count_or_a_refusal(database_dsn: str) -> None:
    fill(database_dsn)
    source, began = limited(database_dsn, FAR_SECONDS), time.monotonic()
    with (
        futures.ThreadPoolExecutor() as threads,
        psycopg.connect(database_dsn, autocommit=True) as other,
        locked(database_dsn) as lock,
    ):
        counting_on = threads.submit(count_finally, source)
        query = (
            "select pid, pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"
            " and wait_event_type = 'Lock' and pid <> all(%s)"
        )

        def end_others(pids: Sequence[int]) -> list[int]:
            return [pid for pid, _ in other.execute(query, [NAME, list(pids)]).fetchall()]

        ended: list[int] = []  # one that is ended still shows for a while
        while len(ended) < 2:
            ended += waiting.until(functools.partial(end_others, ended), what="a count to be ended")
        lock.rollback()
        measured = counting_on.result(40)

    figures = source.read_figures()
    assert (measured.settled, measured.count.counts) == (True, COUNTS)
    assert figures is not None
    assert figures.retries >= 2
    assert figures.connections >= 5
    assert used_seconds(source) < FAR_SECONDS + STATEMENT_SECONDS
    assert time.monotonic() - began < 40


@pytest.fixture
def own_server() -> Iterator[embedded_postgres.PostgresServer]:
    with embedded_postgres.start(durable=False) as server:
        embedded_postgres.apply_schema(server.dsn)
        fill(server.dsn)
        yield server


def test_a_restart_leaves_a_true_count(own_server: embedded_postgres.PostgresServer) -> None:
    source = limited(own_server.dsn, FAR_SECONDS)
    with futures.ThreadPoolExecutor() as threads:
        own_server.stop_server()
        counting_on = threads.submit(count_finally, source)

        def tried() -> bool:
            figures = source.read_figures()
            return figures is not None and figures.retries >= 2

        waiting.until(tried, what="the count to be tried")
        own_server.start_server()
        measured = counting_on.result(40)

    assert (measured.settled, measured.count.counts) == (True, COUNTS)
    assert used_seconds(source) < FAR_SECONDS


def test_a_poll_past_the_ceiling_is_refused_and_the_next_one_too(database_dsn: str) -> None:
    fill(database_dsn)
    source = limited(database_dsn)
    counter = source.follow(
        start=START, until=WINDOW.end, scope="a", settle_seconds=0.1, every_seconds=1.0, patience_seconds=3.0
    )
    first = counter.poll(datetime.now(UTC))

    def poll_refused() -> bool:
        try:
            source.ask("select count(*) from receipts, pg_sleep(0.5)", scope="a", give_up_at=soon(10))
        except errors.Refused:
            return True
        return False

    waiting.until(poll_refused, what="the ceiling to be reached")
    for _ in range(2):
        with pytest.raises(errors.Refused, match="nothing more is asked"):
            counter.poll(datetime.now(UTC))
    source.close()

    assert first.total == COUNTS
