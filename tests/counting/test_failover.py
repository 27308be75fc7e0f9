"""A primary that dies while a burst is followed, and its standby that is promoted: nothing that a standby says is
taken for a count, and what the new primary holds is counted."""

import contextlib
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from burst import ports
from burst.adapters.local import system_clock
from burst.adapters.postgres import postgres_receipts, tail_counter
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.receipts import receipt_table, receipts
from burst.kit import measure
from burst.sandbox import postgres_supervisor
from burst.task import counting
from tests import waiting
from tests.counting import replication

SCOPE = "platform_20260101T000000Z"
INSERT = "insert into receipts (platform_run_id, decision, created_at_utc) values (%s, 'ADMIT', %s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A primary, its standby, and the DSN of each and of both."""

    primary: postgres_supervisor.SupervisedPostgres
    primary_dsn: str
    standby_dsn: str
    both_dsn: str

    def fail_over(self) -> None:
        """Promotes the standby, which is a primary when this returns."""
        with psycopg.connect(self.standby_dsn, autocommit=True) as connection:
            assert connection.execute("select pg_promote(true, 30)").fetchone() == (True,)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with replication.run_pair() as (primary, standby):
        hosts = f"{primary.socket_folder},{standby.socket_folder}"
        address = urllib.parse.urlencode({"host": hosts, "port": postgres_supervisor.PORT}, safe="/,")
        yield Pair(
            primary=primary,
            primary_dsn=replication.dsn_of(primary, postgres_supervisor.USER, primary.password),
            standby_dsn=replication.dsn_of(standby, postgres_supervisor.USER, primary.password),
            both_dsn=f"postgresql://{postgres_supervisor.USER}:{primary.password}@/postgres?{address}",
        )


@contextlib.contextmanager
def open_source(dsn: str) -> Iterator[postgres_receipts.PostgresReceipts]:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)
    try:
        yield source
    finally:
        source.close()


def insert(dsn: str, number: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT, [(SCOPE, datetime.now(UTC).isoformat())] * number)


def count_rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from receipts").fetchone()
    assert row is not None
    return int(row[0])


def follow(source: postgres_receipts.PostgresReceipts, until: datetime) -> ports.Counter:
    source.open(until)
    assert source.wait_for_mark(30)
    return source.follow(
        start=datetime.now(UTC), until=until, scope=SCOPE, settle_seconds=0.05, every_seconds=1.0, patience_seconds=5.0
    )


def wait_for_admits(counter: ports.Counter, admits: int) -> None:
    def poll() -> bool:
        with contextlib.suppress(errors.Unavailable):
            return counter.poll(datetime.now(UTC)).total == receipts.Counts(admit=admits)
        return False

    waiting.until(poll, seconds=30, what=f"{admits} admits in the slices")


def measure_window(
    source: postgres_receipts.PostgresReceipts, window: windows.Window, clock: ports.Clock | None = None
) -> measure.Measurement:
    settling = measure.Settling(settle_seconds=0.1, give_up_at=instants.later(datetime.now(UTC), 30))
    return measure.measure(
        source,
        window=window,
        scope=SCOPE,
        bucket_seconds=60,
        settling=settling,
        clock=clock or system_clock.SystemClock(),
    )


def has_no_receiver(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        return connection.execute("select count(*) from pg_stat_wal_receiver").fetchone() == (0,)


class FailoverClock(system_clock.SystemClock):
    """A clock in whose first wait the primary dies and the standby is promoted."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self._pair, self._is_over = pair, False

    def sleep(self, seconds: float) -> None:
        if not self._is_over:
            self._is_over = True
            self._pair.primary.stop()
            self._pair.fail_over()
        super().sleep(seconds)


def test_a_burst_that_outlives_its_primary_is_counted_on_the_new_one_and_never_on_a_standby(pair: Pair) -> None:
    began = datetime.now(UTC)
    with open_source(pair.both_dsn) as source:
        counter = follow(source, instants.later(began, 600))
        insert(pair.primary_dsn, 30)
        wait_for_admits(counter, 30)
        waiting.until(lambda: count_rows(pair.standby_dsn) == 30, what="the standby to replay 30 receipts")

        pair.primary.stop()
        with pytest.raises(errors.Unavailable, match="standby"):
            counter.poll(datetime.now(UTC))
        with pytest.raises(errors.Unavailable, match="let the DSN name the primary"):
            measure_window(source, windows.Window(began, datetime.now(UTC)))

        pair.fail_over()
        insert(pair.standby_dsn, 20)
        wait_for_admits(counter, 50)
        measured = measure_window(source, windows.Window(began, datetime.now(UTC)))

    assert (measured.count.counts, measured.settled) == (receipts.Counts(admit=50), True)


def test_receipts_that_a_failover_loses_between_two_counts_leave_the_count_unsettled(pair: Pair) -> None:
    began = datetime.now(UTC)
    insert(pair.primary_dsn, 30)
    waiting.until(lambda: count_rows(pair.standby_dsn) == 30, what="the standby to replay 30 receipts")
    with psycopg.connect(pair.standby_dsn, autocommit=True) as connection:
        connection.execute("alter system set primary_conninfo = ''")
        connection.execute("select pg_reload_conf()")
    waiting.until(lambda: has_no_receiver(pair.standby_dsn), what="the standby to hear no more of its primary")
    insert(pair.primary_dsn, 5)

    with open_source(pair.both_dsn) as source:
        measured = measure_window(source, windows.Window(began, datetime.now(UTC)), FailoverClock(pair))

    assert [each.counts.admit for each in measured.rounds] == [35, 30]
    assert (measured.vanished, measured.settled) == (receipts.Counts(admit=5), False)


def test_live_counts_that_begin_on_a_standby_wait_for_its_promotion_and_then_read_the_tail(pair: Pair) -> None:
    insert(pair.primary_dsn, 30)
    waiting.until(lambda: count_rows(pair.standby_dsn) == 30, what="the standby to replay 30 receipts")
    pair.primary.stop()
    with open_source(pair.both_dsn) as source:
        began = datetime.now(UTC)
        counter = source.follow(
            start=began, until=instants.later(began, 600), scope=SCOPE, settle_seconds=0.05, every_seconds=1.0,
            patience_seconds=5.0,
        )  # fmt: skip
        with pytest.raises(errors.Unavailable, match="standby"):
            counter.poll(datetime.now(UTC))

        pair.fail_over()
        insert(pair.standby_dsn, 20)
        wait_for_admits(counter, 20)

    assert isinstance(counter, tail_counter.TailCounter)
    assert not counter.has_no_tail


def test_live_counts_without_a_tail_take_nothing_that_a_standby_says_for_a_count(pair: Pair) -> None:
    with psycopg.connect(pair.primary_dsn, autocommit=True) as connection:
        connection.execute("create view seen as select * from receipts")
    began = datetime.now(UTC)
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(pair.both_dsn), columns=counting.COLUMNS, form=receipt_table.TableForm(name="seen")
    )
    counter = source.follow(
        start=began, until=instants.later(began, 600), scope=SCOPE, settle_seconds=0.05, every_seconds=1.0,
        patience_seconds=5.0,
    )  # fmt: skip
    insert(pair.primary_dsn, 30)
    wait_for_admits(counter, 30)
    waiting.until(lambda: count_rows(pair.standby_dsn) == 30, what="the standby to replay 30 receipts")

    pair.primary.stop()
    with pytest.raises(errors.Unavailable, match="standby"):
        counter.poll(datetime.now(UTC))

    pair.fail_over()
    insert(pair.standby_dsn, 20)
    wait_for_admits(counter, 50)
    source.close()
