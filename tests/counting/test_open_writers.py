"""A window is not settled while a transaction that was writing at its end has not ended; nothing else unsettles it."""

import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from datetime import UTC, datetime, timedelta

import hypothesis
import psycopg
import pytest
from hypothesis import strategies

from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.documents import window_metrics
from burst.domain.receipts import receipt_table, receipts
from burst.kit import measure
from burst.task import counting
from tests import fakes_receipts, waiting

INSERT = "insert into {} (decision, created_at_utc, platform_run_id) values ('DUPLICATE', %s, 'a')"


def source_of(dsn: str, table: str = "receipts") -> postgres_receipts.PostgresReceipts:
    return postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn), columns=counting.COLUMNS, form=receipt_table.TableForm(name=table)
    )


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=20)


def window_before_now() -> windows.Window:
    return windows.Window(datetime.now(UTC) - timedelta(minutes=2), datetime.now(UTC))


def write(connection: psycopg.Connection, window: windows.Window, table: str = "receipts", rows: int = 1) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(INSERT.format(table), [(window.start.isoformat(),)] * rows)


def measure_window(
    source: postgres_receipts.PostgresReceipts,
    window: windows.Window,
    acts: Sequence[Callable[[], object]] = (),
    rounds_max: int = 4,
) -> measure.Measurement:
    """Measures the window in so many rounds at most; each act is done in the pause before a further round."""
    pending = iter(acts)

    def act() -> None:
        next(pending, lambda: None)()

    clock = fakes_receipts.HandClock(datetime.now(UTC), on_sleep=act)
    give_up_at = instants.later(clock.now(), 60)
    return measure.measure(
        source,
        window=window,
        scope="a",
        bucket_seconds=120,
        settling=measure.Settling(settle_seconds=0.5, give_up_at=give_up_at, rounds_max=rounds_max),
        clock=clock,
    )


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def writer(database_dsn: str) -> Iterator[psycopg.Connection]:
    """The connection of an ingest."""
    with psycopg.connect(database_dsn, application_name="ingest") as connection:
        yield connection
        connection.rollback()


def test_rows_that_are_not_committed_leave_the_window_unsettled_and_their_writer_is_named(
    database_dsn: str, writer: psycopg.Connection
) -> None:
    window = window_before_now()
    write(writer, window, rows=50)

    measured = measure_window(source_of(database_dsn), window)

    assert not measured.settled
    assert len(measured.rounds) == 4
    assert [(one.pid, one.name) for one in measured.open_writers] == [(writer.info.backend_pid, "ingest")]


@pytest.mark.parametrize(("end", "duplicates"), [("commit", 50), ("rollback", 0)])
def test_a_window_settles_with_what_its_last_writer_left(
    database_dsn: str, writer: psycopg.Connection, end: str, duplicates: int
) -> None:
    window = window_before_now()
    write(writer, window, rows=50)

    measured = measure_window(source_of(database_dsn), window, [lambda: None, getattr(writer, end)])

    assert measured.settled
    assert measured.count.counts == receipts.Counts(duplicate=duplicates)
    assert measured.open_writers == ()


def test_a_long_reader_and_writers_that_begin_after_the_end_unsettle_nothing(
    database_dsn: str, writer: psycopg.Connection
) -> None:
    window = window_before_now()

    with psycopg.connect(database_dsn) as reader, psycopg.connect(database_dsn) as elsewhere:
        reader.execute("select count(*) from receipts")
        elsewhere.execute("insert into admissions (dedupe_key) values ('1')")
        measured = measure_window(source_of(database_dsn), window, [lambda: write(writer, window)])
        elsewhere.rollback()

    assert measured.settled
    assert len(measured.rounds) == 2


@pytest.mark.parametrize(("end", "settled"), [("commit", True), (None, False)])
def test_a_transaction_that_began_before_the_end_and_writes_after_the_first_count_is_waited_for(
    database_dsn: str, writer: psycopg.Connection, end: str | None, settled: bool
) -> None:
    """Its receipts carry the instant of its beginning, as now() gives it."""
    writer.execute("select now()")
    window = window_before_now()
    acts = [lambda: write(writer, window, rows=50), lambda: None, *([getattr(writer, end)] if end else [])]

    measured = measure_window(source_of(database_dsn), window, acts, rounds_max=6)

    assert measured.settled is settled
    assert measured.count.counts == receipts.Counts(duplicate=50 if settled else 0)
    assert len(measured.open_writers) == (0 if settled else 1)


def test_only_writers_that_are_open_after_the_end_are_waited_for() -> None:
    window = windows.Window(datetime(2026, 2, 21, 2, 0, tzinfo=UTC), datetime(2026, 2, 21, 2, 1, tzinfo=UTC))
    clock = fakes_receipts.HandClock(instants.later(window.end, -1))
    source = fakes_receipts.MemoryReceiptSource(now=clock.now)
    early, late = (receipts.OpenWriter(id=f"3/{number}", pid=number, name="") for number in (1, 2))
    source.writers = (early,)

    def go_on() -> None:
        source.writers = (early, late) if clock.now() > instants.later(window.end, 1) else ()

    clock.on_sleep = go_on
    settling = measure.Settling(settle_seconds=2.0, give_up_at=instants.later(window.end, 60))
    measured = measure.measure(source, window=window, scope="a", bucket_seconds=60, settling=settling, clock=clock)

    assert measured.settled
    assert len(measured.rounds) == 3


SHAPES = {
    "a partition": (
        "create table parts (decision text, created_at_utc text, platform_run_id text) partition by list (decision)",
        "create table parts_others partition of parts default partition by list (decision)",
        "create table parts_duplicates partition of parts_others for values in ('DUPLICATE')",
    ),
    "a view": ("create view seen as select * from receipts",),
    "a view of a view of partitions": (
        "create table parts (decision text, created_at_utc text, platform_run_id text) partition by list (decision)",
        "create table parts_duplicates partition of parts for values in ('DUPLICATE')",
        "create view receipts_of_old as select decision, created_at_utc, platform_run_id from receipts",
        "create view inner_view as select * from parts union all table receipts_of_old",
        'create view "Outer; view" as select * from inner_view',
    ),
}


@pytest.mark.parametrize(
    ("shape", "table", "written"),
    [
        ("a partition", "parts", "parts"),
        ("a partition", "parts", "parts_duplicates"),
        ("a view", "seen", "receipts"),
        ("a view of a view of partitions", "Outer; view", "parts_duplicates"),
        ("a view of a view of partitions", "public.Outer; view", "receipts"),
    ],
)
def test_a_writer_is_seen_on_whichever_table_its_rows_come_from(
    database_dsn: str, writer: psycopg.Connection, shape: str, table: str, written: str
) -> None:
    execute(database_dsn, *SHAPES[shape])
    window = window_before_now()
    write(writer, window, table=written)

    measured = measure_window(source_of(database_dsn, table), window)
    settled = measure_window(source_of(database_dsn, table), window, [writer.commit])

    assert not measured.settled
    assert [one.pid for one in measured.open_writers] == [writer.info.backend_pid]
    assert settled.settled
    assert settled.count.counts == receipts.Counts(duplicate=1)


@pytest.mark.parametrize("when", ["before the first count", "between two counts"])
def test_a_prepared_transaction_is_open_until_it_is_committed(
    database_dsn: str, writer: psycopg.Connection, when: str
) -> None:
    window, name = window_before_now(), f"burst-{secrets.token_hex(4)}"
    write(writer, window)

    def prepare() -> None:
        writer.execute(f"prepare transaction '{name}'".encode())

    def commit() -> None:
        execute(database_dsn, f"commit prepared '{name}'")

    acts = [prepare] if when == "between two counts" else []
    if not acts:
        prepare()
    try:
        measured = measure_window(source_of(database_dsn), window, acts)
    finally:
        settled = measure_window(source_of(database_dsn), window, [commit])

    assert not measured.settled
    assert [str(one) for one in measured.open_writers] == [f"prepared transaction {name}"]
    assert settled.settled
    assert settled.count.counts == receipts.Counts(duplicate=1)


def test_an_insert_that_waits_for_the_table_is_a_writer_too(database_dsn: str, writer: psycopg.Connection) -> None:
    window, source, pid = window_before_now(), source_of(database_dsn), writer.info.backend_pid
    with futures.ThreadPoolExecutor() as threads, psycopg.connect(database_dsn) as owner:
        owner.execute("lock table receipts in share mode")
        writing = threads.submit(write, writer, window)
        waiting.until(lambda: source.open_writers(give_up_at=soon()).writers, what="the insert to wait")
        measured = measure_window(source, window)
        owner.rollback()
        writing.result(20)

    assert not measured.settled
    assert [one.pid for one in measured.open_writers] == [pid]


def test_a_role_that_may_only_read_sees_the_writers_of_others(database_dsn: str, writer: psycopg.Connection) -> None:
    role = f"reader_{secrets.token_hex(4)}"
    execute(database_dsn, f"create role {role} login password 'reader'", f"grant select on receipts to {role}")
    reader = source_of(f"postgresql://{role}:reader@{database_dsn.partition('@')[2]}")
    write(writer, window_before_now())
    try:
        present = reader.open_writers(give_up_at=soon())
    finally:
        writer.rollback()
        execute(database_dsn, f"drop owned by {role}", f"drop role {role}")

    assert [(one.pid, one.name) for one in present.writers] == [(writer.info.backend_pid, "ingest")]


@pytest.mark.parametrize(
    ("statements", "table", "words"),
    [
        (["create materialized view kept as select * from receipts"], "kept", "the materialized view kept"),
        (
            ["create foreign data wrapper far", "create server away foreign data wrapper far",
             "create foreign table remote (decision text) server away", "create view seen as select * from remote"],
            "seen",
            "the foreign table remote",
        ),
        (
            ["create function rows_of() returns setof receipts language sql stable as $$ select * from receipts $$",
             "create view seen as select * from rows_of()"],
            "seen",
            r"the function rows_of\(\)",
        ),
        (["create view seen as select 'ADMIT' as decision"], "seen", "no table of this database"),
    ],
    ids=["a materialized view", "a foreign table behind a view", "a function behind a view", "no table"],
)  # fmt: skip
def test_rows_whose_writers_cannot_be_seen_are_refused(
    database_dsn: str, statements: list[str], table: str, words: str
) -> None:
    execute(database_dsn, *statements)

    with pytest.raises(errors.Refused, match=words):
        source_of(database_dsn, table).open_writers(give_up_at=soon())


def test_a_table_that_a_subscription_fills_has_writers_on_another_server(database_dsn: str) -> None:
    fill = (
        "insert into pg_subscription_rel (srsubid, srrelid, srsubstate)"
        " select oid, 'receipts'::regclass, 'r' from pg_subscription where subname = 'copying'"
    )
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute("create subscription copying connection 'dbname=nowhere' publication away with (connect = false)")
        try:
            owner.execute("alter subscription copying set (slot_name = none)")
            owner.execute("set allow_system_table_mods = on")
            owner.execute(fill)
            with pytest.raises(errors.Refused, match="the subscription that fills receipts"):
                source_of(database_dsn).open_writers(give_up_at=soon())
        finally:
            owner.execute("drop subscription copying")


def test_open_writers_of_no_such_table_are_a_mistake_in_the_plan(database_dsn: str) -> None:
    with pytest.raises(errors.UsageError, match='relation "nowhere" does not exist'):
        source_of(database_dsn, "nowhere").open_writers(give_up_at=soon())


def test_a_document_of_counts_with_an_open_writer_is_unsettled_and_names_it() -> None:
    at = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
    window = windows.Window(at, at + timedelta(minutes=1))
    document = window_metrics.Metrics(
        execution_id="m10_1",
        platform_run_id="a",
        window=window_metrics.WindowEntry.from_window(window),
        counts=window_metrics.CountsEntry.from_counts(receipts.Counts(admit=1)),
        open_writers=[window_metrics.WriterEntry(id="3/7", pid=4711, name="ingest")],
    )

    assert "pid 4711 (ingest) wrote to the receipts when the window ended" in document.unsettled


identities = strategies.sampled_from(
    [receipts.OpenWriter(id=str(number), pid=number, name="") for number in range(4)]
    + [receipts.OpenWriter(id=f"prepared {number}", pid=None, name="") for number in range(3)]
)
readings = strategies.lists(strategies.lists(identities, unique=True), min_size=1, max_size=6)


@hypothesis.given(readings=readings)
def test_no_writer_of_the_end_is_lost_sight_of_while_it_is_open_and_no_later_process_is_waited_for(
    readings: list[list[receipts.OpenWriter]],
) -> None:
    at = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
    noted = still = tuple(readings[0])
    for before, after in itertools.pairwise(readings):
        still = receipts.keep_open(
            still, receipts.OpenWriters(at=at, writers=tuple(before)), receipts.OpenWriters(at=at, writers=tuple(after))
        )
        assert set(still) <= set(after)
        assert {one for one in still if one.pid is not None} <= set(noted)

    always = [one for one in noted if all(one in reading for reading in readings)]
    assert set(always) <= set(still)
